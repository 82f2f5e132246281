//! The published configuration: every defect that it is known for is found; and our own
//! files are clean.

use tidegate_check::{Finding, Known, Severity, Source, check, report};

const PUBLISHED: &str = include_str!("data/published.yaml");
const SCENARIO: &str = include_str!("../../../config/scenarios/published.toml");

fn published() -> Vec<Finding> {
    let sources = [
        Source { name: "published.yaml", text: PUBLISHED },
        Source { name: "published.toml", text: SCENARIO },
    ];
    check(&sources, Known::default()).expect("readable")
}

fn rules(findings: &[Finding]) -> Vec<&str> {
    findings.iter().map(|finding| finding.rule).collect()
}

/// What is known to be wrong with it, one rule each.
const DEFECTS: &[(&str, &str)] = &[
    ("TG004", "replicas: 0 in the Deployment ends all pods at every apply"),
    ("TG011", "51 to 99 pods do what 50 do"),
    ("TG013", "the metric is capped at 1,000,000; the HPA stops at 91"),
    ("TG020", "10,000 records a pod are 100 s of waiting"),
    ("TG021", "a tolerance of 0.1, written down"),
    ("TG030", "selectPolicy Min"),
    ("TG031", "ten pods a minute, however far behind"),
    ("TG032", "each rise waits a minute"),
    ("TG034", "a percent policy that never decides"),
    ("TG040", "latest with zero pods skips records"),
    ("TG042", "up to 30 s until the first pod is ordered"),
    ("TG050", "no fallback"),
    ("TG060", "no grace period"),
    ("TG061", "a readiness delay of 90 s that delays nothing"),
    ("TG062", "no liveness probe"),
    ("TG063", "no memory limit"),
    ("TG064", "no security context"),
    ("TG066", "everything in the namespace default"),
    ("TG067", "each scale-in is a crash"),
    ("TG068", "rebalances wait for batches"),
    ("TG070", "a budget of 90 % protects nothing"),
];

#[test]
fn every_known_defect_is_found_and_nothing_else() {
    let findings = published();
    let mut found = rules(&findings);
    found.sort_unstable();
    found.dedup();
    let mut known: Vec<&str> = DEFECTS.iter().map(|(rule, _)| *rule).collect();
    known.sort_unstable();
    assert_eq!(found, known, "{}", report::text(&findings));
}

#[test]
fn findings_name_the_line_and_the_arithmetic() {
    let findings = published();
    let find = |rule: &str| findings.iter().find(|finding| finding.rule == rule).expect(rule);
    let threshold = PUBLISHED.lines().position(|line| line.contains("lagThreshold")).expect("line");
    let waiting = find("TG020");
    assert_eq!((waiting.line as usize, waiting.column), (threshold + 1, 9));
    assert!(waiting.message.contains("10,000 records a pod"), "{}", waiting.message);
    assert!(waiting.message.contains("101 s of waiting"), "{}", waiting.message);
    assert!(find("TG013").message.contains("stops at 91 of 100"), "{}", find("TG013").message);
    assert!(find("TG011").message.contains("51 to 99 pods"), "{}", find("TG011").message);
    assert!(find("TG031").message.contains("600 s"), "{}", find("TG031").message);
    assert_eq!(find("TG040").severity, Severity::Error);
}

/// The rate of a pod comes from the Deployment's environment where there is no scenario.
#[test]
fn the_manifests_alone_show_most_of_it() {
    let source = Source { name: "published.yaml", text: PUBLISHED };
    let known = Known { partitions: Some(100), ..Known::default() };
    let findings = check(&[source], known).expect("readable");
    for rule in ["TG010", "TG067", "TG068"] {
        assert!(!rules(&findings).contains(&rule));
    }
    let waiting = findings.iter().find(|finding| finding.rule == "TG020").expect("TG020");
    assert!(waiting.message.contains("are 100 s of waiting"), "{}", waiting.message);
    assert!(rules(&findings).contains(&"TG011"));
}

/// No error and no warning in what we recommend, with the world it is for.
#[test]
fn our_own_files_are_clean() {
    let pairs = [(
        "scaled-object-local.yaml",
        include_str!("../../../config/scaled-object-local.yaml"),
        "local-demo.toml",
        include_str!("../../../config/scenarios/local-demo.toml"),
    )];
    for (object, object_text, scenario, scenario_text) in pairs {
        let sources = [
            Source { name: object, text: object_text },
            Source { name: scenario, text: scenario_text },
        ];
        let findings = check(&sources, Known::default()).expect("readable");
        let bad: Vec<&Finding> =
            findings.iter().filter(|finding| finding.severity > Severity::Note).collect();
        assert!(bad.is_empty(), "{}", report::text(&findings));
    }
}

#[test]
fn the_report_is_what_it_was() {
    let text: String = published()
        .iter()
        .map(|f| {
            format!(
                "{}:{}:{} {} {}\n  {}\n  fix: {}\n",
                f.file,
                f.line,
                f.column,
                f.severity.name(),
                f.rule,
                f.message,
                f.fix
            )
        })
        .collect();
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/published.findings.txt");
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(path, &text).expect("written");
    }
    let golden = std::fs::read_to_string(path).unwrap_or_default();
    assert_eq!(text, golden, "changed on purpose? BLESS=1 cargo test -p tidegate-check");
}
