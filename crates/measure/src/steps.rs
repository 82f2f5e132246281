//! What is measured, one after the other.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::Serialize;
use tidegate_kafka::GroupProtocol;
use tidegate_local::pods::{PodState, PodView};

use crate::Error;
use crate::bench::{JOINS, Measuring, Pods, batch_step};
use crate::fit::{Curve, Point, fit};
use crate::flow::Rebalance;
use crate::samples::{RampUp, Samples};
use crate::watch::FlowWatch;

/// A pod has to be in its group within this.
const START_LIMIT: Duration = Duration::from_secs(60);
/// The first batch has to be written within this.
const WORK_LIMIT: Duration = Duration::from_secs(60);
/// Records of a topic at most.
const MOST_RECORDS: u64 = 400_000;
/// A batch is assumed to take this at least, when a topic is filled.
const QUICKEST_BATCH_S: f64 = 0.004;

/// What was measured.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Measured {
    /// Batch sizes and their times.
    pub points: Vec<Point>,
    /// The line through them.
    pub curve: Curve,
    /// Records a second of one pod with the batch size asked for.
    pub rate_per_s: f64,
    /// Until a new pod is at nine tenths of it, seconds.
    pub ramp_up_s: f64,
    /// Its speed at first, as a share.
    pub ramp_up_from: f64,
    /// From the order to a pod in a group of its own, seconds, each start.
    pub start_s: Vec<f64>,
    /// The same where the group has other members: it gets partitions when they have given
    /// them up, which they hear of at their next heartbeat.
    pub join_s: Vec<f64>,
    /// What each join did to the flow of the partitions.
    pub rebalances: Vec<Rebalance>,
    /// From the order to stop until a process is gone, seconds, each drain.
    pub drain_s: Vec<f64>,
    /// Whether the group used KIP-848.
    pub is_kip848: bool,
}

impl Measuring {
    /// Measures. `say` gets a line for each step. No pod is left when it returns or is
    /// dropped.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn run(&self, say: &mut dyn FnMut(&str)) -> Result<Measured, Error> {
        let mut starts = Vec::new();
        let mut points = Vec::new();
        let mut peak: Option<RampUp> = None;
        let mut drains = Vec::new();
        let options = self.options.clone();
        for size in &options.sizes {
            let is_main = *size == options.batch_size;
            let window = if is_main { 2 * options.window } else { options.window };
            let records = records_for(*size, window);
            let topic = self.fill(&batch_step(*size), records).await?;
            let mut pods = self.pods(&topic, *size)?;
            starts.push(start(&mut pods, 1).await?);
            let samples = work(&mut pods, records, window).await?;
            drains.push(drain(pods).await?);
            let Some((records, batch_s, batches)) = samples.batch() else { continue };
            say(&format!(
                "batches of {records:.0}: {:.1} ms each ({batches} measured)",
                batch_s * 1000.0
            ));
            points.push(Point { records, batch_s, batches });
            if is_main {
                peak = samples.ramp_up();
            }
        }
        let late = |what: &str| Error::Late {
            what: what.to_owned(),
            limit_s: options.window.as_secs(),
            log: options.run_dir.display().to_string(),
        };
        let curve = fit(&points).ok_or_else(|| late("a batch was written"))?;
        let by_curve = options.batch_size as f64 / curve.at(options.batch_size as f64).max(1e-6);
        // Too quick for its topic: then the curve says what it does.
        let peak = peak.unwrap_or(RampUp { rate_per_s: by_curve, seconds: 0.0, from: 1.0 });
        say(&format!(
            "one pod: {:.0} records/s, at speed after {:.1} s",
            peak.rate_per_s, peak.seconds
        ));
        let joins = self.joins(peak.rate_per_s, say).await?;
        Ok(Measured {
            points,
            curve,
            rate_per_s: peak.rate_per_s,
            ramp_up_s: peak.seconds,
            ramp_up_from: peak.from,
            start_s: starts,
            join_s: joins.join_s,
            rebalances: joins.rebalances,
            drain_s: drains,
            is_kip848: joins.is_kip848,
        })
    }

    /// Two pods under a load that they carry, a third joins, then a fourth.
    async fn joins(&self, rate_per_s: f64, say: &mut dyn FnMut(&str)) -> Result<Joins, Error> {
        let topic = self.fill(JOINS, 0).await?;
        let load_per_s = (0.8 * rate_per_s).clamp(10.0, 10_000.0);
        let seconds = 6.0 * self.options.window.as_secs_f64() + 60.0;
        // Dropped or used, it ends the load.
        let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
        let stopped = async move { drop(stopped.await) };
        let load = tokio::spawn(self.produce(&topic, load_per_s, seconds, stopped));
        let mut pods = self.pods(&topic, self.options.batch_size)?;
        let mut join_s = vec![start(&mut pods, 2).await?];
        pods.expect("both pods write", WORK_LIMIT, |views| all_write(views, 2)).await?;
        let mut joins = Joins { rebalances: Vec::new(), join_s: Vec::new(), is_kip848: false };
        for count in 3..=4_usize {
            let (rebalance, is_kip848) = self.join(&topic, &mut pods, count, &mut join_s).await?;
            say(&format!(
                "pod {count} joins: all partitions flow again after {:.2} s ({:.2} s is usual); \
                 one rested {:.2} s",
                rebalance.flow_s, rebalance.usual_s, rebalance.rest_s
            ));
            joins.rebalances.push(rebalance);
            joins.is_kip848 = is_kip848;
        }
        // What was sent is acknowledged; that some of it was not changes no measurement.
        drop(stop);
        drop(load.await);
        pods.stop().await?;
        joins.join_s = join_s;
        Ok(joins)
    }

    /// One more pod joins.
    async fn join(
        &self,
        topic: &str,
        pods: &mut Pods,
        count: usize,
        join_s: &mut Vec<f64>,
    ) -> Result<(Rebalance, bool), Error> {
        let watch = FlowWatch::start(&self.connection, topic, count - 1)?;
        pods.expect("what is sent is committed", WORK_LIMIT, |_| watch.is_usual_known()).await?;
        let mut is_kip848 = false;
        let mut ready_ms: Option<i64> = None;
        let mut rebalance = None;
        let ordered_ms = now_ms();
        pods.scale(count);
        pods.expect("all partitions flow again", START_LIMIT + WORK_LIMIT, |views| {
            let new = views.get(count - 1).and_then(|view| view.report.as_ref());
            if let Some(report) = new.filter(|report| report.ready) {
                is_kip848 = report.protocol == GroupProtocol::Consumer;
                ready_ms.get_or_insert(report.t_ms);
            }
            rebalance = watch.rebalance();
            rebalance.is_some() && ready_ms.is_some()
        })
        .await?;
        join_s.extend(ready_ms.map(|ready| (ready - ordered_ms).max(0) as f64 / 1000.0));
        let late = || Error::Late {
            what: "all partitions flow again".into(),
            limit_s: WORK_LIMIT.as_secs(),
            log: self.options.run_dir.display().to_string(),
        };
        Ok((rebalance.ok_or_else(late)?, is_kip848))
    }
}

struct Joins {
    rebalances: Vec<Rebalance>,
    join_s: Vec<f64>,
    is_kip848: bool,
}

fn all_write(views: &[PodView], count: usize) -> bool {
    let writing =
        |view: &&PodView| view.report.as_ref().is_some_and(|report| report.processed_total > 0);
    views.iter().filter(writing).count() == count
}

/// Enough records for a window, if batches are not quicker than assumed.
fn records_for(size: u64, window: Duration) -> u64 {
    let batches = (window.as_secs_f64() / QUICKEST_BATCH_S).ceil() as u64;
    size.saturating_mul(batches).clamp(2_000, MOST_RECORDS)
}

/// Starts pods; seconds from the order until the last is in the group.
async fn start(pods: &mut Pods, count: usize) -> Result<f64, Error> {
    let ordered_ms = now_ms();
    let mut ready_ms = ordered_ms;
    pods.scale(count);
    pods.expect("a pod was ready", START_LIMIT, |views| {
        let ready: Vec<i64> = views
            .iter()
            .filter(|view| view.state == PodState::Ready)
            .filter_map(|view| view.report.as_ref())
            .map(|report| report.t_ms)
            .collect();
        ready_ms = ready.iter().copied().max().unwrap_or(ready_ms);
        ready.len() == count
    })
    .await?;
    Ok((ready_ms - ordered_ms).max(0) as f64 / 1000.0)
}

/// Reports of one pod, from its start until the window or the records are over.
async fn work(pods: &mut Pods, records: u64, window: Duration) -> Result<Samples, Error> {
    let mut samples = Samples::default();
    pods.expect("a first batch was written", WORK_LIMIT, |views| {
        take(views, &mut samples);
        samples.first_processed_ms().is_some()
    })
    .await?;
    pods.until(window, |views| {
        take(views, &mut samples);
        samples.last().is_some_and(|sample| sample.processed >= records)
    })
    .await;
    Ok(samples)
}

fn take(views: &[PodView], samples: &mut Samples) {
    if let Some(report) = views.first().and_then(|view| view.report.as_ref()) {
        samples.push(report.into());
    }
}

/// Drains; seconds until the process is gone.
async fn drain(pods: Pods) -> Result<f64, Error> {
    let ordered_ms = now_ms();
    pods.stop().await?;
    Ok((now_ms() - ordered_ms).max(0) as f64 / 1000.0)
}

fn now_ms() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as i64)
}
