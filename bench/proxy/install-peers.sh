#!/bin/sh
# Installs the routers that `npm run bench` compares with into a virtual environment outside the repository, and prints its
# folder of programs. haproxy comes from Debian, Envoy by testedEnvoy of src/stack/envoy-program.ts.
set -eu
packages='sglang-router==0.3.2 vllm-router==0.1.17'
cache=${SIGNALBOX_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/signalbox}
venv=$cache/bench-peers-1
if [ ! -f "$venv/.installed" ]; then
  command -v python3 >/dev/null || { echo "python3 is needed for the routers compared with" >&2; exit 1; }
  rm -rf "$venv"
  mkdir -p "$cache"
  python3 -m venv "$venv"
  # shellcheck disable=SC2086
  "$venv/bin/pip" install -q --disable-pip-version-check $packages >&2
  touch "$venv/.installed"
fi
command -v haproxy >/dev/null || { apt-get update -q && apt-get install -y -q haproxy; } >&2
echo "$venv/bin"
