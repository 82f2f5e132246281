//! Which positions still have to be committed. Pure.
//!
//! Invariants: a position never goes back while a partition is owned; nothing is
//! committed for a partition that is not owned; what the broker refused for a
//! passing reason is due again unless something newer is; one request is under way at a
//! time, so that none is answered after a newer one.

use std::collections::HashMap;

use crate::{Position, TopicPartition};

#[derive(Debug, Default)]
struct Entry {
    wanted: Option<i64>,
    committed: Option<i64>,
}

/// Commit bookkeeping of the owned partitions.
#[derive(Debug, Default)]
pub(super) struct Commits {
    owned: HashMap<TopicPartition, Entry>,
    /// On their way, without those whose partition is gone since.
    sent: Vec<Position>,
}

impl Commits {
    pub(super) fn assign(&mut self, partition: TopicPartition) {
        self.remove(&partition);
        self.owned.insert(partition, Entry::default());
    }

    pub(super) fn remove(&mut self, partition: &TopicPartition) {
        self.owned.remove(partition);
        // An answer says nothing of whoever gets the partition back meanwhile.
        self.sent.retain(|sent| {
            (&sent.topic, sent.partition) != (&partition.topic, partition.partition)
        });
    }

    pub(super) fn owned(&self) -> impl Iterator<Item = &TopicPartition> {
        self.owned.keys()
    }

    pub(super) fn owns(&self, partition: &TopicPartition) -> bool {
        self.owned.contains_key(partition)
    }

    /// Notes a position that the engine has dealt with.
    pub(super) fn want(&mut self, position: &Position) {
        let partition =
            TopicPartition { topic: position.topic.clone(), partition: position.partition };
        if let Some(entry) = self.owned.get_mut(&partition) {
            entry.wanted = entry.wanted.max(Some(position.next_offset));
        }
    }

    /// Positions ahead of what is committed.
    pub(super) fn due(&self) -> Vec<Position> {
        let mut due: Vec<Position> = self
            .owned
            .iter()
            .filter_map(|(partition, entry)| {
                let next_offset = entry.wanted.filter(|_| entry.wanted > entry.committed)?;
                Some(Position {
                    topic: partition.topic.clone(),
                    partition: partition.partition,
                    next_offset,
                })
            })
            .collect();
        due.sort_by(|a, b| (&a.topic, a.partition).cmp(&(&b.topic, b.partition)));
        due
    }

    /// These are on their way, and nothing else is.
    pub(super) fn sent(&mut self, positions: Vec<Position>) {
        self.sent = positions;
    }

    /// What was sent was accepted, or not.
    pub(super) fn answered(&mut self, accepted: bool) {
        for Position { topic, partition, next_offset } in std::mem::take(&mut self.sent) {
            let partition = TopicPartition { topic, partition };
            if let Some(entry) = self.owned.get_mut(&partition).filter(|_| accepted) {
                entry.committed = entry.committed.max(Some(next_offset));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    fn at(partition: i32, next_offset: i64) -> Position {
        Position { topic: "t".into(), partition, next_offset }
    }

    #[test]
    fn only_owned_and_advanced_positions_are_due() {
        let mut commits = Commits::default();
        commits.want(&at(0, 5));
        assert!(commits.due().is_empty(), "not owned");
        commits.assign(TopicPartition::new("t", 0));
        commits.want(&at(0, 5));
        commits.want(&at(0, 4));
        assert_eq!(commits.due(), [at(0, 5)]);
        commits.sent(vec![at(0, 5)]);
        commits.answered(true);
        assert!(commits.due().is_empty(), "nothing new");
        commits.want(&at(0, 9));
        commits.remove(&TopicPartition::new("t", 0));
        assert!(commits.due().is_empty(), "given up");
    }

    #[test]
    fn a_refused_commit_is_due_again() {
        let mut commits = Commits::default();
        commits.assign(TopicPartition::new("t", 1));
        commits.want(&at(1, 7));
        commits.sent(commits.due());
        commits.answered(false);
        assert_eq!(commits.due(), [at(1, 7)]);
    }

    #[test]
    fn an_answer_is_for_the_owner_that_sent_it() {
        let mut commits = Commits::default();
        commits.assign(TopicPartition::new("t", 0));
        commits.want(&at(0, 9));
        commits.sent(commits.due());
        commits.remove(&TopicPartition::new("t", 0));
        commits.assign(TopicPartition::new("t", 0));
        commits.want(&at(0, 5));
        commits.answered(true);
        assert_eq!(commits.due(), [at(0, 5)], "it is the position now");
    }

    /// What can happen to the bookkeeping.
    #[derive(Debug, Clone)]
    enum Step {
        Assign(i32),
        Remove(i32),
        Want(i32, i64),
        /// What is due is sent, unless something is on its way.
        Send,
        /// The broker takes it or not.
        Answer(bool),
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let partition = || 0..4i32;
        let step = prop_oneof![
            2 => partition().prop_map(Step::Assign),
            1 => partition().prop_map(Step::Remove),
            6 => (partition(), 0..50i64).prop_map(|(p, offset)| Step::Want(p, offset)),
            3 => Just(Step::Send),
            3 => any::<bool>().prop_map(Step::Answer),
        ];
        prop::collection::vec(step, 0..80)
    }

    proptest! {
        /// Against a model that keeps, for each owned partition, the highest position
        /// wanted and the highest accepted since it was assigned.
        #[test]
        fn due_is_what_is_owned_wanted_and_not_yet_accepted(steps in steps()) {
            let mut commits = Commits::default();
            let mut model: BTreeMap<i32, (Option<i64>, Option<i64>)> = BTreeMap::new();
            let mut sent: Option<Vec<Position>> = None;
            for step in steps {
                match step {
                    Step::Assign(p) => {
                        commits.assign(TopicPartition::new("t", p));
                        model.insert(p, (None, None));
                        sent.iter_mut().for_each(|sent| sent.retain(|sent| sent.partition != p));
                    }
                    Step::Remove(p) => {
                        commits.remove(&TopicPartition::new("t", p));
                        model.remove(&p);
                        sent.iter_mut().for_each(|sent| sent.retain(|sent| sent.partition != p));
                    }
                    Step::Want(p, offset) => {
                        commits.want(&at(p, offset));
                        if let Some((wanted, _)) = model.get_mut(&p) {
                            *wanted = (*wanted).max(Some(offset));
                        }
                    }
                    Step::Send => {
                        if sent.is_none() {
                            commits.sent(commits.due());
                            sent = Some(commits.due());
                        }
                    }
                    Step::Answer(accepted) => {
                        for position in sent.take().iter().flatten().filter(|_| accepted) {
                            let (_, done) = model.get_mut(&position.partition).expect("owned");
                            prop_assert!(*done < Some(position.next_offset), "goes back");
                            *done = Some(position.next_offset);
                        }
                        commits.answered(accepted);
                    }
                }
                let expected: Vec<Position> = model
                    .iter()
                    .filter(|(_, (wanted, done))| wanted > done)
                    .filter_map(|(p, (wanted, _))| wanted.map(|offset| at(*p, offset)))
                    .collect();
                prop_assert_eq!(commits.due(), expected);
            }
        }
    }
}
