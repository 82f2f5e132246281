#!/usr/bin/env bash
# Every benchmark, or the ones named. Raw output under benches/runs/<date>/.
# Usage: scripts/bench.sh [startup|rescale24|rescale100|kill|footprint|incumbent|demo|postgres|adaptive|soak|peers|scaler|sim]...
set -euo pipefail
cd "$(dirname "$0")/.."

scripts/ensure-tools.sh test
# The peer of the case `peers`.
command -v kcat >/dev/null || { [ "$(id -u)" -ne 0 ] || apt-get install -y -qq --no-install-recommends kcat >/dev/null; }
cargo build --release --locked -p tidegate -p tidegate-bench
exec target/release/tidegate-bench "$@"
