#!/usr/bin/env bash
# A Kubernetes control plane and KEDA as plain programs, built as Go modules, pinned,
# once, into the user's cache. What is there is not built again; an interrupted build
# goes on from Go's own cache. Prints the folder of the programs.
# Usage: scripts/kubernetes/build.sh [api]      api: only etcd, API server and kubectl
#
# Rejected: downloading release binaries (one more source to trust and to reach); etcd
# of the distribution (3.4: the API server of 1.34 and later wants watch progress).
set -euo pipefail

# shellcheck source=scripts/kubernetes/versions.sh
. "$(dirname "$0")/versions.sh"
here=$(cd "$(dirname "$0")" && pwd)
# Triggers of KEDA, and the files they are in.
TRIGGERS='cpu|memory|kafka|external|external-push'
SCALER_FILES='cpu_memory_scaler|kafka_scaler|external_scaler'
home=$KUBERNETES_HOME
bin=$home/bin
work=$home/src

export CGO_ENABLED=0 GOFLAGS="-mod=mod -trimpath -buildvcs=false -p=${BUILD_JOBS:-2}"

# compile NAME PACKAGE LDFLAGS, in the current folder
compile() {
  local name=$1 package=$2 flags=$3 began=$SECONDS
  if [ -x "$bin/$name" ]; then return; fi
  say "$name: compiling"
  mkdir -p "$bin"
  go build -ldflags "-s -w $flags" -o "$work/$name.partial" "$package" >&2
  mv "$work/$name.partial" "$bin/$name"
  say "$name: $((SECONDS - began)) s, $(($(stat -c %s "$bin/$name") / 1048576)) MiB"
}

missing() {
  local name
  for name; do [ -x "$bin/$name" ] || return 0; done
  return 1
}

build_etcd() {
  missing etcd || return 0
  mkdir -p "$work/etcd-main"
  cd "$work/etcd-main"
  cat >main.go <<'GO'
package main

import (
	"os"

	"go.etcd.io/etcd/server/v3/etcdmain"
)

func main() { etcdmain.Main(os.Args) }
GO
  printf 'module tidegate.test/etcd\n\ngo 1.24\n\nrequire go.etcd.io/etcd/server/v3 v%s\n' "$ETCD_VERSION" >go.mod
  go mod tidy >&2
  compile etcd . ""
}

# Kubernetes as a dependency: its own requirements, each staged module at its release.
# build_kube NAME...
build_kube() {
  missing "$@" || return 0
  local upstream staged=v0.${KUBE_VERSION#1.} minor flags="" package
  upstream=$(module_dir k8s.io/kubernetes "$KUBE_VERSION")
  mkdir -p "$work/kube-main"
  cd "$work/kube-main"
  sed -E -e 's|^module .*|module tidegate.test/kube|' \
    -e "s|^([[:space:]]*)(k8s.io/[a-z0-9-]+) => ./staging/.*|\1\2 => \2 $staged|" \
    -e "s|(k8s.io/[a-z0-9-]+) v0\.0\.0([[:space:]].*)?$|\1 $staged\2|" "$upstream/go.mod" >go.mod
  echo "require k8s.io/kubernetes v$KUBE_VERSION" >>go.mod
  install -m 644 "$upstream/go.sum" go.sum
  printf 'package main\n\nfunc main() {}\n' >main.go
  minor=${KUBE_VERSION#1.}
  minor=${minor%%.*}
  for package in k8s.io/component-base/version k8s.io/client-go/pkg/version; do
    flags+=" -X $package.gitVersion=v$KUBE_VERSION -X $package.gitMajor=1 -X $package.gitMinor=$minor"
    flags+=" -X $package.gitTreeState=clean"
  done
  for package; do
    compile "$package" "k8s.io/kubernetes/cmd/$package" "$flags"
  done
}

# KEDA as its own main module, from a writable copy, with two edits: of its triggers only
# those in TRIGGERS, which spares the SDKs of all the others (some cannot be had as
# modules); and the adapter's plain /metrics on loopback.
build_keda() {
  missing keda-operator keda-adapter || return 0
  local upstream copy=$work/keda-main module=github.com/kedacore/keda/v2 flags
  upstream=$(module_dir $module "$KEDA_VERSION")
  rm -rf "$copy"
  cp -r "$upstream" "$copy"
  chmod -R u+w "$copy"
  rm -rf "$copy/vendor"
  cd "$copy"
  # `case "NAME":` and its return.
  sed -i -E "/^\tcase \"/{/^\tcase \"($TRIGGERS)\":/!{N;d}}" pkg/scaling/scalers_builder.go
  find pkg/scalers -maxdepth 1 -name '*.go' -regextype posix-extended \
    ! -regex ".*/(scaler|$SCALER_FILES)\.go" -delete
  # A constant of all triggers that lives in the file of one of those left out.
  printf 'package scalers\n\nconst externalMetricType = "External"\n' >pkg/scalers/metric_type.go
  sed -i 's|metricsBindAddress := fmt.Sprintf(":%v"|metricsBindAddress := fmt.Sprintf("127.0.0.1:%v"|' cmd/adapter/main.go
  grep -q '"127.0.0.1:%v"' cmd/adapter/main.go || die "KEDA $KEDA_VERSION: the adapter's metrics address is not where it was"
  flags="-X $module/version.Version=$KEDA_VERSION"
  compile keda-operator ./cmd/operator "$flags"
  compile keda-adapter ./cmd/adapter "$flags"
  cd "$work"
  rm -rf "$copy"
}

command -v go >/dev/null || die "go is missing: it builds Kubernetes $KUBE_VERSION and KEDA $KEDA_VERSION once (1.26 or newer)"
mkdir -p "$work"
exec 9>"$home/lock"
flock 9
build_kube kube-apiserver
build_etcd
build_kube kubectl
if [ "${1:-all}" != api ]; then
  build_kube kube-controller-manager kube-scheduler
  build_keda
fi
"$here/documents.sh" >/dev/null
echo "$home"
