//! A group and a sink that do what a test says.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, mpsc as std_mpsc};
use std::time::Duration;

use tidegate_kafka::{
    AssignReply, GroupEvent, Position, Record, RevokeReply, StartPosition, TopicPartition,
};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::sleep;

use crate::engine::{Engine, Group};
use crate::intake::{Event, decoded};
use crate::sink::{Sink, SinkError, Written};
use crate::status::Status;
use crate::testing::{partition, trade};
use crate::{Batch, Error, PipelineOptions, TradeDecoder, TradeRow};

/// The group's own bound in these tests; the engine takes 80 % of it.
pub(super) const REVOKE_TIMEOUT: Duration = Duration::from_secs(10);

/// What the engine asked the group for.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Call {
    Commit(i32, i64),
    Seek(i32, i64),
    Left,
}

#[derive(Clone)]
pub(super) struct FakeGroup {
    events: mpsc::Sender<Event<TradeRow>>,
    calls: mpsc::UnboundedSender<Call>,
    released: Arc<AtomicUsize>,
    released_bytes: Arc<AtomicUsize>,
    assigned: Arc<Mutex<BTreeSet<i32>>>,
    leave_hangs: bool,
}

impl Group for FakeGroup {
    fn commit(&self, positions: Vec<Position>) {
        for position in positions {
            self.call(Call::Commit(position.partition, position.next_offset));
        }
    }

    fn seek(&self, partition: TopicPartition, next_offset: i64) {
        self.call(Call::Seek(partition.partition, next_offset));
    }

    fn release(&self, records: usize) {
        self.released.fetch_add(records, Ordering::SeqCst);
    }

    fn release_bytes(&self, bytes: usize) {
        self.released_bytes.fetch_add(bytes, Ordering::SeqCst);
    }

    fn limit_buffer(&self, _: usize, _: usize) {}

    async fn leave(&self) -> Result<(), tidegate_kafka::Error> {
        if self.leave_hangs {
            std::future::pending::<()>().await;
        }
        let partitions: Vec<_> = lock(&self.assigned).iter().map(|p| partition(*p)).collect();
        if !partitions.is_empty() {
            let (reply, answer) = RevokeReply::channel();
            let _ = self.events.send(Event::Revoke { partitions, reply }).await;
            self.commit(answer_of(answer).await);
        }
        self.call(Call::Left);
        Ok(())
    }
}

impl FakeGroup {
    fn new(
        leave_hangs: bool,
    ) -> (Self, mpsc::Receiver<Event<TradeRow>>, mpsc::UnboundedReceiver<Call>) {
        let (events, inbox) = mpsc::channel(64);
        let (call_sender, calls) = mpsc::unbounded_channel();
        let (released, released_bytes, assigned) = Default::default();
        let group =
            Self { events, calls: call_sender, released, released_bytes, assigned, leave_hangs };
        (group, inbox, calls)
    }

    fn call(&self, call: Call) {
        self.calls.send(call).expect("the test listens");
    }
}

/// What a write does instead of working.
#[derive(Debug, Clone, Copy)]
pub(super) enum Script {
    Fails,
    CommitsAndFails,
    FailsForGood,
    Panics,
    Hangs,
}

#[derive(Debug, Default)]
pub(super) struct Memory {
    pub(super) stored: Vec<(i32, i64)>,
    pub(super) dead: Vec<(i32, i64)>,
    pub(super) positions: BTreeMap<i32, i64>,
    pub(super) script: VecDeque<Script>,
    pub(super) batches: Vec<usize>,
    /// This many calls for positions fail.
    pub(super) positions_fail: usize,
    pub(super) write_time: Duration,
    /// Writes at once, beyond the one.
    pub(super) more_writes: usize,
    pub(super) prepares: bool,
    /// Writes that run, and the most there were.
    running: usize,
    pub(super) most_running: usize,
}

/// A transactional sink in memory.
#[derive(Debug, Clone, Default)]
pub(super) struct MemorySink(pub(super) Arc<Mutex<Memory>>);

impl MemorySink {
    pub(super) fn lock(&self) -> MutexGuard<'_, Memory> {
        lock(&self.0)
    }

    pub(super) fn stored(&self, p: i32) -> Vec<i64> {
        self.lock().stored.iter().filter(|(of, _)| *of == p).map(|(_, offset)| *offset).collect()
    }
}

impl Sink for MemorySink {
    fn concurrency(&self) -> usize {
        1 + self.lock().more_writes
    }

    fn prepares(&self) -> bool {
        self.lock().prepares
    }

    async fn positions(
        &self,
        partitions: &[TopicPartition],
    ) -> Result<Vec<Option<i64>>, SinkError> {
        let mut memory = self.lock();
        if memory.positions_fail > 0 {
            memory.positions_fail -= 1;
            return Err(SinkError::Retry("down".into()));
        }
        Ok(partitions.iter().map(|p| memory.positions.get(&p.partition).copied()).collect())
    }

    async fn write(&self, batch: Arc<Batch<TradeRow>>) -> Result<Written, SinkError> {
        let (work, script) = {
            let mut memory = self.lock();
            memory.batches.push(batch.len());
            memory.running += 1;
            memory.most_running = memory.most_running.max(memory.running);
            (memory.write_time, memory.script.pop_front())
        };
        sleep(work).await;
        self.lock().running -= 1;
        match script {
            Some(Script::Hangs) => std::future::pending().await,
            Some(Script::Panics) => panic!("scripted"),
            Some(Script::Fails) => return Err(SinkError::Retry("scripted".into())),
            Some(Script::FailsForGood) => return Err(SinkError::Fatal("scripted".into())),
            Some(Script::CommitsAndFails) | None => {}
        }
        let mut memory = self.lock();
        let moved = |update: &&crate::PositionUpdate| {
            memory.positions.get(&update.partition.partition).copied() != update.expected
        };
        let fenced: Vec<_> =
            batch.positions().iter().filter(moved).map(|u| u.partition.clone()).collect();
        if !fenced.is_empty() {
            return Err(SinkError::Fenced { partitions: fenced });
        }
        memory.stored.extend(batch.rows().map(|(r, _)| (r.partition, r.offset)));
        memory.dead.extend(batch.dead_letters().map(|(r, _)| (r.partition, r.offset)));
        for update in batch.positions() {
            memory.positions.insert(update.partition.partition, update.next_offset);
        }
        if script.is_some() {
            return Err(SinkError::Retry("scripted after the commit".into()));
        }
        Ok(Written::now())
    }
}

pub(super) struct World {
    pub(super) sink: MemorySink,
    pub(super) status: Arc<Status>,
    group: FakeGroup,
    calls: mpsc::UnboundedReceiver<Call>,
    stop: Option<oneshot::Sender<()>>,
    engine: JoinHandle<Result<(), Error>>,
    delivered: usize,
    delivered_bytes: usize,
}

/// Options whose batches close by count or after 100 ms.
pub(super) fn options() -> PipelineOptions {
    PipelineOptions { batch_size: 10, ..PipelineOptions::default() }
}

/// An engine that nobody runs.
pub(super) fn idle_engine() -> Engine<TradeRow, MemorySink, FakeGroup> {
    let (group, ..) = FakeGroup::new(false);
    let (sink, status) = (Arc::default(), Arc::new(Status::new()));
    Engine::new(sink, group, options(), REVOKE_TIMEOUT, status)
}

impl World {
    pub(super) fn new() -> Self {
        Self::with(options(), false, |sink| sink)
    }

    /// A sink with this many writes at once.
    pub(super) fn with_writes(writes: usize) -> Self {
        let sink = MemorySink::default();
        sink.lock().more_writes = writes - 1;
        Self::on(sink, options(), false, |sink| sink)
    }

    /// `wrap` puts something around the memory sink.
    pub(super) fn with<S: Sink>(
        options: PipelineOptions,
        leave_hangs: bool,
        wrap: impl FnOnce(MemorySink) -> S,
    ) -> Self {
        Self::on(MemorySink::default(), options, leave_hangs, wrap)
    }

    pub(super) fn on<S: Sink>(
        sink: MemorySink,
        options: PipelineOptions,
        leave_hangs: bool,
        wrap: impl FnOnce(MemorySink) -> S,
    ) -> Self {
        let (stop, stopped) = oneshot::channel::<()>();
        let (group, inbox, calls) = FakeGroup::new(leave_hangs);
        let status = Arc::new(Status::new());
        let engine = Engine::new(
            Arc::new(wrap(sink.clone())),
            group.clone(),
            options,
            REVOKE_TIMEOUT,
            Arc::clone(&status),
        );
        let engine = tokio::spawn(engine.run(inbox, async move {
            let _ = stopped.await;
        }));
        Self {
            sink,
            status,
            group,
            calls,
            stop: Some(stop),
            engine,
            delivered: 0,
            delivered_bytes: 0,
        }
    }

    pub(super) async fn send(&self, event: GroupEvent) {
        self.group
            .events
            .send(decoded(event, &TradeDecoder, 1 << 20))
            .await
            .expect("the engine runs");
    }

    /// Assigns without waiting for the answer.
    pub(super) async fn begin_assign(
        &self,
        partitions: &[i32],
    ) -> std_mpsc::Receiver<Vec<StartPosition>> {
        lock(&self.group.assigned).extend(partitions);
        let (reply, answer) = AssignReply::channel();
        let partitions = partitions.iter().map(|p| partition(*p)).collect();
        self.send(GroupEvent::Assign { partitions, reply }).await;
        answer
    }

    /// Assigns; answers the start offsets.
    pub(super) async fn assign(&self, partitions: &[i32]) -> Vec<Option<i64>> {
        let answer = self.begin_assign(partitions).await;
        answer_of(answer).await.into_iter().map(|start| start.next_offset).collect()
    }

    pub(super) async fn begin_revoke(
        &self,
        partitions: &[i32],
    ) -> std_mpsc::Receiver<Vec<Position>> {
        lock(&self.group.assigned).retain(|p| !partitions.contains(p));
        let (reply, answer) = RevokeReply::channel();
        let partitions = partitions.iter().map(|p| partition(*p)).collect();
        self.send(GroupEvent::Revoke { partitions, reply }).await;
        answer
    }

    pub(super) async fn lose(&self, partitions: &[i32]) {
        lock(&self.group.assigned).retain(|p| !partitions.contains(p));
        let partitions = partitions.iter().map(|p| partition(*p)).collect();
        self.send(GroupEvent::Lost { partitions }).await;
    }

    pub(super) async fn deliver(&mut self, p: i32, offsets: Range<i64>) {
        self.deliver_records(offsets.map(|offset| trade(p, offset)).collect()).await;
    }

    pub(super) async fn deliver_records(&mut self, records: Vec<Record>) {
        self.delivered += records.len();
        let parts = records.iter().flat_map(|record| [&record.key, &record.payload]);
        self.delivered_bytes += parts.flatten().map(bytes::Bytes::len).sum::<usize>();
        self.send(GroupEvent::Records(records.into_iter().collect())).await;
    }

    /// The next call of the engine.
    pub(super) async fn call(&mut self) -> Call {
        self.calls.recv().await.expect("the engine runs")
    }

    /// Calls made and not yet looked at.
    pub(super) fn calls(&mut self) -> Vec<Call> {
        std::iter::from_fn(|| self.calls.try_recv().ok()).collect()
    }

    /// Records delivered and neither written nor dropped. Their bytes go with the last.
    pub(super) fn held(&self) -> usize {
        let held = self.delivered - self.group.released.load(Ordering::SeqCst);
        let bytes = self.delivered_bytes - self.group.released_bytes.load(Ordering::SeqCst);
        assert_eq!(held == 0, bytes == 0, "{held} records of {bytes} bytes");
        held
    }

    /// Asks the engine to stop, and waits for its end.
    pub(super) async fn stop(&mut self) -> Result<(), Error> {
        drop(self.stop.take());
        self.end().await
    }

    /// Waits for the engine's end.
    pub(super) async fn end(&mut self) -> Result<(), Error> {
        (&mut self.engine).await.expect("the engine does not panic")
    }
}

pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// Waits in virtual time for a reply of the engine.
pub(super) async fn answer_of<T>(answer: std_mpsc::Receiver<T>) -> T {
    loop {
        match answer.try_recv() {
            Ok(answer) => return answer,
            Err(std_mpsc::TryRecvError::Empty) => sleep(Duration::from_millis(1)).await,
            Err(std_mpsc::TryRecvError::Disconnected) => panic!("dropped without an answer"),
        }
    }
}
