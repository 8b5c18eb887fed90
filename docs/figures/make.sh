#!/usr/bin/env bash
# Runs scenarios and puts what they measured beside this file: SCENARIO-RELAY.json
# and a drawing for each plot, and a drawing of ours against the yardstick.
#
#   docs/figures/make.sh                         every shipped scenario
#   docs/figures/make.sh smoke tx-100            these
#   RELAYS="gossip stock" docs/figures/make.sh   in these relays, in world sim
#   CORES=0 docs/figures/make.sh attack-valid-spam   with daemons pinned to cores, in world local
#
# A run that leaves no report does not keep the others from theirs: the end names
# it, and the exit status is 1, as where a promise was broken.
set -euo pipefail
cd "$(dirname "$0")"
grapevine=${GRAPEVINE:-../../grapevine}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM # not on to the next run

# name world relay, one scenario a line
"$grapevine" testnet list | awk 'NR > 1 { print $1, $2, $3 }' >"$work/list"
if [ $# -eq 0 ]; then
	mapfile -t names < <(awk '{ print $1 }' "$work/list")
	set -- "${names[@]}"
fi

broken=0
lost=()
for name in "$@"; do
	read -r world own < <(awk -v n="$name" '$1 == n { print $2, $3 }' "$work/list") || {
		echo "$name is not a shipped scenario" >&2
		exit 2
	}
	relays=$own
	if [ "$world" = sim ] && [ "$own" = gossip ]; then
		relays=${RELAYS:-gossip stock stock-tuned}
	fi
	pinned=()
	if [ "$world" = local ] && [ -n "${CORES:-}" ]; then
		pinned=(--cores "$CORES")
	fi
	for relay in $relays; do
		echo "== $name, $relay"
		status=0
		"$grapevine" testnet run "$name" --relay "$relay" --json "$name-$relay.json" --trace "$work/$name-$relay.json" --svg . "${pinned[@]}" || status=$?
		if [ $status -eq 2 ] && [ "$relay" != "$own" ]; then
			continue # a relay that the scenario asks too much of, as to find peers by itself
		fi
		if [ ! -f "$work/$name-$relay.json" ]; then
			echo "$name, $relay: no report (exit status $status)" >&2
			lost+=("$name-$relay")
		elif [ $status -ne 0 ] && [ "$relay" = "$own" ]; then
			broken=1 # the yardstick does not have to keep our promises
		fi
	done
	for other in $relays; do
		if [ "$other" != "$own" ] && [ -f "$work/$name-$other.json" ] && [ -f "$work/$name-$own.json" ]; then
			"$grapevine" testnet compare "$work/$name-$other.json" "$work/$name-$own.json" --svg . >/dev/null || [ $? -eq 1 ]
		fi
	done
done
if [ ${#lost[@]} -gt 0 ]; then
	echo "without a report, so that figures of an earlier run stand: ${lost[*]}" >&2
	exit 1
fi
exit $broken
