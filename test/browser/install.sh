#!/bin/sh
# Prints a Chromium; where there is none, installs Debian's.
set -eu
for name in chromium chromium-browser google-chrome; do
  if command -v "$name"; then exit; fi
done
if ! command -v apt-get >/dev/null || [ "$(id -u)" != 0 ]; then
  echo "a Chromium is needed for the browser tests: install the package chromium" >&2
  exit 1
fi
{ apt-get update -q && apt-get install -y -q --no-install-recommends chromium; } >&2
command -v chromium
