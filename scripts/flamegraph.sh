#!/usr/bin/env bash
# Where the processors' time goes while a benchmark's consumer runs: the whole machine is
# sampled, since the database and the broker share it. Writes a flame graph, the folded
# stacks it is made of, and the share of each thread.
# Usage: scripts/flamegraph.sh FOLDER [CASE]      CASE of scripts/bench.sh, default postgres
# Needs perf, and the right to sample every process (root, or kernel.perf_event_paranoid -1).
#
# Stacks are unwound from the binary's tables, so what is sampled is the release as it is.
# Rejected: frame pointers, which need another build of everything.
set -euo pipefail
cd "$(dirname "$0")/.."

INFERNO_VERSION=0.12.8
SAMPLES_PER_SECOND=499
# Frames narrower than this share of the picture, in percent, are left out of it.
LEAST_WIDTH=0.2

[ $# -ge 1 ] || { sed -n 's/^# \(Usage.*\)/\1/p' "$0" >&2; exit 2; }
folder=$1 case=${2:-postgres}
command -v perf >/dev/null || { echo "perf is missing: apt-get install linux-perf" >&2; exit 1; }
scripts/ensure-tools.sh test
tools=${XDG_CACHE_HOME:-$HOME/.cache}/tidegate/tools/inferno-$INFERNO_VERSION
[ -x "$tools/bin/inferno-flamegraph" ] || cargo install --quiet --locked --root "$tools" "inferno@$INFERNO_VERSION"
cargo build --release --locked -p tidegate -p tidegate-bench
tidegate=$PWD/target/release/tidegate

work=$(mktemp -d)
bench=''
end_bench() {
  [ -n "$bench" ] || return 0
  kill "$bench" 2>/dev/null || true
  wait "$bench" || true
  bench=''
}
trap 'end_bench; rm -rf "$work"' EXIT
target/release/tidegate-bench --tidegate "$tidegate" --results "$work/results" "$case" >&2 &
bench=$!

# A process of this binary whose first argument is `consume`; its id.
consumer() {
  local process words
  for process in /proc/[0-9]*; do
    [ "$(readlink "$process/exe" 2>/dev/null)" = "$tidegate" ] || continue
    mapfile -d '' -t words <"$process/cmdline" || continue
    [ "${words[1]:-}" = consume ] && { echo "${process#/proc/}"; return 0; }
  done 2>/dev/null
  return 1
}
until id=$(consumer); do
  kill -0 "$bench" 2>/dev/null || { echo "the benchmark ended without a consumer" >&2; exit 1; }
  sleep 0.1
done
# As long as it lives.
perf record -q -a --call-graph dwarf -F $SAMPLES_PER_SECOND -o "$work/perf.data" -- tail --pid="$id" -f /dev/null
end_bench

mkdir -p "$folder"
perf script --no-inline -i "$work/perf.data" 2>/dev/null | "$tools/bin/inferno-collapse-perf" >"$work/all" 2>/dev/null
# An idle processor is no work.
grep -v '^swapper' "$work/all" >"$folder/stacks.folded"
"$tools/bin/inferno-flamegraph" --minwidth $LEAST_WIDTH --title "$case: all processes while the consumer runs" \
  <"$folder/stacks.folded" >"$folder/flamegraph.svg"
awk '{ n = $NF; split($0, frame, ";"); all += n; thread[frame[1]] += n }
  END { for (name in thread) if (thread[name] * 200 > all) printf "%5.1f %%  %s\n", 100 * thread[name] / all, name }' \
  "$folder/stacks.folded" | sort -rn | tee "$folder/threads.txt"
