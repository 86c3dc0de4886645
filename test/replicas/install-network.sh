#!/bin/sh
# Sees to `ip` and `iptables`, and that network namespaces may be made here; says why not where they cannot.
set -eu
if [ "$(id -u)" != 0 ]; then
  echo "network namespaces need root" >&2
  exit 1
fi
for program in ip iptables; do
  command -v "$program" >/dev/null && continue
  { apt-get update -q && apt-get install -y -q iproute2 iptables; } >&2 || {
    echo "iproute2 and iptables are needed, and could not be installed" >&2
    exit 1
  }
done
probe="signalbox-probe-$$"
{ ip netns add "$probe" && ip netns exec "$probe" iptables -L >/dev/null; } || {
  ip netns del "$probe" 2>/dev/null || true
  echo "network namespaces cannot be made here" >&2
  exit 1
}
ip netns del "$probe"
