#!/bin/sh
# Builds the programs of a one-node Kubernetes from their Go modules, and Helm, outside the repository; prints their folder.
# Takes minutes the first time. What Debian packages (etcd, containerd, …) is installed by apt where it is missing.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
kubernetes=1.34.4
coredns=1.15.0
helm=3.22.0
gateway_api=1.4.1
cache=${SIGNALBOX_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/signalbox}
bin=$cache/kubernetes-$kubernetes/bin
packages='etcd-server containerd runc containernetworking-plugins iptables iproute2 busybox-static curl zsh'

fail() { echo "$*" >&2; exit 1; }
say() { echo "one-node Kubernetes: $*" >&2; }

[ "$(uname -s)" = Linux ] || fail 'a one-node Kubernetes needs Linux'
[ "$(id -u)" = 0 ] || fail 'a one-node Kubernetes needs root (it makes namespaces, mounts and control groups)'
PATH=$PATH:/usr/sbin:/sbin
missing=''
for program in etcd containerd runc iptables ip busybox unshare nsenter openssl curl zsh; do
  command -v $program >/dev/null || missing="$missing $program"
done
[ -x /usr/lib/cni/bridge ] || missing="$missing /usr/lib/cni/bridge"
if [ -n "$missing" ]; then
  command -v apt-get >/dev/null || fail "missing:$missing; on Debian they come with: $packages util-linux openssl"
  say "installing$missing (apt: $packages)"
  # shellcheck disable=SC2086 # a list
  { apt-get update -q && DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends $packages util-linux openssl; } >&2
fi

build() { # NAME COMMAND…
  say "building $1 (once; the result stays in $bin)"
  shift
  CGO_ENABLED=0 GOBIN=$bin "$@" >&2
}
if ! cmp -s "$here/programs/go.mod" "$bin/.go.mod" || [ ! -x "$bin/coredns" ] || [ ! -x "$bin/helm" ] ||
  [ ! -d "$bin/gateway-api-$gateway_api" ]; then
  command -v go >/dev/null || fail 'Go 1.24 or newer is needed once, to build Kubernetes (https://go.dev/dl)'
  mkdir -p "$bin"
  # One builds, others wait for it.
  exec 8>"$bin/.lock"
  flock 8
  if ! cmp -s "$here/programs/go.mod" "$bin/.go.mod"; then
    (cd "$here/programs" && build "Kubernetes $kubernetes, which takes some minutes" \
      go build -trimpath -ldflags "-s -w -X k8s.io/component-base/version.gitVersion=v$kubernetes" -o "$bin" tool)
    cp "$here/programs/go.mod" "$bin/.go.mod"
  fi
  [ -x "$bin/coredns" ] || build "CoreDNS $coredns" go install -ldflags '-s -w' "github.com/coredns/coredns@v$coredns"
  # The Gateway API's CustomResourceDefinitions come with its Go module.
  if [ ! -d "$bin/gateway-api-$gateway_api" ]; then
    module=$(cd / && go mod download -json "sigs.k8s.io/gateway-api@v$gateway_api" | sed -n 's/^.*"Dir": "\(.*\)",\{0,1\}$/\1/p')
    cp -r "$module/config/crd/standard" "$bin/.gateway-api"
    chmod -R u+w "$bin/.gateway-api"
    mv "$bin/.gateway-api" "$bin/gateway-api-$gateway_api"
  fi
  [ -x "$bin/helm" ] || build "Helm $helm" go install -ldflags '-s -w' "helm.sh/helm/v3/cmd/helm@v$helm"
fi
echo "$bin"
