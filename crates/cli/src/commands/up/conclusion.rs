//! What `tidegate up` leaves behind: the audit's verdict, as text, JSON and a page.

use std::path::{Path, PathBuf};

use serde::Serialize;
use tidegate_load::audit::AuditReport;
use tidegate_local::report::WorldReport;
use tidegate_local::world::WorldEnd;
use tidegate_web::Report as WebReport;

use super::children::Files;
use crate::args::UpArgs;
use crate::commands::{dashboard, outputs};
use crate::config::Config;
use crate::exit::Outcome;

/// What `--json` writes.
#[derive(Debug, Serialize)]
struct Report<'a> {
    passed: bool,
    audit: &'a AuditReport,
    world: &'a WorldReport,
    run_dir: &'a Path,
    database: &'a str,
}

pub(super) fn page<'a>(config: &Config, end: &'a WorldEnd, audit: &AuditReport) -> WebReport<'a> {
    WebReport {
        title: dashboard::title(config),
        subtitle: dashboard::subtitle(config),
        seconds: &end.seconds,
        promise_s: dashboard::promise_s(config),
        figures: WebReport::figures_from(&format!("{}\n{audit}", end.report)),
    }
}

pub(super) fn conclude(
    args: &UpArgs,
    end: &WorldEnd,
    audit: &AuditReport,
    run_dir: &Path,
    files: &Files,
) -> anyhow::Result<Outcome> {
    // A run that ended by itself has consumed everything.
    let passed = audit.passed() && (audit.pending == 0 || !end.report.completed);
    let report =
        Report { passed, audit, world: &end.report, run_dir, database: &files.database_url };
    let json = serde_json::to_string_pretty(&report)?;
    if let Some(path) = &args.json {
        outputs::write("--json", path, &(json + "\n"))?;
    }
    let text = format!("\n{}\n{audit}\nkept           {}", end.report, run_dir.display());
    let is_stdout = |path: &Option<PathBuf>| path.as_deref().is_some_and(outputs::is_stdout);
    match () {
        () if is_stdout(&args.json) => {}
        () if is_stdout(&args.csv) || is_stdout(&args.html) => anstream::eprintln!("{text}"),
        () => anstream::println!("{text}"),
    }
    Ok(if passed { Outcome::Done } else { Outcome::PromiseBroken })
}
