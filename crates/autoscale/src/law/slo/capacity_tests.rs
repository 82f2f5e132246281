//! Rates and start times from what pods did.

use super::*;

const COUNTS: Counts = Counts { spec: 4, status: 4, ready: 4 };

fn fed(guess: f64, records: f64, busy: bool, seconds: u32) -> f64 {
    let mut rate = PodRate::new(guess);
    for second in 0..seconds {
        let sample = Sample { span_s: 1.0, arrived: 1.5 * records, records, busy, partitions: 24 };
        rate.observe(f64::from(second), sample, COUNTS, 2.0);
    }
    rate.per_s()
}

#[test]
fn busy_pods_correct_the_guess_either_way() {
    assert!((fed(500.0, 400.0, true, 40) - 100.0).abs() < 1.0);
    assert!((fed(20.0, 400.0, true, 40) - 100.0).abs() < 1.0);
}

#[test]
fn pods_without_a_backlog_prove_a_lower_bound_only() {
    assert_eq!(fed(500.0, 400.0, false, 40), 500.0);
    assert_eq!(fed(20.0, 400.0, false, 40), 100.0);
}

#[test]
fn five_seconds_of_work_are_the_least_that_a_rate_is_measured_from() {
    let mut rate = PodRate::new(20.0);
    for second in 0..=10 {
        let sample =
            Sample { span_s: 1.0, arrived: 600.0, records: 400.0, busy: true, partitions: 24 };
        rate.observe(f64::from(second), sample, COUNTS, 2.0);
        // Two seconds and a look pass before the counts are settled.
        let seconds = second - 2;
        assert_eq!(rate.is_measured(), seconds >= 5, "{seconds} seconds: {rate:?}");
    }
}

/// Commits come in lumps: what a few seconds show may be chance.
#[test]
fn a_lower_bound_is_proven_by_eight_seconds_and_not_by_fewer() {
    let mut rate = PodRate::new(20.0);
    // The counts have to be settled first: the window begins after two seconds and a look.
    for second in 0..=10 {
        let sample =
            Sample { span_s: 1.0, arrived: 600.0, records: 400.0, busy: false, partitions: 24 };
        rate.observe(f64::from(second), sample, COUNTS, 2.0);
        let seconds = second - 2;
        assert_eq!(rate.is_proven(), seconds >= 8, "{seconds} seconds: {rate:?}");
    }
    assert_eq!(rate.per_s(), 100.0);
}

#[test]
fn fewer_pods_are_trusted_with_what_was_proven() {
    let mut rate = PodRate::new(500.0);
    assert_eq!(rate.sure_per_s(), 250.0, "half of the guess");
    let sample =
        Sample { span_s: 1.0, arrived: 1.5 * 1200.0, records: 1200.0, busy: false, partitions: 24 };
    for second in 0..20 {
        rate.observe(f64::from(second), sample, COUNTS, 2.0);
    }
    assert_eq!(rate.sure_per_s(), 390.0, "1.3 times 300");
    for second in 20..40 {
        rate.observe(f64::from(second), Sample { busy: true, ..sample }, COUNTS, 2.0);
    }
    assert_eq!((rate.per_s(), rate.sure_per_s()), (300.0, 300.0), "measured");
}

#[test]
fn a_slow_spell_is_believed_for_a_while_and_longer_when_it_comes_again() {
    let mut rate = PodRate::new(100.0);
    let mut now_s = 0.0;
    let mut feed = |seconds: u32, records: f64, busy: bool, rate: &mut PodRate| {
        for _ in 0..seconds {
            now_s += 1.0;
            let sample =
                Sample { span_s: 1.0, arrived: 1.5 * records, records, busy, partitions: 24 };
            rate.observe(now_s, sample, COUNTS, 2.0);
        }
        rate.per_s()
    };
    assert!((feed(40, 400.0, true, &mut rate) - 100.0).abs() < 1.0);
    let slow = feed(60, 80.0, true, &mut rate);
    assert!((slow - 20.0).abs() < 1.0, "{slow}");
    assert_eq!(feed(110, 40.0, false, &mut rate), slow, "believed");
    let risen = feed(300, 40.0, false, &mut rate);
    assert!(risen > 1.4 * slow, "{risen}");
    // It is slow still: the next time it is believed for twice as long.
    let slow = feed(60, 80.0, true, &mut rate);
    assert!((slow - 20.0).abs() < 1.0, "{slow}");
    assert_eq!(feed(200, 40.0, false, &mut rate), slow, "believed for longer");
    let best = feed(3600, 40.0, false, &mut rate);
    assert!((best - 100.0).abs() < 2.0, "{best}");
}

#[test]
fn pods_tell_their_rate_when_nobody_waits_for_them() {
    let mut rate = PodRate::new(500.0);
    rate.report(1.0, 90.0);
    assert_eq!((rate.per_s(), rate.sure_per_s()), (90.0, 90.0));
    rate.report(2.0, f64::NAN);
    rate.report(2.0, 0.0);
    assert_eq!(rate.per_s(), 90.0);
    for second in 3..40 {
        let sample = Sample {
            span_s: 1.0,
            arrived: 1.5 * 400.0,
            records: 400.0,
            busy: true,
            partitions: 24,
        };
        rate.observe(f64::from(second), sample, COUNTS, 2.0);
    }
    let seen = rate.per_s();
    rate.report(41.0, 900.0);
    assert_eq!(rate.per_s(), seen, "what was seen counts more");
}

#[test]
fn nothing_is_learned_while_pods_come_and_go() {
    let mut rate = PodRate::new(100.0);
    for second in 0..40 {
        let sample = Sample {
            span_s: 1.0,
            arrived: 1.5 * 4000.0,
            records: 4000.0,
            busy: true,
            partitions: 24,
        };
        let counts = Counts { ready: 3 + second % 2, ..COUNTS };
        rate.observe(f64::from(second), sample, counts, 2.0);
    }
    assert_eq!(rate.per_s(), 100.0);
}

#[test]
fn while_pods_start_a_rate_is_lowered_and_not_raised() {
    let mut rate = PodRate::new(100.0);
    let feed = |rate: &mut PodRate, seconds: std::ops::Range<u32>, records, counts| {
        for second in seconds {
            let sample =
                Sample { span_s: 1.0, arrived: 1.5 * records, records, busy: true, partitions: 24 };
            rate.observe(f64::from(second), sample, counts, 2.0);
        }
    };
    feed(&mut rate, 0..20, 400.0, COUNTS);
    assert!((rate.per_s() - 100.0).abs() < 1.0);
    // The sink slows down, and more are ordered before that is known.
    let starting = Counts { spec: 8, status: 8, ready: 4 };
    feed(&mut rate, 20..32, 120.0, starting);
    assert!(rate.per_s() < 40.0, "{}", rate.per_s());
    assert!(rate.is_low());
    let low = rate.per_s();
    feed(&mut rate, 32..50, 800.0, starting);
    assert_eq!(rate.per_s(), low, "who is not Ready may have helped");
    rate.recovered(50.0);
    assert!((rate.per_s() - 100.0).abs() < 1.0 && !rate.is_low());
}

/// Pods with time to spare do 35 a second each; then writes are slow, and they do 31.
fn surprised(guess_per_s: f64, now_s: &mut f64) -> PodRate {
    let mut rate = PodRate::new(guess_per_s);
    let mut feed = |seconds: u32, records: f64, busy: bool| {
        for _ in 0..seconds {
            *now_s += 1.0;
            let arrived = if busy { 1.5 * records } else { records };
            let sample = Sample { span_s: 1.0, arrived, records, busy, partitions: 24 };
            rate.observe(*now_s, sample, COUNTS, 2.0);
        }
    };
    feed(40, 140.0, false);
    feed(20, 124.0, true);
    rate
}

#[test]
fn after_a_spell_that_was_the_first_measurement_the_guess_is_believed_as_before() {
    let mut now_s = 0.0;
    let mut rate = surprised(100.0, &mut now_s);
    assert!(rate.is_low() && rate.is_measured(), "{rate:?}");
    assert!(rate.per_s() < 36.0 && rate.reserve_per_s() == 100.0, "{rate:?}");
    rate.recovered(now_s);
    assert_eq!((rate.per_s(), rate.is_measured(), rate.is_low()), (100.0, false, false));
    assert_eq!(rate.sure_per_s(), 50.0, "a guess is no proof");
}

#[test]
fn a_guess_that_is_too_high_does_not_return_for_ever() {
    // Pods do less, and writes take what they always took.
    let mut now_s = 0.0;
    let mut rate = surprised(100.0, &mut now_s);
    rate.not_slow();
    assert!(!rate.is_low() && rate.reserve_per_s() == rate.per_s(), "{rate:?}");
    rate.recovered(now_s);
    assert!(rate.per_s() < 36.0 && rate.is_measured(), "{rate:?}");
    // It returned, and proves wrong soon after; much later that is another spell.
    for (after_s, is_low) in [(AGAIN_S - 1.0, false), (AGAIN_S + 1.0, true)] {
        let mut rate = surprised(100.0, &mut now_s);
        rate.recovered(now_s);
        rate.at_most(now_s + after_s, 40.0);
        assert_eq!(rate.is_low(), is_low, "{after_s}: {rate:?}");
    }
}

#[test]
fn a_measurement_near_the_guess_replaces_it() {
    let mut now_s = 0.0;
    let mut rate = surprised(38.0, &mut now_s);
    assert!(!rate.is_low(), "{rate:?}");
    rate.at_most(now_s, 10.0);
    rate.recovered(now_s);
    assert!(rate.per_s() < 36.0 && rate.is_measured(), "{rate:?}");
}

#[test]
fn a_low_rate_rises_with_time_and_not_with_looks() {
    let mut rate = PodRate::new(100.0);
    rate.learn_rate(100.0);
    rate.at_most(0.0, 50.0);
    rate.at_most(0.0, 60.0);
    rate.fade(FADE_AFTER_S, 10.0);
    assert_eq!(rate.per_s(), 50.0, "too early");
    rate.fade(FADE_AFTER_S + 10.0, 10.0);
    assert!((rate.per_s() - 51.0).abs() < 1e-9, "{}", rate.per_s());
}

#[test]
fn what_is_in_flight_is_not_work_that_waits() {
    let mut rate = PodRate::new(100.0);
    // Writes are slow, much is in flight; as much is done as arrives.
    let sample = Sample { span_s: 1.0, arrived: 200.0, records: 200.0, busy: true, partitions: 24 };
    for second in 0..40 {
        rate.observe(f64::from(second), sample, COUNTS, 2.0);
    }
    assert_eq!(rate.per_s(), 100.0);
}

#[test]
fn a_slow_start_is_known_before_it_is_over() {
    let mut start = PodStart::new(5.0);
    start.observe(0.0, 0.0, 5.0, Counts { spec: 1, status: 1, ready: 1 });
    for second in 1..=20 {
        let now_s = f64::from(second);
        start.observe(now_s, now_s - 1.0, 5.0, Counts { spec: 3, status: 3, ready: 1 });
    }
    assert_eq!((start.start_s(20.0), start.left_s(20.0)), (20.0, 0.0));
    start.observe(21.0, 20.0, 5.0, Counts { spec: 3, status: 3, ready: 3 });
    assert_eq!((start.start_s(30.0), start.left_s(30.0)), (21.0, 0.0));
}

#[test]
fn pods_that_were_ordered_in_the_dark_say_nothing_of_their_start() {
    let mut start = PodStart::new(5.0);
    let pods = |spec, ready| Counts { spec, status: spec, ready };
    start.observe(0.0, 0.0, 5.0, pods(1, 1));
    start.observe(1.0, 0.0, 5.0, pods(2, 1));
    // Nothing could be read for 400 s; meanwhile one was ordered and became ready.
    start.observe(401.0, 1.0, 5.0, pods(3, 3));
    assert_eq!((start.start_s(401.0), start.left_s(401.0)), (5.0, 0.0));
    start.observe(402.0, 401.0, 5.0, pods(4, 3));
    start.observe(405.0, 404.0, 5.0, pods(4, 4));
    assert!(
        (start.start_s(405.0) - 4.7).abs() < 1e-9,
        "the next ones do: {}",
        start.start_s(405.0)
    );
}
