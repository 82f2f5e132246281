#!/usr/bin/env bash
# Terraform and the providers of deploy/terraform, pinned, built once as Go modules into
# the user's cache as a filesystem mirror. Nothing is asked of Terraform's registry.
# Usage: scripts/terraform/tools.sh
# Prints NAME=VALUE lines: TERRAFORM (the program) and TF_CLI_CONFIG_FILE (which names the
# mirror). The first run takes about ten minutes on two cores and 4 GB of memory; the next
# ones nothing.
set -euo pipefail

TERRAFORM_VERSION=1.11.4
# Releases from 2.0 on have no Go version of their own, so a commit is named. NAME is what
# Terraform calls the provider, VERSION the release that the commit is.
PROVIDERS=(
  "hashicorp/aws 6.47.1 github.com/hashicorp/terraform-provider-aws@v1.60.1-0.20260602190131-5f2286d6d836"
  "hashicorp/helm 3.2.0 github.com/hashicorp/terraform-provider-helm@v1.3.3-0.20260629194918-a4f1c1d8b008"
  "hashicorp/random 3.9.0 github.com/terraform-providers/terraform-provider-random@v1.3.2-0.20260824155315-e1092b0cfc07"
)
# The parts of the AWS provider that deploy/terraform uses.
AWS_SERVICES=(appautoscaling budgets ec2 eks iam kafka kms logs meta rds secretsmanager sts)

here=$(cd "$(dirname "$0")" && pwd)
cache=${XDG_CACHE_HOME:-$HOME/.cache}/tidegate/terraform
platform=$(go env GOOS 2>/dev/null || true)_$(go env GOARCH 2>/dev/null || true)
mkdir -p "$cache"

say() { printf 'terraform tools: %s\n' "$*" >&2; }
die() { say "$*"; exit 1; }

# Two runs at once would build the same twice.
exec 9>"$cache/lock"
flock 9

# source_of MODULE@VERSION: the module's folder, verified by Go's checksum database.
source_of() {
  command -v go >/dev/null || die "go is missing: it builds Terraform and its providers once (1.26 or newer)"
  local answer
  answer=$(cd "$cache" && GOFLAGS=-mod=mod go mod download -json "$1") || die "$1 cannot be downloaded: $answer"
  sed -n 's/^\t"Dir": "\(.*\)",$/\1/p' <<<"$answer"
}

# build MODULE@VERSION BINARY [LDFLAGS]: from a writable copy, since a module with its own
# replacements cannot be installed by name.
build() {
  local module=$1 binary=$2 flags=${3:-} copy source
  source=$(source_of "$module")
  copy=$(mktemp -d "$cache/build.XXXXXX")
  cp -r "$source/." "$copy" && chmod -R u+w "$copy"
  if [[ $module == */terraform-provider-aws@* ]]; then
    python3 "$here/cut-provider.py" "$copy" "${AWS_SERVICES[@]}"
  fi
  mkdir -p "$(dirname "$binary")"
  # A setting that newer Go has dropped; it concerned one handshake.
  (cd "$copy" && go mod edit -dropgodebug=tlskyber)
  # Two at a time: the provider's packages are large, and so is their memory.
  (cd "$copy" && CGO_ENABLED=0 GOFLAGS='-trimpath -buildvcs=false' go build -p 2 -ldflags "-s -w $flags" -o "$binary.new" .) >&2 ||
    { rm -rf "$copy"; die "$module does not build"; }
  mv "$binary.new" "$binary"
  rm -rf "$copy"
}

# usable PROGRAM: a Terraform of the pinned version or a newer 1.x.
usable() {
  local version
  version=$(TF_CLI_CONFIG_FILE=/dev/null CHECKPOINT_DISABLE=1 "$1" version 2>/dev/null) || return 1
  version=${version%%$'\n'*} version=${version#Terraform v}
  [[ $version == 1.* ]] && [ "$(printf '%s\n' "$TERRAFORM_VERSION" "$version" | sort -V | head -n 1)" = "$TERRAFORM_VERSION" ]
}

terraform=$(command -v terraform || true)
if [ -z "$terraform" ] || ! usable "$terraform"; then
  terraform=$cache/terraform-$TERRAFORM_VERSION/terraform
  if [ ! -x "$terraform" ]; then
    say "building Terraform $TERRAFORM_VERSION, once"
    build "github.com/hashicorp/terraform@v$TERRAFORM_VERSION" "$terraform" "-X github.com/hashicorp/terraform/version.dev=no"
  fi
  usable "$terraform" || die "$terraform does not run"
fi

# The host under which Terraform looks for `hashicorp/random`, as it says itself.
probe=$(mktemp -d)
printf 'terraform {\n  required_providers {\n    random = { source = "hashicorp/random" }\n  }\n}\n' >"$probe/main.tf"
host=$(TF_CLI_CONFIG_FILE=/dev/null CHECKPOINT_DISABLE=1 "$terraform" -chdir="$probe" providers | sed -n 's|.*provider\[\(.*\)/hashicorp/random\].*|\1|p' | head -n 1)
rm -rf "$probe"
[ -n "$host" ] || die "terraform providers names no host"

for provider in "${PROVIDERS[@]}"; do
  read -r name version module <<<"$provider"
  binary=$cache/mirror/$host/$name/$version/$platform/terraform-provider-${name##*/}_v$version
  # Another set of services is another build of the same version.
  wanted=
  [ "$name" != hashicorp/aws ] || wanted=${AWS_SERVICES[*]}
  if [ ! -x "$binary" ] || { [ -n "$wanted" ] && [ "$(cat "$cache/aws-$version.services" 2>/dev/null)" != "$wanted" ]; }; then
    say "building provider $name $version, once"
    build "$module" "$binary"
    [ -z "$wanted" ] || printf '%s\n' "$wanted" >"$cache/aws-$version.services"
  fi
done

# Replaced in one step: another run may be reading it.
cat >"$cache/terraform.rc.new" <<END
disable_checkpoint = true
provider_installation {
  filesystem_mirror {
    path = "$cache/mirror"
  }
}
END
mv "$cache/terraform.rc.new" "$cache/terraform.rc"
printf 'TERRAFORM=%s\nTF_CLI_CONFIG_FILE=%s\n' "$terraform" "$cache/terraform.rc"
