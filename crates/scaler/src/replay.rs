//! A recorded series through a law: what would it have decided? Pure.
//!
//! The recording keeps its own replica counts: each second the law sees what there was
//! and says what it would do. It does not see what its own decisions would have
//! changed; that is the simulator's business.

use tidegate_autoscale::lag::PartitionOffsets;
use tidegate_autoscale::law::{Decision, Facts, Law};

/// One row of a recording.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Row {
    /// Seconds since the load began.
    pub t_s: f64,
    /// Records produced until now.
    pub produced: f64,
    /// Records not yet committed.
    pub backlog: f64,
    /// Wanted pods.
    pub spec: i32,
    /// Ready pods.
    pub ready: i32,
}

/// A decision beside what was recorded.
#[derive(Debug, Clone, PartialEq)]
pub struct Replayed {
    /// Seconds since the load began.
    pub t_s: f64,
    /// Pods that were wanted then.
    pub recorded: i32,
    /// What the law would have done.
    pub decision: Decision,
}

/// Reads a recording: CSV with a header. Needed are `t_s`; `arrival_per_s` or
/// `produced`; `backlog` or `lag`; `replicas_desired` or `spec_replicas`; and
/// `pods_ready` or `ready_pods`. An empty cell is 0.
///
/// # Errors
/// One line: the column that is missing, or row, column and value; or that there is no row.
pub fn read(text: &str) -> Result<Vec<Row>, String> {
    let mut lines = text.lines().filter(|line| !line.trim().is_empty());
    let header: Vec<&str> = lines.next().ok_or("it is empty")?.split(',').map(str::trim).collect();
    let column = |names: &[&str]| {
        names.iter().find_map(|name| header.iter().position(|head| head == name)).ok_or_else(|| {
            format!("no column {}: it has {}", names.join(" or "), header.join(", "))
        })
    };
    let t = column(&["t_s", "t"])?;
    let rate = column(&["arrival_per_s"]).ok();
    let produced =
        if rate.is_some() { None } else { Some(column(&["produced", "arrival_per_s"])?) };
    let backlog = column(&["backlog", "lag"])?;
    let spec = column(&["replicas_desired", "spec_replicas"])?;
    let ready = column(&["pods_ready", "ready_pods"])?;
    let mut rows: Vec<Row> = Vec::new();
    let mut total = 0.0;
    for (index, line) in lines.enumerate() {
        // A reason with commas is the last column, behind everything that is read.
        let cells: Vec<&str> = line.split(',').map(str::trim).collect();
        let number = |at: usize| match cells.get(at).copied().unwrap_or_default() {
            "" => Ok(0.0),
            text => text.parse::<f64>().ok().filter(|number| number.is_finite()).ok_or_else(|| {
                format!("row {}, column {}: {text:?} is not a number", index + 2, header[at])
            }),
        };
        let t_s = number(t)?;
        if let (Some(rate), Some(last)) = (rate, rows.last()) {
            total += number(rate)? * (t_s - last.t_s).max(0.0);
        }
        if let Some(produced) = produced {
            total = number(produced)?;
        }
        rows.push(Row {
            t_s,
            produced: total,
            backlog: number(backlog)?,
            spec: number(spec)? as i32,
            ready: number(ready)? as i32,
        });
    }
    if rows.is_empty() {
        return Err("it has a header and no row: nothing was recorded".into());
    }
    Ok(rows)
}

/// Every decision that differs from the law's last one, and every change of mind.
/// The recording knows no partitions: it is spread evenly over `partitions`.
pub fn replay(rows: &[Row], partitions: u32, law: &mut dyn Law) -> Vec<Replayed> {
    // Rounded, a backlog may exceed what was produced; offsets begin high enough.
    let floor = rows.iter().map(|row| row.backlog - row.produced).fold(0.0, f64::max).ceil();
    let mut told = None;
    let mut replayed = Vec::new();
    for row in rows {
        let end = (floor + row.produced) as i64;
        let committed = end - row.backlog as i64;
        let facts = Facts {
            spec_replicas: row.spec,
            status_replicas: row.spec,
            ready_replicas: row.ready,
            offsets: Ok(spread(committed, end, partitions)),
            sink: None,
        };
        for decision in law.tick((row.t_s * 1000.0) as i64, &facts) {
            if told != Some(decision.to) {
                told = Some(decision.to);
                replayed.push(Replayed { t_s: row.t_s, recorded: row.spec, decision });
            }
        }
    }
    replayed
}

fn spread(committed: i64, end: i64, partitions: u32) -> Vec<PartitionOffsets> {
    let count = i64::from(partitions.max(1));
    let share = |total: i64, index: i64| (total + index).div_euclid(count);
    (0..count)
        .map(|index| PartitionOffsets {
            partition: i32::try_from(index).unwrap_or(i32::MAX),
            committed: Some(share(committed, index)),
            end: Some(share(end, index)),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use tidegate_autoscale::law::{SloLaw, SloOptions};

    use super::*;

    #[test]
    fn both_kinds_of_recordings_are_read() {
        let seconds = "t_s,arrival_per_s,processed_per_s,backlog,lag_metric,oldest_age_s,replicas_desired,replicas_current,pods_ready,nodes,reason\n\
                       0,0.0,0,0,0,0,1,1,1,1,\"a, b\"\n1,100.0,0,100,0,0,2,1,1,1,\n";
        let rows = read(seconds).expect("rows");
        assert_eq!(rows[1], Row { t_s: 1.0, produced: 100.0, backlog: 100.0, spec: 2, ready: 1 });
        let recorded =
            "t_s,produced,committed,lag,spec_replicas,ready_pods\n-1.5,0,0,0,,0\n1,50,20,30,3,2\n";
        let rows = read(recorded).expect("rows");
        assert_eq!(rows[0].spec, 0);
        assert_eq!(rows[1], Row { t_s: 1.0, produced: 50.0, backlog: 30.0, spec: 3, ready: 2 });
    }

    #[test]
    fn what_is_missing_or_wrong_is_named() {
        assert!(read("").is_err());
        let error = read("t_s,produced\n").expect_err("refused");
        assert!(error.contains("backlog or lag"), "{error}");
        let error =
            read("t_s,produced,lag,spec_replicas,ready_pods\n0,x,0,0,0\n").expect_err("refused");
        assert_eq!(error, "row 2, column produced: \"x\" is not a number");
    }

    #[test]
    fn a_header_without_a_row_is_no_recording() {
        let header = "t_s,produced,lag,spec_replicas,ready_pods\n";
        for text in [header.to_owned(), format!("{header}\n  \n")] {
            let error = read(&text).expect_err("refused");
            assert_eq!(error, "it has a header and no row: nothing was recorded");
        }
        assert_eq!(read(&format!("{header}0,0,0,0,0\n")).expect("one row").len(), 1);
    }

    #[test]
    fn shares_sum_up_to_the_whole() {
        for total in [0, 1, 99, 100, 12_345] {
            let parts = spread(total, total + 7, 24);
            assert_eq!(parts.iter().filter_map(|part| part.committed).sum::<i64>(), total);
            assert_eq!(parts.iter().filter_map(|part| part.end).sum::<i64>(), total + 7);
        }
    }

    #[test]
    fn a_step_is_answered_within_seconds_whatever_was_recorded() {
        let mut text = "t_s,arrival_per_s,backlog,replicas_desired,pods_ready\n".to_owned();
        for second in 0..120 {
            let (rate, backlog) =
                if second < 90 { (600, 200) } else { (3000, 200 + (second - 90) * 2000) };
            text.push_str(&format!("{second},{rate},{backlog},10,10\n"));
        }
        let rows = read(&text).expect("rows");
        let options = SloOptions { pod_rate_per_s: 100.0, ..SloOptions::default() };
        let mut law = SloLaw::new(options, 0).expect("law");
        let replayed = replay(&rows, 100, &mut law);
        let enough = replayed.iter().find(|replayed| replayed.decision.to >= 34);
        let enough = enough.expect("it asks for what 3,000/s need");
        assert!((90.0..95.0).contains(&enough.t_s), "{enough:?}");
        assert_eq!(enough.recorded, 10);
    }

    /// The recording of a real KEDA and HPA.
    #[test]
    fn a_real_recording_is_read_to_its_end() {
        let rows = read(include_str!("../../sim/tests/data/demo-config.csv")).expect("rows");
        let mut law = SloLaw::new(SloOptions::default(), -60_000).expect("law");
        let replayed = replay(&rows, 100, &mut law);
        let ends = replayed.iter().map(|replayed| replayed.t_s).fold(0.0, f64::max);
        assert!(replayed.iter().any(|replayed| replayed.decision.to >= 50), "{replayed:?}");
        assert!(rows.last().is_some_and(|row| row.t_s > 1400.0 && ends <= row.t_s));
    }
}
