//! The law's own behaviour: what it follows at once, what it waits for, what it says.

use super::*;

/// Ends and commits of a topic that a test moves by hand, a second at a time.
struct Topic {
    law: SloLaw,
    second: i64,
    committed: Vec<i64>,
    ends: Vec<i64>,
    spec: i32,
}

impl Topic {
    fn new(options: SloOptions, spec: i32) -> Self {
        let law = SloLaw::new(options, 0).expect("valid");
        Self { law, second: 0, committed: vec![0; 24], ends: vec![0; 24], spec }
    }

    /// `rate` records arrive and `done` of what waits are committed.
    fn second(&mut self, rate: i64, done: i64) -> Decision {
        self.second += 1;
        for partition in 0..24 {
            self.ends[partition] += rate / 24;
            let end = self.ends[partition];
            self.committed[partition] = (self.committed[partition] + done / 24).min(end);
        }
        let partitions = 0..24;
        let offsets = partitions
            .map(|partition: usize| PartitionOffsets {
                partition: partition as i32,
                committed: Some(self.committed[partition]),
                end: Some(self.ends[partition]),
            })
            .collect();
        let facts = Facts {
            spec_replicas: self.spec,
            status_replicas: self.spec,
            ready_replicas: self.spec,
            offsets: Ok(offsets),
            sink: None,
        };
        let decision = self.law.tick(self.second * 1000, &facts).pop().expect("due");
        self.spec = decision.to;
        decision
    }

    fn seconds(&mut self, count: usize, rate: i64) -> Decision {
        (0..count).map(|_| self.second(rate, rate)).last().expect("at least one")
    }
}

fn options() -> SloOptions {
    SloOptions {
        max_replicas: 16,
        target_age_s: 5.0,
        pod_rate_per_s: 500.0,
        pod_start_s: 1.0,
        rebalance_s: 0.5,
        cooldown_s: 15.0,
        ..SloOptions::default()
    }
}

#[test]
fn a_step_is_followed_in_one_and_told_in_one_sentence() {
    let mut topic = Topic::new(options(), 3);
    topic.seconds(30, 960);
    let decision = topic.second(4800, 1440);
    assert_eq!((decision.from, decision.to), (3, 12));
    assert_eq!(
        decision.explanation(),
        "SLO: 4800/s arrive, a pod does 500/s, 3360 wait, the oldest 0.7 s of 5 s: 3 -> 12 \
         (the arrivals need 12: 2 of 24 partitions a pod, 80 % busy; the backlog, to be gone in \
         time, would need more than the 16 allowed)"
    );
    assert_eq!(decision.terms.map(|terms| terms.term), Some(SloTerm::Rate));
}

/// Once all pods that were ordered are there and records are older than was promised, the
/// backlog is due, though the pods would be done with it before long.
#[test]
fn a_broken_promise_is_a_reason_for_more_pods() {
    let mut topic = Topic::new(SloOptions { in_flight_s: 1.5, ..options() }, 4);
    topic.seconds(30, 960);
    // They write little; where they write nothing more of them would not help.
    let raised = (1..=12).find(|_| topic.second(960, 24).changes());
    // Five seconds are promised; the backlog by itself would be due after seven.
    assert!(matches!(raised, Some(6 | 7)), "{raised:?}");
}

#[test]
fn pods_are_kept_ready_for_a_multiple_and_the_sentence_says_so() {
    let mut topic = Topic::new(SloOptions { overprovisioning: 2.4, ..options() }, 3);
    // Four of 24 partitions a pod take 2.4 times 50 a second each.
    let decision = topic.seconds(20, 1200);
    assert_eq!(topic.spec, 6, "{}", decision.explanation());
    let words = "4 of 24 partitions a pod, 40 % busy; kept ready for 2.4 times the load";
    assert_eq!(decision.binding, words, "{}", decision.explanation());
    // Twice the load finds the pods there; then they are ready for more than that.
    let decision = topic.second(2400, 2400);
    assert_eq!((decision.from, decision.to), (6, 12), "{}", decision.explanation());
    assert!(decision.binding.starts_with("2.4 times the arrivals need 12"), "{}", decision.binding);
    let decision = topic.second(4800, 4800);
    let words = "2.4 times the arrivals would need more than the 16 allowed";
    assert!(decision.binding.contains(words), "{}", decision.binding);
    // Nothing arrives: to zero all the same.
    assert_eq!(topic.seconds(16, 0).to, 0);
}

#[test]
fn a_multiple_does_not_go_against_the_sink() {
    let mut topic = Topic::new(SloOptions { overprovisioning: 3.0, ..options() }, 3);
    topic.law.set_sink_limited(true);
    let decision = topic.seconds(40, 1200);
    assert_eq!((topic.spec, decision.terms.map(|terms| terms.term)), (3, Some(SloTerm::Sink)));
}

#[test]
fn what_limits_the_count_is_said() {
    for (max_replicas, bound) in [(23, "the 23 allowed"), (24, "one a partition")] {
        let mut topic = Topic::new(SloOptions { max_replicas, ..options() }, 12);
        topic.seconds(30, 4800);
        let said = topic.second(10_800, 4800).explanation();
        let short = format!("the arrivals would need more than {bound}");
        assert!(said.contains(&short), "{short}: {said}");
    }
}

#[test]
fn from_zero_to_what_the_records_need() {
    let mut topic = Topic::new(options(), 0);
    assert_eq!(topic.seconds(5, 0).to, 0);
    let decision = topic.second(4800, 0);
    assert_eq!((decision.from, decision.to), (0, 12), "{}", decision.explanation());
}

#[test]
fn to_zero_after_the_cooldown_and_not_before() {
    let mut topic = Topic::new(options(), 3);
    topic.seconds(70, 960);
    let waiting = topic.seconds(14, 0);
    assert_eq!(waiting.to, 3);
    assert!(waiting.explanation().contains("1 s of the cooldown left"));
    assert_eq!(topic.second(0, 0).to, 0);
}

#[test]
fn fewer_after_the_hold_in_one_step() {
    let mut topic = Topic::new(options(), 12);
    topic.seconds(70, 4800);
    let held = topic.seconds(50, 960);
    assert_eq!(held.to, 12, "{}", held.explanation());
    let decisions: Vec<i32> = (0..30).map(|_| topic.second(960, 960).to).collect();
    assert_eq!(decisions.last(), Some(&3));
    assert!(decisions.iter().all(|to| [12, 3].contains(to)), "{decisions:?}");
}

#[test]
fn a_decrease_that_saves_a_tenth_or_less_is_not_made() {
    // Twelve hold two of 24 partitions each, as 13 and 14 do.
    let held = |spec| {
        let options = SloOptions { max_replicas: 14, hold_s: 5.0, ..options() };
        Topic::new(options, spec).seconds(200, 4800)
    };
    let decision = held(13);
    assert_eq!(decision.to, 13, "12 save a thirteenth");
    let words = "12 would do, which saves too little to rebalance for";
    assert_eq!(decision.binding.split(';').next(), Some(words));
    assert_eq!(held(14).to, 12, "two of fourteen");
}

#[test]
fn the_sink_as_the_limit_holds_the_count() {
    let mut topic = Topic::new(options(), 3);
    topic.seconds(30, 960);
    topic.law.set_sink_limited(true);
    let decision = topic.second(4800, 1440);
    assert_eq!(decision.to, 3);
    assert!(decision.explanation().contains("the sink is the limit, more pods cannot help"));
    topic.law.set_sink_limited(false);
    assert_eq!(topic.second(4800, 1440).to, 12);
}

#[test]
fn a_hot_partition_is_named() {
    let mut topic = Topic::new(options(), 6);
    let mut last = None;
    for _ in 0..60 {
        topic.ends[7] += 600;
        topic.committed[7] += 400;
        last = Some(topic.second(2400, 2400));
    }
    let last = last.expect("decided");
    assert!(
        last.binding.contains("partition 7 alone needs 1.4 pods; more pods cannot help"),
        "{}",
        last.explanation()
    );
    assert!(last.to < 12, "{}", last.explanation());
}

#[test]
fn a_count_out_of_bounds_is_brought_back() {
    let mut topic = Topic::new(SloOptions { min_replicas: 2, ..options() }, 40);
    assert_eq!(topic.second(0, 0).to, 16);
    topic.spec = 1;
    assert_eq!(topic.second(0, 0).to, 2);
}
