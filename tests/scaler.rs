//! `tidegate scaler` as KEDA meets it: its calls, a moving lag, a broker that stops, a
//! pod that dies. Real broker, real consumers, the binary from outside.

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

use std::net::TcpListener;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use fake_kubernetes::FakeKubernetes;
use kafka::Kafka;
use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer as _};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _};
use rdkafka::{Offset, TopicPartitionList};
use scaler::{Metric, POLL, Scaler, object, said};
use support::{Process, get, tidegate, wait_for};
use tidegate_autoscale::hpa::{Behavior, Bounds, Hpa, HpaInput, Tolerance, average_value_proposal};
use tidegate_kafka::ClusterReader;
use tidegate_scaler::proto::ScaledObjectRef;
use tonic::Code;

fn start(directory: &Path, name: &str, arguments: &[&str], pod: Option<&str>) -> Process {
    let mut command = tidegate();
    command.args(arguments).envs(pod.map(|pod| ("POD_NAME", pod)));
    Process::start(command, directory, name)
}

/// What an HPA without tolerance and window makes of a metric.
fn hpa(spec: i32, metric: &Metric) -> i32 {
    let mut behavior = Behavior::default();
    behavior.scale_down.stabilization_window_s = Some(0);
    behavior.scale_up.policies[0].value = 1000;
    let none = Tolerance { up: 0.0, down: 0.0 };
    let proposal = average_value_proposal(&[metric.value * 1000], metric.target * 1000, spec, none);
    let input = HpaInput {
        spec_replicas: spec,
        bounds: Bounds { min: 1, max: 24 },
        behavior: Some(&behavior),
        proposals: &[Some(proposal)],
        now_ms: 0,
    };
    Hpa::default().step(input).desired
}

fn consume<'a>(kafka: &'a str, topic: &'a str, database: &'a str) -> Vec<&'a str> {
    vec![
        "consume",
        "--brokers",
        kafka,
        "--topic",
        topic,
        "--database",
        database,
        "--metrics-addr",
        "off",
        "--protocol",
        "consumer",
    ]
}

#[test]
fn keda_polls_syncs_and_is_pushed_over_a_moving_lag() {
    let kafka = Kafka::start();
    let directory = tempfile::tempdir().expect("directory");
    kafka.create_topic("trade-tx", 24);
    let scaler = Scaler::start(directory.path(), &kafka.bootstrap(), &[]);
    let trades = object(
        "trades",
        "trade-tx",
        &[
            ("targetAgeSeconds", "5"),
            ("maxReplicas", "24"),
            ("podRatePerSecond", "100"),
            ("podStartSeconds", "2"),
            ("cooldownSeconds", "2"),
            ("holdSeconds", "2"),
        ],
    );

    serves_health(&scaler);
    says_what_is_wrong(&scaler);

    // Nothing there: no pod.
    // A topic's leader may not know yet that it is one.
    let at_zero = wait_for("the new topic", POLL, || scaler.metric(&trades).ok());
    let expected = Metric { name: "tidegate-pods".into(), target: 1, value: 0, active: false };
    assert_eq!(at_zero, expected);
    let mut stream = scaler.stream(&trades);
    assert!(!scaler.next(&mut stream), "the state comes at once");

    // A first record is pushed.
    let producer: BaseProducer = ClientConfig::new()
        .set("bootstrap.servers", kafka.bootstrap())
        .set("linger.ms", "0")
        .create()
        .expect("producer");
    producer.send(BaseRecord::to("trade-tx").key("a").payload("{}")).expect("sent");
    producer.flush(Duration::from_secs(10)).expect("acknowledged");
    let acknowledged = Instant::now();
    assert!(scaler.next(&mut stream), "a record waits");
    let took = acknowledged.elapsed();
    eprintln!("pushed {} ms after the record was acknowledged", took.as_millis());
    assert!(took <= Duration::from_secs(1), "{took:?}");

    // Load without anybody: as many pods as it needs, and the HPA takes exactly that.
    let bootstrap = kafka.bootstrap();
    let load = ["produce", "--brokers", &bootstrap, "--rate", "1500", "--metrics-addr", "off"];
    let load = start(directory.path(), "produce", &load, None);
    let mut replicas = 1;
    let wanted = wait_for("pods for the load", POLL, || {
        let metric = scaler.metric(&trades).ok()?;
        replicas = hpa(replicas, &metric);
        assert_eq!(i64::from(replicas), metric.value.max(1), "{metric:?}");
        assert!(metric.active);
        (metric.value >= 20).then_some(metric.value)
    });
    assert!(wanted <= 24, "{wanted}");

    // A pod that is faster than the guess takes the load; then nothing is left.
    let database = format!("sqlite:{}", directory.path().join("trades.db").display());
    let pod = consume(&bootstrap, "trade-tx", &database);
    let pod = start(directory.path(), "consume", &pod, None);
    wait_for("the member is seen", POLL, || {
        scaler
            .get("/metrics")
            .contains(
                "tidegate_scaler_group_members{namespace=\"trades\",name=\"trades\",\
                 group=\"tx-trade-workers\",topic=\"trade-tx\"} 1.0",
            )
            .then_some(())
    });
    load.drain("TERM", POLL);
    wait_for("inactive again", POLL, || (!scaler.is_active(&trades).ok()?).then_some(()));
    while scaler.next(&mut stream) {}

    let decisions: serde_json::Value =
        serde_json::from_str(&scaler.get("/decisions?name=trades")).expect("JSON");
    let decisions = decisions["trades/trades"].as_array().expect("decisions").clone();
    let at = |decision: &serde_json::Value| decision["at_ms"].as_i64().expect("time");
    assert!(decisions.windows(2).all(|pair| at(&pair[0]) <= at(&pair[1])), "the newest is last");
    assert!(decisions.iter().any(|decision| decision["to"].as_i64() == Some(wanted)));

    markers_are_not_lag(&kafka, &scaler);
    pod.drain("TERM", POLL);
    // A stream that is open does not keep it.
    scaler.process.drain("TERM", POLL);
}

fn serves_health(scaler: &Scaler) {
    let mut health = tonic_health::pb::health_client::HealthClient::new(scaler.channel.clone());
    let request =
        tonic_health::pb::HealthCheckRequest { service: "externalscaler.ExternalScaler".into() };
    let answer = scaler.runtime.block_on(async { health.check(request).await }).expect("health");
    assert_eq!(answer.into_inner().status, 1, "serving");
    assert_eq!(scaler.get("/healthz"), "ok\n");
    assert_eq!(scaler.get("/readyz"), "ok\n");
}

fn says_what_is_wrong(scaler: &Scaler) {
    let refused = |object: ScaledObjectRef| scaler.metric(&object).expect_err("refused");
    let error = refused(object("so", "trade-tx", &[("targetAgeSeconds", "-1")]));
    assert_eq!(error.code(), Code::InvalidArgument);
    assert_eq!(
        error.message(),
        "trades/so: metadata.targetAgeSeconds = \"-1\": allowed is 0.1 to 86400"
    );
    let error = refused(object("so", "trade-tx", &[("bootstrapServers", "elsewhere:9092")]));
    assert_eq!(error.code(), Code::InvalidArgument);
    assert!(error.message().contains("elsewhere:9092"), "{error:?}");
    let error = refused(object("so", "no-such-topic", &[]));
    assert_eq!(error.code(), Code::NotFound);
    assert!(error.message().contains("topic no-such-topic does not exist"), "{error:?}");
}

/// Three records and a commit marker; the group committed the third.
fn markers_are_not_lag(kafka: &Kafka, scaler: &Scaler) {
    kafka.create_topic("transacted", 1);
    let producer: BaseProducer = ClientConfig::new()
        .set("bootstrap.servers", kafka.bootstrap())
        .set("transactional.id", "test")
        .create()
        .expect("producer");
    let timeout = Duration::from_secs(30);
    producer.init_transactions(timeout).expect("transactions");
    let transact = |records: i32| {
        producer.begin_transaction().expect("begins");
        for _ in 0..records {
            producer.send(BaseRecord::to("transacted").key("k").payload("v")).expect("sent");
        }
    };
    transact(3);
    producer.commit_transaction(timeout).expect("commits");
    let group: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", kafka.bootstrap())
        .set("group.id", "markers")
        .create()
        .expect("client");
    let commit = |offset: i64| {
        let mut list = TopicPartitionList::new();
        list.add_partition_offset("transacted", 0, Offset::Offset(offset)).expect("offset");
        group.commit(&list, CommitMode::Sync).expect("committed");
    };
    commit(2);
    let stock = object(
        "markers",
        "transacted",
        &[("law", "stock"), ("lagThreshold", "10"), ("consumerGroup", "markers")],
    );
    let lag = || scaler.metric(&stock).expect("metric");
    wait_for("a record and a marker", POLL, || (lag().value == 2).then_some(()));
    commit(3);
    wait_for("only the marker is left", POLL, || (lag().value == 0).then_some(()));
    assert!(!lag().active, "it may go to zero");
    transact(5);
    producer.flush(timeout).expect("flushed");
    producer.abort_transaction(timeout).expect("aborts");
    transact(1);
    producer.commit_transaction(timeout).expect("commits");
    wait_for("a real record behind aborted ones", POLL, || lag().active.then_some(()));
    let end = group.fetch_watermarks("transacted", 0, timeout).expect("end").1;
    commit(end - 1);
    wait_for("only the second marker is left", POLL, || (!lag().active).then_some(()));
}

#[test]
fn a_stopped_broker_holds_the_count_and_a_restart_changes_nothing() {
    let mut kafka = Kafka::start();
    let directory = tempfile::tempdir().expect("directory");
    kafka.create_topic("trade-tx", 4);
    let bootstrap = kafka.bootstrap();
    let databases: Vec<String> = (0..3)
        .map(|_| format!("sqlite:{}", directory.path().join("trades.db").display()))
        .collect();
    let _pods: Vec<Process> = databases
        .iter()
        .enumerate()
        .map(|(index, database)| {
            let arguments = consume(&bootstrap, "trade-tx", database);
            start(directory.path(), &format!("pod-{index}"), &arguments, None)
        })
        .collect();
    let mut members = ClusterReader::new(&kafka.connection()).expect("reader");
    wait_for("three members", POLL, || {
        let of = members.members(&["tx-trade-workers"]).remove("tx-trade-workers")?.ok()?;
        (of.len() == 3).then_some(())
    });

    // Three pods with nothing to do, which are not to be taken away: a long hold.
    let settings = [
        ("podStartSeconds", "5"),
        ("staleAfterSeconds", "4"),
        ("cooldownSeconds", "3600"),
        ("minReplicas", "1"),
        ("holdSeconds", "3600"),
    ];
    let plain = object("plain", "trade-tx", &settings);
    let with_fallback = [&settings[..], &[("fallbackReplicas", "7")]].concat();
    let falls_back = object("falls-back", "trade-tx", &with_fallback);
    let first = Scaler::start(directory.path(), &kafka.bootstrap(), &[]);
    let error = first.metric(&plain).expect_err("members are counted first");
    assert_eq!(error.code(), Code::Unavailable);
    assert!(error.message().contains("counting the group's members"), "{error:?}");
    assert!(first.is_active(&plain).expect("active"), "pods that are there stay");
    wait_for("settled", POLL, || (first.metric(&plain).ok()?.value == 3).then_some(()));
    wait_for("settled", POLL, || (first.metric(&falls_back).ok()?.value == 3).then_some(()));

    let stopped = Instant::now();
    kafka.stop();
    let error = wait_for("an error with the reason", POLL, || match first.metric(&plain) {
        Ok(metric) => {
            assert_eq!(metric.value, 3, "held");
            None
        }
        Err(error) => Some(error),
    });
    assert!(stopped.elapsed() >= Duration::from_secs(4), "held for {:?}", stopped.elapsed());
    assert_eq!(error.code(), Code::Unavailable);
    for part in ["trades/plain", &bootstrap, "3 pods were held", "fallbackReplicas"] {
        assert!(error.message().contains(part), "{part}: {error:?}");
    }
    let value = |object| first.metric(object).expect("the fallback is no error").value;
    wait_for("the fallback", POLL, || (value(&falls_back) == 7).then_some(()));
    assert_eq!(first.get("/readyz"), "ok\n", "it is still to be asked");

    kafka.start_again();
    wait_for("back without a jump", POLL, || (first.metric(&plain).ok()?.value == 3).then_some(()));
    wait_for("all members are back", POLL, || {
        let of = members.members(&["tx-trade-workers"]).remove("tx-trade-workers")?.ok()?;
        (of.len() == 3).then_some(())
    });
    first.process.drain("TERM", POLL);

    let second = Scaler::start(directory.path(), &kafka.bootstrap(), &[]);
    wait_for("the same count after a restart", POLL, || match second.metric(&plain) {
        Ok(metric) => {
            assert_eq!(metric.value, 3, "no jump");
            Some(())
        }
        Err(error) => {
            assert_eq!(error.code(), Code::Unavailable, "{error:?}");
            None
        }
    });
}

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

/// Answers every GET with what `page` is at the time, on a thread that ends with the test.
fn serve(page: &Arc<Mutex<String>>) -> u16 {
    use std::io::Write as _;
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("listens");
    let port = listener.local_addr().expect("address").port();
    let page = Arc::clone(page);
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let Ok((request, _)) = http_request::read(&stream) else { continue };
            assert_eq!(request, "GET /metrics HTTP/1.1");
            let body = page.lock().expect("page").clone();
            let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len());
            let _ = stream.write_all((head + &body).as_bytes());
        }
    });
    port
}

fn consumer_page(limited: u8) -> String {
    format!(
        "tidegate_assigned_partitions 24\ntidegate_sink_limited {limited}.0\n\
         tidegate_batch_limit_records 100.0\ntidegate_writes_limit 1.0\n\
         tidegate_sink_fixed_seconds 1.0\ntidegate_sink_row_seconds 0.0\n# EOF\n"
    )
}

fn explain(source: &str, name: &str) -> String {
    let output = tidegate().args(["explain", source, "--name", name]).output();
    let output = output.expect("tidegate runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("text")
}

/// A load for 24 pods and one member that says it waits for its database: more pods
/// would not help, so none is ordered, until it says something else.
#[test]
fn while_the_pods_say_that_the_sink_is_the_limit_none_is_added() {
    let kafka = Kafka::start();
    let directory = tempfile::tempdir().expect("directory");
    kafka.create_topic("trade-tx", 24);
    let bootstrap = kafka.bootstrap();
    let member: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", &bootstrap)
        .set("group.id", "tx-trade-workers")
        .set("auto.offset.reset", "earliest")
        .create()
        .expect("client");
    member.subscribe(&["trade-tx"]).expect("subscribes");
    // Polls, so that it stays a member, and stores nothing.
    std::thread::spawn(move || {
        loop {
            let _ = member.poll(Duration::from_millis(100));
        }
    });
    // A scaler that sees nobody first wants nobody for nothing, and would go on to.
    let mut members = ClusterReader::new(&kafka.connection()).expect("reader");
    wait_for("the member is in the group", POLL, || {
        let of = members.members(&["tx-trade-workers"]).remove("tx-trade-workers")?.ok()?;
        (of.len() == 1).then_some(())
    });
    let page = Arc::new(Mutex::new(consumer_page(1)));
    let port = serve(&page).to_string();
    let settings = [
        ("targetAgeSeconds", "5"),
        ("maxReplicas", "24"),
        ("podRatePerSecond", "100"),
        ("podStartSeconds", "2"),
        ("podMetricsPort", port.as_str()),
    ];
    let trades = object("trades", "trade-tx", &settings);
    let scaler = Scaler::start(directory.path(), &bootstrap, &["--log-format", "json"]);
    let url = format!("http://{}", scaler.http);
    wait_for("its one member", POLL, || (scaler.metric(&trades).ok()?.value == 1).then_some(()));
    wait_for("the pod's word", POLL, || {
        let says = "tidegate_scaler_sink_limited{namespace=\"trades\",name=\"trades\",\
                    group=\"tx-trade-workers\",topic=\"trade-tx\"} 1.0";
        scaler.get("/metrics").contains(says).then_some(())
    });
    let load = ["produce", "--brokers", &bootstrap, "--rate", "1500", "--metrics-addr", "off"];
    let _load = start(directory.path(), "produce", &load, None);
    let newest = || -> serde_json::Value {
        let text = scaler.get("/decisions?name=trades&last=1");
        let all: serde_json::Value = serde_json::from_str(&text).expect("JSON");
        all["trades/trades"][0].clone()
    };
    wait_for("a load that one pod cannot take", POLL, || {
        let terms = &newest()["terms"];
        let wanted = terms["wanted_replicas"].as_i64()?;
        (wanted >= 15 && terms["term"] == "sink").then_some(())
    });
    assert_eq!(scaler.metric(&trades).expect("metric").value, 1, "and yet none is added");
    let story = explain(&url, "trades/trades");
    assert!(story.contains(": stay at 1 pod (slo law)\n"), "{story}");
    assert!(story.contains("why        the sink is the limit; more pods cannot help\n"), "{story}");

    *page.lock().expect("page") = consumer_page(0);
    wait_for("pods for the load", POLL, || {
        (scaler.metric(&trades).ok()?.value >= 15).then_some(())
    });
    let story = explain(&url, "trades/trades");
    assert!(story.contains(" to ") && story.contains("limit      "), "{story}");

    // Its log tells the same of the decision that changed the count.
    let log = directory.path().join("kept.log");
    std::fs::write(&log, scaler.process.log()).expect("writes");
    let story = explain(log.to_str().expect("text"), "trades/trades");
    for part in [" to ", " pods (slo law)\n", "records a second arrive"] {
        assert!(story.contains(part), "{part:?} is not in {story}");
    }
    assert!(
        scaler.get("/metrics").contains("tidegate_scaler_pods_asked_total{outcome=\"answered\"}")
    );
}

/// The page of a real consumer is understood, at an address that the scaler is given.
#[test]
fn a_real_consumers_page_is_read() {
    let kafka = Kafka::start();
    let directory = tempfile::tempdir().expect("directory");
    kafka.create_topic("trade-tx", 4);
    let bootstrap = kafka.bootstrap();
    let database = format!("sqlite:{}", directory.path().join("trades.db").display());
    let mut pod = consume(&bootstrap, "trade-tx", &database);
    let off = pod.iter().position(|word| *word == "off").expect("an address");
    pod[off] = "127.0.0.1:0";
    let pod = start(directory.path(), "consume", &pod, None);
    let port = said(&pod, "Metrics available at :").replace("/metrics", "");
    let given = format!("tx-trade-workers=localhost:{port}");
    let scaler = Scaler::start(directory.path(), &bootstrap, &["--pod-metrics", &given]);
    let trades = object("trades", "trade-tx", &[]);
    wait_for(&format!("its word\n{}", scaler.process.log()), POLL, || {
        let _ = scaler.metric(&trades);
        let says = "tidegate_scaler_sink_limited{namespace=\"trades\",name=\"trades\",\
                    group=\"tx-trade-workers\",topic=\"trade-tx\"} 0.0";
        scaler.get("/metrics").contains(says).then_some(())
    });
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
