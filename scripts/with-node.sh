#!/bin/sh
# Runs a TypeScript file of this repository, after installing Node 24 and the packages where they are missing.
set -eu
cd "$(dirname "$0")/.."
node=$(./signalbox --print-node)
exec "$node" --disable-warning=ExperimentalWarning "$@"
