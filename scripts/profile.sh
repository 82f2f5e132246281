#!/usr/bin/env bash
# Where the processors' time goes while a benchmark's consumer runs: the whole machine is
# sampled, since database and broker share it. Writes the shares of processes and threads
# (threads.txt) and of functions (functions.txt) into the folder.
# Usage: scripts/profile.sh FOLDER [CASE]      CASE of scripts/bench.sh, default postgres
# Needs perf, and the right to sample every process (root, or kernel.perf_event_paranoid -1).
#
# The binary is the one that is measured. Rejected: a flame graph, which needs frame pointers
# in it, or copies of each thread's stack that slow down what is measured.
set -euo pipefail
cd "$(dirname "$0")/.."

[ $# -ge 1 ] || { sed -n 's/^# \(Usage.*\)/\1/p' "$0" >&2; exit 2; }
folder=$1 case=${2:-postgres}
command -v perf >/dev/null || { echo "perf is missing: apt-get install linux-perf" >&2; exit 1; }
cargo build --release --locked --bin tidegate --bin tidegate-bench

work=$(mktemp -d)
bench=''
finish() {
  [ -z "$bench" ] || kill -INT "$bench" 2>/dev/null || true
  [ -z "$bench" ] || wait "$bench" || true
  rm -rf "$work"
}
trap finish EXIT
target/release/tidegate-bench --tidegate target/release/tidegate --results "$work/results" "$case" >&2 &
bench=$!

# The first consumer that writes into a database, as long as it lives.
consumer=''
until consumer=$(pgrep -o -P "$bench" -f 'tidegate consume .*--database postgres'); do
  kill -0 "$bench" 2>/dev/null || { echo "the benchmark ended without such a consumer" >&2; exit 1; }
  sleep 0.1
done
perf record -q -a -F 499 -o "$work/perf.data" -- tail --pid="$consumer" -f /dev/null

mkdir -p "$folder"
# An idle processor (swapper) is no work.
report() {
  perf report -i "$work/perf.data" --no-children --percent-limit "$1" --sort "$2" 2>/dev/null |
    grep -v -e '^#' -e '^$' -e swapper | sed 's/ *$//'
}
report 0.5 comm | tee "$folder/threads.txt"
report 0.3 comm,symbol >"$folder/functions.txt"
