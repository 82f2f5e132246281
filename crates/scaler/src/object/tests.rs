//! An object on its own: starts, holds, falls back, recovers.

use std::collections::HashMap;

use tidegate_kafka::{ClusterError, GroupProtocol, PartitionOffsets};

use super::*;
use crate::kubernetes::HpaFacts;

fn object(pairs: &[(&str, &str)]) -> Object {
    let pairs =
        [("consumerGroup", "g"), ("topic", "t"), ("podRatePerSecond", "100")].iter().chain(pairs);
    let given: HashMap<String, String> =
        pairs.map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
    let settings = Settings::read("so", &given).expect("settings");
    let key = ObjectKey { namespace: "n".into(), name: "so".into(), metadata: Vec::new() };
    Object::new(key, settings, 0, None).expect("object")
}

fn members(count: i32) -> Option<Vec<GroupMember>> {
    let member = |index| GroupMember {
        member_id: format!("m{index}"),
        client_id: format!("pod-{index}"),
        host: "127.0.0.1".into(),
        protocol: GroupProtocol::Consumer,
    };
    Some((0..count).map(member).collect())
}

/// Ten partitions that have taken in 1,000 a second, all done but for 200 records.
fn steady(second: i64) -> Result<Vec<PartitionOffsets>, ClusterError> {
    let end = second * 100;
    let partition = |partition| PartitionOffsets {
        partition,
        committed: Some((end - 20).max(0)),
        start: Some(0),
        end: Some(end),
    };
    Ok((0..10).map(partition).collect())
}

/// One partition, done but for what is behind offset 5.
fn empty(end: i64) -> Result<Vec<PartitionOffsets>, ClusterError> {
    let committed = Some(5);
    Ok(vec![PartitionOffsets { partition: 0, committed, start: Some(0), end: Some(end) }])
}

fn gone() -> Result<Vec<PartitionOffsets>, ClusterError> {
    Err(ClusterError::Unreachable { broker: "b:9092".into(), reason: "refused".into() })
}

fn fed(object: &Object, seconds: std::ops::Range<i64>, count: i32) {
    for second in seconds {
        object.observe(second * 1000, steady(second), members(count), None, true);
    }
}

#[test]
fn nothing_is_answered_before_kafka_was_read() {
    let object = object(&[]);
    assert_eq!(object.metric(0), Err(Trouble::NotRead));
    object.observe(1000, gone(), None, None, true);
    let Err(Trouble::Kafka { held, .. }) = object.metric(1000) else {
        panic!("Kafka is the reason")
    };
    assert_eq!(held, None);
}

#[test]
fn a_restart_among_running_pods_changes_nothing() {
    let object = object(&[("podStartSeconds", "20")]);
    fed(&object, 1..15, 12);
    let Err(Trouble::Settling { left_s }) = object.metric(15_000) else { panic!("settling") };
    assert!((5.0..8.0).contains(&left_s), "{left_s}");
    assert!(object.status().active, "pods that work are not sent to zero");
    // Pods that were ordered before the restart still arrive: counted anew.
    fed(&object, 15..34, 13);
    assert!(object.metric(34_000).is_err());
    fed(&object, 34..40, 13);
    assert_eq!(object.metric(40_000), Ok((1, 13)), "what is there is kept");
    assert!(object.decisions().iter().all(|decision| !decision.changes()));
}

#[test]
fn from_zero_there_is_no_settling() {
    let object = object(&[]);
    object.observe(1000, empty(5), members(0), None, true);
    assert_eq!(object.metric(1000), Ok((1, 0)));
    assert!(!object.status().active);
    object.observe(2000, empty(9), members(0), None, true);
    assert!(object.status().active);
    assert!(object.metric(2000).expect("metric").1 >= 1);
}

#[test]
fn without_kafka_the_last_answer_is_held_and_then_an_error_says_why() {
    let object = object(&[("podStartSeconds", "5"), ("staleAfterSeconds", "30")]);
    fed(&object, 1..20, 12);
    let good = object.metric(20_000).expect("metric");
    for second in 20..50 {
        object.observe(second * 1000, gone(), None, None, true);
        assert_eq!(object.metric(second * 1000), Ok(good), "held at {second}");
        assert!(object.status().active);
        assert!(object.status().error.is_some_and(|why| why.contains("b:9092")));
    }
    object.observe(51_000, gone(), None, None, true);
    let Err(Trouble::Kafka { held, for_s, .. }) = object.metric(51_000) else { panic!("an error") };
    assert_eq!((held, for_s), (Some(12), 32.0));
    object.observe(52_000, steady(52), members(12), None, true);
    assert_eq!(object.metric(52_000), Ok(good), "back without a jump");
}

#[test]
fn with_a_fallback_there_is_no_error_and_never_fewer_pods() {
    for (fallback, expected) in [("20", 20), ("3", 12)] {
        let object = object(&[
            ("podStartSeconds", "5"),
            ("staleAfterSeconds", "30"),
            ("fallbackReplicas", fallback),
        ]);
        fed(&object, 1..20, 12);
        object.observe(30_000, gone(), None, None, true);
        assert_eq!(object.metric(30_000), Ok((1, 12)));
        object.observe(51_000, gone(), None, None, true);
        assert_eq!(object.metric(51_000), Ok((1, expected)), "fallback {fallback}");
    }
}

#[test]
fn at_zero_no_pod_comes_of_kafka_being_gone() {
    let object = object(&[("staleAfterSeconds", "30")]);
    for second in 1..10 {
        object.observe(second * 1000, empty(5), members(0), None, true);
    }
    for second in 10..60 {
        object.observe(second * 1000, gone(), None, None, true);
        assert_eq!((object.status().wanted, object.status().active), (0, false));
    }
    let Err(Trouble::Kafka { held, .. }) = object.metric(60_000) else { panic!("an error") };
    assert_eq!(held, Some(0));
    assert!(object.decisions().iter().all(|decision| !decision.changes()));
    object.observe(61_000, empty(5), members(0), None, true);
    assert_eq!(object.metric(61_000), Ok((1, 0)));
}

#[test]
fn a_climb_goes_on_from_where_it_was_when_kafka_is_back() {
    let object = object(&[
        ("podStartSeconds", "5"),
        ("staleAfterSeconds", "30"),
        ("joinsPerSecond", "1"),
        ("cooldownSeconds", "0"),
    ]);
    // A hundred partitions that take in ten thousand a second.
    let load = |second: i64| {
        let partition = |partition| PartitionOffsets {
            partition,
            committed: Some(second * 20),
            start: Some(0),
            end: Some(second * 100),
        };
        Ok((0..100).map(partition).collect())
    };
    for second in 1..20 {
        object.observe(second * 1000, load(second), members(20), None, true);
    }
    let wanted = object.status().wanted;
    assert!((21..50).contains(&wanted), "{wanted}: on its way to a hundred");
    for second in 20..70 {
        object.observe(second * 1000, gone(), None, None, true);
    }
    let Err(Trouble::Kafka { held, .. }) = object.metric(70_000) else { panic!("an error") };
    assert_eq!(held, Some(wanted));
    object.observe(70_000, load(70), members(20), None, true);
    let (_, told) = object.metric(70_000).expect("metric");
    assert!(told <= i64::from(wanted) + 5, "{told} after {wanted}: five joins at once");
}

#[test]
fn stock_falls_back_by_a_lag_of_so_many_pods() {
    // Ten partitions cap the lag of 200 at 100: ten pods.
    for (fallback, value) in [("12", 120), ("3", 100)] {
        let object = object(&[
            ("law", "stock"),
            ("staleAfterSeconds", "30"),
            ("fallbackReplicas", fallback),
        ]);
        fed(&object, 1..20, 10);
        assert_eq!(object.metric(20_000), Ok((10, 100)));
        object.observe(40_000, gone(), None, None, true);
        assert_eq!(object.metric(40_000), Ok((10, 100)), "held");
        object.observe(51_000, gone(), None, None, true);
        assert_eq!(object.metric(51_000), Ok((10, value)), "fallback {fallback}");
        let status = object.status();
        assert!(status.error.is_some_and(|why| why.contains("b:9092")));
        assert_eq!(status.lag, 100, "nobody knows of another lag");
        fed(&object, 52..53, 10);
        assert_eq!(object.metric(53_000), Ok((10, 100)));
    }
    let idle = object(&[("law", "stock"), ("fallbackReplicas", "0")]);
    idle.observe(1000, empty(5), members(0), None, true);
    assert_eq!((idle.metric(1000), idle.status().active), (Ok((10, 0)), false));
    idle.observe(62_000, gone(), None, None, true);
    assert_eq!((idle.metric(62_000), idle.status().active), (Ok((10, 10)), true));
}

#[test]
fn a_law_that_fails_is_the_trouble_of_one_object_for_one_look() {
    let object = object(&[]);
    object.guarded(1000, |object| object.observe(1000, empty(5), members(0), None, true));
    assert_eq!(object.metric(1000), Ok((1, 0)));
    object.guarded(2000, |object| {
        let _mind = object.mind();
        panic!("index {} of 2", 3)
    });
    let Err(Trouble::Law { why }) = object.metric(2000) else { panic!("a law that failed") };
    let place = "object/tests.rs:";
    assert!(why.starts_with("index 3 of 2 (") && why.contains(place), "{why}");
    assert_eq!(object.status().at_ms, 2000);
    object.guarded(3000, |object| object.observe(3000, empty(5), members(0), None, true));
    assert_eq!(object.metric(3000), Ok((1, 0)));
}

#[test]
fn a_law_that_fails_at_each_look_is_no_flood_of_lines() {
    let object = object(&[]);
    let lines = |message: &'static str, failing: std::ops::Range<i64>| {
        let count = std::sync::Arc::new(AtomicUsize::new(0));
        tracing::subscriber::with_default(Lines(message, count.clone()), || {
            for second in failing {
                object.guarded(second * 1000, |_| assert!(second > 100, "at {second}"));
            }
        });
        count.load(Ordering::Relaxed)
    };
    assert_eq!(lines("the law failed; the others go on", 0..5), 1);
    assert_eq!(
        lines("the law still fails; the others go on", 5..61),
        6,
        "another reason: each 10 s"
    );
    assert_eq!(lines("the law looks again", 61..110), 1);
    assert_eq!(
        lines("the law failed; the others go on", 0..1),
        1,
        "and again when it begins again"
    );
}

#[test]
fn the_hpas_own_numbers_need_no_settling() {
    let object = object(&[]);
    let hpa = Some(HpaFacts { desired: 14, current: 13, has_metric: true });
    object.observe(1000, steady(1), members(12), hpa, true);
    assert_eq!(object.metric(1000), Ok((1, 14)));
}

#[test]
fn decisions_are_bounded_and_the_newest_is_there() {
    let object = object(&[("podStartSeconds", "5")]);
    fed(&object, 1..200, 12);
    let decisions = object.decisions();
    assert!(decisions.len() < 40, "{}", decisions.len());
    assert_eq!(decisions.last().map(|decision| decision.at_ms), Some(199_000));
    assert!(decisions.windows(2).all(|pair| pair[0].at_ms < pair[1].at_ms));
}

/// Counts the lines that say this.
struct Lines(&'static str, std::sync::Arc<AtomicUsize>);

impl tracing::Subscriber for Lines {
    fn enabled(&self, _: &tracing::Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, _: &tracing::span::Attributes<'_>) -> tracing::span::Id {
        tracing::span::Id::from_u64(1)
    }

    fn record(&self, _: &tracing::span::Id, _: &tracing::span::Record<'_>) {}

    fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {}

    fn event(&self, event: &tracing::Event<'_>) {
        struct Message(String);
        impl tracing::field::Visit for Message {
            fn record_debug(&mut self, field: &tracing::field::Field, value: &dyn std::fmt::Debug) {
                if field.name() == "message" {
                    self.0 = format!("{value:?}");
                }
            }
        }
        let mut message = Message(String::new());
        event.record(&mut message);
        if message.0 == self.0 {
            self.1.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn enter(&self, _: &tracing::span::Id) {}

    fn exit(&self, _: &tracing::span::Id) {}
}

#[test]
fn what_is_not_carried_out_is_neither_logged_nor_kept_at_each_look() {
    let lines = |acts: bool| {
        let object = object(&[("podStartSeconds", "5")]);
        let count = std::sync::Arc::new(AtomicUsize::new(0));
        tracing::subscriber::with_default(Lines("decided", count.clone()), || {
            // Eleven pods are enough for the load; three stay three, whatever is decided.
            for second in 1..200 {
                object.observe(second * 1000, steady(second), members(3), None, acts);
            }
        });
        (count.load(Ordering::Relaxed), object.decisions().len())
    };
    let (logged, kept) = lines(true);
    assert!((1..20).contains(&logged) && kept < 60, "{logged} lines, {kept} decisions");
    let (logged, kept) = lines(false);
    assert!(logged == 0 && kept < 60, "{logged} lines, {kept} decisions");
}

#[test]
fn an_hpa_that_does_something_else_is_followed_after_three_syncs() {
    let object = object(&[]);
    let feed = |seconds: std::ops::Range<i64>, desired| {
        for second in seconds {
            let hpa = Some(HpaFacts { desired, current: desired, has_metric: true });
            object.observe(second * 1000, steady(second), members(desired), hpa, true);
        }
    };
    feed(1..10, 14);
    assert_eq!(object.metric(10_000), Ok((1, 14)));
    // Somebody set it to 30 by hand; what the law decides next starts from there.
    feed(10..54, 30);
    assert_eq!(object.metric(54_000), Ok((1, 14)));
    feed(54..57, 30);
    assert_eq!(object.metric(57_000), Ok((1, 30)));
}
