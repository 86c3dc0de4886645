#!/bin/sh
# Installs what `npm run bench` compares with: NAME PACKAGE… from PyPI into a virtual environment of that name outside the
# repository, and prints its folder of programs. haproxy comes from Debian, Envoy by testedEnvoy of src/stack/envoy-program.ts.
set -eu
name=$1
shift
venv=${SIGNALBOX_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/signalbox}/$name
if [ ! -f "$venv/.installed" ]; then
  command -v python3 >/dev/null || { echo "python3 is needed for what is compared with" >&2; exit 1; }
  rm -rf "$venv"
  mkdir -p "$(dirname "$venv")"
  python3 -m venv "$venv"
  "$venv/bin/pip" install -q --disable-pip-version-check "$@" >&2
  touch "$venv/.installed"
fi
command -v haproxy >/dev/null || { apt-get update -q && apt-get install -y -q haproxy; } >&2
echo "$venv/bin"
