//! Rules that no provider checks: what must be there together, and defaults that fit.

use std::path::Path;

use hcl::structure::Body;

fn read(path: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy").join(path);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The default of a variable, as written.
fn default(path: &str, variable: &str) -> hcl::Expression {
    let body: Body = hcl::parse(&read(path)).expect("HCL");
    body.blocks()
        .find(|block| block.labels().first().is_some_and(|label| label.as_str() == variable))
        .and_then(|block| block.body().attributes().find(|a| a.key() == "default"))
        .map(|attribute| attribute.expr().clone())
        .unwrap_or_else(|| panic!("{path}: {variable} has no default"))
}

fn number(path: &str, variable: &str) -> i64 {
    match default(path, variable) {
        hcl::Expression::Number(number) => number.as_i64().expect("a whole number"),
        other => panic!("{path}: {variable} = {other}"),
    }
}

#[test]
fn auto_mode_has_its_three_parts_together() {
    let body: Body = hcl::parse(&read("terraform/modules/eks/main.tf")).expect("HCL");
    let cluster = body
        .blocks()
        .find(|block| block.labels().first().is_some_and(|l| l.as_str() == "aws_eks_cluster"))
        .expect("the cluster");
    for path in [
        &["compute_config"][..],
        &["kubernetes_network_config", "elastic_load_balancing"],
        &["storage_config", "block_storage"],
    ] {
        let inner = path.iter().fold(cluster, |block, name| {
            block
                .body()
                .blocks()
                .find(|inner| inner.identifier() == *name)
                .unwrap_or_else(|| panic!("{path:?} is missing"))
        });
        let enabled = inner.body().attributes().find(|attribute| attribute.key() == "enabled");
        assert_eq!(
            enabled.map(|attribute| attribute.expr().clone()),
            Some(hcl::Expression::Bool(true)),
            "{path:?}"
        );
    }
}

#[test]
fn a_broker_may_be_lost_and_no_pod_is_idle_for_want_of_a_partition() {
    for path in ["terraform/variables.tf", "terraform/modules/msk/variables.tf"] {
        let replication = number(path, "replication_factor");
        assert!(number(path, "min_insync_replicas") < replication, "{path}");
        assert!(replication <= number(path, "broker_count"), "{path}");
    }
    let partitions = number("terraform/variables.tf", "partitions");
    assert!(number("terraform/variables.tf", "max_consumers") <= partitions);
    let divisors = (1..=partitions).filter(|n| partitions % n == 0).count();
    assert!(divisors >= 12, "{partitions} has only {divisors} divisors");
}

#[derive(serde::Deserialize)]
struct Values {
    consumer: Consumer,
    scaling: Scaling,
    scaler: Scaler,
}

#[derive(serde::Deserialize)]
#[serde(rename_all = "camelCase")]
struct Consumer {
    drain_timeout_seconds: u64,
    pod_disruption_budget: Budget,
}

#[derive(serde::Deserialize)]
#[serde(rename_all = "camelCase")]
struct Budget {
    max_unavailable: String,
}

#[derive(serde::Deserialize)]
#[serde(rename_all = "camelCase")]
struct Scaling {
    max_replicas: i64,
    min_replicas: i64,
    stock: Stock,
}

#[derive(serde::Deserialize)]
#[serde(rename_all = "camelCase")]
struct Stock {
    offset_reset_policy: String,
}

#[derive(serde::Deserialize)]
struct Scaler {
    replicas: i64,
}

#[test]
fn the_charts_defaults_fit_each_other_and_terraforms() {
    let values: Values =
        serde_saphyr::from_str(&read("helm/tidegate/values.yaml")).expect("values.yaml");
    assert_eq!(values.scaling.max_replicas, number("terraform/variables.tf", "max_consumers"));
    assert!(
        values.scaling.min_replicas > 0 || values.scaling.stock.offset_reset_policy == "earliest"
    );
    assert!(values.scaler.replicas >= 2, "a scaler that restarts must not stop decisions");
    assert!(values.consumer.drain_timeout_seconds + 10 <= 600);
    let percent: u32 = values
        .consumer
        .pod_disruption_budget
        .max_unavailable
        .trim_end_matches('%')
        .parse()
        .expect("a percentage");
    assert!(
        (1..=50).contains(&percent),
        "a drain of nodes must go on and leave most pods: {percent} %"
    );
}
