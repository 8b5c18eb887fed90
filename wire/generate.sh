#!/bin/sh
# Generates wirepb from wire.proto. Needs Node.js for the driver; the generator
# itself is the one of go.mod. With --check it fails if the committed code is
# not what the schema gives.
set -eu
cd "$(dirname "$0")"

# Not "npm ci": it refuses a lock file that lacks the packages of a platform,
# and the lock holds Linux only. Versions are exact either way.
npm install --silent --no-save --no-audit --no-fund
npx --no-install buf lint
npx --no-install buf generate

if [ "${1:-}" = --check ] && [ -n "$(git status --porcelain -- wirepb)" ]; then
	git --no-pager diff --stat -- wirepb
	echo "wirepb is out of date: run wire/generate.sh and commit what changed" >&2
	exit 1
fi
