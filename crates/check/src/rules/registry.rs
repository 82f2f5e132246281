//! Every rule, in the order of ids.

use crate::Severity;

/// A rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rule {
    /// `TG` and three digits.
    pub id: &'static str,
    /// The same in words, lower case with dashes.
    pub name: &'static str,
    /// How bad at most.
    pub severity: Severity,
    /// Its page: what, why, fix. Markdown; the first line is the title.
    pub page: &'static str,
}

impl Rule {
    /// The page's title without the id.
    pub fn title(&self) -> &'static str {
        let line = self.page.lines().next().unwrap_or_default();
        line.split_once(": ").map_or(line, |(_, title)| title)
    }

    /// Where the page is in the repository.
    pub fn page_path(&self) -> String {
        format!("docs/rules/{}.md", self.id)
    }
}

macro_rules! rules {
    ($($id:literal $name:literal $severity:ident;)*) => {
        /// Every rule, in the order of ids.
        pub const RULES: &[Rule] = &[$(Rule {
            id: $id,
            name: $name,
            severity: Severity::$severity,
            page: include_str!(concat!("../../../../docs/rules/", $id, ".md")),
        }),*];
    };
}

rules! {
    "TG001" "unknown-field" Error;
    "TG002" "refused-value" Error;
    "TG003" "target-not-found" Warning;
    "TG004" "replicas-beside-autoscaler" Warning;
    "TG005" "group-or-topic-differs" Error;
    "TG006" "scaler-bounds-differ" Warning;
    "TG007" "trigger-not-checked" Error;
    "TG010" "max-above-partitions" Warning;
    "TG011" "counts-without-effect" Warning;
    "TG012" "max-below-load" Warning;
    "TG013" "metric-cap" Warning;
    "TG020" "built-in-waiting" Warning;
    "TG021" "tolerance-dead-zone" Warning;
    "TG022" "exclude-persistent-lag" Warning;
    "TG023" "cached-metric" Warning;
    "TG024" "value-target" Warning;
    "TG025" "idle-consumers" Warning;
    "TG026" "threshold-below-batch" Warning;
    "TG030" "select-policy-min" Warning;
    "TG031" "fixed-steps" Warning;
    "TG032" "scale-up-window" Warning;
    "TG033" "scale-down-window" Warning;
    "TG034" "policy-without-effect" Note;
    "TG035" "no-behavior" Note;
    "TG036" "scaler-damped-twice" Warning;
    "TG040" "latest-with-zero" Error;
    "TG041" "cooldown-too-short" Warning;
    "TG042" "slow-wake-up" Warning;
    "TG043" "interval-without-effect" Note;
    "TG044" "activation-strands-records" Warning;
    "TG045" "idle-replicas" Error;
    "TG046" "invalid-offset-never-wakes" Error;
    "TG050" "no-fallback" Note;
    "TG051" "fallback-scales-to-zero" Error;
    "TG052" "fallback-out-of-bounds" Warning;
    "TG060" "grace-period" Warning;
    "TG061" "readiness-delay" Warning;
    "TG062" "no-probes" Warning;
    "TG063" "no-resources" Warning;
    "TG064" "no-security-context" Warning;
    "TG065" "moving-image" Warning;
    "TG066" "default-namespace" Note;
    "TG067" "stop-is-a-crash" Warning;
    "TG068" "blind-rebalances" Warning;
    "TG070" "budget-allows-everything" Warning;
    "TG071" "budget-allows-nothing" Error;
    "TG072" "budget-selects-nothing" Warning;
    "TG073" "service-selects-nothing" Warning;
}

/// A rule by its id, in any case.
pub fn rule(id: &str) -> Option<&'static Rule> {
    RULES.iter().find(|rule| rule.id.eq_ignore_ascii_case(id))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_page_says_what_why_and_how_to_fix_it() {
        for rule in RULES {
            let title = rule.page.lines().next().unwrap_or_default();
            assert!(title.starts_with(&format!("# {}: ", rule.id)), "{}: {title}", rule.id);
            for part in [rule.name, rule.severity.name(), "## Why", "## Fix"] {
                assert!(rule.page.contains(part), "{} does not say {part:?}", rule.id);
            }
        }
    }

    #[test]
    fn ids_are_unique_and_in_order() {
        assert!(RULES.windows(2).all(|pair| pair[0].id < pair[1].id));
        let mut names: Vec<&str> = RULES.iter().map(|rule| rule.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), RULES.len());
    }
}
