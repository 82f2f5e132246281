# shellcheck shell=bash
# Sourced. What the chart is checked against, pinned, and where it is kept.
export KUBE_VERSION=1.35.4 ETCD_VERSION=3.6.16 KEDA_VERSION=2.18.3 PROMETHEUS_OPERATOR_VERSION=0.85.0
KUBERNETES_HOME=${XDG_CACHE_HOME:-$HOME/.cache}/tidegate/kubernetes/kube-$KUBE_VERSION-etcd-$ETCD_VERSION-keda-$KEDA_VERSION
export KUBERNETES_HOME

say() { printf '%s kubernetes: %s\n' "$(date -u +%H:%M:%S)" "$*" >&2; }
die() { say "$*"; exit 1; }

# module_dir MODULE VERSION: the folder of the module in Go's cache, downloaded if need be
module_dir() {
  local found
  command -v go >/dev/null || die "go is missing: it downloads and builds modules (1.26 or newer)"
  found=$(go mod download -json "$1@v$2" | sed -n 's/^[[:space:]]*"Dir": "\(.*\)",$/\1/p')
  [ -n "$found" ] || die "$1 v$2 cannot be downloaded"
  printf '%s\n' "$found"
}
