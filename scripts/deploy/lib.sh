#!/usr/bin/env bash
# What the three deploy scripts share: .env, checks before anything is touched,
# dry runs. Sourced; the caller has set -euo pipefail.

ENV_FILE=${ENV_FILE:-.env}
DRY_RUN=false
ASSUME_YES=false

say() { printf '%s\n' "$*" >&2; }
die() { say "error: $*"; exit 1; }
usage_error() { say "error: $*"; say "see: $0 --help"; exit 2; }

# Runs a command, or prints it under --dry-run. Printed so that it can be pasted.
run() {
  if $DRY_RUN; then
    printf '+'; printf ' %q' "$@"; printf '\n'
    return 0
  fi
  "$@"
}

# Reads .env without running it: KEY=VALUE lines, # comments, optional quotes.
# A variable that the environment has already goes before the file.
load_env() {
  [ -f "$ENV_FILE" ] || die "$ENV_FILE is missing: cp .env.example $ENV_FILE, and fill in what is empty"
  local line key value number=0
  while IFS= read -r line || [ -n "$line" ]; do
    number=$((number + 1))
    line=${line%$'\r'}
    [[ $line =~ ^[[:space:]]*(#.*)?$ ]] && continue
    [[ $line =~ ^([A-Z][A-Z0-9_]*)=(.*)$ ]] \
      || die "$ENV_FILE line $number: expected NAME=VALUE, found: ${line%%=*}"
    key=${BASH_REMATCH[1]} value=${BASH_REMATCH[2]}
    [[ $value =~ ^\"(.*)\"$ || $value =~ ^\'(.*)\'$ ]] && value=${BASH_REMATCH[1]}
    [ -n "${!key:-}" ] || printf -v "$key" '%s' "$value"
    export "${key?}"
  done <"$ENV_FILE"
}

# set_env NAME VALUE: replaces the line, or adds it; every other line stays. The file
# is replaced in one step, so an interruption leaves the old one or the new one.
set_env() {
  local name=$1 value=$2 tmp
  if $DRY_RUN; then printf '+ %s: %s=%q\n' "$ENV_FILE" "$name" "$value"; return 0; fi
  tmp=$(mktemp "$ENV_FILE.tmp.XXXXXX")
  NAME=$name VALUE=$value awk '
    index($0, ENVIRON["NAME"] "=") == 1 { if (!seen++) print ENVIRON["NAME"] "=" ENVIRON["VALUE"]; next }
    { print }
    END { if (!seen) print ENVIRON["NAME"] "=" ENVIRON["VALUE"] }' "$ENV_FILE" >"$tmp"
  chmod --reference="$ENV_FILE" "$tmp"
  mv -f "$tmp" "$ENV_FILE"
}

# What a variable may look like. One line of complaint for each that does not.
declare -A SHAPES=(
  [AWS_ACCOUNT_ID]='^[0-9]{12}$|12 digits'
  [AWS_REGION]='^[a-z]{2}(-[a-z]+)+-[0-9]$|a region, for example eu-west-1'
  [K8S_NAMESPACE]='^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$|a namespace: lower case letters, digits, dashes'
  [IMAGE_NAME_PRODUCER]='^[a-z0-9]([a-z0-9._/-]{0,253}[a-z0-9])$|a repository name in lower case'
  [IMAGE_NAME_CONSUMER]='^[a-z0-9]([a-z0-9._/-]{0,253}[a-z0-9])$|a repository name in lower case'
  [KAFKA_BOOTSTRAP_SERVERS]='^[^,:[:space:]]+:[0-9]+(,[^,:[:space:]]+:[0-9]+)*$|host:port list, comma separated; deploy-infra.sh writes it'
  [KAFKA_TOPIC]='^[A-Za-z0-9._-]{1,249}$|letters, digits, dot, underscore, dash'
  [CONSUMER_GROUP]='^[A-Za-z0-9._-]{1,249}$|letters, digits, dot, underscore, dash'
  [MESSAGES_PER_SECOND]='^[0-9]+(\.[0-9]+)?$|a number, 0 or more'
  [LAG_THRESHOLD]='^[1-9][0-9]*$|a whole number, 1 or more'
  [BATCH_SIZE]='^[1-9][0-9]{0,5}$|1 to 100000'
  [BATCH_TIMEOUT_SECONDS]='^[0-9]+(\.[0-9]+)?$|seconds, 0 to 60'
  [MESSAGE_PROCESSING_TIME]='^[0-9]+(\.[0-9]+)?$|seconds, 0 to 60'
  [BATCH_PROCESSING_TIME]='^[0-9]+(\.[0-9]+)?$|seconds, 0 to 60'
  [SCALING_LAW]='^(stock|slo|published)$|stock, slo or published'
  [TARGET_AGE_SECONDS]='^[0-9]+(\.[0-9]+)?$|seconds'
)

check_env() {
  local name shape regex wanted bad=0
  for name in "$@"; do
    shape=${SHAPES[$name]} regex=${shape%|*} wanted=${shape##*|}
    if [ -z "${!name:-}" ]; then
      say "$ENV_FILE: $name is not set: $wanted"; bad=$((bad + 1))
    elif ! [[ ${!name} =~ $regex ]]; then
      say "$ENV_FILE: $name=${!name}: $wanted"; bad=$((bad + 1))
    fi
  done
  [ "$bad" -eq 0 ] || die "$bad setting(s) in $ENV_FILE to mend; nothing was touched"
}

# need_tools NAME...: one line for each that is missing, with what it is for.
need_tools() {
  local tool missing=0
  for tool in "$@"; do
    command -v "$tool" >/dev/null 2>&1 && continue
    case $tool in
      aws) say "missing: aws (AWS CLI version 2)" ;;
      terraform) say "missing: terraform (1.9 or newer)" ;;
      kubectl) say "missing: kubectl" ;;
      helm) say "missing: helm (3.16 or newer)" ;;
      docker) say "missing: docker, with buildx" ;;
      *) say "missing: $tool" ;;
    esac
    missing=$((missing + 1))
  done
  [ "$missing" -eq 0 ] || die "$missing tool(s) to install; nothing was touched"
}

# The credentials must be of the account that .env names. Not asked in a dry run.
check_account() {
  $DRY_RUN && return 0
  local account
  account=$(aws sts get-caller-identity --query Account --output text 2>/dev/null) \
    || die "no valid AWS credentials: aws configure sso, or set AWS_PROFILE"
  [ "$account" = "$AWS_ACCOUNT_ID" ] \
    || die "the credentials are of account $account, $ENV_FILE names $AWS_ACCOUNT_ID"
}

check_cluster() {
  $DRY_RUN && return 0
  kubectl cluster-info >/dev/null 2>&1 \
    || die "kubectl reaches no cluster: aws eks update-kubeconfig --region $AWS_REGION --name trade-tx"
}

confirm() {
  $ASSUME_YES || $DRY_RUN && return 0
  local answer
  [ -t 0 ] || die "$1 needs --yes when nobody can be asked"
  read -r -p "$1 Type yes to go on: " answer
  [ "$answer" = yes ] || die "not confirmed; nothing was touched"
}

registry() { printf '%s.dkr.ecr.%s.amazonaws.com' "$AWS_ACCOUNT_ID" "$AWS_REGION"; }

# The tag follows the content, so that a change of settings builds nothing.
image_tag() {
  local commit
  commit=$(git rev-parse --short=12 HEAD 2>/dev/null) || die "not a git checkout: the image's tag is its commit"
  if [ -n "$(git status --porcelain --untracked-files=no 2>/dev/null)" ]; then
    commit+=-$(git diff HEAD | sha256sum | cut -c1-8)
  fi
  printf '%s' "$commit"
}

# push_image REPOSITORY TAG: creates the repository, builds and pushes, unless it is there.
push_image() {
  local repository=$1 tag=$2
  if ! $DRY_RUN && aws ecr describe-images --region "$AWS_REGION" --repository-name "$repository" \
      --image-ids imageTag="$tag" >/dev/null 2>&1; then
    say "image $repository:$tag is there; nothing to build"
    return 0
  fi
  if $DRY_RUN || ! aws ecr describe-repositories --region "$AWS_REGION" --repository-names "$repository" >/dev/null 2>&1; then
    run aws ecr create-repository --region "$AWS_REGION" --repository-name "$repository" \
      --image-tag-mutability IMMUTABLE --image-scanning-configuration scanOnPush=true
  fi
  if $DRY_RUN; then
    printf '+ aws ecr get-login-password --region %s | docker login --username AWS --password-stdin %s\n' "$AWS_REGION" "$(registry)"
  else
    aws ecr get-login-password --region "$AWS_REGION" | docker login --username AWS --password-stdin "$(registry)" >/dev/null
  fi
  run docker buildx build --platform "${IMAGE_PLATFORMS:-linux/amd64}" --provenance=true --sbom=true \
    --file deploy/docker/Dockerfile --tag "$(registry)/$repository:$tag" --push .
}
