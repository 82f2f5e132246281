//! `tidegate report`: a kept series as a page.

use tidegate_web::{Report, read_csv};

use super::outputs;
use crate::args::ReportArgs;
use crate::exit::{Outcome, bad_input};

pub(super) fn run(args: &ReportArgs) -> anyhow::Result<Outcome> {
    let name = args.series.display().to_string();
    let text = std::fs::read_to_string(&args.series)
        .map_err(|error| bad_input(format!("{name}: {error}")))?;
    let seconds = read_csv(&name, &text).map_err(|error| bad_input(error.to_string()))?;
    if args.promise.is_some_and(|promise_s| !(promise_s > 0.0 && promise_s <= 86_400.0)) {
        return Err(bad_input("--promise: allowed is more than 0, up to 86400 seconds"));
    }
    let output = args.output.clone().unwrap_or_else(|| args.series.with_extension("html"));
    outputs::can_write(&[("the series", &args.series)], [("--output", Some(&output))])?;
    let report = Report {
        title: format!("Run {name}"),
        subtitle: format!("{} seconds", seconds.len()),
        seconds: &seconds,
        promise_s: args.promise,
        figures: Vec::new(),
    };
    outputs::write("--output", &output, &report.html())?;
    anstream::println!("{}", output.display());
    Ok(Outcome::Done)
}
