#!/bin/sh
# Installs on Kubernetes what a values file describes: `signalbox install`, or with --uninstall `signalbox uninstall`.
# Works in sh, bash and zsh; --help says what it takes.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
command=install
for argument in "$@"; do
  case $argument in -u | --uninstall) command=uninstall ;; esac
done
exec "$here/../signalbox" "$command" "$@"
