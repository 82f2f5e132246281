//! Every series that the dashboard and the alerts ask for is in a scrape of the running
//! programs, with the labels they select by; or somebody else documents it.

#[path = "support/broker.rs"]
mod broker;
#[path = "support/fake_kubernetes.rs"]
#[allow(dead_code)]
mod fake_kubernetes;
#[path = "support/http_request.rs"]
mod http_request;
mod support;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::Path;
use std::time::Duration;

use broker::{TestBroker, free_ports};
use fake_kubernetes::FakeKubernetes;
use rdkafka::ClientConfig;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _};
use support::{Process, get, tidegate, wait_for};
use tidegate_deploy::observability as deploy;
use tidegate_kafka::{Admin, ConnectionOptions};
use tidegate_scaler::proto::external_scaler_client::ExternalScalerClient;
use tidegate_scaler::proto::{GetMetricsRequest, ScaledObjectRef};
use tonic::transport::Channel;

const LIMIT: Duration = Duration::from_secs(60);
const TOPIC: &str = "trade-tx";
type Series = BTreeMap<String, BTreeSet<String>>;

fn start(directory: &Path, brokers: &str, arguments: &[&str]) -> Process {
    let mut command = tidegate();
    command.args(arguments).args(["--brokers", brokers]);
    Process::start(command, directory, arguments[0])
}

fn scrape(address: &str) -> Option<Series> {
    Some(deploy::scraped(&get(address, "/metrics")?.1))
}

/// One that no decoder takes: a dead letter.
fn send_poison(brokers: &str) {
    let mut config = ClientConfig::new();
    let producer: BaseProducer =
        config.set("bootstrap.servers", brokers).create().expect("producer");
    producer.send(BaseRecord::to(TOPIC).key("a").payload("no trade")).expect("queued");
    producer.flush(Duration::from_secs(10)).expect("acknowledged");
}

/// What KEDA asks for, so that the scaler has an object.
async fn ask_as_keda(address: String) -> Result<(), Box<dyn std::error::Error>> {
    let channel = Channel::from_shared(format!("http://{address}"))?.connect().await?;
    let mut client = ExternalScalerClient::new(channel);
    let metadata = [
        ("scalerAddress", "tidegate-scaler:6000"),
        ("topic", TOPIC),
        ("consumerGroup", "tx-trade-workers"),
        ("targetAgeSeconds", "5"),
    ];
    let object = ScaledObjectRef {
        name: "trades".into(),
        namespace: "trades".into(),
        scaler_metadata: HashMap::from(metadata.map(|(key, value)| (key.into(), value.into()))),
    };
    let spec = client.get_metric_spec(object.clone()).await?.into_inner().metric_specs.remove(0);
    let request =
        GetMetricsRequest { scaled_object_ref: Some(object), metric_name: spec.metric_name };
    client.get_metrics(request).await?;
    Ok(())
}

/// Of the expressions, what neither the scrapes nor the recording rules have.
fn missing(live: &Series) -> Vec<String> {
    let rules = deploy::rules().expect("rules");
    let recorded: BTreeSet<String> = rules.into_iter().filter_map(|rule| rule.record).collect();
    let exporters = deploy::exporters().expect("exporters");
    let theirs: BTreeSet<String> = exporters.into_iter().map(|metric| metric.name).collect();
    let mut missing = Vec::new();
    for expression in deploy::expressions().expect("expressions") {
        let place = &expression.place;
        for name in deploy::names(&expression.text) {
            if !live.contains_key(&name) && !recorded.contains(&name) && !theirs.contains(&name) {
                missing.push(format!("{place}: no program shows {name}"));
            }
        }
        for (name, labels) in deploy::selected_labels(&expression.text) {
            let Some(shown) = live.get(&name) else { continue };
            for label in labels {
                let is_targets = deploy::TARGET_LABELS.contains(&label.as_str());
                if !is_targets && !shown.contains(&label) {
                    missing.push(format!("{place}: {name} has no label {label}"));
                }
            }
        }
    }
    missing
}

#[test]
fn every_metric_of_dashboard_and_alerts_is_in_a_live_scrape() {
    let broker = TestBroker::plain();
    let brokers = broker.bootstrap();
    let admin = Admin::new(&ConnectionOptions::new(brokers)).expect("admin");
    admin.create_topic(TOPIC, 4, 1, &[]).expect("topic");
    let directory = tempfile::tempdir().expect("directory");
    let [consumer, producer, scaler, grpc] = free_ports().map(|port| format!("127.0.0.1:{port}"));
    let database = format!("sqlite:{}", directory.path().join("trades.db").display());
    // Knows the HPA of the object that is asked for.
    let api = FakeKubernetes::start(&[]).url();
    let _programs = [
        vec!["consume", "--database", &database, "--metrics-addr", &consumer],
        vec!["produce", "--rate", "200", "--metrics-addr", &producer],
        vec!["scaler", "--listen", &grpc, "--metrics-addr", &scaler, "--kubernetes-url", &api],
    ]
    .map(|arguments| start(directory.path(), brokers, &arguments));
    send_poison(brokers);
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().expect("runtime");
    wait_for("the scaler answers", LIMIT, || runtime.block_on(ask_as_keda(grpc.clone())).ok());

    let mut last = vec!["no scrape".to_owned()];
    let deadline = std::time::Instant::now() + LIMIT;
    while !last.is_empty() && std::time::Instant::now() < deadline {
        let scrapes = [&consumer, &producer, &scaler].map(|address| scrape(address));
        if let [Some(a), Some(b), Some(c)] = scrapes {
            let live: Series = a.into_iter().chain(b).chain(c).collect();
            last = missing(&live);
        }
        std::thread::park_timeout(Duration::from_millis(100));
    }
    assert!(last.is_empty(), "{last:#?}");
}
