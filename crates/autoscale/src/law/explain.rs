//! A decision in plain words, for a person who asks why.

use std::fmt::Write as _;

use super::decision::{Decider, Decision};
use super::slo::{SloTerm, SloTerms};

impl Decision {
    /// Several lines: what was decided, why, what was seen, what follows from it, the
    /// limit that binds, and what the other law would have said. `at` is the moment as
    /// the caller tells times, for example `480 s`.
    pub fn story(&self, at: &str) -> String {
        let mut story = String::new();
        let law = match self.decided_by {
            Decider::Slo => "slo law",
            Decider::Hpa => "stock law, HPA",
            Decider::Keda => "stock law, KEDA",
            Decider::Schedule => "schedule",
        };
        let outcome = if self.changes() {
            format!("{} to {} pods", self.from, self.to)
        } else {
            format!("stay at {}", pods(self.to))
        };
        let _ = writeln!(story, "{at}: {outcome} ({law})");
        let mut line = |name: &str, text: &str| {
            if !text.is_empty() {
                let _ = writeln!(story, "  {name:<9}  {text}");
            }
        };
        line("why", &self.why());
        for text in self.seen() {
            line("saw", &text);
        }
        if let Some(terms) = self.terms.as_ref().filter(|terms| terms.term != SloTerm::Stale) {
            for text in follows(terms) {
                line("so", &text);
            }
        }
        line("limit", self.limit());
        if let Some(other) = &self.alternative {
            line("otherwise", &format!("{} would say {} ({})", other.law, other.to, other.why));
        }
        story
    }

    fn why(&self) -> String {
        match (self.decided_by, &self.terms) {
            (Decider::Slo, Some(terms)) => meaning(terms.term).to_owned(),
            (Decider::Hpa, _) => match (self.proposal, self.stabilized) {
                (Some(proposal), Some(stabilized)) if proposal != stabilized => format!(
                    "lag over target asks for {proposal}; the stabilization window makes it {stabilized}"
                ),
                (Some(proposal), _) => format!("lag over target asks for {}", pods(proposal)),
                (None, _) => "there is no proposal".into(),
            },
            (Decider::Schedule, _) => "the schedule says so".into(),
            (_, _) => match self.active {
                Some(true) => "the trigger is active".into(),
                Some(false) => "the trigger is not active".into(),
                None => "it is not known whether the trigger is active".into(),
            },
        }
    }

    fn seen(&self) -> Vec<String> {
        let mut seen = Vec::new();
        if let (Some(status), Some(ready)) = (self.status_replicas, self.ready_replicas) {
            seen.push(format!("{} wanted, {status} there, {ready} ready", pods(self.from)));
        }
        match &self.terms {
            Some(terms) if terms.term != SloTerm::Stale => {
                seen.push(format!(
                    "{:.0} records a second arrive (standard deviation {:.0}), {}",
                    terms.arrival_per_s,
                    terms.arrival_noise_per_s,
                    trend(terms.trend_per_s2)
                ));
                seen.push(format!(
                    "{} records wait, the oldest for {:.1} s of the {} s promised",
                    terms.backlog, terms.oldest_age_s, terms.target_age_s
                ));
            }
            _ => match (self.lag, self.metric) {
                (Some(lag), Some(metric)) if lag != metric => {
                    seen.push(format!("{lag} records wait, {metric} of them count"));
                }
                (Some(lag), _) => seen.push(format!("{lag} records wait")),
                (None, _) => seen.push("the lag could not be read".into()),
            },
        }
        seen
    }

    fn limit(&self) -> &str {
        if self.binding.is_empty() { "none" } else { &self.binding }
    }
}

fn meaning(term: SloTerm) -> &'static str {
    match term {
        SloTerm::Enough => "the count is right as it is",
        SloTerm::Rate => "records arrive faster than these pods can take them",
        SloTerm::Backlog => "what waits would not be gone in time",
        SloTerm::Fewer => "fewer pods keep the promise, through a rescale and back",
        SloTerm::Hold => "fewer would do, but not yet for long enough",
        SloTerm::Cooldown => "nothing to do, but not yet for long enough",
        SloTerm::Idle => "nothing to do for the whole cooldown",
        SloTerm::Bounds => "the count was outside the bounds",
        SloTerm::Sink => "the sink is the limit; more pods cannot help",
        SloTerm::Stale => "the facts cannot be read",
        SloTerm::Warmup => "too little has been seen",
    }
}

fn follows(terms: &SloTerms) -> Vec<String> {
    vec![
        format!(
            "a pod does {:.0} a second; the fullest has {} of {} partitions and is {:.0} % busy",
            terms.pod_rate_per_s,
            terms.partitions_per_pod,
            terms.partitions,
            terms.utilisation * 100.0
        ),
        format!(
            "the arrivals need {}, with the backlog {}; {} hold through a rescale and back",
            pods(terms.steady_replicas),
            terms.wanted_replicas,
            terms.enough_replicas
        ),
        format!(
            "pods are ready {:.0} s after the order; a backlog may take {:.0} s then",
            terms.pod_start_s, terms.drain_s
        ),
    ]
}

fn trend(per_s2: f64) -> String {
    if per_s2 > 0.0 { format!("{per_s2:+.1} each second") } else { "not rising".into() }
}

fn pods(count: i32) -> String {
    if count == 1 { "1 pod".into() } else { format!("{count} pods") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::law::Alternative;

    #[test]
    fn a_stock_decision_reads_from_its_json() {
        let json = r#"{"at_ms":480000,"decided_by":"hpa","from":20,"to":30,"status_replicas":20,
            "ready_replicas":18,"lag":1200000,"metric":1000000,"target":10000,"active":null,
            "proposal":100,"stabilized":100,"reason":"ScaleUpLimit","binding":"scaleUp policies"}"#;
        let decision: Decision = serde_json::from_str(json).expect("a line of the log");
        let decision = Decision {
            alternative: Some(Alternative { law: "slo".into(), to: 100, why: "SLO: more".into() }),
            ..decision
        };
        assert_eq!(
            decision.story("480 s"),
            "480 s: 20 to 30 pods (stock law, HPA)
  why        lag over target asks for 100 pods
  saw        20 pods wanted, 20 there, 18 ready
  saw        1200000 records wait, 1000000 of them count
  limit      scaleUp policies
  otherwise  slo would say 100 (SLO: more)
"
        );
        let again = serde_json::to_string(&decision).expect("JSON");
        assert_eq!(serde_json::from_str::<Decision>(&again).expect("again"), decision);
    }

    #[test]
    fn a_line_without_the_newer_fields_is_read() {
        let json = r#"{"at_ms":0,"decided_by":"slo","from":1,"to":1,"lag":null,"metric":null,
            "target":500,"active":null,"proposal":null,"stabilized":null,"reason":null,
            "binding":"holding after 3 s: broker down"}"#;
        let decision: Decision = serde_json::from_str(json).expect("an old line");
        let story = decision.story("3 s");
        assert!(story.starts_with("3 s: stay at 1 pod (slo law)\n"), "{story}");
        assert!(story.contains("limit      holding after 3 s: broker down"), "{story}");
        assert!(!story.contains("otherwise"), "{story}");
    }
}
