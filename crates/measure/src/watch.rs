//! Looks at a group's offsets and members, on a thread of its own.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tidegate_kafka::{ClusterReader, ConnectionOptions, GroupTopic};

use crate::Error;
use crate::flow::{Flow, Offsets, Rebalance};

/// Pause between two looks.
const PAUSE: Duration = Duration::from_millis(20);

/// Watches until it is dropped.
#[derive(Debug)]
pub(crate) struct FlowWatch {
    flow: Arc<Mutex<Flow>>,
    over: Arc<AtomicBool>,
}

impl FlowWatch {
    /// Of a group with the topic's name, and so many members before another one joins.
    pub(crate) fn start(
        connection: &ConnectionOptions,
        topic: &str,
        members: usize,
    ) -> Result<Self, Error> {
        let mut reader = ClusterReader::new(connection)?;
        let watch = Self { flow: Arc::new(Mutex::new(Flow::new(members))), over: Arc::default() };
        let (flow, over) = (Arc::clone(&watch.flow), Arc::clone(&watch.over));
        let wanted = [GroupTopic { group: topic.to_owned(), topic: topic.to_owned() }];
        let thread = std::thread::Builder::new().name("flow".into()).spawn(move || {
            while !over.load(Ordering::Relaxed) {
                if let Some((members, offsets)) = look(&mut reader, &wanted) {
                    let mut flow = flow.lock().unwrap_or_else(PoisonError::into_inner);
                    flow.observe(now_ms(), members, &offsets);
                }
                std::thread::park_timeout(PAUSE);
            }
        });
        thread.map_err(|source| tidegate_local::Error::Spawn {
            program: "a thread that watches the group".into(),
            source,
        })?;
        Ok(watch)
    }

    pub(crate) fn is_usual_known(&self) -> bool {
        self.flow.lock().unwrap_or_else(PoisonError::into_inner).is_usual_known()
    }

    pub(crate) fn rebalance(&self) -> Option<Rebalance> {
        self.flow.lock().unwrap_or_else(PoisonError::into_inner).rebalance()
    }
}

impl Drop for FlowWatch {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
    }
}

/// `None` where something could not be read: a later look tells.
fn look(reader: &mut ClusterReader, wanted: &[GroupTopic; 1]) -> Option<(usize, Vec<Offsets>)> {
    let group = wanted[0].group.as_str();
    let members = reader.members(&[group]).remove(group)?.ok()?.len();
    let read = reader.read(wanted).pop()?.ok()?;
    let offsets = read.iter().map(|partition| {
        let committed = partition.committed.or(partition.start).unwrap_or(0);
        (partition.partition, partition.end.unwrap_or(0), committed)
    });
    Some((members, offsets.collect()))
}

fn now_ms() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as i64)
}
