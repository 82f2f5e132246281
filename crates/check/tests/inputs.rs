//! What people feed it: lists that kubectl prints, templates nobody rendered, a file alone.

use tidegate_check::{Finding, Known, Severity, Source, check};

const CLEAN: &str = include_str!("data/clean.yaml");

fn findings(name: &str, text: &str) -> Result<Vec<Finding>, String> {
    check(&[Source { name, text }], Known::default()).map_err(|error| error.to_string())
}

/// The documents as `kubectl get -o yaml` prints several objects.
fn as_list(text: &str) -> String {
    let items = text.split("---\n").filter(|document| document.contains("kind:"));
    let indented = |document: &str| {
        let lines =
            document.lines().filter(|line| !line.trim().is_empty() && !line.starts_with('#'));
        let lines: Vec<String> = lines.map(|line| format!("  {line}\n")).collect();
        lines.concat().replacen("  ", "- ", 1)
    };
    let items: String = items.map(indented).collect();
    format!("apiVersion: v1\nkind: List\nmetadata: {{}}\nitems:\n{items}")
}

#[test]
fn what_kubectl_prints_for_several_objects_is_checked_as_they_are() {
    let misspelt = CLEAN.replace("cooldownPeriod: 300", "coolDownPeriod: 300");
    let rules = |text: &str| {
        let mut found = findings("all.yaml", text).expect("readable");
        found.sort_by(|a, b| (a.rule, &a.message).cmp(&(b.rule, &b.message)));
        found.into_iter().map(|finding| (finding.rule, finding.message)).collect::<Vec<_>>()
    };
    let (apart, listed) = (rules(&misspelt), rules(&as_list(&misspelt)));
    assert!(apart.iter().any(|(rule, _)| *rule == "TG001"), "{apart:?}");
    assert_eq!(apart, listed);
    let found = findings("all.yaml", &as_list(&misspelt)).expect("readable");
    let typo = found.iter().find(|finding| finding.rule == "TG001").expect("found");
    let line =
        as_list(&misspelt).lines().position(|line| line.contains("coolDown")).expect("there");
    assert_eq!(typo.line as usize, line + 1);
}

#[test]
fn a_template_is_told_to_be_rendered_first() {
    let template =
        "{{- if .Values.on }}\napiVersion: keda.sh/v1alpha1\nkind: ScaledObject\n{{- end }}";
    let said = findings("templates/so.yaml", template).expect_err("no YAML");
    assert!(said.contains("helm template CHART | tidegate check -"), "{said}");
    let broken = findings("so.yaml", "a: [1\nb: }").expect_err("no YAML");
    assert!(!broken.contains("helm"), "{broken}");
}

#[test]
fn a_number_that_has_to_be_text_is_told_to_be_quoted() {
    let found = findings("a.yaml", &CLEAN.replace("\"1500\"", "1500")).expect("readable");
    let fix = found.iter().find(|finding| finding.rule == "TG002").map(|finding| &finding.fix);
    assert_eq!(fix.map(String::as_str), Some("in quotes: lagThreshold: \"1500\""));
}

/// How long a pod takes is not known there: a laptop's takes a second.
#[test]
fn the_projects_own_object_alone_has_no_warning() {
    let own = include_str!("../../../config/scaled-object-local.yaml");
    let found = findings("local.yaml", own).expect("readable");
    assert!(found.iter().all(|finding| finding.severity < Severity::Warning), "{found:?}");
}

/// The line of a scenario's error is that of the field, or the reader's.
#[test]
fn a_scenarios_error_has_its_line_once() {
    let text = "duration_s = 5\nload.phases = []\n[pod]\nreplicas = 1\nbatch_sise = 3\n";
    let said = findings("s.toml", text).expect_err("misspelt");
    assert!(said.starts_with("s.toml:5:1: pod.batch_sise: "), "{said}");
    let said =
        findings("s.toml", &text.replace("batch_sise = 3", "batch_size = 'x'")).expect_err("x");
    assert!(said.starts_with("s.toml:5:1: pod.batch_size: "), "{said}");
}
