#!/usr/bin/env bash
# Where the processors' time goes while a benchmark's consumer runs: the whole machine is
# sampled, since the database and the broker share it. Writes a flame graph, the folded
# stacks it is made of, and the share of each thread.
# Usage: scripts/flamegraph.sh FOLDER [CASE]      CASE of scripts/bench.sh, default postgres
# Needs perf, and the right to sample every process (root, or kernel.perf_event_paranoid -1).
#
# Rejected: call graphs from debug information (each sample copies 8 KiB of stack, which
# slows down what is measured); so the binary is built with frame pointers, beside the
# release.
set -euo pipefail
cd "$(dirname "$0")/.."

INFERNO_VERSION=0.12.8
SAMPLES_PER_SECOND=199

[ $# -ge 1 ] || { sed -n 's/^# \(Usage.*\)/\1/p' "$0" >&2; exit 2; }
folder=$1 case=${2:-postgres}
command -v perf >/dev/null || { echo "perf is missing: apt-get install linux-perf" >&2; exit 1; }
tools=${XDG_CACHE_HOME:-$HOME/.cache}/tidegate/tools/inferno-$INFERNO_VERSION
[ -x "$tools/bin/inferno-flamegraph" ] || cargo install --quiet --locked --root "$tools" inferno@$INFERNO_VERSION

cargo build --release --locked -p tidegate-bench
CARGO_PROFILE_RELEASE_DEBUG=line-tables-only CARGO_PROFILE_RELEASE_STRIP=none \
  RUSTFLAGS=-Cforce-frame-pointers=yes CFLAGS=-fno-omit-frame-pointer \
  cargo build --release --locked -p tidegate --target-dir target/flamegraph

work=$(mktemp -d)
bench=''
end_bench() {
  [ -n "$bench" ] || return 0
  kill -INT "$bench" 2>/dev/null || true
  wait "$bench" || true
  bench=''
}
trap 'end_bench; rm -rf "$work"' EXIT
target/release/tidegate-bench --tidegate target/flamegraph/release/tidegate --results "$work/results" "$case" >&2 &
bench=$!

# The first consumer, as long as it lives.
consumer=''
until consumer=$(pgrep -f -o 'target/flamegraph/release/tidegate consume'); do
  kill -0 "$bench" 2>/dev/null || { echo "the benchmark ended without a consumer" >&2; exit 1; }
  sleep 0.1
done
perf record -q -a -g -F $SAMPLES_PER_SECOND -o "$work/perf.data" -- tail --pid="$consumer" -f /dev/null
end_bench

mkdir -p "$folder"
perf script -i "$work/perf.data" 2>/dev/null | "$tools/bin/inferno-collapse-perf" >"$work/all" 2>/dev/null
# An idle processor is no work.
grep -v '^swapper' "$work/all" >"$folder/stacks.folded"
"$tools/bin/inferno-flamegraph" --title "$case: all processes while the consumer runs" <"$folder/stacks.folded" >"$folder/flamegraph.svg"
awk '{ n = $NF; split($0, frame, ";"); all += n; thread[frame[1]] += n }
  END { for (name in thread) if (thread[name] * 200 > all) printf "%5.1f %%  %s\n", 100 * thread[name] / all, name }' \
  "$folder/stacks.folded" | sort -rn | tee "$folder/threads.txt"
