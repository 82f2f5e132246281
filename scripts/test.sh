#!/usr/bin/env bash
# Everything `make test` does, in the order that fails fastest.
set -euo pipefail
cd "$(dirname "$0")/.."

started=$SECONDS
step() { printf '\n== %s (%d s)\n' "$*" "$((SECONDS - started))" >&2; }

step "tools"
scripts/ensure-tools.sh test

step "lint"
scripts/lint.sh

step "unit, property and golden tests"
cargo test --workspace --locked --exclude tidegate

step "autoscaler vectors"
cargo run --quiet --release --locked -p tidegate-autoscale --example vectors -- \
  crates/autoscale/tests/data/hpa-keda-vectors.json

step "end-to-end tests on a real broker"
cargo test --locked -p tidegate -- --test-threads 1

step "60 faults"
cargo build --locked -p tidegate -p tidegate-chaos
CHAOS_FAULTS=60 target/debug/tidegate-chaos --faults-a-round 20 --sqlite-every 3 --seed 4 \
  --results target/chaos

step "done"
