#!/usr/bin/env bash
# Checks of deploy/ that need helm, promtool, shellcheck: lint, renders of the value
# sets against deploy/helm/golden, refusals, kubeconform, alert rules; the parts of scripts/kubernetes.
# Usage: check-deploy.sh [--update]     --update writes the renders anew
set -euo pipefail
cd "$(dirname "$0")/.."

update=false
[ "${1:-}" != --update ] || update=true
failed=0
say() { printf '%s\n' "$*" >&2; }
fail() { say "FAILED: $*"; failed=$((failed + 1)); }

packages=()
command -v shellcheck >/dev/null || packages+=(shellcheck)
command -v promtool >/dev/null || packages+=(prometheus)
python3 -c 'import yaml' 2>/dev/null || packages+=(python3-yaml)
if [ ${#packages[@]} -gt 0 ]; then
  [ "$(id -u)" -eq 0 ] || { say "missing: ${packages[*]}; run as root: apt-get install ${packages[*]}"; exit 1; }
  apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${packages[@]}" >/dev/null
fi
PATH=$(scripts/deploy-tools.sh)$PATH
export PATH

chart=deploy/helm/tidegate
say "== shellcheck"
shellcheck -x ./*.sh scripts/*.sh scripts/deploy/*.sh scripts/kubernetes/*.sh || fail shellcheck

say "== the end-to-end suite's own parts"
for tests in scripts/kubernetes/tests*.py; do
  python3 -B "$tests" --quiet || fail "$tests"
done

say "== promtool"
promtool check rules $chart/files/rules.yaml >/dev/null || fail "promtool check rules"
promtool test rules deploy/alerts/rules_test.yaml >/dev/null || fail "promtool test rules"

say "== helm"
for set in deploy/helm/sets/*.yaml; do
  name=$(basename "$set" .yaml)
  helm lint --quiet --strict --kube-version 1.35.0 $chart --values "$set" || fail "helm lint, $name"
  golden=deploy/helm/golden/$name.yaml
  [ "$name" != plain ] || golden=deploy/kubernetes/tidegate.yaml
  render=$(mktemp)
  helm template trades $chart --kube-version 1.35.0 --namespace trades --values "$set" >"$render" || { fail "helm template, $name"; continue; }
  if $update; then mkdir -p "$(dirname "$golden")"; cp "$render" "$golden"; fi
  diff -u "$golden" "$render" || fail "$golden is not what the chart renders: scripts/check-deploy.sh --update"
  rm -f "$render"
done

say "== kubeconform, Kubernetes' own schemas and those of the custom resources"
schemas=$(mktemp -d)
trap 'rm -rf "$schemas"' EXIT
say "$(python3 -B scripts/kubernetes/schemas.py "$(scripts/kubernetes/documents.sh)" "$schemas") kinds"
# The braces are kubeconform's.
conforms() { kubeconform -strict -schema-location "$schemas/{{.ResourceKind}}{{.KindSuffix}}.json" "$@"; }
for render in deploy/helm/golden/*.yaml deploy/kubernetes/*.yaml; do
  conforms "$render" >&2 || fail "kubeconform $render"
done
# One misspelt field each must be found.
for field in pollingInterval terminationGracePeriodSeconds maxUnavailable automountServiceAccountToken; do
  if sed "s/^\( *\)$field:/\1${field}x:/" deploy/kubernetes/tidegate.yaml | conforms >/dev/null; then
    fail "kubeconform passes ${field}x"
  fi
done

# refuse TEXT --set ...: the chart must not render, and must say TEXT.
refuse() {
  local text=$1 said; shift
  if said=$(helm template trades $chart --kube-version 1.35.0 --set kafka.brokers=kafka:9092 "$@" 2>&1 >/dev/null); then
    fail "helm template $* is not refused"
  elif ! grep -qF -- "$text" <<<"$said"; then
    fail "helm template $* does not say $text: $said"
  fi
}
refuse kafka.brokers --set kafka.brokers=
refuse brokers --set kafka.brokers=kafka
refuse law --set scaling.law=fast
refuse maxReplicas --set scaling.maxReplicas=0
refuse batchSize --set consumer.batchSize=many
refuse url --set database.url=postgres://me:secret@db/trades
refuse promiseSeconds --set monitoring.promiseSeconds=7
refuse kafka.auth.region --set kafka.auth.mechanism=msk-iam --set scaling.stock.podIdentity=aws
refuse kafka.auth.secretName --set kafka.auth.mechanism=scram-sha-512
refuse "scaling.stock.podIdentity" --set kafka.auth.mechanism=msk-iam --set kafka.auth.region=eu-west-1
refuse consumr --set consumr.enabled=true

[ "$failed" -eq 0 ] || { say "$failed check(s) failed"; exit 1; }
say "deploy: all checks passed"
