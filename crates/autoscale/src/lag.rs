//! KEDA's `kafka` trigger: from offsets to the metric. Source:
//! `pkg/scalers/kafka_scaler.go` of KEDA 2.18 to 2.20.

use std::collections::HashMap;

/// Offsets of one partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PartitionOffsets {
    /// Partition number.
    pub partition: i32,
    /// The group's committed next offset; `None` when it never committed.
    pub committed: Option<i64>,
    /// End of the log; `None` when the answer lacked it.
    pub end: Option<i64>,
}

/// Where a group without commits is taken to start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OffsetReset {
    /// At the end: such a partition counts as one record.
    #[default]
    Latest,
    /// At offset 0, even if the log begins later.
    Earliest,
}

/// Settings of the trigger.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LagOptions {
    /// Records a replica, above 0.
    pub lag_threshold: i64,
    /// Active above this many records.
    pub activation_lag_threshold: i64,
    /// For partitions without a commit.
    pub offset_reset: OffsetReset,
    /// Lets the metric ask for more replicas than partitions.
    pub allow_idle_consumers: bool,
    /// Counts a partition whose commit did not move since the last look as 0.
    pub exclude_persistent_lag: bool,
    /// Counts a partition without a commit as 0.
    pub scale_to_zero_on_invalid_offset: bool,
    /// Caps at the partitions with lag.
    pub limit_to_partitions_with_lag: bool,
    /// Rounds up to a divisor of the partitions.
    pub ensure_even_distribution: bool,
    /// Only these partitions; `None` is all.
    pub partition_limitation: Option<Vec<i32>>,
}

impl Default for LagOptions {
    fn default() -> Self {
        Self {
            lag_threshold: 10,
            activation_lag_threshold: 0,
            offset_reset: OffsetReset::Latest,
            allow_idle_consumers: false,
            exclude_persistent_lag: false,
            scale_to_zero_on_invalid_offset: false,
            limit_to_partitions_with_lag: false,
            ensure_even_distribution: false,
            partition_limitation: None,
        }
    }
}

/// The trigger's answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TotalLag {
    /// The metric: capped, records.
    pub total: i64,
    /// The sum with persistent lag, before any cap.
    pub total_with_persistent: i64,
    /// Whether the trigger is active.
    pub active: bool,
}

/// What of the offsets the metric rests on, where nothing else of them counts: see
/// [`ScaledObject::metric_is_of_sums`](crate::scaled_object::ScaledObject::metric_is_of_sums).
/// Summed once for any number of laws.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LagSums {
    /// Records between commit and end.
    pub records: i64,
    /// All partitions.
    pub partitions: u32,
    /// Those with a lag.
    pub with_lag: u32,
}

impl LagSums {
    /// `None` where a partition has no offset, or one behind the commit.
    pub fn of(offsets: &[PartitionOffsets]) -> Option<Self> {
        let mut sums = Self { records: 0, partitions: 0, with_lag: 0 };
        for partition in offsets {
            let lag = partition.end?.checked_sub(partition.committed?)?;
            if lag < 0 {
                return None;
            }
            sums.records = sums.records.checked_add(lag)?;
            sums.partitions += 1;
            sums.with_lag += u32::from(lag > 0);
        }
        Some(sums)
    }

    /// What [`total_lag`] makes of all offsets with these sums, where the metric is of sums.
    pub fn total_lag(self, options: &LagOptions) -> TotalLag {
        let Self { records, partitions, with_lag } = self;
        TotalLag {
            total: capped(records, i64::from(partitions), i64::from(with_lag), options),
            total_with_persistent: records,
            active: records > options.activation_lag_threshold,
        }
    }
}

/// What the trigger remembers between two looks.
pub type PreviousOffsets = HashMap<i32, i64>;

/// Lag of one partition: (counted, with persistent lag). May be negative.
pub fn partition_lag(
    committed: Option<i64>,
    end: Option<i64>,
    options: &LagOptions,
    previous: &mut Option<i64>,
) -> (i64, i64) {
    let to_zero = options.scale_to_zero_on_invalid_offset;
    let Some(committed) = committed else {
        return match (options.offset_reset, to_zero, end) {
            (OffsetReset::Latest, false, _) => (1, 1),
            (_, true, _) | (OffsetReset::Earliest, false, None) => (0, 0),
            (OffsetReset::Earliest, false, Some(end)) => (end, end),
        };
    };
    let Some(end) = end else { return (0, 0) };
    let lag = end.saturating_sub(committed);
    if options.exclude_persistent_lag {
        if *previous == Some(committed) {
            return (0, lag);
        }
        *previous = Some(committed);
    }
    (lag, lag)
}

/// The metric over all partitions that the end-offset answer has.
pub fn total_lag(
    partitions: &[PartitionOffsets],
    options: &LagOptions,
    previous: &mut PreviousOffsets,
) -> TotalLag {
    let mut total = 0i64;
    let mut total_with_persistent = 0i64;
    let mut count = 0i64;
    let mut with_lag = 0i64;
    for partition in partitions.iter().filter(|partition| partition.end.is_some()) {
        // Only persistent lag is told by what was before; the look-up costs more than all else.
        let remembers = options.exclude_persistent_lag;
        let mut last = if remembers { previous.get(&partition.partition).copied() } else { None };
        let (lag, lag_with_persistent) =
            partition_lag(partition.committed, partition.end, options, &mut last);
        if let Some(last) = last {
            previous.insert(partition.partition, last);
        }
        total = total.saturating_add(lag);
        total_with_persistent = total_with_persistent.saturating_add(lag_with_persistent);
        count += 1;
        with_lag += i64::from(lag > 0);
    }
    TotalLag {
        total: capped(total, count, with_lag, options),
        total_with_persistent,
        active: total_with_persistent > options.activation_lag_threshold,
    }
}

/// KEDA's cap on the total.
pub(crate) fn capped(total: i64, partitions: i64, with_lag: i64, options: &LagOptions) -> i64 {
    let LagOptions { limit_to_partitions_with_lag, ensure_even_distribution, .. } = *options;
    if options.allow_idle_consumers && !limit_to_partitions_with_lag && !ensure_even_distribution {
        return total;
    }
    let threshold = options.lag_threshold.max(1);
    let mut total = total;
    let mut upper = partitions;
    if ensure_even_distribution {
        total = threshold.saturating_mul(even_factor(total, partitions, threshold));
    }
    if limit_to_partitions_with_lag {
        upper = with_lag;
    }
    // The division truncates: up to one threshold more than the cap passes.
    if total / threshold > upper { upper.saturating_mul(threshold) } else { total }
}

/// The smallest divisor of the partitions that carries the total.
pub fn even_factor(total: i64, partitions: i64, threshold: i64) -> i64 {
    // No smaller number carries it.
    let least = (total / threshold.max(1)).max(1);
    (least..=partitions)
        .find(|divisor| partitions % divisor == 0 && divisor.saturating_mul(threshold) >= total)
        .unwrap_or(partitions)
}

/// Of a topic, by far.
const MOST_PARTITIONS: i64 = 1_000_000;

/// Partition ids from `1,2,5-7`; `None` in the answer is no limit.
///
/// # Errors
/// The part that is neither a number nor a range, or names more partitions than a topic has.
pub fn parse_partition_limitation(text: &str) -> Result<Option<Vec<i32>>, String> {
    if text.trim().is_empty() {
        return Ok(None);
    }
    let mut ids = Vec::new();
    for part in text.split(',').map(str::trim) {
        let wrong = || format!("{part:?} is neither a partition nor a range such as 1-4");
        let bounds: Vec<&str> = part.split('-').map(str::trim).collect();
        match bounds[..] {
            [id] => ids.push(id.parse().map_err(|_| wrong())?),
            [first, last] => {
                let first: i32 = first.parse().map_err(|_| wrong())?;
                let last: i32 = last.parse().map_err(|_| wrong())?;
                if i64::from(last) - i64::from(first) >= MOST_PARTITIONS {
                    return Err(format!("{part:?} is more than {MOST_PARTITIONS} partitions"));
                }
                ids.extend(first..=last);
            }
            _ => return Err(wrong()),
        }
    }
    Ok(Some(ids))
}

/// Name of the metric as the HPA asks for it.
pub fn metric_name(trigger_index: usize, topic: Option<&str>, group: &str) -> String {
    let subject = match topic {
        Some(topic) if !topic.is_empty() => topic.to_owned(),
        _ => format!("{group}-topics"),
    };
    let name = format!("kafka-{subject}").replace(['/', '.', ':', '%', '(', ')'], "-");
    format!("s{trigger_index}-{name}")
}
