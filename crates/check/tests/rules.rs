//! Every rule fires on the one change that it is about, and on nothing in a clean set.

use tidegate_check::rules::RULES;
use tidegate_check::{Finding, Known, Severity, Source, check, report};

const CLEAN: &str = include_str!("data/clean.yaml");
const WORLD: &str = include_str!("data/clean.toml");

fn findings(yaml: &str, world: &str) -> Vec<Finding> {
    let sources =
        [Source { name: "set.yaml", text: yaml }, Source { name: "world.toml", text: world }];
    check(&sources, Known::default()).expect(yaml)
}

/// A rule, and texts to replace in the clean set (or its world) so that it fires alone.
type Case = (&'static str, &'static [(&'static str, &'static str)]);

const CASES: &[Case] = &[
    ("TG001", &[("lagThreshold:", "lagTreshold: \"1\"\n      lagThreshold:")]),
    ("TG001", &[("cooldownPeriod: 300", "cooldownPeriod: 300\n  coolDownPeriod: 3")]),
    (
        "TG002",
        &[(
            "selectPolicy: Max\n          tolerance: 0.05",
            "selectPolicy: Most\n          tolerance: 0.05",
        )],
    ),
    ("TG003", &[("scaleTargetRef:\n    name: trades", "scaleTargetRef:\n    name: trade")]),
    (
        "TG004",
        &[(
            "spec:\n  selector:\n    matchLabels: { app: trades }\n  template",
            "spec:\n  replicas: 3\n  selector:\n    matchLabels: { app: trades }\n  template",
        )],
    ),
    ("TG005", &[("value: writers", "value: readers")]),
    ("TG002", &[("keda.sh/v1alpha1", "keda.sh/v9")]),
    ("TG007", &[("type: kafka", "type: kafkaa")]),
    ("TG010", &[("maxReplicaCount: 48", "maxReplicaCount: 97"), ("value: 48", "value: 97")]),
    (
        "TG011",
        &[
            ("      ensureEvenDistributionOfPartitions: \"true\"\n", ""),
            ("maxReplicaCount: 48", "maxReplicaCount: 96"),
            ("value: 48", "value: 96"),
        ],
    ),
    ("TG012", &[("rate_per_s = 40000.0", "rate_per_s = 50000.0")]),
    (
        "TG013",
        &[
            ("tolerance: 0\n", "tolerance: 0.09\n"),
            ("maxReplicaCount: 48", "maxReplicaCount: 96"),
            ("value: 48", "value: 96"),
        ],
    ),
    ("TG020", &[("\"1500\"", "\"20000\"")]),
    ("TG021", &[("tolerance: 0\n", "tolerance: 0.1\n")]),
    ("TG022", &[("lagThreshold:", "excludePersistentLag: \"true\"\n      lagThreshold:")]),
    (
        "TG023",
        &[("metricType: AverageValue", "metricType: AverageValue\n    useCachedMetrics: true")],
    ),
    ("TG024", &[("metricType: AverageValue", "metricType: Value")]),
    (
        "TG025",
        &[
            ("lagThreshold:", "allowIdleConsumers: \"true\"\n      lagThreshold:"),
            ("partitions = 96", "partitions = 42"),
            ("rate_per_s = 40000.0", "rate_per_s = 4000.0"),
        ],
    ),
    ("TG026", &[("\"1500\"", "\"400\"")]),
    (
        "TG030",
        &[(
            "selectPolicy: Max\n          tolerance: 0\n          policies:",
            "selectPolicy: Min\n          tolerance: 0\n          policies:\n          - { type: Pods, value: 40, periodSeconds: 15 }",
        )],
    ),
    (
        "TG031",
        &[("value: 48\n            periodSeconds: 15", "value: 4\n            periodSeconds: 15")],
    ),
    ("TG032", &[("stabilizationWindowSeconds: 0", "stabilizationWindowSeconds: 60")]),
    ("TG033", &[("stabilizationWindowSeconds: 120", "stabilizationWindowSeconds: 5")]),
    ("TG040", &[("offsetResetPolicy: earliest", "offsetResetPolicy: latest")]),
    ("TG041", &[("cooldownPeriod: 300", "cooldownPeriod: 5")]),
    ("TG042", &[("pollingInterval: 5", "pollingInterval: 30")]),
    ("TG043", &[("minReplicaCount: 0", "minReplicaCount: 2")]),
    ("TG044", &[("lagThreshold:", "activationLagThreshold: \"50\"\n      lagThreshold:")]),
    (
        "TG045",
        &[
            ("minReplicaCount: 0", "minReplicaCount: 2\n  idleReplicaCount: 1"),
            ("  pollingInterval: 5\n  cooldownPeriod: 300\n", ""),
        ],
    ),
    ("TG046", &[("lagThreshold:", "scaleToZeroOnInvalidOffset: \"true\"\n      lagThreshold:")]),
    ("TG051", &[("replicas: 24", "replicas: 0")]),
    ("TG052", &[("replicas: 24", "replicas: 60")]),
    ("TG052", &[("replicas: 24\n    behavior: currentReplicasIfHigher", "replicas: 10")]),
    ("TG052", &[("failureThreshold: 3", "failureThreshold: 0")]),
    ("TG060", &[("      terminationGracePeriodSeconds: 30\n", "")]),
    ("TG060", &[("PeriodSeconds: 30", "PeriodSeconds: 2")]),
    ("TG061", &[("readinessProbe:", "readinessProbe:\n          initialDelaySeconds: 90")]),
    (
        "TG062",
        &[("        livenessProbe:\n          httpGet: { path: /healthz, port: metrics }\n", "")],
    ),
    ("TG063", &[("          limits: { memory: 64Mi }\n", "")]),
    ("TG064", &[("runAsNonRoot: true", "fsGroup: 1")]),
    ("TG065", &[(":0.1.0", ":latest")]),
    ("TG065", &[(":0.1.0", "")]),
    ("TG067", &[("[pod]", "[pod]\non_stop = \"ignore\"")]),
    ("TG068", &[("[pod]", "[group]\nprotocol = \"eager\"\n[pod]")]),
    ("TG070", &[("maxUnavailable: 25%", "maxUnavailable: 90%")]),
    ("TG070", &[("maxUnavailable: 25%", "minAvailable: 10%")]),
    ("TG071", &[("maxUnavailable: 25%", "maxUnavailable: 0")]),
    ("TG071", &[("maxUnavailable: 25%", "minAvailable: 100%")]),
    (
        "TG072",
        &[(
            "maxUnavailable: 25%\n  selector:\n    matchLabels: { app: trades }",
            "maxUnavailable: 25%\n  selector:\n    matchLabels: { app: trader }",
        )],
    ),
    ("TG073", &[("selector: { app: trades }", "selector: { app: trader }")]),
    ("TG073", &[("targetPort: metrics", "targetPort: 9000")]),
];

#[test]
fn the_clean_set_is_clean() {
    let findings = findings(CLEAN, WORLD);
    assert!(findings.is_empty(), "{}", report::text(&findings));
}

#[test]
fn each_rule_fires_on_its_own_change_alone() {
    for (rule, changes) in CASES {
        let (mut yaml, mut world) = (CLEAN.to_owned(), WORLD.to_owned());
        for (from, to) in *changes {
            assert!(yaml.contains(from) || world.contains(from), "{rule}: nothing like {from:?}");
            yaml = yaml.replacen(from, to, 1);
            world = world.replacen(from, to, 1);
        }
        let found = findings(&yaml, &world);
        assert!(!found.is_empty(), "{rule} {changes:?} found nothing");
        for finding in &found {
            assert_eq!(finding.rule, *rule, "{changes:?}: {}", report::text(&found));
        }
    }
}

/// A rule without a case here is one of the published configuration's.
#[test]
fn every_rule_has_a_case() {
    let elsewhere = ["TG006", "TG036", "TG034", "TG035", "TG050", "TG066"];
    for rule in RULES {
        let covered = CASES.iter().any(|(id, _)| *id == rule.id) || elsewhere.contains(&rule.id);
        assert!(covered, "{} has no test", rule.id);
    }
}

#[test]
fn no_rule_is_worse_than_its_registry_says_but_the_short_grace_period() {
    for (_, changes) in CASES {
        let (mut yaml, mut world) = (CLEAN.to_owned(), WORLD.to_owned());
        for (from, to) in *changes {
            yaml = yaml.replacen(from, to, 1);
            world = world.replacen(from, to, 1);
        }
        for finding in findings(&yaml, &world) {
            let rule = tidegate_check::rules::rule(finding.rule).expect("registered");
            let worst =
                if rule.id == "TG060" { tidegate_check::Severity::Error } else { rule.severity };
            assert!(finding.severity <= worst, "{finding:?}");
        }
    }
}

#[test]
fn a_misspelt_key_is_named_with_the_right_one() {
    let yaml = CLEAN.replacen("pollingInterval: 5", "pollingIntervall: 5", 1);
    let found = findings(&yaml, WORLD);
    let unknown = found.iter().find(|finding| finding.rule == "TG001").expect("TG001");
    assert_eq!(unknown.fix, "did you mean pollingInterval?");
    assert_eq!((unknown.line, unknown.column), (10, 3));
}

#[test]
fn a_trigger_that_no_rule_knows_is_not_passed_over() {
    let found = |kind: &str| {
        let yaml = CLEAN.replacen("- type: kafka", &format!("- type: {kind}"), 1);
        let found = findings(&yaml, WORLD);
        let told: Vec<_> = found.into_iter().filter(|finding| finding.rule == "TG007").collect();
        assert_eq!(told.len(), 1, "{kind}");
        (told[0].severity, told[0].fix.clone(), told[0].message.clone())
    };
    let (severity, fix, _) = found("kafkaa");
    assert_eq!((severity, fix.as_str()), (Severity::Error, "did you mean kafka?"));
    let (severity, fix, _) = found("apache-kafak");
    assert_eq!((severity, fix.as_str()), (Severity::Error, "did you mean apache-kafka?"));
    let (severity, _, message) = found("prometheus");
    assert_eq!(severity, Severity::Note);
    assert!(message.contains("type prometheus"), "{message}");
    assert_eq!(found("").0, Severity::Error);
}

#[test]
fn every_refused_value_is_told_at_its_place() {
    let yaml = CLEAN
        .replacen("pollingInterval: 5", "pollingInterval: \"abc\"", 1)
        .replacen("cooldownPeriod: 300", "cooldownPeriod: -1", 1)
        .replacen("selectPolicy: Max", "selectPolicy: Most", 1)
        .replacen("\"1500\"", "\"-5\"", 1);
    let found = findings(&yaml, WORLD);
    let paths: Vec<&str> =
        found.iter().filter(|f| f.rule == "TG002").map(|f| f.path.as_str()).collect();
    let up = "spec.advanced.horizontalPodAutoscalerConfig.behavior.scaleUp.selectPolicy";
    let trigger = "spec.triggers.0.metadata.lagThreshold";
    assert_eq!(paths, ["spec.pollingInterval", "spec.cooldownPeriod", up, trigger]);
    // What the reader needs and was left out is not told as missing.
    let yaml = CLEAN.replacen("periodSeconds: 15", "periodSeconds: -1", 1);
    let found = findings(&yaml, WORLD);
    let told: Vec<_> = found.iter().filter(|finding| finding.rule == "TG002").collect();
    assert_eq!(told.len(), 1, "{}", report::text(&found));
    assert!(told[0].message.contains("-1"), "{}", told[0].message);
}

#[test]
fn a_fix_is_no_more_of_what_is_there_and_no_need_is_less_than_nothing() {
    let world = WORLD.replacen("start_s = {", "start_s = { min = 1.0, max = 60.0 }\n# {", 1);
    let yaml = CLEAN.replacen("pollingInterval: 5", "pollingInterval: 2", 1);
    let found = findings(&yaml, &world);
    let wake = found.iter().find(|finding| finding.rule == "TG042").expect("TG042");
    assert!(wake.fix.starts_with("minReplicaCount: 1"), "{}", wake.fix);

    let yaml = CLEAN.replacen("tolerance: 0.05", "tolerance: 5", 1);
    let found = findings(&yaml, WORLD);
    let zone = found.iter().find(|finding| finding.rule == "TG021").expect("TG021");
    assert_eq!(zone.severity, Severity::Warning);
    assert!(zone.message.contains("never takes a pod away"), "{}", zone.message);
}

#[test]
fn an_object_without_a_behavior_gets_a_note() {
    let from = CLEAN.find("  advanced:").expect("advanced");
    let to = CLEAN.find("  triggers:").expect("triggers");
    let yaml = format!("{}{}", &CLEAN[..from], &CLEAN[to..]);
    let found = findings(&yaml, WORLD);
    let rules: Vec<&str> = found.iter().map(|finding| finding.rule).collect();
    assert_eq!(rules, ["TG035"]);
}

#[test]
fn text_that_is_no_manifest_is_an_error_with_its_place() {
    let bad = [
        ("a.yaml", "kind: [1,"),
        ("b.yaml", "a: 1\na: 2\n"),
        ("c.toml", "x = "),
        ("d.toml", "duration_s = 60\n[load]\nphases = []\n"),
    ];
    for (name, text) in bad {
        let error = check(&[Source { name, text }], Known::default()).expect_err(name).to_string();
        assert!(error.starts_with(name) && error.lines().count() == 1, "{error}");
    }
}

/// An external scaler decides by itself: an HPA that follows it at once is right.
#[test]
fn an_external_scaler_is_followed_without_windows() {
    let yaml = CLEAN
        .replacen("type: kafka", "type: external-push", 1)
        .replacen("stabilizationWindowSeconds: 120", "stabilizationWindowSeconds: 0", 1)
        .replacen("cooldownPeriod: 300", "cooldownPeriod: 0", 1);
    let found = findings(&yaml, WORLD);
    assert!(found.is_empty(), "{}", report::text(&found));
}

/// The clean set with a trigger for `tidegate scaler`, and one change of it.
fn asks_tidegate(from: &str, to: &str) -> Vec<Finding> {
    let kafka = CLEAN.find("  - type: kafka").expect("trigger");
    let rest = CLEAN[kafka..].find("---").expect("next document") + kafka;
    let trigger = "  - type: external-push\n    metricType: AverageValue\n    metadata:\n      \
                   scalerAddress: tidegate-scaler.tidegate:6000\n      consumerGroup: writers\n      \
                   topic: trades\n      targetAgeSeconds: \"30\"\n      maxReplicas: \"48\"\n";
    let yaml = format!("{}{trigger}{}", &CLEAN[..kafka], &CLEAN[rest..])
        .replacen("stabilizationWindowSeconds: 120", "stabilizationWindowSeconds: 0", 1)
        .replacen("tolerance: 0.05", "tolerance: 0", 1)
        .replacen("cooldownPeriod: 300", "cooldownPeriod: 0", 1);
    assert!(yaml.contains(from), "{from}");
    findings(&yaml.replacen(from, to, 1), WORLD)
}

#[test]
fn the_metadata_for_tidegates_scaler_is_read_as_it_reads_it() {
    let clean = asks_tidegate("kind", "kind");
    assert!(clean.is_empty(), "{}", report::text(&clean));
    let cases = [
        ("targetAgeSeconds:", "targetAgeSecond:", "TG001", "targetAgeSecond (unknown key)"),
        ("\"30\"", "\"-1\"", "TG002", "allowed is 0.1 to 86400"),
        ("      consumerGroup: writers\n", "", "TG002", "consumerGroup is missing"),
        ("maxReplicas: \"48\"", "maxReplicas: \"60\"", "TG006", "maxReplicaCount = 48"),
        ("minReplicaCount: 0", "minReplicaCount: 2", "TG006", "minReplicaCount = 2"),
        ("stabilizationWindowSeconds: 0", "stabilizationWindowSeconds: 60", "TG036", "60 s"),
        ("          tolerance: 0\n", "", "TG036", "10 %"),
    ];
    for (from, to, rule, says) in cases {
        let mut found = asks_tidegate(from, to);
        // A bound above zero has notes of its own.
        found.retain(|finding| finding.severity > tidegate_check::Severity::Note);
        assert_eq!(found.len(), 1, "{from}: {}", report::text(&found));
        assert_eq!(found[0].rule, rule, "{from}: {}", report::text(&found));
        assert!(found[0].message.contains(says), "{from}: {}", found[0].message);
    }
    let told =
        asks_tidegate("maxReplicas: \"48\"", "maxReplicas: \"48\"\n      hpaTolerance: \"0.1\"");
    assert!(told.is_empty(), "the scaler goes around it: {}", report::text(&told));
}

/// What is recommended has nothing for the rules to say.
#[test]
fn the_recommended_scaled_object_is_clean() {
    let yaml = include_str!("../../../config/scaled-object-external.yaml");
    let source = [Source { name: "scaled-object-external.yaml", text: yaml }];
    let found = check(&source, Known::default()).expect("read");
    assert!(found.is_empty(), "{}", report::text(&found));
}

mod any_text {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// A rule never panics, whatever a line of the manifest says.
        #[test]
        fn a_changed_line_is_findings_or_an_error(
            line in 0_usize..110,
            value in prop_oneof![Just(""), Just("-1"), Just("99999999999"), Just("[]"), Just("{}"),
                Just("text"), Just("0"), Just("1e308"), Just("90%"), Just("null"), Just("&a 5")],
        ) {
            let yaml: String = CLEAN
                .lines()
                .enumerate()
                .map(|(index, text)| match text.split_once(": ") {
                    Some((key, _)) if index == line => format!("{key}: {value}\n"),
                    _ => format!("{text}\n"),
                })
                .collect();
            let sources = [Source { name: "a.yaml", text: &yaml }, Source { name: "w.toml", text: WORLD }];
            if let Ok(findings) = check(&sources, Known::default()) {
                for finding in findings {
                    prop_assert!(finding.line >= 1 && !finding.message.is_empty() && !finding.fix.is_empty());
                }
            }
        }
    }
}
