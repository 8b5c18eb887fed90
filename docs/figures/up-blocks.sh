#!/usr/bin/env bash
# Twenty real daemons, and 30 times 64 payments of 16 KiB, every two seconds, from
# six of them: a block of 1 MiB for each. Prints what of it is in blocks, whether all
# daemons agree, and how much processor time each took.
#
#   docs/figures/up-blocks.sh              # of the program that `make build` makes
#   GRAPEVINE=/usr/bin/grapevine docs/figures/up-blocks.sh
set -euo pipefail
cd "$(dirname "$0")"
grapevine=$(realpath "${GRAPEVINE:-../../grapevine}")
work=$(mktemp -d)
cd "$work"
trap '"$grapevine" testnet down --dir net >/dev/null; rm -rf "$work"' EXIT
trap 'exit 130' INT TERM

# field NAME FILE: the values of a key of indented JSON, one a line
field() { grep -o "\"$1\": [^,]*" "$2" | sed 's/^[^:]*: //; s/"//g'; }

"$grapevine" testnet up --nodes 20 --producers 4 --slot 2s --detach --dir net --json >up.json
to=$(field wallet up.json | tail -n 1)
payload=$(head -c 16000 /dev/urandom | od -An -v -tx1 | tr -d ' \n')
"$grapevine" testnet status --dir net --json >before.json
began=$SECONDS
for i in $(seq 30); do
	"$grapevine" tx send --home "net/node-0$((4 + i % 6))" --to "$to" --amount 1 --payload "$payload" --count 64 >/dev/null &
	sleep 2
done
wait
sleep 6 # the last block
took=$((SECONDS - began))
"$grapevine" testnet status --dir net --json >after.json

blocks=0 txs=0 bytes=0
for height in $(seq "$(field height after.json | sort -n | tail -n 1)"); do
	"$grapevine" block get "$height" --home net/node-19 --json >block.json
	n=$(field tx_count block.json)
	if [ "$n" -gt 0 ]; then
		blocks=$((blocks + 1)) txs=$((txs + n)) bytes=$((bytes + $(field size block.json | head -n 1)))
	fi
done
echo "payments in blocks at the last node: $txs of 1920, in $blocks blocks of $((bytes / blocks)) bytes in the mean"
heads=$(grep -A 4 '"head": {' after.json | grep '"id"' | sort | uniq -c | awk '{ print $1 }' | tr '\n' ' ')
echo "nodes on each head: $heads"
paste <(field cpu_s before.json) <(field cpu_s after.json) | awk -v took="$took" '
	{ used = $2 - $1; sum += used; if (NR == 1 || used < least) least = used; if (used > most) most = used }
	END { printf "processor seconds of a node in %d s: %.2f in the mean, %.2f to %.2f\n", took, sum / NR, least, most }'
