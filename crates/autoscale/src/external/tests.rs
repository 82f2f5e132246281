//! What is read, and what is refused.

use super::*;

fn read(pairs: &[(&str, &str)]) -> Result<Settings, String> {
    let mut given: HashMap<String, String> = HashMap::from([
        ("scalerAddress".into(), "tidegate-scaler:6000".into()),
        ("consumerGroup".into(), "g".into()),
        ("topic".into(), "t".into()),
    ]);
    given.extend(pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())));
    Settings::read("so", &given).map_err(|error| error.to_string())
}

fn error(pairs: &[(&str, &str)]) -> String {
    read(pairs).expect_err("refused")
}

#[test]
fn the_least_metadata_is_group_and_topic() {
    let settings = read(&[]).expect("allowed");
    assert_eq!((settings.group.as_str(), settings.topic.as_str()), ("g", "t"));
    let LawSettings::Slo(options) = settings.law else { panic!("slo is the default") };
    assert_eq!(options.target_age_s, 30.0);
    let missing = Settings::read("so", &HashMap::new()).expect_err("refused").to_string();
    assert_eq!(missing, "metadata.consumerGroup is missing: the group whose pods are scaled");
}

#[test]
fn a_topic_has_a_name_that_kafka_allows() {
    assert_eq!(read(&[("topic", "a.b_c-9")]).expect("allowed").topic, "a.b_c-9");
    let long = "t".repeat(250);
    for name in ["trade tx", "trade/tx", "a,b", "..", "größe", &long] {
        assert_eq!(
            error(&[("topic", name)]),
            format!("metadata.topic = {name:?}: allowed is 1 to 249 letters, digits and . _ -")
        );
    }
}

#[test]
fn every_key_is_read() {
    let settings = read(&[
        ("targetAgeSeconds", "7.5"),
        ("maxReplicas", "40"),
        ("minReplicas", "2"),
        ("drainSeconds", "9"),
        ("podRatePerSecond", "250"),
        ("podStartSeconds", "60"),
        ("rebalanceSeconds", "3"),
        ("inFlightSeconds", "2"),
        ("headroom", "0.7"),
        ("overprovisioning", "2.5"),
        ("holdSeconds", "90"),
        ("cooldownSeconds", "120"),
        ("staleAfterSeconds", "45"),
        ("fallbackReplicas", "6"),
        ("hpaTolerance", "0.1"),
        ("law", "slo"),
        ("maxCost", "12.5"),
        ("podCost", "0.25"),
        ("joinsPerSecond", "4"),
        ("bootstrapServers", "b:9092"),
        ("podMetricsPort", "8000"),
    ])
    .expect("allowed");
    let LawSettings::Slo(options) = settings.law else { panic!("slo") };
    let expected = SloOptions {
        name: "keda-hpa-so".into(),
        reference: "ScaledObject/so".into(),
        target_age_s: 7.5,
        max_replicas: 40,
        min_replicas: 2,
        drain_s: Some(9.0),
        pod_rate_per_s: 250.0,
        pod_start_s: 60.0,
        rebalance_s: 3.0,
        in_flight_s: 2.0,
        headroom: 0.7,
        overprovisioning: 2.5,
        hold_s: 90.0,
        cooldown_s: 120.0,
        max_cost: Some(12.5),
        pod_cost: 0.25,
        joins_per_s: 4.0,
        stale_after_s: 45.0,
        fallback_replicas: Some(6),
        ..SloOptions::default()
    };
    assert_eq!(*options, expected);
    assert_eq!((settings.hpa_tolerance, settings.stale_after_s), (0.1, 45.0));
    assert_eq!(settings.bootstrap_servers.as_deref(), Some("b:9092"));
    assert_eq!(settings.pod_metrics_port, Some(8000));
    let stock = read(&[
        ("law", "stock"),
        ("lagThreshold", "500"),
        ("activationLagThreshold", "3"),
        ("targetAgeSeconds", "7.5"),
    ]);
    let LawSettings::Stock { lag_threshold, activation_lag_threshold, slo } =
        stock.expect("allowed").law
    else {
        panic!("stock")
    };
    assert_eq!((lag_threshold, activation_lag_threshold, slo.target_age_s), (500, 3, 7.5));
}

#[test]
fn a_mistake_is_one_line_with_key_value_and_range() {
    assert_eq!(
        error(&[("targetAgeSeconds", "soon")]),
        "metadata.targetAgeSeconds = \"soon\": allowed is 0.1 to 86400"
    );
    assert_eq!(
        error(&[("minReplicas", "5"), ("maxReplicas", "4")]),
        "metadata.maxReplicas = \"4\": allowed is a whole number from 5 to 100000"
    );
    assert_eq!(
        error(&[("maxReplicas", "4"), ("fallbackReplicas", "5")]),
        "metadata.fallbackReplicas = \"5\": allowed is at most maxReplicas, 4"
    );
    assert!(error(&[("headroom", "nan")]).contains("0.5 to 0.95"));
    assert!(error(&[("overprovisioning", "0.9")]).contains("1 to 20"));
    assert!(error(&[("law", "pid")]).ends_with("allowed is slo, stock"));
    assert!(error(&[("lagThreshold", "10")]).ends_with("only together with law: stock"));
    let unknown = error(&[("targetAgeSecond", "3")]);
    assert!(unknown.contains("targetAgeSecond (unknown key)"), "{unknown}");
    assert!(unknown.contains("targetAgeSeconds"), "the right one is offered: {unknown}");
}
