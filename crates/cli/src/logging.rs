//! Log lines on stderr: the demo's text format, or one JSON object a line.
//!
//! Text: `[2025-12-30 16:12:06] INFO: message field=value`, times in UTC. Rejected: the
//! default format of `tracing-subscriber`; people's log searches for the demo's
//! lines should keep working.

use std::fmt;
use std::io::IsTerminal as _;

use tidegate_scaler::DECISION_LOG;
use tracing::{Event, Subscriber};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::format::{FormatEvent, FormatFields, Writer};
use tracing_subscriber::fmt::{FmtContext, FormattedFields};
use tracing_subscriber::registry::LookupSpan;

use crate::args::LogFormat;
use crate::status::LogWriter;

/// The environment variable that filters log lines, for example `debug` or
/// `tidegate_kafka=trace,info`.
const FILTER_ENV: &str = "TIDEGATE_LOG";

/// Installs the process-wide subscriber.
pub(crate) fn init(format: LogFormat) {
    let filter = chosen(std::env::var(FILTER_ENV).ok());
    // Decisions as JSON are for programs.
    let filter = match (format, format!("{DECISION_LOG}=off").parse()) {
        (LogFormat::Text, Ok(directive)) => filter.add_directive(directive),
        _ => filter,
    };
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(|| LogWriter);
    match format {
        LogFormat::Text => builder.event_format(DemoText).init(),
        LogFormat::Json => builder.json().flatten_event(true).with_current_span(false).init(),
    }
}

/// What the variable says, if it says something that can be read.
fn chosen(variable: Option<String>) -> EnvFilter {
    variable
        .filter(|text| !text.is_empty())
        .and_then(|text| EnvFilter::try_new(text).ok())
        .unwrap_or_else(|| EnvFilter::new("info,librdkafka=warn"))
}

struct DemoText;

impl<S, N> FormatEvent<S, N> for DemoText
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let now = jiff::Timestamp::now();
        let level = match *event.metadata().level() {
            tracing::Level::WARN => "WARNING".to_owned(),
            other => other.to_string(),
        };
        write!(writer, "[{}] {level}: ", now.strftime("%Y-%m-%d %H:%M:%S"))?;
        context.field_format().format_fields(writer.by_ref(), event)?;
        for span in context.event_scope().into_iter().flatten() {
            let extensions = span.extensions();
            if let Some(fields) = extensions.get::<FormattedFields<N>>()
                && !fields.is_empty()
            {
                write!(writer, " {fields}")?;
            }
        }
        writeln!(writer)
    }
}

#[cfg(test)]
mod tests {
    use super::chosen;

    #[test]
    fn a_filter_that_says_nothing_is_none() {
        let lines = |text: Option<&str>| chosen(text.map(str::to_owned)).to_string();
        assert_eq!(lines(Some("")), lines(None));
        assert!(lines(None).contains("info"));
        assert_eq!(lines(Some("debug")), "debug");
    }
}
