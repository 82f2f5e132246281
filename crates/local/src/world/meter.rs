//! Turns offsets and pod reports into rates, ages and seconds. No I/O.

use std::time::Instant;

use crate::controller::Facts;
use crate::pods::PodView;
use crate::series::Second;

/// Rates between two looks, and everything recorded so far.
#[derive(Debug)]
pub(super) struct Meter {
    began: Instant,
    first: Option<(i64, i64)>,
    last: Option<(Instant, i64, i64)>,
    current: Second,
    backlog_since: Option<Instant>,
    fresh: bool,
    first_processed_after_s: Option<f64>,
    processed: i64,
    seconds: Vec<Second>,
}

impl Meter {
    pub(super) fn new(began: Instant) -> Self {
        Self {
            began,
            first: None,
            last: None,
            current: Second::default(),
            backlog_since: None,
            fresh: false,
            first_processed_after_s: None,
            processed: 0,
            seconds: Vec::new(),
        }
    }

    /// Takes in new facts. Facts that were seen before leave the rates as they are.
    pub(super) fn observe(&mut self, facts: Option<&Facts>, pods: &[PodView]) {
        let Some((facts, (ends, positions))) = facts.and_then(|facts| Some((facts, facts.sums()?)))
        else {
            self.fresh = false;
            return;
        };
        self.fresh = true;
        let first = *self.first.get_or_insert((ends, positions));
        if let Some((at, last_ends, last_positions)) = self.last {
            let passed_s = facts.read_at.duration_since(at).as_secs_f64();
            if passed_s > 0.0 {
                self.current.arrival_per_s = (ends - last_ends) as f64 / passed_s;
                self.current.processed_per_s = (positions - last_positions) as f64 / passed_s;
            }
        }
        self.last = Some((facts.read_at, ends, positions));
        self.processed = positions - first.1;
        if self.processed > 0 && self.first_processed_after_s.is_none() {
            self.first_processed_after_s = Some(self.began.elapsed().as_secs_f64());
        }
        self.current.backlog = facts.lag_records().unwrap_or(0);
        self.current.oldest_age_s = self.oldest_age_s(pods);
    }

    /// The oldest record any pod holds; where no pod holds one, how long there
    /// has been a backlog.
    fn oldest_age_s(&mut self, pods: &[PodView]) -> f64 {
        if self.current.backlog == 0 {
            self.backlog_since = None;
            return 0.0;
        }
        let since = *self.backlog_since.get_or_insert_with(Instant::now);
        let held_ms = pods.iter().filter_map(|pod| pod.report.as_ref()?.oldest_age_ms).max();
        if self.current.processed_per_s > 0.0 {
            // Records flow: the backlog's own beginning is long done.
            self.backlog_since = Some(Instant::now());
        }
        held_ms.map_or(since.elapsed().as_secs_f64(), |ms| ms as f64 / 1000.0)
    }

    pub(super) fn backlog_is_gone(&self) -> bool {
        self.fresh && self.current.backlog == 0
    }

    pub(super) fn lag_records(&self) -> i64 {
        self.current.backlog
    }

    pub(super) fn processed(&self) -> u64 {
        u64::try_from(self.processed).unwrap_or(0)
    }

    pub(super) fn first_processed_after_s(&self) -> Option<f64> {
        self.first_processed_after_s
    }

    pub(super) fn rates(&self) -> Second {
        self.current.clone()
    }

    pub(super) fn push(&mut self, second: Second) {
        self.seconds.push(second);
    }

    pub(super) fn seconds(&self) -> &[Second] {
        &self.seconds
    }
}
