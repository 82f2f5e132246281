#!/usr/bin/env bash
# The consumer and its autoscaler: image and Helm release.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
. scripts/deploy/lib.sh

usage() {
  cat <<'TEXT'
Usage: ./deploy-consumer.sh [--dry-run]

Builds and pushes the image if this commit's is not there yet, and installs or upgrades
the release trade-tx-consumer: Deployment, ScaledObject, and tidegate's external scaler
when SCALING_LAW=slo. Settings come from .env; a change of settings builds nothing.

  --dry-run   print every command, run none

Examples:
  ./deploy-consumer.sh
  SCALING_LAW=slo ./deploy-consumer.sh
  BATCH_SIZE=1000 ./deploy-consumer.sh --dry-run

Exit codes: 0 done, 1 failed, 2 wrong use.
TEXT
}

for argument in "$@"; do
  case $argument in
    --dry-run) DRY_RUN=true ;;
    -h | --help) usage; exit 0 ;;
    *) usage_error "unknown argument $argument" ;;
  esac
done

load_env
: "${SCALING_LAW:=stock}" "${TARGET_AGE_SECONDS:=5}"
check_env AWS_ACCOUNT_ID AWS_REGION K8S_NAMESPACE IMAGE_NAME_CONSUMER KAFKA_BOOTSTRAP_SERVERS KAFKA_TOPIC \
  CONSUMER_GROUP LAG_THRESHOLD BATCH_SIZE BATCH_TIMEOUT_SECONDS MESSAGE_PROCESSING_TIME BATCH_PROCESSING_TIME \
  SCALING_LAW TARGET_AGE_SECONDS
$DRY_RUN || need_tools aws docker helm kubectl git
check_account
check_cluster

tag=$(image_tag)
push_image "$IMAGE_NAME_CONSUMER" "$tag"

values=(--values deploy/helm/tidegate/values-eks.yaml)
law=$SCALING_LAW
if [ "$law" = published ]; then
  values+=(--values deploy/helm/tidegate/values-published.yaml)
  law=stock
fi

# A broker list has commas, which helm takes for separators.
settings=(
  --set "image.repository=$(registry)/$IMAGE_NAME_CONSUMER" --set-string "image.tag=$tag"
  --set-string "kafka.brokers=${KAFKA_BOOTSTRAP_SERVERS//,/\\,}"
  --set-string "kafka.topic=$KAFKA_TOPIC" --set-string "kafka.group=$CONSUMER_GROUP"
  --set "kafka.auth.mechanism=msk-iam" --set "kafka.auth.region=$AWS_REGION"
  --set "consumer.batchSize=$BATCH_SIZE" --set "consumer.batchTimeoutSeconds=$BATCH_TIMEOUT_SECONDS"
  --set "consumer.messageProcessingTime=$MESSAGE_PROCESSING_TIME"
  --set "consumer.batchProcessingTime=$BATCH_PROCESSING_TIME"
  --set "scaling.law=$law" --set "scaling.stock.lagThreshold=$LAG_THRESHOLD"
  --set "scaling.slo.targetAgeSeconds=$TARGET_AGE_SECONDS"
)
[ -z "${TIDEGATE_DATABASE:-}" ] || settings+=(--set-string "database.url=${TIDEGATE_DATABASE//,/\\,}")
[ -z "${DATABASE_PASSWORD_SECRET:-}" ] || settings+=(--set "database.passwordSecret.name=$DATABASE_PASSWORD_SECRET")

run helm upgrade --install trade-tx-consumer deploy/helm/tidegate \
  --namespace "$K8S_NAMESPACE" --create-namespace "${values[@]}" \
  "${settings[@]}" --wait --timeout 10m

say ""
say "Look at it:"
say "  kubectl --namespace $K8S_NAMESPACE get scaledobject,hpa,pods"
say "  kubectl --namespace $K8S_NAMESPACE logs --selector app.kubernetes.io/component=consumer --follow"
