//! The client library's log lines, as tracing events of target `librdkafka`.

use rdkafka::config::RDKafkaLogLevel;

/// A failed connection comes as an error event as well, which is told once.
const TOLD_ELSEWHERE: &[&str] = &["FAIL", "ERROR"];

pub(crate) fn line(level: RDKafkaLogLevel, facility: &str, message: &str) {
    if TOLD_ELSEWHERE.contains(&facility) {
        tracing::debug!(target: "librdkafka", facility, "{message}");
        return;
    }
    match level {
        RDKafkaLogLevel::Emerg
        | RDKafkaLogLevel::Alert
        | RDKafkaLogLevel::Critical
        | RDKafkaLogLevel::Error => tracing::error!(target: "librdkafka", facility, "{message}"),
        RDKafkaLogLevel::Warning => tracing::warn!(target: "librdkafka", facility, "{message}"),
        RDKafkaLogLevel::Notice | RDKafkaLogLevel::Info => {
            tracing::info!(target: "librdkafka", facility, "{message}");
        }
        RDKafkaLogLevel::Debug => tracing::debug!(target: "librdkafka", facility, "{message}"),
    }
}
