//! Figures with their targets, printed and kept.

use std::fs;
use std::path::Path;

use anyhow::Context;
use serde::Serialize;

/// What a figure has to be.
#[derive(Debug, Clone, Copy, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Target {
    AtMost(f64),
    AtLeast(f64),
    Exactly(f64),
    /// Told, not judged.
    Told,
}

/// One figure.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Finding {
    pub(crate) name: String,
    pub(crate) value: f64,
    pub(crate) unit: &'static str,
    pub(crate) target: Target,
    met: bool,
}

impl Finding {
    pub(crate) fn new(
        name: impl Into<String>,
        value: f64,
        unit: &'static str,
        target: Target,
    ) -> Self {
        let met = match target {
            Target::AtMost(limit) => value <= limit,
            Target::AtLeast(limit) => value >= limit,
            Target::Exactly(wanted) => (value - wanted).abs() < f64::EPSILON,
            Target::Told => true,
        };
        Self { name: name.into(), value, unit, target, met }
    }

    pub(crate) fn is_met(&self) -> bool {
        self.met
    }

    /// One line for a human.
    pub(crate) fn line(&self) -> String {
        let target = match self.target {
            Target::AtMost(limit) => format!("at most {limit}"),
            Target::AtLeast(limit) => format!("at least {limit}"),
            Target::Exactly(wanted) => format!("exactly {wanted}"),
            Target::Told => String::new(),
        };
        let mark = match (self.target, self.met) {
            (Target::Told, _) => "",
            (_, true) => "met",
            (_, false) => "MISSED",
        };
        let number = if self.value.fract() == 0.0 {
            format!("{:.0}", self.value)
        } else {
            format!("{:.2}", self.value)
        };
        format!("{:<58} {number:>10} {:<8} {target:<16} {mark}", self.name, self.unit)
    }
}

/// Where it was measured.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Machine {
    cores: usize,
    memory_gib: f64,
    cpu: String,
    kernel: String,
    load_before: String,
}

impl Machine {
    pub(crate) fn here() -> Self {
        let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
        let field = |text: &str, name: &str| -> String {
            let line = text.lines().find(|line| line.starts_with(name)).unwrap_or_default();
            line.split_once(':').map_or_else(String::new, |(_, value)| value.trim().to_owned())
        };
        let kib: f64 = field(&read("/proc/meminfo"), "MemTotal")
            .split_whitespace()
            .next()
            .and_then(|number| number.parse().ok())
            .unwrap_or(0.0);
        Self {
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            memory_gib: (kib / 1024.0 / 1024.0 * 10.0).round() / 10.0,
            cpu: field(&read("/proc/cpuinfo"), "model name"),
            kernel: read("/proc/sys/kernel/osrelease").trim().to_owned(),
            load_before: read("/proc/loadavg").trim().to_owned(),
        }
    }
}

#[derive(Serialize)]
struct Kept<'a> {
    benchmark: &'a str,
    machine: &'a Machine,
    findings: &'a [Finding],
}

/// Prints the figures and writes them to `RESULTS/CASE/findings.json`.
pub(crate) fn keep(
    results: &Path,
    case: &str,
    machine: &Machine,
    findings: &[Finding],
) -> anyhow::Result<()> {
    let directory = results.join(case);
    fs::create_dir_all(&directory)?;
    let mut text = format!("{case}: {} cores, {}\n", machine.cores, machine.cpu);
    for finding in findings {
        text.push_str(finding.line().trim_end());
        text.push('\n');
    }
    crate::run::say(text.trim_end());
    fs::write(directory.join("findings.txt"), &text)?;
    let path = directory.join("findings.json");
    let mut json = serde_json::to_string_pretty(&Kept { benchmark: case, machine, findings })?;
    json.push('\n');
    fs::write(&path, json).with_context(|| format!("write {}", path.display()))
}
