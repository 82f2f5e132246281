//! Which positions still have to be committed. Pure.
//!
//! Invariants: a position never goes back while a partition is owned; nothing is
//! committed for a partition that is not owned; what the broker refused for a
//! passing reason is due again unless something newer is.

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
}

impl Commits {
    pub(super) fn assign(&mut self, partition: TopicPartition) {
        self.owned.insert(partition, Entry::default());
    }

    pub(super) fn remove(&mut self, partition: &TopicPartition) {
        self.owned.remove(partition);
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

    /// Notes what the broker has accepted.
    pub(super) fn done(&mut self, positions: &[Position]) {
        for position in positions {
            let partition =
                TopicPartition { topic: position.topic.clone(), partition: position.partition };
            if let Some(entry) = self.owned.get_mut(&partition) {
                entry.committed = entry.committed.max(Some(position.next_offset));
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
        commits.done(&[at(0, 5)]);
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
        assert_eq!(commits.due(), commits.due());
    }

    /// What can happen to the bookkeeping.
    #[derive(Debug, Clone)]
    enum Step {
        Assign(i32),
        Remove(i32),
        Want(i32, i64),
        /// What is due is sent; the broker takes it or not.
        Commit(bool),
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let partition = || 0..4i32;
        let step = prop_oneof![
            2 => partition().prop_map(Step::Assign),
            1 => partition().prop_map(Step::Remove),
            6 => (partition(), 0..50i64).prop_map(|(p, offset)| Step::Want(p, offset)),
            3 => any::<bool>().prop_map(Step::Commit),
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
            for step in steps {
                match step {
                    Step::Assign(p) => {
                        commits.assign(TopicPartition::new("t", p));
                        model.insert(p, (None, None));
                    }
                    Step::Remove(p) => {
                        commits.remove(&TopicPartition::new("t", p));
                        model.remove(&p);
                    }
                    Step::Want(p, offset) => {
                        commits.want(&at(p, offset));
                        if let Some((wanted, _)) = model.get_mut(&p) {
                            *wanted = (*wanted).max(Some(offset));
                        }
                    }
                    Step::Commit(accepted) => {
                        let due = commits.due();
                        for position in due.iter().filter(|_| accepted) {
                            let (_, done) = model.get_mut(&position.partition).expect("owned");
                            prop_assert!(*done < Some(position.next_offset), "goes back");
                            *done = Some(position.next_offset);
                        }
                        if accepted {
                            commits.done(&due);
                        }
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
