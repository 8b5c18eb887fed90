#!/usr/bin/env bash
# Runs scenarios and puts what they measured beside this file: SCENARIO-RELAY.json
# and a drawing for each plot, and a drawing of ours against the yardstick.
#
#   docs/figures/make.sh                         every shipped scenario
#   docs/figures/make.sh smoke tx-100            these
#   RELAYS="gossip stock" docs/figures/make.sh   in these relays, in world sim
set -euo pipefail
cd "$(dirname "$0")"
grapevine=${GRAPEVINE:-../../grapevine}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# name world relay, one scenario a line
"$grapevine" testnet list | awk 'NR > 1 { print $1, $2, $3 }' >"$work/list"
if [ $# -eq 0 ]; then
	mapfile -t names < <(awk '{ print $1 }' "$work/list")
	set -- "${names[@]}"
fi

broken=0
for name in "$@"; do
	read -r world own < <(awk -v n="$name" '$1 == n { print $2, $3 }' "$work/list") || {
		echo "$name is not a shipped scenario" >&2
		exit 2
	}
	relays=$own
	if [ "$world" = sim ] && [ "$own" = gossip ]; then
		relays=${RELAYS:-gossip stock stock-tuned}
	fi
	for relay in $relays; do
		echo "== $name, $relay"
		status=0
		"$grapevine" testnet run "$name" --relay "$relay" --json "$name-$relay.json" --trace "$work/$name-$relay.json" --svg . || status=$?
		case $status in
		0) ;;
		1) [ "$relay" != "$own" ] || broken=1 ;; # the yardstick does not have to keep our promises
		2) # a relay that the scenario asks too much of, as to find peers by itself
			[ "$relay" != "$own" ] || exit 2
			continue
			;;
		*) exit $status ;;
		esac
		[ -f "$work/$name-$relay.json" ] || exit 1
	done
	for other in $relays; do
		if [ "$other" != "$own" ] && [ -f "$work/$name-$own.json" ]; then
			"$grapevine" testnet compare "$work/$name-$other.json" "$work/$name-$own.json" --svg . >/dev/null || [ $? -eq 1 ]
		fi
	done
done
exit $broken
