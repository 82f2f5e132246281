#!/usr/bin/env bash
# The chart against a real API server: check.py. Builds etcd, API server and kubectl once.
# Usage: scripts/kubernetes/check.sh
set -euo pipefail
cd "$(dirname "$0")/../.."

for tool in python3 openssl setpriv; do
  command -v $tool >/dev/null || { printf 'kubernetes: missing: %s\n' $tool >&2; exit 1; }
done
KUBERNETES_HOME=$(scripts/kubernetes/build.sh api)
PATH=$(scripts/deploy-tools.sh)$PATH
export KUBERNETES_HOME PATH
exec python3 -B scripts/kubernetes/check.py
