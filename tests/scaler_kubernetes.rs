//! `tidegate scaler` beside a Kubernetes API: a pod that dies is fenced, an HPA without its
//! metric is mended, a shadow tells what the HPA wants. The API answers from a list
//! ([`fake_kubernetes`]); broker and consumers are real.

#[path = "support/broker.rs"]
mod broker;
#[path = "support/fake_kubernetes.rs"]
mod fake_kubernetes;
#[path = "support/http_request.rs"]
mod http_request;
#[path = "support/kafka.rs"]
mod kafka;
#[path = "support/scaler.rs"]
mod scaler;
mod support;

use std::time::{Duration, Instant};

use fake_kubernetes::FakeKubernetes;
use kafka::Kafka;
use scaler::{POLL, Scaler, consume, object, said, start};
use support::{get, wait_for};
use tidegate_kafka::ClusterReader;

#[test]
fn a_dead_pods_partitions_move_long_before_its_session_ends() {
    let kafka = Kafka::start();
    let directory = tempfile::tempdir().expect("directory");
    kafka.create_topic("trade-tx", 6);
    let api = FakeKubernetes::start(&["trade-7d9-aaaaa", "trade-7d9-bbbbb"]);
    let bootstrap = kafka.bootstrap();
    let database = format!("sqlite:{}", directory.path().join("trades.db").display());
    let arguments = consume(&bootstrap, "trade-tx", &database);
    let pod = |name: &str| start(directory.path(), name, &arguments, Some(name));
    let (dead, _alive) = (pod("trade-7d9-aaaaa"), pod("trade-7d9-bbbbb"));
    let mut reader = ClusterReader::new(&kafka.connection()).expect("reader");
    let mut clients = move || {
        let of = reader.members(&["tx-trade-workers"]).remove("tx-trade-workers");
        let mut names: Vec<String> =
            of.and_then(Result::ok).unwrap_or_default().into_iter().map(|m| m.client_id).collect();
        names.sort_unstable();
        names
    };
    wait_for("two members", POLL, || (clients().len() == 2).then_some(()));
    let scaler = Scaler::start(
        directory.path(),
        &bootstrap,
        &["--kubernetes-url", &api.url(), "--fence-pods", "--pod-selector", "app=trade"],
    );
    let trades = object("trades", "trade-tx", &[]);
    // The HPA's own count is known, so there is nothing to settle.
    wait_for("the count of the HPA", POLL, || {
        (scaler.metric(&trades).ok()?.value == 2).then_some(())
    });
    wait_for("the watch", POLL, || api.is_watched().then_some(()));

    dead.signal("KILL");
    assert_eq!(clients().len(), 2, "Kafka does not know yet");
    let died = Instant::now();
    api.delete("trade-7d9-aaaaa");
    wait_for("only the living member", POLL, || (clients() == ["trade-7d9-bbbbb"]).then_some(()));
    let took = died.elapsed();
    eprintln!("fenced {} ms after the pod was gone; its session lasts 45 s", took.as_millis());
    assert!(took < Duration::from_secs(10), "{took:?}\n{}", scaler.process.log());
    let metrics = scaler.get("/metrics");
    assert!(
        metrics.contains("tidegate_scaler_fenced_members_total{outcome=\"fenced\"} 1"),
        "{metrics}"
    );
    assert_eq!(api.selectors(), "app%3Dtrade");
}

/// KEDA asked while no scaler answered: the HPA would never ask.
#[test]
fn an_hpa_without_the_metric_is_mended_once_the_scaler_is_asked() {
    let kafka = Kafka::start();
    let directory = tempfile::tempdir().expect("directory");
    kafka.create_topic("trade-tx", 6);
    let api = FakeKubernetes::start(&[]);
    api.take_metric_away();
    let url = api.url();
    let scaler = Scaler::start(directory.path(), &kafka.bootstrap(), &["--kubernetes-url", &url]);
    let has_metric = |value: u8| {
        let line = format!(
            "tidegate_scaler_hpa_has_metric{{namespace=\"trades\",name=\"trades\",\
             group=\"tx-trade-workers\",topic=\"trade-tx\"}} {value}"
        );
        wait_for(&line, POLL, || scaler.get("/metrics").contains(&line).then_some(()));
    };
    // Nobody has asked this scaler for the object: it is not its own to touch.
    wait_for("a list of HPAs", POLL, || (api.lists() >= 2).then_some(()));
    assert!(api.merged().is_empty(), "{:?}", api.merged());

    let trades = object("trades", "trade-tx", &[]);
    wait_for("a metric", POLL, || scaler.metric(&trades).ok());
    let merged = wait_for("an annotation", POLL, || api.merged().first().cloned());
    assert_eq!(
        merged.0,
        "/apis/autoscaling/v2/namespaces/trades/horizontalpodautoscalers/keda-hpa-trades"
    );
    let annotations = merged.1["metadata"]["annotations"].as_object().expect("annotations");
    assert_eq!(annotations.keys().collect::<Vec<_>>(), ["tidegate.without-metric"]);
    has_metric(1);
    let metrics = scaler.get("/metrics");
    let count = "tidegate_scaler_mended_hpas_total{outcome=\"asked\"} 1";
    assert!(metrics.contains(count), "{metrics}");
    let seen = api.lists();
    wait_for("two lists more", POLL, || (api.lists() >= seen + 2).then_some(()));
    assert_eq!(api.merged().len(), 1, "an HPA with its metric is left alone");
    let log = scaler.process.log();
    assert!(log.contains("asked KEDA to look again"), "{log}");
}

const KAFKA_TRIGGER: &str = "\
apiVersion: keda.sh/v1alpha1
kind: ScaledObject
metadata: { name: trades, namespace: trades }
spec:
  scaleTargetRef: { name: trade-tx-consumer }
  minReplicaCount: 0
  maxReplicaCount: 24
  triggers:
  - type: kafka
    metadata:
      bootstrapServers: kafka:9092
      topic: trade-tx
      consumerGroup: tx-trade-workers
      lagThreshold: \"500\"
";

/// Beside each other: what the law would want, what the HPA wants, what the manifest's own
/// trigger makes of the same facts; and nobody is served.
#[test]
fn a_shadow_tells_three_numbers_and_serves_nobody() {
    let kafka = Kafka::start();
    let api = FakeKubernetes::start(&[]);
    let directory = tempfile::tempdir().expect("directory");
    kafka.create_topic("trade-tx", 24);
    let bootstrap = kafka.bootstrap();
    let manifest = directory.path().join("trades.yaml");
    std::fs::write(&manifest, KAFKA_TRIGGER).expect("writes");
    let url = api.url();
    let shadow = [
        ["scaler", "--shadow", "--brokers", &bootstrap].as_slice(),
        &["--scaled-object", manifest.to_str().expect("text"), "--target-age", "5"],
        &["--kubernetes-url", &url, "--metrics-addr", "127.0.0.1:0"],
    ]
    .concat();
    let shadow = start(directory.path(), "shadow", &shadow, None);
    let pages = said(&shadow, "Metrics available at http://").replace("/metrics", "");
    let load = ["produce", "--brokers", &bootstrap, "--rate", "1500", "--metrics-addr", "off"];
    let _load = start(directory.path(), "produce", &load, None);
    let number = |name: &str| -> Option<f64> {
        let (_, text) = get(&pages, "/metrics")?;
        let line = text.lines().find(|line| line.starts_with(&format!("{name}{{")))?;
        line.split_whitespace().nth(1)?.parse().ok()
    };
    let own = wait_for(&format!("three numbers\n{}", shadow.log()), POLL, || {
        let hpa = number("tidegate_scaler_hpa_desired_replicas")?;
        let stock = number("tidegate_scaler_stock_desired_replicas")?;
        let own = number("tidegate_scaler_desired_replicas")?;
        (hpa == 2.0 && stock >= 1.0 && own >= 15.0).then_some(own)
    });
    assert!(own <= 24.0, "{own}");
    let log = shadow.drain("TERM", POLL);
    let line = log.lines().rfind(|line| line.contains(": shadow ")).expect("a line");
    for part in ["object=\"trades/trades\"", "own=", "hpa=\"2\"", "stock=", "why=\"SLO: "] {
        assert!(line.contains(part), "{part} is not in {line}");
    }
    assert!(!log.contains("gRPC"), "{log}");
}
