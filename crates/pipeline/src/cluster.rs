//! Which Kafka cluster the brokers are, since positions mean nothing in another, and which
//! protocol its groups speak.
//!
//! Asked over one connection of our own. Rejected: a client of librdkafka for it, which
//! opens two where pods that start together are many connections as it is.

use std::time::{Duration, Instant};

use tidegate_kafka::{Cluster, ConnectionOptions, GroupProtocol};

use crate::Error;
use crate::backoff::Backoff;

/// Between two lines that say the same.
const REMINDER: Duration = Duration::from_secs(30);

/// Asks until a broker answers, after the jitter of the start. Asking blocks, so it gets a
/// thread. A refusal that stays one is an error at once.
pub(crate) async fn find(connection: &ConnectionOptions) -> Result<(String, GroupProtocol), Error> {
    let (first, most) = (connection.reconnect_backoff_ms, connection.reconnect_backoff_max_ms);
    let mut backoff = Backoff::new(first, most);
    let mut said = Said::default();
    tokio::time::sleep(connection.start_delay()).await;
    loop {
        let options = connection.clone();
        let asked = tokio::task::spawn_blocking(move || tidegate_kafka::cluster(&options));
        let why = match asked.await {
            Ok(Ok(Cluster { id: Some(id), protocol })) => {
                if said.anything() {
                    tracing::info!("Kafka answers");
                }
                return Ok((id, protocol));
            }
            Ok(Ok(Cluster { id: None, .. })) => "it does not tell its cluster id".to_owned(),
            Ok(Err(error)) if error.is_permanent() => return Err(error.into()),
            Ok(Err(error)) => error.to_string(),
            Err(_) => return Err(Error::GroupEnded),
        };
        if said.comes(&why, Instant::now()) {
            tracing::warn!(
                why,
                brokers = connection.brokers,
                "Kafka does not answer; tried again until it does"
            );
        }
        tokio::time::sleep(backoff.next_wait()).await;
    }
}

/// Why there is no answer, as it was said last.
#[derive(Debug, Default)]
struct Said(Option<(String, Instant)>);

impl Said {
    /// Whether to say it: it has changed, or was said long ago.
    fn comes(&mut self, why: &str, now: Instant) -> bool {
        let is_said = self
            .0
            .as_ref()
            .is_some_and(|(said, at)| said == why && now.duration_since(*at) < REMINDER);
        if !is_said {
            self.0 = Some((why.to_owned(), now));
        }
        !is_said
    }

    fn anything(&self) -> bool {
        self.0.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_is_said_when_it_changes_and_from_time_to_time() {
        let start = Instant::now();
        let at = |s| start + Duration::from_secs(s);
        let mut said = Said::default();
        assert!(!said.anything());
        assert!(said.comes("refused", at(0)));
        assert!(!said.comes("refused", at(29)));
        assert!(said.comes("refused", at(30)), "a reminder");
        assert!(said.comes("timed out", at(31)), "it has changed");
        assert!(!said.comes("timed out", at(32)));
        assert!(said.anything());
    }
}
