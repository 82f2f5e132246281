#!/usr/bin/env bash
# The producer of trades: image and Helm release.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
. scripts/deploy/lib.sh

usage() {
  cat <<'TEXT'
Usage: ./deploy-producer.sh [RATE] [--dry-run]

Installs or upgrades the release trade-tx-producer, which sends RATE records a second
(default: MESSAGES_PER_SECOND of .env; 0 pauses). RATE is written to .env. A change of
the rate builds no image.

  --dry-run   print every command, run none

Examples:
  ./deploy-producer.sh 10
  ./deploy-producer.sh 5000
  kubectl --namespace trade-tx delete deployment trade-tx-producer     # stop it

Exit codes: 0 done, 1 failed, 2 wrong use.
TEXT
}

rate=
for argument in "$@"; do
  case $argument in
    --dry-run) DRY_RUN=true ;;
    -h | --help) usage; exit 0 ;;
    -*) usage_error "unknown argument $argument" ;;
    *)
      [ -z "$rate" ] || usage_error "one RATE only, found $rate and $argument"
      [[ $argument =~ ^[0-9]+(\.[0-9]+)?$ ]] || usage_error "RATE $argument: records a second, 0 or more"
      rate=$argument
      ;;
  esac
done

[ -z "$rate" ] || export MESSAGES_PER_SECOND=$rate
load_env
check_env AWS_ACCOUNT_ID AWS_REGION K8S_NAMESPACE IMAGE_NAME_PRODUCER KAFKA_BOOTSTRAP_SERVERS KAFKA_TOPIC \
  MESSAGES_PER_SECOND
$DRY_RUN || need_tools aws docker helm kubectl git
check_account
check_cluster

tag=$(image_tag)
push_image "$IMAGE_NAME_PRODUCER" "$tag"
[ -z "$rate" ] || set_env MESSAGES_PER_SECOND "$rate"

run helm upgrade --install trade-tx-producer deploy/helm/tidegate \
  --namespace "$K8S_NAMESPACE" --create-namespace --values deploy/helm/tidegate/values-eks.yaml \
  --set consumer.enabled=false --set scaling.enabled=false --set producer.enabled=true \
  --set "image.repository=$(registry)/$IMAGE_NAME_PRODUCER" --set-string "image.tag=$tag" \
  --set-string "kafka.brokers=${KAFKA_BOOTSTRAP_SERVERS//,/\\,}" \
  --set-string "kafka.topic=$KAFKA_TOPIC" \
  --set "kafka.auth.mechanism=msk-iam" --set "kafka.auth.region=$AWS_REGION" \
  --set "producer.messagesPerSecond=$MESSAGES_PER_SECOND" \
  --wait --timeout 5m

say ""
say "Look at it:"
say "  kubectl --namespace $K8S_NAMESPACE logs deployment/trade-tx-producer --follow"
say "  kubectl --namespace $K8S_NAMESPACE get hpa --watch"
