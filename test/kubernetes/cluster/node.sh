#!/bin/sh
# A one-node Kubernetes in namespaces of its own (network, processes, mounts): nothing of it listens or mounts outside,
# several can run at once, and all of it goes when this process goes. Ends when its standard input ends.
# usage: node.sh FOLDER BIN   FOLDER: its state, and admin.kubeconfig once it is up; BIN: what install.sh prints
set -eu
folder=$1
bin=$2
here=$(cd "$(dirname "$0")" && pwd)
PATH=$bin:$PATH:/usr/sbin:/sbin

if [ "${3:-}" != inside ]; then
  exec 7</proc/self/ns/net
  exec unshare --net --mount --pid --ipc --uts --fork --kill-child --mount-proc sh "$here/node.sh" "$folder" "$bin" inside
fi

# Its own /run, and mounts that this node's containers see. An etcd in memory is quick.
mount --make-rshared /
mount -t tmpfs tmpfs /run
mkdir -p "$folder/log" /run/etcd
hostname signalbox-node

# One cable to the outside. The first free number decides the addresses.
ip link set lo up
number=0
until ip link add eth0 type veth peer name "signalbox$number" netns /proc/self/fd/7 2>/dev/null; do
  number=$((number + 1))
  [ $number -lt 64 ] || { echo 'no free network interface name from signalbox0 to signalbox63' >&2; exit 1; }
done
outside=10.77.$number.1
node=10.77.$number.2
pods=10.78.$number.0/24
services=10.79.$number.0/24
ip address add "$node/30" dev eth0
ip link set eth0 up
ip route add default via "$outside"
nsenter --net=/proc/self/fd/7 sh -c "
  ip address add $outside/30 dev signalbox$number && ip link set signalbox$number up &&
  ip route add $pods via $node && ip route add $services via $node"
exec 7<&-
echo 1 >/proc/sys/net/ipv4/ip_forward

# Control groups are the machine's: ours have a name of their own.
cgroup=signalbox-$number
if [ -f /sys/fs/cgroup/cgroup.controllers ]; then controllers=/sys/fs/cgroup; else controllers=$(echo /sys/fs/cgroup/*/); fi
clear_cgroups() {
  for controller in $controllers; do
    [ ! -d "$controller/$cgroup" ] || find "$controller/$cgroup" -depth -type d -exec rmdir {} \; 2>/dev/null || true
  done
}
clear_cgroups
for controller in $controllers; do mkdir -p "$controller/$cgroup"; done

run() { # NAME COMMAND…
  name=$1
  shift
  "$@" >>"$folder/log/$name.log" 2>&1 </dev/null &
  eval "pid_$(echo "$name" | tr - _)=$!"
}
await() { # WHAT COMMAND…: until the command succeeds, at most a minute
  what=$1
  shift
  tries=0
  until "$@" >/dev/null 2>&1; do
    tries=$((tries + 1))
    [ $tries -lt 600 ] || { echo "$what did not come up; see $folder/log" >&2; exit 1; }
    sleep 0.1
  done
}

etcd_url=http://127.0.0.1:2379
run etcd etcd --data-dir /run/etcd --unsafe-no-fsync --listen-client-urls $etcd_url --advertise-client-urls $etcd_url \
  --listen-peer-urls http://127.0.0.1:2380 --log-level error

cat >"$folder/containerd.toml" <<TOML
version = 2
root = "$folder/containerd"
state = "/run/containerd"
[plugins."io.containerd.grpc.v1.cri"]
  restrict_oom_score_adj = true
  sandbox_image = "docker.io/signalbox/pause:test"
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = "$folder/cni"
TOML
mkdir -p "$folder/cni"
cat >"$folder/cni/10-bridge.conflist" <<JSON
{"cniVersion": "1.0.0", "name": "pods", "plugins": [
  {"type": "bridge", "bridge": "cni0", "isGateway": true, "ipMasq": true, "hairpinMode": true,
   "ipam": {"type": "host-local", "dataDir": "/run/cni", "ranges": [[{"subnet": "$pods"}]], "routes": [{"dst": "0.0.0.0/0"}]}},
  {"type": "portmap", "capabilities": {"portMappings": true}}]}
JSON
run containerd containerd --config "$folder/containerd.toml"

openssl genrsa -out "$folder/service-account.key" 2048 2>/dev/null
token=$(openssl rand -hex 16)
echo "$token,admin,admin,system:masters" >"$folder/tokens.csv"
api=https://$node:6443
start_apiserver() {
  run apiserver kube-apiserver --etcd-servers $etcd_url --advertise-address "$node" --bind-address "$node" --secure-port 6443 \
    --cert-dir "$folder/certificates" --token-auth-file "$folder/tokens.csv" --authorization-mode RBAC \
    --service-cluster-ip-range "$services" --service-account-key-file "$folder/service-account.key" \
    --service-account-signing-key-file "$folder/service-account.key" --service-account-issuer https://kubernetes.default.svc \
    --kubelet-preferred-address-types InternalIP --allow-privileged --event-ttl 1h
}
start_apiserver
cat >"$folder/kubeconfig" <<YAML
apiVersion: v1
kind: Config
current-context: signalbox-test
contexts: [{name: signalbox-test, context: {cluster: signalbox-test, user: admin}}]
clusters: [{name: signalbox-test, cluster: {server: "$api", certificate-authority: "$folder/certificates/apiserver.crt"}}]
users: [{name: admin, user: {token: "$token"}}]
YAML
export KUBECONFIG="$folder/kubeconfig"
await 'the API server' kubectl get --raw /readyz

run controller-manager kube-controller-manager --kubeconfig "$KUBECONFIG" --leader-elect=false \
  --authentication-skip-lookup=true --service-account-private-key-file "$folder/service-account.key" \
  --root-ca-file "$folder/certificates/apiserver.crt" --use-service-account-credentials
run scheduler kube-scheduler --kubeconfig "$KUBECONFIG" --leader-elect=false --authentication-skip-lookup=true
run proxy kube-proxy --kubeconfig "$KUBECONFIG" --proxy-mode iptables --cluster-cidr "$pods" --conntrack-max-per-core 0 \
  --conntrack-tcp-timeout-established 0 --conntrack-tcp-timeout-close-wait 0 --hostname-override signalbox-node

cat >"$folder/Corefile" <<CONF
. {
  bind $node
  kubernetes cluster.local in-addr.arpa {
    kubeconfig $folder/kubeconfig
  }
  cache 5
}
CONF
run coredns coredns -conf "$folder/Corefile"

cat >"$folder/kubelet.yaml" <<YAML
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
address: $node
authentication: {anonymous: {enabled: true}, webhook: {enabled: false}}
authorization: {mode: AlwaysAllow}
cgroupDriver: cgroupfs
cgroupRoot: /$cgroup
clusterDNS: [$node]
clusterDomain: cluster.local
containerRuntimeEndpoint: unix:///run/containerd/containerd.sock
enforceNodeAllocatable: []
evictionHard: {memory.available: 50Mi, nodefs.available: 1%, imagefs.available: 1%}
failCgroupV1: false
failSwapOn: false
imageGCHighThresholdPercent: 100
localStorageCapacityIsolation: false
maxPods: 200
registerWithTaints: []
resolvConf: ""
syncFrequency: 10s
YAML
await containerd ctr version
run kubelet kubelet --config "$folder/kubelet.yaml" --kubeconfig "$KUBECONFIG" --root-dir "$folder/kubelet" \
  --hostname-override signalbox-node --node-ip "$node"
await 'the node' kubectl wait --for condition=Ready --timeout 1s node/signalbox-node
await 'the default service account' kubectl -n default get serviceaccount default
echo "ready $node"

# One command a line, until the caller is gone.
while read -r command; do
  case $command in
    restart-apiserver)
      # Without a goodbye: a graceful end would wait a minute for those who watch.
      kill -KILL "$pid_apiserver"
      wait "$pid_apiserver" || true
      start_apiserver
      await 'the API server' kubectl get --raw /readyz
      ;;
    *) echo "unknown: $command" >&2 ;;
  esac
  echo "done $command"
done

# Pods end first, so that their control groups can go.
kill "$pid_kubelet" || true
for task in $(ctr -n k8s.io tasks ls -q 2>/dev/null); do ctr -n k8s.io tasks kill -s KILL "$task" 2>/dev/null || true; done
sleep 0.3
clear_cgroups
