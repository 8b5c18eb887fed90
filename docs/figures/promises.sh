#!/usr/bin/env bash
# Runs the shipped scenarios that promise something (expect), one after the other, and says of each
# whether its promises held. After one that broke, it goes on with the next.
#
#   docs/figures/promises.sh                       every one of the worlds sim and core: hours
#   docs/figures/promises.sh smoke attack-dawn     these
#   OUT=folder docs/figures/promises.sh ...        keep reports and what was said there
#
# Those of world local need the machine to themselves: run them with make.sh. A run takes one core.
# Exit status 1: a run broke a promise of its scenario, or did not come to its end; 2: no such scenario.
set -euo pipefail
grapevine=${GRAPEVINE:-./grapevine}
scenarios=$(dirname "$0")/../../testnet/scenarios
out=${OUT:-$(mktemp -d)}
mkdir -p "$out"
trap 'exit 130' INT TERM # not on to the next run

mapfile -t all < <("$grapevine" testnet list | awk 'NR > 1 && ($2 == "sim" || $2 == "core") { print $1 }')
promising=()
for name in "${all[@]}"; do
	if grep -q '^expect:' "$scenarios/$name.yaml"; then
		promising+=("$name")
	fi
done
if [ $# -eq 0 ]; then
	set -- "${promising[@]}"
fi
for name in "$@"; do
	case " ${promising[*]} " in
	*" $name "*) ;;
	*)
		echo "$name is not a shipped scenario of world sim or core with promises" >&2
		exit 2
		;;
	esac
done

broken=()
for name in "$@"; do
	began=$SECONDS
	status=0
	GOMAXPROCS=1 nice -n 5 "$grapevine" testnet run "$name" --json "$out/$name.json" >"$out/$name.log" 2>&1 || status=$?
	if [ $status -eq 0 ]; then
		echo "ok    $name ($((SECONDS - began)) s)"
		continue
	fi
	broken+=("$name")
	echo "FAIL  $name ($((SECONDS - began)) s), exit status $status:"
	sed -n '/^grapevine: /,$p' "$out/$name.log" | head -10 # the promises, or what went wrong
done
echo "$(($# - ${#broken[@]})) of $# kept their promises; what they said is in $out"
if [ ${#broken[@]} -gt 0 ]; then
	echo "broken: ${broken[*]}" >&2
	exit 1
fi
