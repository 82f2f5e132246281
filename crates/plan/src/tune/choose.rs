//! The best of the front by an objective, tried with seeds the search has not seen, and
//! why each of its settings is what it is.

use std::sync::atomic::AtomicBool;

use super::front::Point;
use super::manifest::{Comments, yaml};
use super::policies::{DOWN, UP, words};
use super::search::{Search, SearchError};
use super::space::{Genes, LawKind};
use crate::trial::{LawSettings, Score, Worlds};

/// What is best.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Objective {
    /// The lowest age, of those that cost at most this many pod-seconds.
    Age {
        /// Bound of the cost.
        max_pod_seconds: Option<f64>,
    },
    /// The lowest cost, of those that keep this age in seconds.
    Cost {
        /// Bound of the age.
        max_age_s: f64,
    },
    /// The lowest product of age and cost.
    Balanced,
}

/// Said on the manifest, and to whoever reads along, where the objective's bound is broken.
pub const BOUND_BROKEN: &str =
    "The bound is not kept by anything that was found; this comes nearest.";

/// Points of the front that are tried with new seeds, at most.
const TRIED: usize = 12;

/// What was chosen.
#[derive(Debug, Clone)]
pub struct Choice {
    /// The configuration.
    pub genes: Genes,
    /// In the search.
    pub found: Score,
    /// With seeds that the search has not seen.
    pub held_out: Score,
    /// The ScaledObject it began with, with the same seeds (stock rules, whatever is tuned).
    pub before: Score,
    /// Whether the objective's bound holds with the new seeds too.
    pub keeps_bound: bool,
    /// One a setting.
    pub reasons: Vec<Reason>,
    /// The manifest, reasons as comments.
    pub yaml: String,
}

/// A setting, and what its neighbours would do.
#[derive(Debug, Clone, PartialEq)]
pub struct Reason {
    /// Name.
    pub setting: &'static str,
    /// The value chosen, in words.
    pub value: String,
    /// In words.
    pub why: String,
}

impl Objective {
    /// Whether a score keeps the bound.
    pub fn is_kept_by(&self, score: &Score) -> bool {
        match self {
            Self::Age { max_pod_seconds } => {
                max_pod_seconds.is_none_or(|bound| score.pod_seconds <= bound)
            }
            Self::Cost { max_age_s } => score.age_s <= *max_age_s,
            Self::Balanced => true,
        }
    }

    /// Lower is better; what breaks the bound comes after all that keep it.
    fn rank(&self, score: &Score) -> (bool, f64) {
        let kept = self.is_kept_by(score);
        let value = match self {
            Self::Age { .. } if kept => score.age_s,
            Self::Age { .. } => score.pod_seconds,
            Self::Cost { .. } if kept => score.pod_seconds,
            Self::Cost { .. } => score.age_s,
            // Below a tenth of a second nobody can tell ages apart.
            Self::Balanced => score.age_s.max(0.1).ln() + score.pod_seconds.max(1.0).ln(),
        };
        (!kept, value)
    }
}

fn best_first(objective: Objective, points: &mut [(usize, Score)]) {
    points.sort_by(|(a_index, a), (b_index, b)| {
        let (a, b) = (objective.rank(a), objective.rank(b));
        a.0.cmp(&b.0).then(a.1.total_cmp(&b.1)).then(a_index.cmp(b_index))
    });
}

/// Chooses; `None` when the front is empty or `stop` was set.
///
/// # Errors
/// [`SearchError::Law`].
pub fn choose(
    search: &Search<'_>,
    objective: Objective,
    new_seeds: &[u64],
    head: &[String],
    stop: &AtomicBool,
) -> Result<Option<Choice>, SearchError> {
    let (base, scenarios, options) = search.inputs();
    let points = search.front().points();
    let mut found: Vec<(usize, Score)> =
        points.iter().enumerate().map(|(index, point)| (index, point.score)).collect();
    best_first(objective, &mut found);
    found.truncate(TRIED);

    let tried: Vec<&Point> = found.iter().map(|(index, _)| &points[*index]).collect();
    let worlds = Worlds::new(scenarios, new_seeds);
    let all: Vec<&Genes> = tried.iter().map(|point| &point.genes).collect();
    let Some(again) = search.scores(&all, &worlds, stop)? else { return Ok(None) };
    let mut held_out: Vec<(usize, Score)> = again.into_iter().enumerate().collect();
    best_first(objective, &mut held_out);
    let Some((index, held_out)) = held_out.first().copied() else { return Ok(None) };
    let point = tried[index];

    let stock = LawSettings::Stock(Box::new(base.object.clone()));
    let before = worlds.score(&stock, options.age).map_err(SearchError::Law)?;
    let Some(reasons) = reasons(search, &point.genes, &held_out, &worlds, stop)? else {
        return Ok(None);
    };
    let Some(first) = scenarios.first() else { return Ok(None) };
    let keeps_bound = objective.is_kept_by(&held_out);
    let mut head = head.to_vec();
    if !keeps_bound {
        head.push(BOUND_BROKEN.into());
    }
    let comments = Comments {
        head,
        settings: reasons.iter().map(|reason| (reason.setting, reason.why.clone())).collect(),
    };
    Ok(Some(Choice {
        yaml: yaml(base, search.space(), &point.genes, &comments, &first.scenario),
        genes: point.genes.clone(),
        found: point.score,
        held_out,
        before,
        keeps_bound,
        reasons,
    }))
}

/// What one value less and one more of each setting would do, with the same seeds.
fn reasons(
    search: &Search<'_>,
    genes: &[u8],
    held_out: &Score,
    worlds: &Worlds<'_>,
    stop: &AtomicBool,
) -> Result<Option<Vec<Reason>>, SearchError> {
    let mut neighbours: Vec<(usize, Genes)> = Vec::new();
    for (index, dimension) in search.space().dimensions.iter().enumerate() {
        let last = dimension.values.len() as u8 - 1;
        for gene in [genes[index].checked_sub(1), genes[index].checked_add(1)] {
            if let Some(gene) = gene.filter(|gene| *gene <= last) {
                let mut other = genes.to_vec();
                other[index] = gene;
                neighbours.push((index, other));
            }
        }
    }
    let all: Vec<&Genes> = neighbours.iter().map(|(_, genes)| genes).collect();
    let Some(scores) = search.scores(&all, worlds, stop)? else { return Ok(None) };
    let mut reasons = Vec::new();
    for (index, dimension) in search.space().dimensions.iter().enumerate() {
        let name = dimension.name;
        let parts: Vec<String> = neighbours
            .iter()
            .zip(&scores)
            .filter(|((of, _), _)| *of == index)
            .map(|((_, other), score)| {
                format!("{}: {}", value_words(search, other, name), difference(score, held_out))
            })
            .collect();
        if parts.is_empty() {
            continue;
        }
        reasons.push(Reason {
            setting: name,
            value: value_words(search, genes, name),
            why: parts.join("; "),
        });
    }
    Ok(Some(reasons))
}

fn difference(other: &Score, chosen: &Score) -> String {
    let percent = |a: f64, b: f64| 100.0 * (a - b) / b.max(1e-9);
    let (age, cost) =
        (percent(other.age_s, chosen.age_s), percent(other.pod_seconds, chosen.pod_seconds));
    if age.abs() < 0.5 && cost.abs() < 0.5 {
        return "the same".into();
    }
    format!("age {:.1} s ({age:+.0} %), pods {cost:+.1} %", other.age_s)
}

fn value_words(search: &Search<'_>, genes: &[u8], name: &str) -> String {
    let space = search.space();
    let value = space.value(genes, name);
    let max = space.value(genes, "maxReplicaCount") as i32;
    let policy =
        |table: &[&'static [_]]| words(table.get(value as usize).copied().unwrap_or_default(), max);
    match (space.law, name) {
        (_, "scaleUp.policies") => policy(UP),
        (_, "scaleDown.policies") => policy(DOWN),
        (_, "ensureEvenDistributionOfPartitions") => (value > 0.0).to_string(),
        (LawKind::Slo, "drainSeconds") if value == 0.0 => "none".into(),
        _ => {
            let text = format!("{value:.2}");
            text.trim_end_matches('0').trim_end_matches('.').to_owned()
        }
    }
}
