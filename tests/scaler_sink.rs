//! `tidegate scaler` asks the pods about their sink: while they say that it is the limit,
//! none is added. Real broker and members; one test serves the pod's page itself.

#[path = "support/broker.rs"]
mod broker;
#[path = "support/http_request.rs"]
mod http_request;
#[path = "support/kafka.rs"]
mod kafka;
#[path = "support/scaler.rs"]
mod scaler;
mod support;

use std::net::TcpListener;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use kafka::Kafka;
use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use scaler::{POLL, Scaler, consume, object, said, start};
use support::{tidegate, wait_for};
use tidegate_kafka::ClusterReader;

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
