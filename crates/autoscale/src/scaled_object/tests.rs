use super::ScaledObject;
use crate::hpa::Select;

const DEMO: &str = include_str!("../../tests/data/keda-hpa-runs/demo-config.yaml");

fn minimal(spec: &str, metadata: &str) -> String {
    format!(
        "apiVersion: keda.sh/v1alpha1\nkind: ScaledObject\nmetadata: {{name: a}}\nspec:\n  scaleTargetRef: {{name: d}}\n{spec}  triggers:\n  - type: kafka\n    metadata: {{consumerGroup: g, topic: t{metadata}}}\n"
    )
}

#[test]
fn the_recorded_runs_object_is_read_from_among_other_documents() {
    let object = ScaledObject::from_yaml(DEMO, "demo").expect("reads");
    assert_eq!(
        (object.name(), object.min_replicas(), object.max_replicas()),
        ("tx-trade-workers", 0, 100)
    );
    assert_eq!(object.lag_threshold(), 10_000);
    let behavior = object.behavior.expect("has behavior");
    assert_eq!(behavior.scale_up.policies.len(), 2);
    assert_eq!(behavior.scale_down.stabilization_window_s, Some(120));
}

#[test]
fn the_committed_objects_are_read() {
    for (name, text) in [
        ("demo", include_str!("../../../../config/scaled-object-demo.yaml")),
        ("local", include_str!("../../../../config/scaled-object-local.yaml")),
    ] {
        ScaledObject::from_yaml(text, name).expect(name);
    }
}

#[test]
fn what_is_not_said_of_a_group_is_as_in_a_manifest_that_does_not_say_it() {
    let read = ScaledObject::from_yaml(
        &minimal("  minReplicaCount: 2\n  maxReplicaCount: 9\n", "").replace("name: d", "name: a"),
        "m",
    );
    assert_eq!(ScaledObject::of_group("a", "g", "t", 2, 9), read.expect("reads"));
}

fn annotated(annotations: &str) -> Result<ScaledObject, super::ScaledObjectError> {
    let metadata = format!("metadata: {{name: a, annotations: {{{annotations}}}}}");
    ScaledObject::from_yaml(&minimal("", "").replace("metadata: {name: a}", &metadata), "m")
}

#[test]
fn annotations_are_read_as_keda_reads_them() {
    let paused = |annotations: &str| {
        let object = annotated(annotations).expect(annotations);
        (object.annotations.paused, object.annotations.paused_replicas)
    };
    for (value, expected) in [
        ("true", true),
        ("1", true),
        ("please", true),
        ("False", false),
        ("0", false),
        ("f", false),
    ] {
        let text = format!("autoscaling.keda.sh/paused: '{value}'");
        assert_eq!(paused(&text), (expected, None), "{value}");
    }
    assert_eq!(paused("autoscaling.keda.sh/paused-replicas: '3'"), (true, Some(3)));
    let error = annotated("autoscaling.keda.sh/paused-replicas: 'false'").expect_err("refused");
    assert!(error.to_string().contains("paused-replicas = \"false\""), "{error}");
}

#[test]
fn a_paused_direction_is_disabled_in_the_hpa() {
    let selects = |annotations: &str| {
        let behavior = annotated(annotations).expect(annotations).behavior;
        behavior.map(|behavior| (behavior.scale_up.select, behavior.scale_down.select))
    };
    assert_eq!(
        selects("autoscaling.keda.sh/paused-scale-in: 'true'"),
        Some((Select::Max, Select::Disabled))
    );
    assert_eq!(
        selects("autoscaling.keda.sh/paused-scale-out: 'true'"),
        Some((Select::Disabled, Select::Max))
    );
    assert_eq!(selects("autoscaling.keda.sh/paused-scale-in: 'false'"), None);
}

#[test]
fn defaults_are_kedas() {
    let object = ScaledObject::from_yaml(&minimal("", ""), "m").expect("reads");
    assert_eq!((object.polling_interval_ms, object.cooldown_ms), (30_000, 300_000));
    assert_eq!((object.max_replicas(), object.lag_threshold()), (100, 10));
    assert!(object.behavior.is_none(), "no behavior is the legacy path, not the default rules");
}

#[test]
fn errors_are_one_line_with_source_path_value_and_range() {
    let behavior = "  advanced: {horizontalPodAutoscalerConfig: {behavior: {scaleUp: ";
    for (spec, metadata, parts) in [
        ("  maxReplicaCount: 0\n", "", vec!["spec.maxReplicaCount = 0", "1 to"]),
        (
            "  minReplicaCount: 5\n  maxReplicaCount: 3\n",
            "",
            vec!["spec.minReplicaCount = 5", "0 to 3"],
        ),
        (
            "  minReplicaCount: 2\n  idleReplicaCount: 2\n",
            "",
            vec!["spec.idleReplicaCount = 2", "0 to 1"],
        ),
        (
            "  idleReplicaCount: 0\n",
            "",
            vec!["spec.idleReplicaCount = 0", "less than minReplicaCount, which is 0"],
        ),
        ("  poolingInterval: 5\n", "", vec!["spec", "poolingInterval"]),
        ("  pollingInterval: fast\n", "", vec!["spec.pollingInterval"]),
        ("", ", lagThreshold: '0'", vec!["metadata.lagThreshold", "\"0\"", "from 1"]),
        ("", ", lagTreshold: '5'", vec!["metadata.lagTreshold", "unknown", "lagThreshold"]),
        ("", ", offsetResetPolicy: newest", vec!["offsetResetPolicy", "newest", "earliest"]),
        (
            "",
            ", limitToPartitionsWithLag: 'true', allowIdleConsumers: 'true'",
            vec!["limitToPartitionsWithLag", "not together"],
        ),
        ("", ", partitionLimitation: '1,a-3'", vec!["partitionLimitation", "a-3"]),
    ] {
        let error = ScaledObject::from_yaml(&minimal(spec, metadata), "f.yaml")
            .expect_err(spec)
            .to_string();
        assert!(error.starts_with("f.yaml: ") && !error.contains('\n'), "{error}");
        for part in parts {
            assert!(error.contains(part), "{part} is not in {error}");
        }
    }
    for (rules, part) in [
        ("{stabilizationWindowSeconds: 3601}}}}\n", "scaleUp.stabilizationWindowSeconds = 3601"),
        ("{selectPolicy: Most}}}}\n", "scaleUp.selectPolicy = \"Most\""),
        ("{policies: []}}}}\n", "scaleUp.policies is empty"),
        ("{policies: [{type: Pods, value: 0, periodSeconds: 5}]}}}}\n", "policies[0].value = 0"),
        ("{tolerance: -1}}}}\n", "scaleUp.tolerance = -1"),
    ] {
        let error = ScaledObject::from_yaml(&minimal(&format!("{behavior}{rules}"), ""), "f")
            .expect_err(rules);
        assert!(error.to_string().contains(part), "{error}");
    }
    assert!(
        ScaledObject::from_yaml("a: 1", "f")
            .expect_err("none")
            .to_string()
            .contains("ScaledObject")
    );
    assert!(ScaledObject::from_yaml(": :\n -", "f").is_err());
}

#[test]
fn tolerances_are_numbers_or_quantities() {
    for (text, expected) in [("0.25", 0.25), ("'0.25'", 0.25), ("250m", 0.25), ("0", 0.0)] {
        let spec = format!(
            "  advanced: {{horizontalPodAutoscalerConfig: {{behavior: {{scaleUp: {{tolerance: {text}}}}}}}}}\n"
        );
        let object = ScaledObject::from_yaml(&minimal(&spec, ""), "f").expect(text);
        assert_eq!(object.tolerance().up, expected, "{text}");
        assert_eq!(object.tolerance().down, 0.1);
    }
}
