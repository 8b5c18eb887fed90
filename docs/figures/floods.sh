#!/usr/bin/env bash
# Floods six daemons with each kind of control message, by one attacker and by a hundred, and
# prints what that cost. Daemons are pinned to the first core and attackers to the others: alone
# on the machine, a quarter of an hour.
#
#   docs/figures/floods.sh                    every kind, one attacker and a hundred, and as a control
#                                             attackers that work as hard and send nothing (none)
#   docs/figures/floods.sh ihave graft        these kinds
#   OUT=folder docs/figures/floods.sh ...     keep reports there; those that are there are not run again
#
# Exit status 1: a run broke a promise of the scenario, or has no report.
set -euo pipefail
grapevine=${GRAPEVINE:-./grapevine}
if [ $# -eq 0 ]; then
	set -- ihave iwant graft prune idontwant subscriptions empty none
fi
out=${OUT:-$(mktemp -d)}
mkdir -p "$out"
figures=attack.evicted_ratio,attack.time_to_evict_s.max,attack.heap_growth_mb,attack.rss_growth_mb,attack.before.cpu_per_s,attack.during.cpu_per_s,attack.before.tx.latency_ms.p99,attack.during.tx.latency_ms.p99,tx.delivery_ratio,attack.honest_banned

status=0
for scenario in attack-control-flood-local attack-control-flood-crowd; do
	for message in "$@"; do
		report=$out/$scenario-$message.json
		if [ ! -s "$report" ]; then
			rate=20
			case $message in graft | prune) rate=200 ;; esac
			"$grapevine" testnet run "$scenario" --cores "${CORES:-0}" --json "$report" \
				--set "attackers.0.params={message: $message, per_second: \"$rate\"}" >"$out/$scenario-$message.log" 2>&1 || [ "$message" = none ] || status=1
		fi
		echo "== $scenario, $message"
		[ -s "$report" ] && "$grapevine" testnet spread --each "$figures" "$report"
		grep -A9 -i 'broke\|failed' "$out/$scenario-$message.log" || true
	done
done
exit $status
