//! Laws that go through one world together for as long as they want the same.
//!
//! Contract: the summary of each is that of a run by itself, to the last bit. A world depends
//! on its law through nothing but what the law wants and when it looks again; where two laws
//! differ in that, the world is copied, and each goes on in its own.

use tidegate_autoscale::law::Law;

use super::{Event, Prepared, World};
use crate::summary::{SoFar, Summary};

/// Laws, each with its number.
type Laws<L> = Vec<(usize, L)>;
/// What a law wants: how many pods, and when it looks again, milliseconds.
type Wants = (i32, i64);

/// Laws, each with its number, that have wanted the same so far, and their world.
#[derive(Debug)]
pub struct Team<'a, L> {
    world: World<'a>,
    laws: Laws<L>,
}

/// How far a team went.
#[derive(Debug)]
pub enum Went<'a, L> {
    /// To the end, with this summary; with none when it was stopped before.
    ToTheEnd(Option<Box<Summary>>, Laws<L>),
    /// Until its laws wanted different things.
    Apart(Vec<Team<'a, L>>),
}

impl<'a> Prepared<'a> {
    /// Laws at the beginning, those together that look first at the same time.
    pub fn teams<L: Law>(&'a self, laws: impl IntoIterator<Item = (usize, L)>) -> Vec<Team<'a, L>> {
        let mut all: Vec<(i64, Team<'a, L>)> = Vec::new();
        for (number, law) in laws {
            let due_ms = law.next_due_ms();
            if let Some((_, team)) = all.iter_mut().find(|(first_ms, _)| *first_ms == due_ms) {
                team.laws.push((number, law));
                continue;
            }
            let mut world = World::new(self, false);
            world.start(due_ms);
            all.push((due_ms, Team { world, laws: vec![(number, law)] }));
        }
        all.into_iter().map(|(_, team)| team).collect()
    }
}

impl<'a, L: Law> Team<'a, L> {
    /// The laws' numbers.
    pub fn numbers(&self) -> impl Iterator<Item = usize> {
        self.laws.iter().map(|(number, _)| *number)
    }

    /// Goes on until its laws part, or to the end, unless what is certain before is enough to
    /// stop. `stops` is asked every few simulated seconds.
    pub fn go_on(mut self, stops: &mut dyn FnMut(&SoFar<'_>) -> bool) -> Went<'a, L> {
        while let Some(event) = self.world.next_event() {
            if event == Event::Law && self.laws.len() > 1 {
                let mut teams = self.tick();
                let Some(last) = teams.pop() else { return Went::Apart(teams) };
                if !teams.is_empty() {
                    teams.push(last);
                    return Went::Apart(teams);
                }
                self = last;
            } else if let Some((_, law)) = self.laws.first_mut() {
                self.world.handle(event, law);
            }
            if self.world.is_stopped(stops) {
                return Went::ToTheEnd(None, self.laws);
            }
        }
        Went::ToTheEnd(Some(Box::new(self.world.into_run().summary)), self.laws)
    }

    /// All laws look; those that want the same stay together.
    fn tick(mut self) -> Vec<Self> {
        let sums = self.world.look();
        let spec = self.world.control.spec_replicas;
        let mut groups: Vec<(Wants, Laws<L>)> = Vec::new();
        for (number, mut law) in self.laws {
            let decisions = self.world.ask(&mut law, sums);
            let to = decisions.last().map_or(spec, |last| last.to);
            let wants = (to, law.next_due_ms());
            match groups.iter_mut().find(|(others, _)| *others == wants) {
                Some((_, laws)) => laws.push((number, law)),
                None => groups.push((wants, vec![(number, law)])),
            }
        }
        let mut teams = Vec::with_capacity(groups.len());
        let last = groups.pop();
        for (wants, laws) in groups {
            teams.push(Self::follow(self.world.clone(), wants, laws));
        }
        teams.extend(last.map(|(wants, laws)| Self::follow(self.world, wants, laws)));
        teams
    }

    fn follow(mut world: World<'a>, (to, due_ms): Wants, laws: Laws<L>) -> Self {
        world.follow(to, due_ms);
        Self { world, laws }
    }
}
