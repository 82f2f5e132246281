//! Recordings of a real KEDA 2.18.3 and a real Kubernetes 1.35 HPA: every sync and
//! every poll, with the metric it saw and the size it wrote. The law must write the
//! same, at every row.

use tidegate_autoscale::lag::PartitionOffsets;
use tidegate_autoscale::law::{Facts, StockLaw, StockOptions};
use tidegate_autoscale::scaled_object::ScaledObject;

const PARTITIONS: i64 = 100;

struct Row {
    at_ms: i64,
    is_poll: bool,
    metric: i64,
    spec_before: i32,
    spec_after: i32,
}

fn rows(csv: &str) -> Vec<Row> {
    csv.lines()
        .skip(1)
        .map(|line| {
            let field: Vec<&str> = line.split(',').collect();
            let at_s: f64 = field[0].parse().expect("seconds");
            Row {
                at_ms: (at_s * 1000.0).round() as i64,
                is_poll: field[1] == "keda-poll",
                metric: field[2].parse().expect("records"),
                spec_before: field[4].parse().expect("replicas"),
                spec_after: field[5].parse().expect("replicas"),
            }
        })
        .collect()
}

fn facts(row: &Row, just_activated: bool) -> Facts {
    let offsets = (0..PARTITIONS).map(|partition| {
        let extra = i64::from(partition < row.metric % PARTITIONS);
        PartitionOffsets {
            partition: partition as i32,
            committed: Some(0),
            end: Some(row.metric / PARTITIONS + extra),
        }
    });
    // A Deployment that has just left zero has no pods yet.
    let status = if just_activated { 0 } else { row.spec_before };
    Facts {
        spec_replicas: row.spec_before,
        status_replicas: status,
        ready_replicas: status,
        offsets: Ok(offsets.collect()),
        sink: None,
    }
}

/// Replays one recording and returns the rows where the law differs, and how many
/// rows changed the size.
fn replay(manifest: &str, csv: &str) -> (Vec<String>, usize) {
    let object = ScaledObject::from_yaml(manifest, "recording").expect("a valid manifest");
    let rows = rows(csv);
    let mut law = StockLaw::new(object, StockOptions::default(), rows[0].at_ms);
    let (mut differences, mut changes) = (Vec::new(), 0);
    // Syncs at zero are not in the recording; the first one came with the object.
    law.sync(rows[0].at_ms, &facts(&rows[0], false));
    let mut just_activated = false;
    for (index, row) in rows.iter().enumerate() {
        let facts = facts(row, just_activated);
        let (decision, expected) = if row.is_poll {
            // What a poll wrote is seen by the next row; its own `spec_after` was read
            // a second later, when the HPA may have spoken too.
            let expected = rows.get(index + 1).map_or(row.spec_after, |next| next.spec_before);
            (law.poll(row.at_ms, &facts), expected)
        } else {
            (law.sync(row.at_ms, &facts), row.spec_after)
        };
        just_activated = row.is_poll && decision.from == 0 && decision.to > 0;
        changes += usize::from(decision.changes());
        if decision.to != expected {
            differences.push(format!(
                "t = {} ms: recorded {} -> {expected}; {}",
                row.at_ms,
                row.spec_before,
                decision.explanation()
            ));
        }
    }
    (differences, changes)
}

#[test]
fn the_demo_config_recording_is_reproduced() {
    let (differences, changes) = replay(
        include_str!("data/keda-hpa-runs/demo-config.yaml"),
        include_str!("data/keda-hpa-runs/demo-config-syncs.csv"),
    );
    assert!(differences.is_empty(), "{differences:#?}");
    assert!(changes > 20, "only {changes} changes of size");
}

#[test]
fn the_idle_then_burst_recording_is_reproduced() {
    let (differences, changes) = replay(
        include_str!("data/keda-hpa-runs/idle-then-burst.yaml"),
        include_str!("data/keda-hpa-runs/idle-then-burst-syncs.csv"),
    );
    assert!(differences.is_empty(), "{differences:#?}");
    assert!(changes > 10, "only {changes} changes of size");
}
