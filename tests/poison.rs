//! Records that cannot be decoded end up in dead letters and nowhere else.

mod support;

use std::time::Duration;

use support::Up;

#[test]
fn poison_is_dead_lettered_and_the_partition_goes_on() {
    let files = tempfile::tempdir().expect("temporary directory");
    let profile = files.path().join("poison.toml");
    std::fs::write(
        &profile,
        r#"
seed = 5
poison_per_million = 20000
phases = [{ kind = "step", rate_per_s = 1000.0, duration_s = 12.0 }]
"#,
    )
    .expect("profile");
    let up = Up::start(&[
        "--profile",
        profile.to_str().expect("utf-8"),
        "--partitions",
        "6",
        "--replicas-path",
        "0:2,5:4",
        "--batch-processing-time",
        "0.02",
    ]);
    let done = up.finish(Duration::from_secs(180));
    done.assert_promise_kept();
    let dead = done.number("/audit/dead_lettered");
    assert!((150.0..350.0).contains(&dead), "about 2 % of 12,000 records are poison, found {dead}");
    assert_eq!(done.number("/audit/stored") + dead, done.number("/audit/sent"));
}
