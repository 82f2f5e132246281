#!/usr/bin/env bash
# Kubernetes' own OpenAPI documents, and the custom resources that the chart uses, from
# their modules, once, into the user's cache. Compiles nothing. Prints the folder.
# Usage: scripts/kubernetes/documents.sh
set -euo pipefail
# shellcheck source=scripts/kubernetes/versions.sh
. "$(dirname "$0")/versions.sh"

home=$KUBERNETES_HOME
partial=$home/documents.$$
if [ ! -d "$home/openapi" ] || [ ! -d "$home/crds" ]; then
  say "Kubernetes $KUBE_VERSION, KEDA $KEDA_VERSION, Prometheus' operator $PROMETHEUS_OPERATOR_VERSION: documents"
  kube=$(module_dir k8s.io/kubernetes "$KUBE_VERSION")
  keda=$(module_dir github.com/kedacore/keda/v2 "$KEDA_VERSION")
  operator=$(module_dir github.com/prometheus-operator/prometheus-operator "$PROMETHEUS_OPERATOR_VERSION")
  mkdir -p "$partial/openapi" "$partial/crds"
  cp "$kube"/api/openapi-spec/v3/*.json "$partial/openapi"
  cp "$keda"/config/crd/bases/*.yaml "$partial/crds"
  for kind in servicemonitors prometheusrules; do
    cp "$operator/example/prometheus-operator-crd/monitoring.coreos.com_$kind.yaml" "$partial/crds"
  done
  chmod -R u+w "$partial"
  rm -rf "$home/openapi" "$home/crds"
  mv "$partial/openapi" "$partial/crds" "$home"
  rmdir "$partial"
fi
echo "$home"
