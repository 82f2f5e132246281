#!/usr/bin/env bash
# The infrastructure: VPC, MSK, EKS, KEDA, Prometheus and Grafana, by Terraform.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
. scripts/deploy/lib.sh

usage() {
  cat <<'TEXT'
Usage: ./deploy-infra.sh [--plan | --destroy] [--yes] [--dry-run]

Creates or changes the infrastructure, points kubectl at the cluster, and writes
KAFKA_BOOTSTRAP_SERVERS to .env. Running it again changes what differs, nothing else.

  --plan      show what would change, change nothing
  --destroy   take everything down; records in Kafka are lost
  --yes       do not ask before changing anything
  --dry-run   print every command, run none

Examples:
  ./deploy-infra.sh --plan
  ./deploy-infra.sh
  ./deploy-infra.sh --destroy

Reads .env (see .env.example): AWS_ACCOUNT_ID AWS_REGION K8S_NAMESPACE KAFKA_TOPIC CONSUMER_GROUP
TERRAFORM_DIR names another root module than deploy/terraform/examples/demo.
Exit codes: 0 done, 1 failed, 2 wrong use.
TEXT
}

action=apply
for argument in "$@"; do
  case $argument in
    --plan) action=plan ;;
    --destroy) action=destroy ;;
    --yes) ASSUME_YES=true ;;
    --dry-run) DRY_RUN=true ;;
    -h | --help) usage; exit 0 ;;
    *) usage_error "unknown argument $argument" ;;
  esac
done

load_env
check_env AWS_ACCOUNT_ID AWS_REGION K8S_NAMESPACE KAFKA_TOPIC CONSUMER_GROUP
$DRY_RUN || need_tools aws terraform kubectl
check_account

root=${TERRAFORM_DIR:-deploy/terraform/examples/demo}
[ -d "$root" ] || die "TERRAFORM_DIR=$root: no such folder"
export TF_VAR_region=$AWS_REGION TF_VAR_account_id=$AWS_ACCOUNT_ID TF_VAR_namespace=$K8S_NAMESPACE
export TF_VAR_topic=$KAFKA_TOPIC TF_VAR_consumer_group=$CONSUMER_GROUP
export TF_IN_AUTOMATION=1

run terraform -chdir="$root" init -input=false
case $action in
  plan)
    run terraform -chdir="$root" plan -input=false
    exit 0
    ;;
  destroy)
    confirm "This destroys the cluster, the brokers and every record in them, in account $AWS_ACCOUNT_ID, $AWS_REGION."
    run terraform -chdir="$root" destroy -input=false -auto-approve
    set_env KAFKA_BOOTSTRAP_SERVERS ""
    say "all down; .env no longer names brokers"
    exit 0
    ;;
esac

# The plan that is shown is the plan that is applied.
run terraform -chdir="$root" plan -input=false -out=tfplan
confirm "Apply this plan in account $AWS_ACCOUNT_ID, $AWS_REGION? It costs money from now on (docs/cost.md)."
run terraform -chdir="$root" apply -input=false tfplan
$DRY_RUN || rm -f "$root/tfplan"

output() { if $DRY_RUN; then printf '<%s>' "$1"; else terraform -chdir="$root" output -raw "$1"; fi; }
cluster=$(output cluster_name)
run aws eks update-kubeconfig --region "$AWS_REGION" --name "$cluster"
set_env KAFKA_BOOTSTRAP_SERVERS "$(output bootstrap_brokers)"

say ""
say "Next:"
say "  ./deploy-consumer.sh"
say "  ./deploy-producer.sh 10"
