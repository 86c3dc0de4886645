#!/bin/sh
# Prints the program of a real Valkey or Redis server, installed from the distribution's packages when it is not there.
set -eu
for program in valkey-server redis-server; do
  command -v "$program" && exit 0
done
{ apt-get update -q && apt-get install -y -q redis-server; } >&2 || {
  echo "redis-server is needed, and could not be installed" >&2
  exit 1
}
command -v redis-server
