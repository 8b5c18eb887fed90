#!/usr/bin/env bash
# Runs one scenario over several seeds, one after the other, and prints a row for each and
# what was lost over all.
#
#   docs/figures/seeds.sh attack-cold-boot 20         seeds 1 to 20
#   docs/figures/seeds.sh stalled-half 1 5 6          these
#   OUT=folder docs/figures/seeds.sh ...              keep reports there; those that are there are not run again
#   FIGURES=block.latency_ms.p99,... docs/figures/seeds.sh ...
#   SET="txs.for=35s" docs/figures/seeds.sh ...       with --set, one or more
#
# A run takes one core. Exit status 1: a run broke a promise of the scenario, or has no report.
set -euo pipefail
grapevine=${GRAPEVINE:-./grapevine}
name=$1
shift
seeds=("$@")
if [ $# -eq 1 ]; then
	mapfile -t seeds < <(seq 1 "$1")
fi
figures=${FIGURES:-tx.expected,tx.delivered,tx.latency_ms.p50,tx.latency_ms.p90,tx.latency_ms.p99,tx.latency_ms.max,attack.honest_mesh_ratio,attack.honest_banned,wall_s}
out=${OUT:-$(mktemp -d)}
mkdir -p "$out"
set=()
for change in ${SET:-}; do
	set+=(--set "$change")
done

status=0
reports=()
for seed in "${seeds[@]}"; do
	report=$out/$name-$seed.json
	if [ ! -s "$report" ]; then
		GOMAXPROCS=1 nice -n 5 "$grapevine" testnet run "$name" --seed "$seed" --json "$report" "${set[@]}" >"$out/$name-$seed.log" 2>&1 || {
			status=1
			echo "seed $seed:" >&2
			grep -E '^(FAIL|broken|  )|rror' "$out/$name-$seed.log" | head -5 >&2 || true
		}
	fi
	if [ -s "$report" ]; then
		reports+=("$report")
	fi
done
[ ${#reports[@]} -gt 0 ] || exit 1
"$grapevine" testnet spread --each "$figures" "${reports[@]}" | awk '
	NR == 1 { for (i = 1; i <= NF; i++) column[$i] = i }
	{ print }
	NR > 1 && column["tx.expected"] && column["tx.delivered"] {
		expected = $column["tx.expected"]; lost = expected - $column["tx.delivered"]
		all += expected; missing += lost
		if (expected > 0 && lost / expected > worst) worst = lost / expected
	}
	END { if (all) printf "lost %d of %d deliveries (%.4f %%), in the worst run %.4f %%\n", missing, all, 100 * missing / all, 100 * worst }'
exit $status
