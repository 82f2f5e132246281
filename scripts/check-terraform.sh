#!/usr/bin/env bash
# Checks of deploy/terraform that need Terraform and its providers, and no account: format,
# validation against the real providers, `terraform test` (mocks, applied; the real AWS
# provider, planned), policies judged by what each role must and may not do, checkov, the
# charts that Terraform installs. At the end faults are planted, and each must be found.
# Usage: check-terraform.sh [--no-self-test] [--update]
#   --update   writes the render of the charts anew
# The first run builds the tools (scripts/terraform/tools.sh); the next ones take a few minutes.
set -euo pipefail
cd "$(dirname "$0")/.."

self_test=true update=false
for argument in "$@"; do
  case $argument in
    --no-self-test) self_test=false ;;
    --update) update=true ;;
    *) echo "unknown argument $argument" >&2; exit 2 ;;
  esac
done

failed=0 checked=0 started=$SECONDS
say() { printf '%s\n' "$*" >&2; }
step() { say "== $* ($((SECONDS - started)) s)"; }
fail() { say "FAILED: $*"; failed=$((failed + 1)); }

tools=$(scripts/terraform/tools.sh)
TERRAFORM=$(sed -n 's/^TERRAFORM=//p' <<<"$tools")
TF_CLI_CONFIG_FILE=$(sed -n 's/^TF_CLI_CONFIG_FILE=//p' <<<"$tools")
CHECKOV=$(scripts/terraform/python.sh checkov)
POLICY=$(scripts/terraform/python.sh policy)
PATH=$(scripts/deploy-tools.sh)$PATH
export TF_CLI_CONFIG_FILE PATH TF_IN_AUTOMATION=1
# No file of the user's may decide what is checked, and no credentials may be used.
for name in $(compgen -e | grep -E '^(TF_VAR_|TF_CLI_ARGS|AWS_|TF_WORKSPACE|TF_DATA_DIR)' || true); do unset "$name"; done

# Worked on is a copy: locks and provider links stay out of the repository.
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
tree=$work/terraform
cp -r deploy/terraform "$tree"
find "$tree" \( -name .terraform -o -name '*.tfstate*' -o -name .terraform.lock.hcl -o -name tfplan \) -prune -exec rm -rf {} +

# The checks. Each takes a folder below deploy/terraform and tells on stdout what is wrong.
terraform_() { local folder=$1; shift; "$TERRAFORM" -chdir="$tree/$folder" "$@" 2>&1; }
init_() { terraform_ "$1" init -backend=false -input=false -no-color >"$work/init.log" || { cat "$work/init.log"; return 1; }; }
fmt_() { terraform_ "$1" fmt -check -diff -recursive; }
validate_() { terraform_ "$1" validate -no-color; }
test_() { terraform_ "$1" test -no-color; }
policies_() {
  local folder=modules/access/tests/render
  terraform_ $folder plan -input=false -no-color -out="$work/plan" >"$work/plan.log" || { cat "$work/plan.log"; return 1; }
  terraform_ $folder show -json "$work/plan" >"$work/plan.json"
  "$POLICY/python" scripts/terraform/policies.py "$work/plan.json" "$tree/modules/access/tests/policies.tsv" 2>&1
}
checkov_() { "$CHECKOV/python" scripts/terraform/exceptions.py "$tree" "$tree/checkov-exceptions.tsv" 2>&1; }
charts_() {
  local charts=$tree/modules/platform/charts golden=$tree/modules/platform/tests/charts.yaml
  { helm template storage "$charts/storage" --namespace kube-system
    helm template broker-metrics "$charts/broker-metrics" --namespace monitoring --set 'hosts={b-1.mock.example,b-2.mock.example}'
  } >"$work/charts.yaml" || return 1
  if $update; then cp "$work/charts.yaml" deploy/terraform/modules/platform/tests/charts.yaml; cp "$work/charts.yaml" "$golden"; fi
  diff -u "$golden" "$work/charts.yaml"
}
check() {
  local output kind=$1 folder=$2
  checked=$((checked + 1))
  output=$("${kind}_" "$folder") || fail "$kind $folder"$'\n'"$output"
}

folders=(modules/access modules/budget modules/database modules/eks modules/msk modules/network modules/platform . examples/demo examples/production)

step "format"
check fmt .

step "validate against the providers"
for example in demo production; do
  # The remote state that is documented must be accepted too.
  cp "$tree/examples/$example/backend.tf.example" "$tree/examples/$example/backend.tf"
done
for folder in "${folders[@]}" modules/access/tests/render; do
  check init "$folder"
  check validate "$folder"
done
rm "$tree"/examples/*/backend.tf

step "terraform test"
for folder in "${folders[@]}"; do check test "$folder"; done

step "policies"
check policies .

step "checkov"
check checkov .

step "charts"
check charts .

# plant NAME KIND FOLDER FILE PERL TEXT: with FILE changed by PERL, the check must fail and
# say TEXT. A fault that changes nothing is a fault of this script.
plant() {
  local name=$1 kind=$2 folder=$3 file=$tree/$4 program=$5 text=$6 output
  checked=$((checked + 1))
  cp "$file" "$work/kept"
  perl -0pi -e "$program" "$file"
  if cmp -s "$file" "$work/kept"; then
    fail "self-test, $name: nothing was changed in $4"
  elif output=$("${kind}_" "$folder"); then
    fail "self-test, $name: $kind does not find it"
  elif ! grep -qF -- "$text" <<<"$output"; then
    fail "self-test, $name: $kind does not say \"$text\":"$'\n'"$output"
  fi
  cp "$work/kept" "$file"
}
if $self_test && [ "$failed" -eq 0 ]; then
  step "planted faults"
  . scripts/terraform/faults.sh
fi

[ "$failed" -eq 0 ] || { say "$failed of $checked check(s) failed"; exit 1; }
say "terraform: all $checked checks passed in $((SECONDS - started)) s"
