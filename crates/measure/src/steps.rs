//! What is measured, one after the other.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::Serialize;
use tidegate_kafka::GroupProtocol;
use tidegate_local::pods::{PodState, PodView};

use crate::Error;
use crate::bench::{JOINS, Measuring, Pods, batch_step};
use crate::fit::{Curve, Point, fit};
use crate::samples::{RampUp, Samples};

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
    /// From the order to a pod in the group, seconds, each start.
    pub start_s: Vec<f64>,
    /// From giving a partition up to its first record at the new owner, without the time
    /// of its batch, seconds, each join.
    pub rebalance_s: Vec<f64>,
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
        let joins = self.joins(&curve, peak.rate_per_s, &mut starts, say).await?;
        Ok(Measured {
            points,
            curve,
            rate_per_s: peak.rate_per_s,
            ramp_up_s: peak.seconds,
            ramp_up_from: peak.from,
            start_s: starts,
            rebalance_s: joins.rests_s,
            drain_s: drains,
            is_kip848: joins.is_kip848,
        })
    }

    /// Two pods under a load that they carry, a third joins, then a fourth.
    async fn joins(
        &self,
        curve: &Curve,
        rate_per_s: f64,
        starts: &mut Vec<f64>,
        say: &mut dyn FnMut(&str),
    ) -> Result<Joins, Error> {
        let topic = self.fill(JOINS, 0).await?;
        let load_per_s = (0.8 * rate_per_s).clamp(10.0, 10_000.0);
        let seconds = 6.0 * self.options.window.as_secs_f64() + 60.0;
        let load = tokio::spawn(self.produce(&topic, load_per_s, seconds));
        let mut pods = self.pods(&topic, self.options.batch_size)?;
        starts.push(start(&mut pods, 2).await?);
        pods.expect("both pods write", WORK_LIMIT, |views| all_write(views, 2)).await?;
        let mut joins = Joins { rests_s: Vec::new(), is_kip848: false };
        for count in 3..=4_usize {
            let rest = self.join(&mut pods, count, curve, starts).await?;
            say(&format!("pod {count} joins: its partitions rest {:.2} s", rest.0));
            joins.rests_s.push(rest.0);
            joins.is_kip848 = rest.1;
        }
        load.abort();
        pods.stop().await?;
        Ok(joins)
    }

    async fn join(
        &self,
        pods: &mut Pods,
        count: usize,
        curve: &Curve,
        starts: &mut Vec<f64>,
    ) -> Result<(f64, bool), Error> {
        let mut before: Option<usize> = None;
        let mut given_up_ms: Option<i64> = None;
        let mut first_ms: Option<i64> = None;
        let mut size = 1.0_f64;
        let mut is_kip848 = false;
        let ordered_ms = now_ms();
        let mut ready_ms: Option<i64> = None;
        pods.scale(count);
        pods.expect("a pod that joined writes", START_LIMIT + WORK_LIMIT, |views| {
            let held = |views: &[PodView]| {
                views.iter().filter_map(|view| view.report.as_ref()).map(|r| r.assigned.len()).sum()
            };
            let (old, new) = views.split_at(views.len().min(count - 1));
            let now_held: usize = held(old);
            let all = *before.get_or_insert(now_held);
            if now_held < all && given_up_ms.is_none() {
                given_up_ms = newest_ms(old);
            }
            if let Some(report) = new.first().and_then(|view| view.report.as_ref()) {
                is_kip848 = report.protocol == GroupProtocol::Consumer;
                if report.ready && ready_ms.is_none() {
                    ready_ms = Some(report.t_ms);
                }
                if report.processed_total > 0 && first_ms.is_none() {
                    first_ms = Some(report.t_ms);
                    size = report.processed_total as f64 / report.batches_total.max(1) as f64;
                }
            }
            first_ms.is_some()
        })
        .await?;
        starts.extend(ready_ms.map(|ready| (ready - ordered_ms).max(0) as f64 / 1000.0));
        let rest_ms = first_ms.zip(given_up_ms).map_or(0, |(first, given_up)| first - given_up);
        let own_s = curve.at(size) + self.options.batch_timeout_s;
        Ok(((rest_ms as f64 / 1000.0 - own_s).max(0.0), is_kip848))
    }
}

struct Joins {
    rests_s: Vec<f64>,
    is_kip848: bool,
}

fn newest_ms(views: &[PodView]) -> Option<i64> {
    views.iter().filter_map(|view| view.report.as_ref()).map(|report| report.t_ms).max()
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
