//! The result as a scenario that the simulator reads.

use std::fmt::Write as _;

use crate::bench::Options;
use crate::fit::{Curve, fit_from};
use crate::flow::Rebalance;
use crate::steps::Measured;

/// The simulator's least time of a batch of one record.
const LEAST_BATCH_S: f64 = 1e-3;

/// The curve that the simulator takes, and what is said of its fixed part.
fn curve(measured: &Measured) -> (Curve, String) {
    let (fitted, points) = (measured.curve, &measured.points);
    // What is written is rounded.
    if fitted.fixed_s + fitted.record_s >= LEAST_BATCH_S * 1.001 {
        let error = 100.0 * fitted.worst_error(points);
        return (fitted, format!("the line's fixed part; off by at most {error:.0} %"));
    }
    let curve = fit_from(points, LEAST_BATCH_S);
    let longer: Vec<_> = points.iter().filter(|p| p.batch_s > LEAST_BATCH_S).copied().collect();
    let said = format!(
        "the simulator's least, {:.6} was measured; longer batches are off by at most {:.0} %",
        fitted.fixed_s,
        100.0 * curve.worst_error(&longer)
    );
    (curve, said)
}

/// Scenario text: TOML with what each value was measured from.
pub fn toml(measured: &Measured, options: &Options, is_own_broker: bool) -> String {
    let mut text = String::new();
    let start = bounds(&measured.start_s);
    let of_each = |value: fn(&Rebalance) -> f64| -> Vec<f64> {
        measured.rebalances.iter().map(value).collect()
    };
    let rests_s = of_each(|rebalance| rebalance.rest_s);
    let rest = bounds(&rests_s);
    let (curve, said) = curve(measured);
    let list = |values: &[f64]| {
        values.iter().map(|value| format!("{value:.2}")).collect::<Vec<_>>().join(", ")
    };
    let _ = writeln!(
        text,
        "# Measured by `tidegate profile`{}. Times in seconds, rates in records a second.",
        if is_own_broker { " on a broker of its own" } else { "" }
    );
    for point in &measured.points {
        let _ = writeln!(
            text,
            "#   batches of {:>6.1} records: {:.4} s ({} of them; the line says {:.4} s)",
            point.records,
            point.batch_s,
            point.batches,
            curve.at(point.records)
        );
    }
    let _ = writeln!(text, "#   one pod did {:.0} records/s", measured.rate_per_s);
    let _ = writeln!(text, "description = \"measured by tidegate profile\"\nduration_s = 900\n");
    // Loads that a few pods and half of the most carry: a start, to be replaced.
    let rate = measured.rate_per_s.max(1.0);
    let (low, high) = (0.8 * rate, 0.4 * rate * f64::from(options.partitions));
    let _ = writeln!(
        text,
        "# Replace this by your own load; here one pod's, then that of {:.0}.",
        0.4 * f64::from(options.partitions)
    );
    let _ = writeln!(text, "[load]\nphases = [");
    for (rate, seconds) in [(low, 300.0), (high, 300.0), (low, 300.0)] {
        let _ = writeln!(
            text,
            "  {{ kind = \"step\", rate_per_s = {:.1}, duration_s = {seconds:.1} }},",
            rate.round()
        );
    }
    let _ =
        writeln!(text, "]\n\n[topic]\npartitions = {}\nspread = \"keys\"\n", options.partitions);
    let _ = writeln!(text, "[pod]\nreplicas = 1\nbatch_size = {}", options.batch_size);
    let _ = writeln!(text, "batch_timeout_s = {}", number(options.batch_timeout_s));
    let _ = writeln!(text, "batch_s = {:.6}              # {said}", curve.fixed_s);
    let _ = writeln!(text, "record_s = {:.8}", curve.record_s);
    let _ = writeln!(
        text,
        "start_s = {{ min = {:.2}, max = {:.2} }}   # {}; add what a cluster needs for image and node",
        start.0,
        start.1,
        list(&measured.start_s)
    );
    let _ = writeln!(
        text,
        "# Into a group with other members: {}. That has their heartbeat in it (5 s where the\n\
         # broker has its defaults), which settle_s below is about.",
        list(&measured.join_s)
    );
    if measured.ramp_up_s > 0.0 {
        let _ = writeln!(text, "ramp_up_s = {}", number(measured.ramp_up_s));
        let _ = writeln!(text, "ramp_up_from = {:.2}", measured.ramp_up_from.clamp(0.01, 1.0));
    }
    let _ = writeln!(text, "on_stop = \"drain\"           # took {} s\n", list(&measured.drain_s));
    let protocol = match (measured.is_kip848, is_own_broker) {
        (true, true) => "kip848-tuned",
        (true, false) => "kip848",
        (false, _) => "cooperative",
    };
    let _ = writeln!(text, "[group]\nprotocol = \"{protocol}\"");
    let _ = writeln!(
        text,
        "# All partitions flowed again {} s after a pod had joined; {} s is usual.\n\
         settle_s = {{ min = {:.2}, max = {:.2} }}  # a partition rested: {}",
        list(&of_each(|rebalance| rebalance.flow_s)),
        list(&of_each(|rebalance| rebalance.usual_s)),
        rest.0,
        rest.1,
        list(&rests_s)
    );
    let _ = writeln!(text, "commit_interval_s = {}", number(options.commit_interval_s));
    text
}

/// The least and the most, as written with two decimals.
fn bounds(values: &[f64]) -> (f64, f64) {
    let rounded = || values.iter().map(|value| (value * 100.0).round() / 100.0);
    let min = rounded().fold(f64::INFINITY, f64::min);
    if min.is_finite() { (min, rounded().fold(min, f64::max)) } else { (0.0, 0.0) }
}

fn number(value: f64) -> String {
    let text = format!("{value:.4}");
    let text = text.trim_end_matches('0');
    if text.ends_with('.') { format!("{text}0") } else { text.to_owned() }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;
    use std::time::Duration;

    use tidegate_local::pods::CommandTemplate;
    use tidegate_sim::Scenario;

    use super::*;
    use crate::fit::{Curve, Point};

    #[test]
    fn the_simulator_reads_what_is_written() {
        let curve = Curve { fixed_s: 0.012, record_s: 0.000_02 };
        let measured = Measured {
            points: vec![Point { records: 100.0, batch_s: 0.014, batches: 50 }],
            curve,
            rate_per_s: 7000.0,
            ramp_up_s: 1.5,
            ramp_up_from: 0.4,
            start_s: vec![0.31, 0.294, 0.4],
            join_s: vec![0.5, 5.31],
            rebalances: vec![
                Rebalance { flow_s: 0.8, usual_s: 0.5, rest_s: 0.0 },
                Rebalance { flow_s: 1.1, usual_s: 0.5, rest_s: 0.21 },
            ],
            drain_s: vec![0.1],
            is_kip848: true,
        };
        let options = Options {
            cluster: None,
            partitions: 12,
            consumer: CommandTemplate::default(),
            database: String::new(),
            batch_size: 100,
            batch_timeout_s: 0.1,
            commit_interval_s: 0.2,
            sizes: vec![100],
            window: Duration::from_secs(1),
            run_dir: PathBuf::new(),
            name: "x".into(),
        };
        let text = toml(&measured, &options, true);
        let scenario = Scenario::from_text("profile.toml", &text).expect(&text);
        let settle = scenario.group.times().settle_s;
        assert_eq!((settle.min, settle.max), (0.0, 0.21));
        assert!(text.contains("0.80, 1.10 s after a pod had joined; 0.50, 0.50 s is usual"));
        assert_eq!(scenario.topic.partitions, 12);
        assert!((scenario.pod.batch_s - 0.012).abs() < 1e-9);
        assert!((scenario.pod.record_s - 0.000_02).abs() < 1e-12);
        assert_eq!((scenario.pod.start_s.min, scenario.pod.start_s.max), (0.29, 0.4));
        assert!(text.contains("other members: 0.50, 5.31. That has their heartbeat"), "{text}");
        assert_eq!(scenario.pod.ramp_up_s.max, 1.5);
        // Of a batch that is quicker than the simulator's least the rest is the records'.
        let points = [(1.0, 0.000_2), (10.0, 0.000_3), (100.0, 0.001_1)]
            .map(|(records, batch_s)| Point { records, batch_s, batches: 50 })
            .to_vec();
        let curve = crate::fit::fit(&points).expect("a curve");
        assert!(curve.fixed_s + curve.record_s < 1e-3, "{curve:?}");
        let text = toml(&Measured { points, curve, ..measured.clone() }, &options, false);
        let pod = Scenario::from_text("profile.toml", &text).expect(&text).pod;
        assert!((pod.capacity_per_s() * 0.001_1 / 100.0 - 1.0).abs() < 0.01, "{text}");
        assert!(text.contains("the simulator's least, 0.000"), "{text}");
        // Nothing measured is longer: a batch takes the least.
        let points = vec![Point { records: 100.0, batch_s: 0.000_5, batches: 50 }];
        let curve = Curve { fixed_s: 0.0, record_s: 5e-6 };
        let text = toml(&Measured { points, curve, ..measured }, &options, false);
        let pod = Scenario::from_text("profile.toml", &text).expect(&text).pod;
        assert_eq!((pod.batch_s, pod.record_s), (1e-3, 0.0));
    }
}
