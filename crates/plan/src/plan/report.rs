//! The plan as text.

use std::fmt::Write as _;

use super::limits::short;
use super::{Plan, Tried};

/// For people; what was tried is listed with `verbose`.
pub fn text(plan: &Plan, name: &str, verbose: bool) -> String {
    let mut text = String::new();
    let chosen = &plan.chosen;
    let divisors: Vec<String> = plan.divisors.iter().map(ToString::to_string).collect();
    let verdict = if plan.is_kept { "kept" } else { "NOT KEPT" };
    let _ =
        writeln!(text, "plan           {name}: 99 % of the records stored within {} s", plan.slo_s);
    let _ = writeln!(
        text,
        "load           up to {:.0} records/s, {:.0} a pod",
        plan.peak_rate_per_s, plan.pod_rate_per_s
    );
    let _ = writeln!(
        text,
        "partitions     {}; the work splits evenly on {} pods",
        chosen.partitions,
        divisors.join(" ")
    );
    let _ = writeln!(
        text,
        "pods           {} always, {} at most, {} at the peak; slo law with {} s",
        chosen.standby_pods,
        chosen.max_pods,
        chosen.peak_pods,
        short(chosen.law_target_s)
    );
    let _ = writeln!(text, "  from s  until s   records/s    needed    mean    peak");
    for stretch in &plan.stretches {
        let _ = writeln!(
            text,
            "  {:>6}  {:>7}  {:>10.0}  {:>8}  {:>6.1}  {:>6}",
            stretch.from_s,
            stretch.until_s,
            stretch.rate_per_s,
            stretch.needed_pods,
            stretch.mean_pods,
            stretch.peak_pods
        );
    }
    let budget = &plan.budget;
    let _ = writeln!(
        text,
        "database       {:.0} rows/s, at most {:.0} commits/s, {} connections",
        budget.rows_per_s, budget.commits_per_s, budget.connections
    );
    let _ = writeln!(
        text,
        "connections    {:.0} new ones a second at a broker, at the steepest",
        plan.connections_per_s
    );
    let cost = plan.cost.map_or_else(String::new, |cost| format!(", {cost:.4} at the given price"));
    let _ = writeln!(text, "cost           {:.2} pod-hours{cost}", plan.pod_hours);
    let _ = writeln!(text, "limits");
    for limit in &plan.limits {
        let _ = writeln!(
            text,
            "  {:<17}{:>9} of {:>9} {:<18}{:>4.0} %",
            limit.name,
            short(limit.used),
            short(limit.allowed),
            limit.unit,
            100.0 * limit.share()
        );
    }
    let _ = writeln!(text, "binding        {}: {}", plan.binding, plan.advice);
    if verbose {
        let _ = writeln!(
            text,
            "tried\n  partitions  standby  law s  p99 age s  max age s  pod-seconds"
        );
        for tried in &plan.tried {
            let Tried {
                partitions,
                standby_pods,
                law_target_s,
                p99_age_s,
                max_age_s,
                pod_seconds,
                ..
            } = tried;
            let _ = writeln!(
                text,
                "  {partitions:>10}  {standby_pods:>7}  {law_target_s:>5.1}  {p99_age_s:>9.1}  {max_age_s:>9.1}  {pod_seconds:>11.0}"
            );
        }
    }
    let _ = writeln!(
        text,
        "simulated      p99 age {:.1} s, max {:.1} s: {verdict}",
        chosen.p99_age_s, chosen.max_age_s
    );
    text
}
