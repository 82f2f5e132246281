//! One `tidegate up` as a measured run: started, watched every second, kept.
//!
//! Raw output (report, series, decisions, logs) goes to `benches/runs/<date>/<name>/`.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use serde_json::Value;

use crate::events::{self, Event};
use crate::proc;
use crate::timeline::Timeline;

/// Where the binary is and where results go.
#[derive(Debug, Clone)]
pub(crate) struct Bench {
    pub(crate) tidegate: PathBuf,
    pub(crate) results: PathBuf,
}

/// Seconds of a process that count as its start, not its steady state.
const START_S: f64 = 15.0;

/// CPU and memory of one process over the run.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Usage {
    first_seen_s: f64,
    /// When the start was over, and the CPU seconds used by then.
    steady: Option<(f64, f64)>,
    last_seen_s: f64,
    last_cpu_s: f64,
    pub(crate) peak_mib: f64,
}

impl Usage {
    /// Mean CPU use after the start, cores.
    pub(crate) fn steady_cores(&self) -> f64 {
        let Some((since_s, cpu_s)) = self.steady else { return 0.0 };
        (self.last_cpu_s - cpu_s) / (self.last_seen_s - since_s).max(1.0)
    }
}

/// A finished run.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) report: Value,
    pub(crate) timeline: Timeline,
    /// By process name: `broker`, `producer`, `consumer-1`, …, `up`.
    pub(crate) usage: BTreeMap<String, Usage>,
    pub(crate) kept: PathBuf,
    pub(crate) run_dir: PathBuf,
}

/// What a benchmark may do to the running world each second.
pub(crate) type OnSecond<'a> = dyn FnMut(f64, &Value) + 'a;

impl Bench {
    /// Runs `tidegate up` with the arguments to its end.
    pub(crate) fn up(
        &self,
        name: &str,
        arguments: &[&str],
        on_second: &mut OnSecond<'_>,
    ) -> anyhow::Result<Run> {
        let kept = self.results.join(name);
        fs::create_dir_all(&kept).with_context(|| format!("create {}", kept.display()))?;
        let run_dir = self.scratch(name)?;
        let log = fs::File::create(kept.join("up.log"))?;
        say(&format!("{name}: tidegate up {}", arguments.join(" ")));
        let mut child = Command::new(&self.tidegate)
            .arg("up")
            .args(arguments)
            .arg("--run-dir")
            .arg(&run_dir)
            .arg("--json")
            .arg(kept.join("report.json"))
            .arg("--csv")
            .arg(kept.join("series.csv"))
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .with_context(|| format!("start {}", self.tidegate.display()))?;

        let started = Instant::now();
        let mut usage = BTreeMap::new();
        let status = loop {
            if let Some(status) = child.try_wait()? {
                break status;
            }
            let now_s = started.elapsed().as_secs_f64();
            if let Some(world) = read_json(&run_dir.join("world.json")) {
                sample(&mut usage, "up", child.id(), now_s);
                for (process, pid) in processes(&world) {
                    sample(&mut usage, &process, pid, now_s);
                }
                on_second(now_s, &world);
            }
            std::thread::park_timeout(Duration::from_secs(1));
        };
        let report = read_json(&kept.join("report.json")).with_context(|| {
            format!("{name}: no report ({status}); see {}", kept.join("up.log").display())
        })?;
        if !status.success() {
            bail!("{name}: tidegate up ended with {status}; see {}", kept.join("up.log").display());
        }
        for file in ["up.log", "report.json"] {
            leave_out_path(&kept.join(file), &run_dir)?;
        }
        for file in ["decisions.jsonl", "events.jsonl"] {
            let from = run_dir.join(file);
            if from.exists() {
                fs::copy(from, kept.join(file))?;
            }
        }
        let timeline = Timeline::read(&run_dir.join("trades.db"))?;
        Ok(Run { report, timeline, usage, kept, run_dir })
    }

    fn scratch(&self, name: &str) -> anyhow::Result<PathBuf> {
        let base = self.tidegate.parent().context("binary has no directory")?.join("bench-runs");
        let directory = base.join(format!("{name}-{}", std::process::id()));
        if directory.exists() {
            fs::remove_dir_all(&directory)?;
        }
        fs::create_dir_all(&base)?;
        Ok(directory)
    }
}

impl Run {
    /// A number of the report, by JSON pointer.
    pub(crate) fn number(&self, pointer: &str) -> anyhow::Result<f64> {
        self.report
            .pointer(pointer)
            .and_then(Value::as_f64)
            .with_context(|| format!("no {pointer} in the report"))
    }

    /// What the pods reported.
    pub(crate) fn events(&self) -> anyhow::Result<Vec<Event>> {
        let path = self.run_dir.join("events.jsonl");
        let text = fs::read_to_string(&path).with_context(|| format!("read {}", path.display()))?;
        Ok(events::parse(&text))
    }

    /// Removes the database, ledger and broker data; the kept files stay.
    pub(crate) fn discard(self) -> anyhow::Result<()> {
        fs::remove_dir_all(&self.run_dir)
            .with_context(|| format!("remove {}", self.run_dir.display()))
    }
}

/// Tells the person who waits.
pub(crate) fn say(text: &str) {
    #[allow(clippy::print_stderr)]
    {
        eprintln!("{text}");
    }
}

fn read_json(path: &Path) -> Option<Value> {
    serde_json::from_str(&fs::read_to_string(path).ok()?).ok()
}

/// Where a run was kept says nothing to others.
fn leave_out_path(file: &Path, run_dir: &Path) -> anyhow::Result<()> {
    let text = fs::read_to_string(file).with_context(|| format!("read {}", file.display()))?;
    let shown = run_dir.display().to_string();
    fs::write(file, text.replace(&shown, "RUN_DIR")).map_err(Into::into)
}

/// The processes a world file names.
pub(crate) fn processes(world: &Value) -> Vec<(String, u32)> {
    let pid = |value: &Value| value["pid"].as_u64().map(|pid| pid as u32);
    let mut found = Vec::new();
    for name in ["broker", "producer"] {
        found.extend(pid(&world[name]).map(|pid| (name.to_owned(), pid)));
    }
    for pod in world["pods"].as_array().into_iter().flatten() {
        if let (Some(name), Some(pid)) = (pod["name"].as_str(), pid(pod)) {
            found.push((name.to_owned(), pid));
        }
    }
    found
}

fn sample(usage: &mut BTreeMap<String, Usage>, process: &str, pid: u32, now_s: f64) {
    let (Some(cpu_s), Some(peak_mib)) = (proc::cpu_seconds(pid), proc::peak_resident_mib(pid))
    else {
        return;
    };
    let entry = usage
        .entry(process.to_owned())
        .or_insert(Usage { first_seen_s: now_s, ..Usage::default() });
    if entry.steady.is_none() && now_s - entry.first_seen_s >= START_S {
        entry.steady = Some((now_s, cpu_s));
    }
    entry.last_cpu_s = cpu_s;
    entry.last_seen_s = now_s;
    entry.peak_mib = entry.peak_mib.max(peak_mib);
}
