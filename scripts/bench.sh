#!/usr/bin/env bash
# Every benchmark, or the ones named. Raw output under benches/runs/<date>/.
# Usage: scripts/bench.sh [startup|rescale24|rescale100|kill|footprint|incumbent|demo|postgres|adaptive|soak]...
set -euo pipefail
cd "$(dirname "$0")/.."

scripts/ensure-tools.sh test
cargo build --release --locked -p tidegate -p tidegate-bench
exec target/release/tidegate-bench "$@"
