use super::*;

const RETRY_FIRST: Duration = Duration::from_millis(50);
const RETRY_MOST: Duration = Duration::from_secs(1);

fn led(partitions: &[(i32, Option<i64>)], now: Instant) -> Partitions {
    let mut all = Partitions::new(Backoff { first: RETRY_FIRST, most: RETRY_MOST });
    for (partition, offset) in partitions {
        all.add(*partition, *offset);
    }
    let leaders = partitions
        .iter()
        .map(|(partition, _)| (*partition, Leader { node: partition % 2, epoch: 7 }));
    all.learn([(0, "a:1".into()), (1, "b:1".into())], leaders.collect(), now);
    all
}

fn offsets(asked: &[Asked]) -> Vec<(i32, i64)> {
    asked.iter().map(|asked| (asked.partition, asked.offset)).collect()
}

#[test]
fn each_broker_is_asked_for_what_it_leads_and_the_turn_moves_on() {
    let now = Instant::now();
    let all = led(&[(0, Some(5)), (1, Some(6)), (2, Some(7)), (4, Some(8))], now);
    assert_eq!(offsets(&all.ask(0, 0, now)), [(0, 5), (2, 7), (4, 8)]);
    assert_eq!(offsets(&all.ask(0, 1, now)), [(2, 7), (4, 8), (0, 5)]);
    assert_eq!(offsets(&all.ask(0, 5, now)), [(0, 5), (2, 7), (4, 8)]);
    assert_eq!(offsets(&all.ask(1, 0, now)), [(1, 6)]);
    assert_eq!(all.nodes(now), [0, 1]);
}

#[test]
fn an_answer_of_before_does_not_count() {
    let now = Instant::now();
    let mut all = led(&[(0, Some(5))], now);
    let before = all.ask(0, 0, now)[0];
    assert!(all.expects(&before));
    all.advance(&before, 9);
    assert!(!all.expects(&before), "it was answered");
    let before = all.ask(0, 0, now)[0];
    assert!(all.seek(0, 9));
    assert!(!all.expects(&before), "the same offset, but since a seek");
    all.remove(0);
    all.add(0, Some(9));
    all.advance(&before, 12);
    all.learn([], HashMap::from([(0, Leader { node: 0, epoch: 8 })]), now);
    assert_eq!(offsets(&all.ask(0, 0, now)), [(0, 9)], "given up and taken back");
    assert!(!all.seek(3, 1), "not ours");
}

#[test]
fn a_start_is_waited_for_and_looked_up() {
    let now = Instant::now();
    let mut all = led(&[(0, None), (1, None), (2, Some(3))], now);
    assert_eq!(all.without_start(), [0, 1]);
    assert!(!all.lacks_leaders(now) && all.at_start(0, now).is_empty());
    all.start(0, Some(40));
    all.start(1, None);
    all.start(2, Some(99));
    assert_eq!(offsets(&all.ask(0, 0, now)), [(0, 40), (2, 3)]);
    let (_, term) = all.at_start(1, now)[0];
    all.log_starts(1, term + 1, Some(8), now);
    assert_eq!(all.ask(1, 0, now), []);
    all.log_starts(1, term, Some(8), now);
    assert_eq!(offsets(&all.ask(1, 0, now)), [(1, 8)]);
    let asked = all.ask(1, 0, now)[0];
    assert!(all.out_of_range(&asked));
    assert_eq!(all.at_start(1, now), [(1, term)]);
}

#[test]
fn a_leader_that_failed_is_looked_up_after_a_wait_that_grows() {
    let now = Instant::now();
    let mut all = led(&[(0, Some(5)), (2, Some(6))], now);
    let asked = all.ask(0, 0, now);
    all.leader_failed(&asked[0], now);
    assert_eq!(offsets(&all.ask(0, 0, now)), [(2, 6)]);
    assert!(!all.lacks_leaders(now), "not at once");
    assert_eq!(all.next_change(now), Some(RETRY_FIRST));
    let later = now + RETRY_FIRST;
    assert!(all.lacks_leaders(later));
    all.learn([], HashMap::new(), later);
    assert_eq!(all.next_change(later), Some(2 * RETRY_FIRST), "nobody knows");
    let later = later + 2 * RETRY_FIRST;
    all.learn([], HashMap::from([(0, Leader { node: 1, epoch: 8 })]), later);
    let asked = all.ask(1, 0, later);
    assert_eq!((asked[0].offset, asked[0].leader_epoch), (5, 8));
    assert_eq!(all.unread(), 1, "it was tried, and looked up, in vain");
    for _ in 0..20 {
        all.failed(&asked[0], later);
    }
    assert_eq!(all.next_change(later), Some(RETRY_MOST));
    all.advance(&asked[0], 5);
    assert_eq!(all.unread(), 0);
}

#[test]
fn a_near_replica_is_read_until_it_is_behind_or_its_term_ends() {
    let now = Instant::now();
    let mut all = led(&[(0, Some(5))], now);
    let asked = all.ask(0, 0, now)[0];
    all.prefer(&asked, 9, now);
    assert_eq!(all.ask(0, 0, now), []);
    assert_eq!(offsets(&all.ask(9, 0, now)), [(0, 5)]);
    assert_eq!(all.next_change(now), Some(REPLICA_TERM), "the leader's turn is not slept over");
    assert_eq!(all.nodes(now + REPLICA_TERM), [0]);
    assert!(!all.out_of_range(&asked), "the replica may be behind");
    assert_eq!(offsets(&all.ask(0, 0, now)), [(0, 5)]);
}
