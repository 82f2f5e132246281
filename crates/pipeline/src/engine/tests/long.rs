//! A write that takes long.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::time::sleep;

use super::world::{Script, World, lock};

const SECOND: Duration = Duration::from_secs(1);

/// A handler that never returns fails nothing; only the log can tell whom all wait for.
#[tokio::test(start_paused = true)]
async fn a_write_that_never_ends_is_told_now_and_again() {
    let log = Arc::new(Mutex::new(Vec::new()));
    let writer = tracing_subscriber::fmt().with_ansi(false).with_writer(Shared(Arc::clone(&log)));
    let _guard = tracing::subscriber::set_default(writer.finish());
    let told = || {
        let log = String::from_utf8(lock(&log).clone()).expect("text");
        let lines = log.lines().filter(|line| line.contains("has not answered a write yet"));
        lines.map(str::to_owned).collect::<Vec<_>>()
    };
    let mut world = World::new();
    world.assign(&[0]).await;
    world.sink.lock().script.push_back(Script::Hangs);
    world.deliver(0, 0..10).await;
    sleep(SECOND * 29).await;
    assert!(told().is_empty(), "{:?}", told());
    sleep(SECOND * 100).await;
    let told = told();
    assert_eq!(told.len(), 3, "after 30, 60 and 120 s: {told:?}");
    assert!(told[2].contains("WARN") && told[2].contains("records=10 after_s=120"), "{told:?}");
    world.stop().await.expect("drains");
}

/// Where a test's log goes.
#[derive(Clone)]
struct Shared(Arc<Mutex<Vec<u8>>>);

impl std::io::Write for Shared {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        lock(&self.0).write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl tracing_subscriber::fmt::MakeWriter<'_> for Shared {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}
