//! What the pods reported, read back from `events.jsonl`.

use std::collections::BTreeMap;

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

/// Partitions by pod.
pub(crate) type Owners = BTreeMap<String, Vec<i32>>;

/// Who owned what at a time, as the pods had reported it by then.
pub(crate) fn owners_at(events: &[Event], at_ms: i64) -> Owners {
    let mut owners = Owners::new();
    for event in events.iter().filter(|event| event.t_ms <= at_ms) {
        match (event.event.as_str(), &event.partitions) {
            ("assigned", Some(partitions)) => {
                owners.insert(event.subject.clone(), partitions.clone());
            }
            ("exited", _) => {
                owners.remove(&event.subject);
            }
            _ => {}
        }
    }
    owners
}
