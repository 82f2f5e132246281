//! Looking at a running world from outside.

use std::path::{Path, PathBuf};

use crate::Error;
use crate::clock;
use crate::pods::PodView;
use crate::world::{RunDir, WorldState};

/// The world in a directory, or the newest that runs.
///
/// # Errors
/// [`Error::NoWorld`].
pub fn running_world(run_dir: Option<&Path>) -> Result<(PathBuf, WorldState), Error> {
    match run_dir {
        None => RunDir::newest_running(),
        Some(path) => {
            let world = WorldState::read(path)?;
            if !world.is_alive() {
                return Err(Error::NoWorld { path: path.to_owned() });
            }
            Ok((path.to_owned(), world))
        }
    }
}

/// The table of `kubectl get hpa`. A schedule shows as an autoscaler without metric.
pub fn hpa_table(world: &WorldState) -> String {
    let age = age_text((clock::now_ms() - world.created_at_ms) / 1000);
    let row = match &world.hpa {
        Some(hpa) => vec![
            hpa.name.clone(),
            hpa.reference.clone(),
            hpa.targets.clone(),
            hpa.min_replicas.to_string(),
            hpa.max_replicas.to_string(),
            hpa.replicas.to_string(),
            age,
        ],
        None => {
            let none = || "<none>".to_owned();
            let replicas = world.pods.len().to_string();
            vec![
                "schedule".into(),
                "Deployment/trade-tx-consumer".into(),
                none(),
                none(),
                none(),
                replicas,
                age,
            ]
        }
    };
    table(&["NAME", "REFERENCE", "TARGETS", "MINPODS", "MAXPODS", "REPLICAS", "AGE"], &[row])
}

/// The table of `kubectl get pods`, with what each pod holds.
pub fn pods_table(world: &WorldState) -> String {
    let rows: Vec<Vec<String>> = world.pods.iter().map(pod_row).collect();
    table(&["NAME", "STATUS", "RESTARTS", "PID", "PARTITIONS", "PROCESSED", "AGE"], &rows)
}

fn pod_row(pod: &PodView) -> Vec<String> {
    let dash = || "-".to_owned();
    let report = pod.report.as_ref();
    vec![
        pod.name.clone(),
        format!("{:?}", pod.state),
        pod.restarts.to_string(),
        pod.pid.map_or_else(dash, |pid| pid.to_string()),
        report.map_or_else(dash, |report| report.assigned.len().to_string()),
        report.map_or_else(dash, |report| report.processed_total.to_string()),
        age_text(pod.age_s as i64),
    ]
}

/// `45s`, `3m5s`, `2h10m`, as kubectl writes it.
fn age_text(seconds: i64) -> String {
    match seconds.max(0) {
        seconds if seconds < 120 => format!("{seconds}s"),
        seconds if seconds < 600 => format!("{}m{}s", seconds / 60, seconds % 60),
        seconds if seconds < 7200 => format!("{}m", seconds / 60),
        seconds => format!("{}h{}m", seconds / 3600, seconds / 60 % 60),
    }
}

fn table(header: &[&str], rows: &[Vec<String>]) -> String {
    let widths: Vec<usize> = header
        .iter()
        .enumerate()
        .map(|(column, title)| {
            rows.iter().map(|row| row[column].len()).fold(title.len(), usize::max)
        })
        .collect();
    let line = |cells: Vec<&str>| {
        let padded: Vec<String> =
            cells.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
        padded.join("   ").trim_end().to_owned() + "\n"
    };
    let mut text = line(header.to_vec());
    for row in rows {
        text.push_str(&line(row.iter().map(String::as_str).collect()));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_are_written_as_kubectl_does() {
        assert_eq!(
            [-1, 5, 119, 185, 660, 7800].map(age_text),
            ["0s", "5s", "119s", "3m5s", "11m", "2h10m"]
        );
    }

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let text = table(&["A", "LONG"], &[vec!["value".into(), "x".into()]]);
        assert_eq!(text, "A       LONG\nvalue   x\n");
    }
}
