//! What the pods reported, read back from `events.jsonl`.

use serde::Deserialize;

/// One line of the event log.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Event {
    pub(crate) t_ms: i64,
    pub(crate) event: String,
    pub(crate) subject: String,
    #[serde(default)]
    pub(crate) partitions: Option<Vec<i32>>,
}

/// Parses the log; a line that was cut off at the end is left out.
pub(crate) fn parse(text: &str) -> Vec<Event> {
    text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
}

/// Times of the events of a kind, in order.
pub(crate) fn times(events: &[Event], kind: &str) -> Vec<i64> {
    events.iter().filter(|event| event.event == kind).map(|event| event.t_ms).collect()
}
