//! Which Kafka cluster the brokers are, since positions mean nothing in another, and which
//! protocol its groups speak.
//!
//! Asked over one connection of our own. Rejected: a client of librdkafka for it, which
//! opens two where pods that start together are many connections as it is.

use tidegate_kafka::{Cluster, ConnectionOptions, GroupProtocol};

use crate::Error;
use crate::backoff::Backoff;

/// Asks until a broker answers, after the jitter of the start. Asking blocks, so it gets a
/// thread. A refusal that stays one is an error at once.
pub(crate) async fn find(connection: &ConnectionOptions) -> Result<(String, GroupProtocol), Error> {
    let (first, most) = (connection.reconnect_backoff_ms, connection.reconnect_backoff_max_ms);
    let mut backoff = Backoff::new(first, most);
    tokio::time::sleep(connection.start_delay()).await;
    loop {
        let connection = connection.clone();
        let asked = tokio::task::spawn_blocking(move || tidegate_kafka::cluster(&connection));
        let why = match asked.await {
            Ok(Ok(Cluster { id: Some(id), protocol })) => return Ok((id, protocol)),
            Ok(Ok(Cluster { id: None, .. })) => "the broker does not tell it".to_owned(),
            Ok(Err(error)) if error.is_permanent() => return Err(error.into()),
            Ok(Err(error)) => error.to_string(),
            Err(_) => return Err(Error::GroupEnded),
        };
        let wait = backoff.next_wait();
        tracing::warn!(why, retry_in_ms = wait.as_millis() as u64, "cluster id not known yet");
        tokio::time::sleep(wait).await;
    }
}
