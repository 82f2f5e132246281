//! Scale to zero and back skips nothing.

mod support;

use std::io::Write;
use std::time::Duration;

use support::Up;

/// Load, a pause longer than the cooldown, load again: pods go to zero in the
/// pause, and what arrives on partitions that were never committed is read too.
#[test]
fn nothing_is_skipped_across_zero() {
    let files = tempfile::tempdir().expect("temporary directory");
    let profile = files.path().join("two-bursts.toml");
    write(
        &profile,
        r#"
seed = 11
phases = [
  { kind = "step", rate_per_s = 3.0, duration_s = 4.0 },
  { kind = "step", rate_per_s = 0.0, duration_s = 14.0 },
  { kind = "step", rate_per_s = 500.0, duration_s = 6.0 },
]
"#,
    );
    let scaled_object = files.path().join("scaled-object.yaml");
    write(
        &scaled_object,
        r#"
apiVersion: keda.sh/v1alpha1
kind: ScaledObject
metadata: { name: zero }
spec:
  scaleTargetRef: { name: trade-tx-consumer }
  pollingInterval: 1
  cooldownPeriod: 4
  minReplicaCount: 0
  maxReplicaCount: 4
  triggers:
  - type: kafka
    metadata:
      bootstrapServers: localhost:9092
      topic: trade-tx
      consumerGroup: tx-trade-workers
      lagThreshold: "100"
      offsetResetPolicy: latest
"#,
    );
    let up = Up::start(&[
        "--profile",
        profile.to_str().expect("utf-8"),
        "--scaled-object",
        scaled_object.to_str().expect("utf-8"),
        "--batch-processing-time",
        "0.05",
    ]);
    let done = up.finish(Duration::from_secs(180));
    done.assert_promise_kept();
    assert_eq!(done.number("/audit/stored"), done.number("/audit/sent"));
    let series = std::fs::read_to_string(done.directory.path().join("series.csv")).expect("series");
    assert!(visits_to_zero(&series) >= 2, "pods were at zero between the bursts\n{series}");
}

/// How often the number of pods falls to zero.
fn visits_to_zero(series: &str) -> usize {
    let mut lines = series.lines();
    let column = lines
        .next()
        .and_then(|header| header.split(',').position(|name| name == "replicas_current"))
        .expect("a column replicas_current");
    let counts: Vec<i64> =
        lines.filter_map(|line| line.split(',').nth(column)?.parse().ok()).collect();
    counts.windows(2).filter(|pair| pair[0] > 0 && pair[1] == 0).count()
}

fn write(path: &std::path::Path, text: &str) {
    std::fs::File::create(path).and_then(|mut file| file.write_all(text.as_bytes())).expect("file");
}
