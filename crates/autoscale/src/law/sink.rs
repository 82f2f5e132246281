//! What the pods report of their sink, put together. Pure.

/// The sink as the pods see it.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct SinkFacts {
    /// The sink is the limit: more pods would not write more.
    pub limited: bool,
    /// Records a second that one pod could write with all its batches full, from the
    /// times of its writes; `None` when nothing was written lately.
    pub pod_rate_per_s: Option<f64>,
}

/// The sink as one working pod sees it.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct PodSink {
    /// It says that the sink is the limit.
    pub limited: bool,
    /// Records at which its batches close.
    pub batch_limit_records: f64,
    /// Writes that it may have running at once.
    pub writes_limit: f64,
    /// Cost of a write whatever its size, seconds; 0 while nothing was written.
    pub fixed_s: f64,
    /// Cost of a row in a write, seconds.
    pub row_s: f64,
}

impl PodSink {
    /// Records a second with all batches full; `None` while nothing was written.
    fn rate_per_s(&self) -> Option<f64> {
        let write_s = self.fixed_s + self.row_s * self.batch_limit_records;
        (write_s > 0.0).then(|| self.writes_limit * self.batch_limit_records / write_s)
    }
}

impl SinkFacts {
    /// From the pods that work: ready, with partitions; `None` if none does. The sink is
    /// the limit if at least half of them say so: one alone may have a slow machine, and
    /// one that came late may not know better.
    pub fn of(pods: impl IntoIterator<Item = PodSink>) -> Option<Self> {
        let (mut working, mut limited, mut measured, mut rates_per_s) = (0, 0, 0, 0.0);
        for pod in pods {
            working += 1;
            limited += usize::from(pod.limited);
            if let Some(rate_per_s) = pod.rate_per_s() {
                measured += 1;
                rates_per_s += rate_per_s;
            }
        }
        (working > 0).then(|| Self {
            limited: limited * 2 >= working,
            pod_rate_per_s: (measured > 0).then(|| rates_per_s / f64::from(measured)),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pod(limited: bool) -> PodSink {
        PodSink { limited, ..PodSink::default() }
    }

    #[test]
    fn half_of_the_working_pods_have_to_say_it() {
        let says = |pods: &[PodSink]| SinkFacts::of(pods.iter().copied()).map(|f| f.limited);
        assert_eq!(says(&[]), None);
        assert_eq!(says(&[pod(true), pod(false)]), Some(true));
        assert_eq!(says(&[pod(true), pod(false), pod(false)]), Some(false));
    }

    #[test]
    fn the_rate_of_a_pod_comes_from_the_cost_of_its_writes() {
        let slow = PodSink {
            batch_limit_records: 100.0,
            writes_limit: 2.0,
            fixed_s: 0.19,
            row_s: 0.0001,
            ..pod(false)
        };
        let rate = |pods: &[PodSink]| SinkFacts::of(pods.iter().copied()).map(|f| f.pod_rate_per_s);
        assert_eq!(rate(&[slow, pod(false)]), Some(Some(1_000.0)));
        assert_eq!(rate(&[pod(false)]), Some(None), "nothing was written yet");
    }
}
