//! The end of a client, which waits for answers of its coordinator: to commits that are under
//! way, to leaving the group. While the coordinator is away that takes a session timeout and
//! more.

use std::sync::mpsc;
use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, Consumer};

use super::context::Context;

/// How long a closing client is waited for. A coordinator that is there takes milliseconds.
const CLOSE_WAIT: Duration = Duration::from_secs(3);

/// Closes a client whose partitions were given up; whether it has ended in time. If not, it
/// goes on by itself, on a thread of its own, and says nothing more.
pub(super) fn close(consumer: BaseConsumer<Context>) -> bool {
    consumer.context().retire();
    let (ended, end) = mpsc::channel::<()>();
    let closing = std::thread::Builder::new().name("kafka-close".into()).spawn(move || {
        drop(consumer);
        drop(ended);
    });
    // Without a thread it was closed right here.
    closing.is_err() || end.recv_timeout(CLOSE_WAIT) == Err(mpsc::RecvTimeoutError::Disconnected)
}
