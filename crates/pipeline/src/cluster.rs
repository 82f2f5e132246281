//! Which Kafka cluster the brokers are: positions mean nothing in another.

use std::time::Duration;

use tidegate_kafka::{Admin, ConnectionOptions};

use crate::Error;
use crate::backoff::Backoff;

/// One attempt: long enough for a broker that is starting, short enough to say so.
const READY_TIMEOUT: Duration = Duration::from_secs(5);

/// Asks until a broker answers, after the jitter of the start. The client's calls
/// block, so they get a thread. A refusal that stays one is an error at once.
pub(crate) async fn cluster_id(
    connection: &ConnectionOptions,
    mut backoff: Backoff,
) -> Result<String, Error> {
    tokio::time::sleep(connection.start_delay()).await;
    let admin = std::sync::Arc::new(Admin::new(connection)?);
    loop {
        let asked = std::sync::Arc::clone(&admin);
        let answer = tokio::task::spawn_blocking(move || {
            asked.wait_ready(READY_TIMEOUT).map(|()| asked.cluster_id())
        });
        let why = match answer.await {
            Ok(Ok(Some(cluster_id))) => return Ok(cluster_id),
            Ok(Ok(None)) => "no answer".to_owned(),
            Ok(Err(error)) if error.is_permanent() => return Err(error.into()),
            Ok(Err(error)) => error.to_string(),
            Err(_) => return Err(Error::GroupEnded),
        };
        let wait = backoff.next_wait();
        tracing::warn!(why, retry_in_ms = wait.as_millis() as u64, "cluster id not known yet");
        tokio::time::sleep(wait).await;
    }
}
