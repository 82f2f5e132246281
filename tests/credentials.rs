//! AWS credentials that end, from each place they come from, at a broker that checks
//! each token: they are fetched again in time; a place that fails is told in log and
//! metric; a consumer outlives even the end of its credentials.

#[path = "support/broker.rs"]
mod broker;
#[path = "support/http_request.rs"]
mod http_request;
#[path = "support/secure.rs"]
mod secure;
mod support;

use std::io::Write as _;
use std::net::TcpListener;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Arc, LazyLock};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rdkafka::ClientConfig;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _};
use secure::{ACCESS_KEY, REGION, SECRET_KEY, SESSION, SecureBroker};
use support::{Process, get, tidegate, wait_for};
use tidegate_kafka::{Admin, ConnectionOptions, LagReader};

static BROKER: LazyLock<SecureBroker> = LazyLock::new(SecureBroker::start);
const LIMIT: Duration = Duration::from_secs(60);

/// A server on this machine that gives credentials, while it is not down.
struct Place {
    url: String,
    down: Arc<AtomicBool>,
}

impl Place {
    /// `answer` gets the request's first line.
    fn start(answer: impl Fn(&str) -> String + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("binds");
        let url = format!("http://{}", listener.local_addr().expect("address"));
        let down = Arc::new(AtomicBool::new(false));
        let is_down = Arc::clone(&down);
        std::thread::spawn(move || {
            for mut stream in listener.incoming().flatten() {
                let (asked, _) = http_request::read(&stream).unwrap_or_default();
                let (status, body) = match is_down.load(SeqCst) {
                    true => ("500 Internal Server Error", "out of order".to_owned()),
                    false => ("200 OK", answer(&asked)),
                };
                let head = format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\n\r\n", body.len());
                let _ = stream.write_all((head + &body).as_bytes());
            }
        });
        Self { url, down }
    }
}

fn expiry(lifetime_s: i64) -> String {
    (jiff::Timestamp::now() + jiff::SignedDuration::from_secs(lifetime_s)).to_string()
}

fn json(lifetime_s: i64) -> String {
    format!(
        r#"{{"AccessKeyId":"{ACCESS_KEY}","SecretAccessKey":"{SECRET_KEY}","Token":"{SESSION}","Expiration":"{}"}}"#,
        expiry(lifetime_s)
    )
}

/// A consumer at the listener for tokens.
struct Consumer {
    process: Process,
    topic: &'static str,
    metrics: String,
    _directory: tempfile::TempDir,
}

impl Consumer {
    fn start(topic: &'static str, variables: &[(&str, &str)]) -> Self {
        let admin = Admin::new(&ConnectionOptions::new(BROKER.broker.bootstrap())).expect("admin");
        admin.create_topic(topic, 2, 1, &[]).expect("topic");
        let directory = tempfile::tempdir().expect("directory");
        let [port] = broker::free_ports();
        let metrics = format!("127.0.0.1:{port}");
        let mut command = tidegate();
        for name in ["AWS_PROFILE", "AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_ACCESS_KEY_ID"] {
            command.env_remove(name);
        }
        command
            .args(["consume", "--brokers", &format!("localhost:{}", BROKER.token)])
            .args(["--sasl-mechanism", "AWS_MSK_IAM", "--topic", topic, "--group", topic])
            .args(["--metrics-addr", &metrics, "--tls-ca"])
            .arg(BROKER.file("ca.crt"))
            .arg("--database")
            .arg(format!("sqlite:{}", directory.path().join("db").display()))
            .env("AWS_REGION", REGION)
            .env("AWS_EC2_METADATA_DISABLED", "true")
            .env("AWS_SHARED_CREDENTIALS_FILE", "/nonexistent")
            .envs(variables.iter().copied());
        let process = Process::start(command, directory.path(), "consume");
        Self { process, topic, metrics, _directory: directory }
    }

    fn metric(&self, name: &str) -> Option<f64> {
        let (_, text) = get(&self.metrics, "/metrics")?;
        let line = text.lines().find(|line| line.starts_with(name))?;
        line.rsplit(' ').next()?.parse().ok()
    }

    /// Sends records and waits until the group has committed `committed` in all.
    fn stores(&mut self, count: usize, committed: i64) {
        let mut config = ClientConfig::new();
        let config = config.set("bootstrap.servers", BROKER.broker.bootstrap());
        let producer: BaseProducer = config.create().expect("producer");
        for _ in 0..count {
            // Dead letters count as well: what they hold does not matter here.
            let record = BaseRecord::to(self.topic).key("k").payload("{}");
            producer.send(record).expect("queued");
        }
        producer.flush(LIMIT).expect("acknowledged");
        let connection = ConnectionOptions::new(BROKER.broker.bootstrap());
        let mut reader = LagReader::new(&connection, self.topic, self.topic).expect("reader");
        wait_for(&format!("{committed} committed\n{}", self.process.log()), LIMIT, || {
            self.process.assert_running();
            let offsets = reader.read().ok()?;
            let all: i64 = offsets.iter().map(|partition| partition.committed.unwrap_or(0)).sum();
            (all >= committed).then_some(())
        });
    }

    /// Drains, and has shown no secret.
    fn finish(self) {
        let log = self.process.drain("TERM", LIMIT);
        for secret in [SECRET_KEY, SESSION, "web/token"] {
            assert!(!log.contains(secret), "{secret} in\n{log}");
        }
    }
}

fn now_s() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs_f64()
}

/// Three grants of eight seconds each, the first two of which have ended.
fn outlives_its_credentials(topic: &'static str, variables: &[(&str, &str)]) {
    let mut consumer = Consumer::start(topic, variables);
    consumer.stores(50, 50);
    let first = consumer.metric("tidegate_kafka_token_expiry_timestamp_seconds").expect("shown");
    assert!(first > now_s() && first < now_s() + 9.0, "the credentials' end: {first}");
    wait_for("two renewals, past the first end", LIMIT, || {
        let renewed = consumer.metric("tidegate_kafka_token_refreshes_total")? >= 3.0;
        (renewed && now_s() > first + 1.0).then_some(())
    });
    consumer.stores(50, 100);
    assert_eq!(consumer.metric("tidegate_kafka_token_failures_total"), Some(0.0));
    consumer.finish();
}

fn token_file() -> (tempfile::TempDir, PathBuf) {
    let directory = tempfile::tempdir().expect("directory");
    let file = directory.path().join("token");
    std::fs::write(&file, "web/token").expect("writes");
    (directory, file)
}

#[test]
fn irsa() {
    let (_directory, file) = token_file();
    let sts = Place::start(|asked| {
        assert!(asked.starts_with("POST / "), "{asked}");
        format!(
            "<R><Credentials><AccessKeyId>{ACCESS_KEY}</AccessKeyId>\
             <SecretAccessKey>{SECRET_KEY}</SecretAccessKey><SessionToken>{SESSION}</SessionToken>\
             <Expiration>{}</Expiration></Credentials></R>",
            expiry(8)
        )
    });
    let variables = [
        ("AWS_WEB_IDENTITY_TOKEN_FILE", file.to_str().expect("text")),
        ("AWS_ROLE_ARN", "arn:aws:iam::123456789012:role/reader"),
        ("AWS_ENDPOINT_URL_STS", sts.url.as_str()),
    ];
    outlives_its_credentials("irsa", &variables);
}

#[test]
fn instance_metadata() {
    let imds = Place::start(|asked| match asked.split(' ').nth(1).unwrap_or_default() {
        "/latest/api/token" => "session".to_owned(),
        "/latest/meta-data/iam/security-credentials/" => "reader\n".to_owned(),
        _ => json(8),
    });
    let variables = [
        ("AWS_EC2_METADATA_DISABLED", "false"),
        ("AWS_EC2_METADATA_SERVICE_ENDPOINT", imds.url.as_str()),
    ];
    outlives_its_credentials("imds", &variables);
}

/// The agent of EKS Pod Identity fails until after the credentials have ended.
#[test]
fn a_place_that_fails_is_told_and_survived() {
    let (_directory, file) = token_file();
    let agent = Place::start(|_| json(12));
    let url = format!("{}/v1/credentials", agent.url);
    let variables = [
        ("AWS_CONTAINER_CREDENTIALS_FULL_URI", url.as_str()),
        ("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", file.to_str().expect("text")),
    ];
    let mut consumer = Consumer::start("agent", &variables);
    consumer.stores(50, 50);
    agent.down.store(true, SeqCst);
    wait_for("the metric tells", LIMIT, || {
        (consumer.metric("tidegate_kafka_token_failures_total")? >= 1.0).then_some(())
    });
    let log = consumer.process.log();
    let line = log.lines().find(|line| line.contains("Kafka token not renewed"));
    let line = line.unwrap_or_else(|| panic!("no line tells\n{log}"));
    for part in ["WARN", "container credentials", "500", "expires_in_s", "retry_in_ms"] {
        assert!(line.contains(part), "no {part} in {line}");
    }
    // While the old ones hold, records go on.
    consumer.stores(50, 100);
    let end = consumer.metric("tidegate_kafka_token_expiry_timestamp_seconds").expect("shown");
    wait_for("the credentials have ended", LIMIT, || {
        consumer.process.assert_running();
        (now_s() > end + 3.0).then_some(())
    });
    agent.down.store(false, SeqCst);
    consumer.stores(50, 150);
    assert!(
        consumer.process.log().contains("Kafka tokens are renewed again"),
        "{}",
        consumer.process.log()
    );
    consumer.finish();
}
