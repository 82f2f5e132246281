#!/usr/bin/env bash
# Tools of the checks of deploy/, pinned, into the user's cache. Prints their folders,
# colon separated, for PATH. helm and kubeconform are built as Go modules, once.
# Usage: PATH=$(scripts/deploy-tools.sh):$PATH
set -euo pipefail

HELM_VERSION=3.22.0
KUBECONFORM_VERSION=0.8.0
cache=${XDG_CACHE_HOME:-$HOME/.cache}/tidegate/tools

say() { printf 'deploy tools: %s\n' "$*" >&2; }
die() { say "$*"; exit 1; }

# build NAME VERSION PACKAGE [LDFLAGS]
build() {
  local name=$1 version=$2 package=$3 flags=${4:-} bin=$cache/$1-$2/bin
  if [ ! -x "$bin/$name" ]; then
    command -v go >/dev/null || die "go is missing: it builds $name $version once (1.24 or newer)"
    say "building $name $version, once, into $bin"
    CGO_ENABLED=0 GOFLAGS=-trimpath GOBIN=$bin go install -ldflags "-s -w $flags" "$package@v$version" >&2
  fi
  printf '%s:' "$bin"
}

build helm "$HELM_VERSION" helm.sh/helm/v3/cmd/helm "-X helm.sh/helm/v3/internal/version.version=v$HELM_VERSION"
build kubeconform "$KUBECONFORM_VERSION" github.com/yannh/kubeconform/cmd/kubeconform
echo
