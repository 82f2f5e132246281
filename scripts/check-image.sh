#!/usr/bin/env bash
# The image without a container engine: built by buildah from the release binary, run
# by runc as an unprivileged user on a read-only root: it tells its help, and consumes
# from a Kafka outside into a SQLite file of the container.
# Usage: check-image.sh [--binary FILE]
#   --binary: a release build that is there already; without it target/release/tidegate.
set -euo pipefail
cd "$(dirname "$0")/.."

# 40 MB, compressed: what a registry keeps and a node fetches.
LIMIT_BYTES=40000000
RECORDS=5000
binary=target/release/tidegate servers=''
while [ $# -gt 0 ]; do
  case $1 in
    --binary) binary=$2; shift 2 ;;
    *) echo "unknown argument $1" >&2; exit 2 ;;
  esac
done
say() { printf 'image: %s\n' "$*" >&2; }
die() { say "$*"; exit 1; }

packages=()
for tool in buildah runc jq sqlite3; do command -v $tool >/dev/null || packages+=("$tool"); done
if [ ${#packages[@]} -gt 0 ]; then
  [ "$(id -u)" -eq 0 ] || die "missing: ${packages[*]}; run as root: apt-get install ${packages[*]}"
  apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${packages[@]}" >/dev/null
fi
[ "$(id -u)" -eq 0 ] || die "run as root: runc is used without a user namespace"

# Built, not only looked for: an old one would be checked.
[ "$binary" != target/release/tidegate ] || cargo build --release --locked -p tidegate
[ -x "$binary" ] || die "$binary is not there"
work=$(mktemp -d)
container=tidegate-check-$$
export STORAGE_DRIVER=vfs BUILDAH_ISOLATION=chroot
buildah_() { buildah --root "$work/storage" --runroot "$work/run" "$@"; }
cleanup() {
  # The servers end when their input closes.
  if [ -n "$servers" ]; then
    exec {servers_input}>&-
    wait "$servers" || true
  fi
  runc --root "$work/runc" delete --force "$container" 2>/dev/null || true
  buildah_ rm --all >/dev/null 2>&1 || true
  rm -rf "$work"
}
trap cleanup EXIT

strip --strip-all -o "$work/tidegate" "$binary"
scripts/image-rootfs.sh "$work/tidegate" "$work/rootfs"
from=$(buildah_ from scratch)
buildah_ copy --quiet "$from" "$work/rootfs" / >/dev/null
buildah_ config --user 65532:65532 --workingdir /data --entrypoint '["/usr/bin/tidegate"]' --cmd --help --port 8000 "$from"
buildah_ commit --quiet --disable-compression=false --format oci "$from" "oci-archive:$work/image.tar" >/dev/null
# Layers, configuration and manifest, as they are pushed.
mkdir "$work/oci" && tar -xf "$work/image.tar" -C "$work/oci"
layer=$(jq -r '.layers[0].mediaType' "$work/oci/blobs/sha256/$(jq -r '.manifests[0].digest | ltrimstr("sha256:")' "$work/oci/index.json")")
[[ $layer == *gzip ]] || die "the layer is $layer, not compressed"
size=$(find "$work/oci/blobs" -type f -printf '%s\n' | awk '{ sum += $1 } END { print sum }')
say "$size bytes compressed, $LIMIT_BYTES allowed; the binary is $(stat -c %s "$work/tidegate") bytes"
[ "$size" -lt $LIMIT_BYTES ] || die "more than $LIMIT_BYTES bytes"

scripts/sbom.py --output "$work/tidegate.cdx.json"

# bundle ARGUMENT...: what runc needs to run the image with these arguments.
bundle() {
  local arguments
  mkdir -p "$work/bundle"
  (cd "$work/bundle" && rm -f config.json && runc spec)
  # As JSON: jq would take an argument that begins with a dash for its own.
  arguments=$(printf '%s\n' "$@" | jq --raw-input . | jq --slurp .)
  jq --arg rootfs "$work/rootfs" --argjson arguments "$arguments" '
      .process.args = ["/usr/bin/tidegate"] + $arguments
    | .process.terminal = false
    | .process.user = {uid: 65532, gid: 65532}
    | .process.capabilities = {} | .process.noNewPrivileges = true
    | .process.cwd = "/data"
    | .root = {path: $rootfs, readonly: true}
    | .linux.namespaces |= map(select(.type != "network"))
    | .mounts += [{destination: "/data", type: "tmpfs", source: "tmpfs", options: ["nosuid", "nodev", "mode=1777"]}]
    ' "$work/bundle/config.json" >"$work/bundle/new.json"
  mv "$work/bundle/new.json" "$work/bundle/config.json"
}
run() { runc --root "$work/runc" run --bundle "$work/bundle" "$container"; }

bundle consume --help
run >"$work/help.txt" || die "consume --help does not run"
grep -q -- --database "$work/help.txt" || die "consume --help says nothing of --database"
say "consume --help runs as user 65532 on a read-only root"

say "starting Kafka"
cargo build --workspace --locked --quiet --bins --examples
coproc SERVERS { exec target/debug/examples/servers "$work/servers" trade-tx 3 image-check 2>"$work/servers.log"; }
servers=$SERVERS_PID servers_input=${SERVERS[1]}
read -r line <&"${SERVERS[0]}" || { cat "$work/servers.log" >&2; die "no servers"; }
bootstrap=$(jq -r .bootstrap <<<"$line")
"$binary" produce --brokers "$bootstrap" --topic trade-tx --rate max --records $RECORDS --metrics-addr off 2>"$work/produce.log" ||
  { cat "$work/produce.log" >&2; die "produce fails"; }

# /data is shared with the host, so that the rows can be counted from outside.
mkdir -m 1777 "$work/data"
bundle consume --brokers "$bootstrap" --topic trade-tx --group image-check --database sqlite:/data/trades.db --metrics-addr off
jq --arg data "$work/data" '.mounts |= map(if .destination == "/data" then {destination: "/data", type: "bind", source: $data, options: ["rbind", "rw"]} else . end)' \
  "$work/bundle/config.json" >"$work/bundle/new.json" && mv "$work/bundle/new.json" "$work/bundle/config.json"
run >"$work/consume.log" 2>&1 &
consumer=$!
stored=0
for _ in $(seq 300); do
  # Read only: otherwise this would make the file, and as root.
  stored=$(sqlite3 -readonly "$work/data/trades.db" 'SELECT count(*) FROM trades' 2>/dev/null || echo 0)
  [ "$stored" -lt "$RECORDS" ] || break
  kill -0 $consumer 2>/dev/null || { cat "$work/consume.log" >&2; die "the consumer ended"; }
  sleep 0.2
done
runc --root "$work/runc" kill "$container" TERM
wait $consumer || { cat "$work/consume.log" >&2; die "SIGTERM does not end it with 0"; }
[ "$stored" -eq "$RECORDS" ] || die "$stored of $RECORDS records stored"
say "$stored records consumed from $bootstrap, and a clean end on SIGTERM"
say "all checks passed"
