//! The client library's log lines, as tracing events of target `librdkafka`.

use rdkafka::config::RDKafkaLogLevel;

/// A failed connection and the end of a client come as error events as well, which are told
/// once.
const TOLD_ELSEWHERE: &[&str] = &["FAIL", "ERROR", "FATAL"];

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
