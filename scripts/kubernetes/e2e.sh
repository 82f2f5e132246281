#!/usr/bin/env bash
# The chart end to end on a real control plane, without containers: docs/kubernetes-e2e.md.
# Usage: scripts/kubernetes/e2e.sh [CASE...]      stock, slo, scaler-late, scaler-gone, kafka-gone; default: all
# Builds Kubernetes and KEDA once, and the programs as the tests do (no release build: pods
# wait in their simulated writes). TIDEGATE and SERVERS name programs that are built already.
set -euo pipefail
cd "$(dirname "$0")/../.."

[ $# -gt 0 ] || set -- stock slo scaler-late scaler-gone kafka-gone
for tool in python3 openssl setpriv; do
  command -v $tool >/dev/null || { printf 'kubernetes: missing: %s\n' $tool >&2; exit 1; }
done
KUBERNETES_HOME=$(scripts/kubernetes/build.sh)
PATH=$(scripts/deploy-tools.sh)$PATH
export KUBERNETES_HOME PATH
if [ -z "${TIDEGATE:-}" ] || [ -z "${SERVERS:-}" ]; then
  scripts/ensure-tools.sh test
  cargo build --workspace --locked --bins --examples
fi
TIDEGATE=${TIDEGATE:-target/debug/tidegate} SERVERS=${SERVERS:-target/debug/examples/servers}
for program in "$TIDEGATE" "$SERVERS"; do
  [ -x "$program" ] || { printf 'kubernetes: no such program: %s\n' "$program" >&2; exit 1; }
done
exec python3 -B scripts/kubernetes/e2e.py "$@" --tidegate "$TIDEGATE" --servers "$SERVERS"
