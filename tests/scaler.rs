//! `tidegate scaler` as KEDA meets it: its calls, a moving lag, a broker that stops. Real
//! broker, real consumers, the binary from outside.

#[path = "support/broker.rs"]
mod broker;
#[path = "support/kafka.rs"]
mod kafka;
#[path = "support/scaler.rs"]
mod scaler;
mod support;

use std::time::{Duration, Instant};

use kafka::Kafka;
use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer as _};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _};
use rdkafka::{Offset, TopicPartitionList};
use scaler::{Metric, POLL, Scaler, consume, object, start};
use support::{Process, wait_for};
use tidegate_autoscale::hpa::{Behavior, Bounds, Hpa, HpaInput, Tolerance, average_value_proposal};
use tidegate_kafka::ClusterReader;
use tidegate_scaler::proto::ScaledObjectRef;
use tonic::Code;

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
