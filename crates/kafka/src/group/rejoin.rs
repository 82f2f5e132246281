//! Whether a member waits in vain to be let in. Pure.
//!
//! With the classic protocol the client waits for the answer to a join as long as
//! `max.poll.interval.ms`, five minutes. On a connection whose other end has
//! vanished without a word no answer comes, and the member, out of the group for all
//! the others, says nothing and does nothing for that long. A join is answered as
//! soon as the other members have joined too, or were given up after their session
//! timeout; a member that waits far longer than that had better begin anew.
//!
//! A member that keeps its partitions while it joins again is not seen here: nothing is
//! revoked. Its coordinator is asked from time to time (`recovery`).
//!
//! Not for KIP-848, whose heartbeats are answered at once and time out by themselves.
//!
//! Rejected: a shorter `max.poll.interval.ms` (it also bounds how long an assignment
//! may wait for a database that is down); TCP keep-alive (silent while an answer is due,
//! and content with a middlebox that answers).

use std::time::{Duration, Instant};

use super::GroupOptions;

/// For the brokers: the initial rebalance delay, an election, a slow machine.
const GRACE: Duration = Duration::from_secs(10);

/// Since when a member is not in the group, or asks to be let in again.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Rejoin {
    since: Option<Instant>,
}

impl Rejoin {
    /// Joining, from the start.
    pub(super) fn begun(now: Instant) -> Self {
        Self { since: Some(now) }
    }

    /// Partitions were revoked or lost: the client joins again.
    pub(super) fn left(&mut self, now: Instant) {
        self.since.get_or_insert(now);
    }

    /// An assignment came, be it empty.
    pub(super) fn joined(&mut self) {
        self.since = None;
    }

    /// Whether the answer has been due for too long.
    pub(super) fn is_overdue(self, limit: Duration, now: Instant) -> bool {
        self.since.is_some_and(|since| now.duration_since(since) > limit)
    }
}

/// How long a join may take: others finish what they write, silent ones are given up.
pub(super) fn limit(options: &GroupOptions) -> Duration {
    GRACE + Duration::from_millis(2 * options.session_timeout_ms + options.revoke_timeout_ms)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_join_without_an_answer_is_overdue() {
        let limit = limit(&GroupOptions::default());
        assert_eq!(limit, Duration::from_secs(40));
        let start = Instant::now();
        let at = |s| start + Duration::from_secs(s);
        let mut rejoin = Rejoin::begun(start);
        assert!(!rejoin.is_overdue(limit, at(40)));
        assert!(rejoin.is_overdue(limit, at(41)));
        rejoin.joined();
        assert!(!rejoin.is_overdue(limit, at(1_000)));
        // The first of several losses counts.
        rejoin.left(at(100));
        rejoin.left(at(130));
        assert!(!rejoin.is_overdue(limit, at(140)));
        assert!(rejoin.is_overdue(limit, at(141)));
    }
}
