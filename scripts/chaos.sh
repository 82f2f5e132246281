#!/usr/bin/env bash
# Faults against real processes, Kafka and databases; an audit after each round.
# Usage: [CHAOS_FAULTS=1000] [CHAOS_SEED=N] scripts/chaos.sh [OPTIONS OF tidegate-chaos]
set -euo pipefail
cd "$(dirname "$0")/.."

scripts/ensure-tools.sh test
cargo build --release --locked -p tidegate -p tidegate-chaos
exec target/release/tidegate-chaos "$@"
