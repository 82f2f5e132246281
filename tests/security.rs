//! Every way to be trusted, and every way not to be, on a real broker.
//!
//! One broker for all, with a listener for each. A way that works is shown with
//! every client there is (admin, producer, lag reader, cluster reader, group member,
//! fencing); one that does not, with the binary: one line, exit code 1, within seconds.

#[path = "support/broker.rs"]
mod broker;
#[path = "support/http_request.rs"]
mod http_request;
#[path = "support/secure.rs"]
mod secure;
mod support;

use std::io::Write;
use std::net::TcpListener;
use std::process::{Command, Output, Stdio};
use std::sync::{LazyLock, Mutex};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rdkafka::ClientConfig;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _};
use secure::{ACCESS_KEY, KEY_PASSWORD, PASSWORD, REGION, SECRET_KEY, SESSION, SecureBroker, USER};
use support::{get, signal, tidegate, wait_for};
use tidegate_kafka::{
    Admin, ClusterReader, ConnectionOptions, GroupConsumer, GroupEvent, GroupOptions,
    GroupProtocol, GroupTopic, LagReader, OidcOptions, OutgoingRecord, Producer, ProducerOptions,
    SaslMechanism, Secret, SecurityProtocol, StartPosition, cluster, fence,
};

static BROKER: LazyLock<SecureBroker> = LazyLock::new(SecureBroker::start);
const SECONDS: Duration = Duration::from_secs(60);

/// Uses every client of the library with these options.
fn every_client_works(name: &str, connection: &ConnectionOptions) {
    let topic = format!("t-{name}");
    connection.validate().expect("valid");
    let admin = Admin::new(connection).expect("admin");
    admin.wait_ready(SECONDS).unwrap_or_else(|error| panic!("{name}: {error}"));
    let found = cluster(connection).unwrap_or_else(|error| panic!("{name}: {error}"));
    assert!(found.id.is_some(), "{name}");
    admin.create_topic(&topic, 1, 1, &[]).unwrap_or_else(|error| panic!("{name}: {error}"));
    admin.pin_start_offsets(&topic, &topic).unwrap_or_else(|error| panic!("{name}: {error}"));

    let producer = Producer::new(
        connection,
        &ProducerOptions::default(),
        Box::new(|delivery| {
            delivery.result.expect("delivered");
        }),
    )
    .expect("producer");
    for token in 0..3 {
        let record = OutgoingRecord {
            topic: &topic,
            key: b"k",
            payload: Some(b"{}"),
            // An old record would soon be deleted by the topic's retention.
            timestamp_ms: now_ms(),
            headers: &[],
            token,
        };
        producer.send(record).expect("queued");
    }
    producer.flush(SECONDS).unwrap_or_else(|error| panic!("{name}: {error}"));
    let lag = LagReader::new(connection, &topic, &topic).expect("reader").read();
    assert_eq!(lag.unwrap_or_else(|error| panic!("{name}: {error}"))[0].lag_records(), 3, "{name}");

    let want = GroupTopic { group: topic.clone(), topic: topic.clone() };
    let mut cluster = ClusterReader::new(connection).expect("reader");
    match &cluster.read(&[want])[0] {
        Ok(partitions) => assert_eq!(partitions[0].lag_records(), 3, "{name}"),
        Err(error) => panic!("{name}: {error}"),
    }

    let options = GroupOptions {
        connection: connection.clone(),
        group: topic.clone(),
        topic,
        ..GroupOptions::default()
    };
    let group = options.group.clone();
    let (handle, mut events) = GroupConsumer::spawn(options).expect("joins");
    assert_eq!(handle.status().protocol, GroupProtocol::Consumer, "{name}: asked on the wire");
    let mut received = 0;
    while received < 3 {
        match events.blocking_recv() {
            Some(GroupEvent::Assign { partitions, reply }) => reply.send(
                partitions
                    .into_iter()
                    .map(|partition| StartPosition { partition, next_offset: Some(0) })
                    .collect(),
            ),
            Some(GroupEvent::Records(records)) => received += records.len(),
            other => panic!("{name}: {other:?}"),
        }
    }
    let member = handle.status().member_id.expect("joined");
    fence::remove_member_blocking(connection, &group, &member, GroupProtocol::Consumer)
        .unwrap_or_else(|error| panic!("{name}: {error}"));
    drop((handle, events));
}

fn token_options(mechanism: SaslMechanism) -> ConnectionOptions {
    let mut options = BROKER.options(BROKER.token);
    options.security.sasl_mechanism = Some(mechanism);
    options
}

fn now_ms() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_millis() as i64
}

fn jwt(lifetime_s: i64) -> String {
    let expiry_s = now_ms() / 1000 + lifetime_s;
    let claims = format!(r#"{{"sub":"tidegate-test","exp":{expiry_s}}}"#);
    format!("e30.{}.c2ln", URL_SAFE_NO_PAD.encode(claims))
}

/// Answers every request with this JSON, on a thread that ends with the process.
fn serve_json(answer: impl Fn() -> String + Send + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("binds");
    let url = format!("http://{}", listener.local_addr().expect("address"));
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.expect("accepts");
            let _ = http_request::read(&stream);
            let body = answer();
            let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len());
            let _ = stream.write_all((head + &body).as_bytes());
        }
    });
    url
}

#[test]
fn tls_with_an_authority_of_our_own() {
    every_client_works("tls", &BROKER.options(BROKER.tls));
}

#[test]
fn mutual_tls_also_with_a_locked_key() {
    let mut options = BROKER.options(BROKER.mutual);
    options.security.tls_certificate = Some(BROKER.file("client.crt"));
    options.security.tls_key = Some(BROKER.file("client.key"));
    every_client_works("mutual", &options);

    options.security.tls_key = Some(BROKER.file("client-locked.key"));
    options.security.tls_key_password = Some(Secret::value(KEY_PASSWORD));
    every_client_works("mutual-locked", &options);
    options.security.tls_key_password = Some(Secret::value("not the pass phrase"));
    let error = fence::remove_member_blocking(&options, "g", "m", GroupProtocol::Classic)
        .expect_err("it stays locked")
        .to_string();
    assert!(error.contains("the pass phrase does not open it"), "{error}");
}

#[test]
fn user_and_password_three_ways() {
    for mechanism in [SaslMechanism::Plain, SaslMechanism::ScramSha256, SaslMechanism::ScramSha512]
    {
        let mut options = BROKER.with_user(BROKER.sasl);
        options.security.sasl_mechanism = Some(mechanism);
        every_client_works(&mechanism.to_string(), &options);
    }
    let mut options = BROKER.with_user(BROKER.sasl_plain);
    options.security.tls_ca = None;
    options.security.security_protocol = SecurityProtocol::SaslPlaintext;
    options.security.sasl_mechanism = Some(SaslMechanism::ScramSha512);
    every_client_works("without-tls", &options);
}

#[test]
fn a_given_token_and_one_fetched_by_openid_connect() {
    let mut options = token_options(SaslMechanism::OAuthBearer);
    options.security.sasl_token = Some(Secret::value(jwt(600)));
    every_client_works("token", &options);

    let mut options = token_options(SaslMechanism::OAuthBearer);
    let url = serve_json(|| format!(r#"{{"access_token":"{}","expires_in":600}}"#, jwt(600)));
    options.security.oidc = Some(OidcOptions {
        token_url: format!("{url}/token"),
        client_id: "tidegate".into(),
        client_secret: Secret::value("oidc-s3cret"),
        scope: None,
    });
    every_client_works("oidc", &options);
    assert_eq!(options.token_status().expect("has one").refreshes_total, 1, "one for all clients");
}

/// The binary with the flags of a listener; its environment holds no AWS settings
/// but the given ones.
fn binary(command: &str, port: u16, variables: &[(&str, &str)]) -> Command {
    let mut tidegate = tidegate();
    for name in ["AWS_PROFILE", "AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_SESSION_TOKEN"] {
        tidegate.env_remove(name);
    }
    tidegate
        .arg(command)
        .args(["--brokers", &format!("localhost:{port}")])
        .env("TIDEGATE_METRICS_ADDR", "off")
        .env("AWS_EC2_METADATA_DISABLED", "true")
        .env("AWS_SHARED_CREDENTIALS_FILE", "/nonexistent")
        .envs(variables.iter().copied())
        .stdin(Stdio::null());
    tidegate
}

fn with_ca(mut command: Command, ca: &str) -> Command {
    command.arg("--tls-ca").arg(BROKER.file(ca));
    command
}

/// Sends trades and a record that is none, and consumes them into a database and a topic
/// of dead letters, through the binary, while `meanwhile` looks; the consumer drains on
/// SIGTERM.
fn binary_works(
    topic: &str,
    port: u16,
    arguments: &[&str],
    variables: &[(&str, &str)],
    metrics: &str,
    meanwhile: impl FnOnce(&dyn Fn() -> i64),
) {
    let admin = Admin::new(&ConnectionOptions::new(BROKER.broker.bootstrap())).expect("admin");
    admin.create_topic(topic, 2, 1, &[]).expect("topic");
    let dead = format!("{topic}-dead");
    admin.create_topic(&dead, 1, 1, &[]).expect("topic");
    let directory = tempfile::tempdir().expect("directory");
    let database = directory.path().join("db");
    let log = std::fs::File::create(directory.path().join("log")).expect("log");
    let mut consumer = with_ca(binary("consume", port, variables), "ca.crt")
        .args(arguments)
        .args(["--topic", topic, "--group", topic, "--dead-letter-topic", &dead, "--database"])
        .arg(format!("sqlite:{}", database.display()))
        .args(["--metrics-addr", metrics])
        .stdout(Stdio::null())
        .stderr(log)
        .spawn()
        .expect("starts");
    let mut produce = with_ca(binary("produce", port, variables), "ca.crt");
    produce.args(arguments).args(["--topic", topic, "--rate", "100", "--duration", "1"]);
    let produced = produce.output().expect("runs");
    let said = String::from_utf8_lossy(&produced.stderr).into_owned();
    assert!(produced.status.success(), "{said}");
    let connection = ConnectionOptions::new(BROKER.broker.bootstrap());
    let mut plain = ClientConfig::new();
    plain.set("bootstrap.servers", BROKER.broker.bootstrap());
    let producer: BaseProducer = plain.create().expect("producer");
    producer.send(BaseRecord::to(topic).key("k").payload("{")).expect("queued");
    producer.flush(Duration::from_secs(20)).expect("acknowledged");
    let read = |topic: &str| LagReader::new(&connection, topic, topic).expect("reader").read();
    let lag = || {
        let offsets = read(topic).expect("reads");
        offsets.iter().map(|partition| partition.committed.unwrap_or(0)).sum()
    };
    let logged = || std::fs::read_to_string(directory.path().join("log")).unwrap_or_default();
    wait_for("101 records committed", SECONDS, || (lag() >= 101).then_some(()));
    let letters: i64 =
        read(&dead).expect("reads").iter().filter_map(|partition| partition.end).sum();
    assert_eq!(letters, 1, "letters in the topic");
    meanwhile(&lag);
    signal(consumer.id(), "TERM");
    let status = consumer.wait().expect("ends");
    assert!(status.success(), "{}", logged());
    for secret in [PASSWORD, SECRET_KEY, SESSION] {
        assert!(!said.contains(secret) && !logged().contains(secret), "{said}{}", logged());
    }
}

#[test]
fn the_binary_takes_a_password_from_a_file_and_the_rest_from_variables() {
    let directory = tempfile::tempdir().expect("directory");
    let password = directory.path().join("password");
    std::fs::write(&password, format!("{PASSWORD}\n")).expect("writes");
    binary_works(
        "cli-scram",
        BROKER.sasl,
        &["--sasl-password-file", password.to_str().expect("text")],
        &[("KAFKA_SASL_MECHANISM", "SCRAM-SHA-512"), ("KAFKA_SASL_USERNAME", USER)],
        "off",
        |_| (),
    );
}

#[test]
fn iam_with_keys_in_variables() {
    binary_works(
        "iam-keys",
        BROKER.token,
        &["--sasl-mechanism", "AWS_MSK_IAM"],
        &[
            ("AWS_REGION", REGION),
            ("AWS_ACCESS_KEY_ID", ACCESS_KEY),
            ("AWS_SECRET_ACCESS_KEY", SECRET_KEY),
            ("AWS_SESSION_TOKEN", SESSION),
        ],
        "off",
        |_| (),
    );
}

/// Credentials of EKS Pod Identity that live for ten seconds: the token never
/// outlives them, they are fetched again in time, the connections authenticate
/// again, and records go on.
#[test]
fn iam_with_pod_identity_goes_on_when_credentials_expire() {
    let directory = tempfile::tempdir().expect("directory");
    let token = directory.path().join("token");
    std::fs::write(&token, "pod").expect("writes");
    let url = serve_json(|| {
        let expiry = jiff::Timestamp::now() + jiff::SignedDuration::from_secs(10);
        format!(
            r#"{{"AccessKeyId":"{ACCESS_KEY}","SecretAccessKey":"{SECRET_KEY}","Token":"{SESSION}","Expiration":"{expiry}"}}"#
        )
    });
    let variables = [
        ("AWS_REGION", REGION),
        ("AWS_CONTAINER_CREDENTIALS_FULL_URI", url.as_str()),
        ("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", token.to_str().expect("text")),
    ];
    let arguments = ["--sasl-mechanism", "AWS_MSK_IAM"];
    let [port] = broker::free_ports();
    let metrics = format!("127.0.0.1:{port}");
    binary_works("iam-pod", BROKER.token, &arguments, &variables, &metrics, |committed| {
        let metric = |name: &str| -> f64 {
            let (_, text) = get(&metrics, "/metrics").unwrap_or_default();
            let line = text.lines().find(|line| line.starts_with(name)).unwrap_or("x 0");
            line.rsplit(' ').next().unwrap_or("0").parse().expect("a number")
        };
        let began = Instant::now();
        wait_for("two renewals, past the first expiry", SECONDS, || {
            let renewed = metric("tidegate_kafka_token_refreshes_total") >= 3.0;
            (renewed && began.elapsed() > Duration::from_secs(11)).then_some(())
        });
        assert_eq!(metric("tidegate_kafka_token_failures_total"), 0.0);
        assert!(metric("tidegate_kafka_token_expiry_timestamp_seconds") > 1.7e9);
        let mut produce = with_ca(binary("produce", BROKER.token, &variables), "ca.crt");
        produce.args(arguments).args(["--topic", "iam-pod", "--rate", "100", "--duration", "1"]);
        assert!(produce.output().expect("runs").status.success());
        wait_for("201 records committed", SECONDS, || (committed() >= 201).then_some(()));
    });
}

/// Runs until it ends by itself: exit code 1, soon, one line of the binary that
/// holds every part, no secret, no panic.
fn refused(what: &str, mut command: Command, parts: &[&str]) {
    let began = Instant::now();
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("starts");
    let id = child.id();
    let running = std::sync::Arc::new(Mutex::new(true));
    let watched = std::sync::Arc::clone(&running);
    std::thread::spawn(move || {
        std::thread::park_timeout(Duration::from_secs(45));
        if *watched.lock().expect("lock") {
            signal(id, "KILL");
        }
    });
    let Output { status, stdout, stderr } = child.wait_with_output().expect("ends");
    *running.lock().expect("lock") = false;
    let said = String::from_utf8_lossy(&stderr).into_owned() + &String::from_utf8_lossy(&stdout);
    assert_eq!(status.code(), Some(1), "{what}: exit code after {:?}\n{said}", began.elapsed());
    assert!(began.elapsed() < Duration::from_secs(20), "{what}: {:?}\n{said}", began.elapsed());
    let lines: Vec<&str> = said.lines().filter(|line| line.starts_with("tidegate: ")).collect();
    assert_eq!(lines.len(), 1, "{what}: one line\n{said}");
    for part in parts {
        assert!(lines[0].contains(part), "{what}: no {part:?} in\n{said}");
    }
    for secret in [PASSWORD, SECRET_KEY, SESSION, KEY_PASSWORD, "wr0ng-s3cret", "panicked"] {
        assert!(!said.contains(secret), "{what}: {secret} in\n{said}");
    }
}

fn both(
    what: &str,
    port: u16,
    ca: Option<&str>,
    arguments: &[&str],
    variables: &[(&str, &str)],
    parts: &[&str],
) {
    let directory = tempfile::tempdir().expect("directory");
    let database = format!("sqlite:{}", directory.path().join("db").display());
    for name in ["consume", "produce"] {
        let mut command = binary(name, port, variables);
        if let Some(ca) = ca {
            command = with_ca(command, ca);
        }
        command.args(arguments);
        if name == "consume" {
            command.args(["--database", &database]);
        }
        refused(&format!("{what}, {name}"), command, parts);
    }
}

#[test]
fn an_authority_or_a_host_name_we_do_not_know() {
    both(
        "unknown authority",
        BROKER.tls,
        Some("stranger.crt"),
        &[],
        &[],
        &["known authority", "tls_ca"],
    );
    let ssl = ["--security-protocol", "SSL"];
    both("the system's authorities", BROKER.tls, None, &ssl, &[], &["known authority"]);
    let host = ["not for this host name", "other.example"];
    both("wrong host", BROKER.wrong_host, Some("ca.crt"), &[], &[], &host);
    both("no certificate", BROKER.mutual, Some("ca.crt"), &[], &[], &["tls_certificate"]);
}

#[test]
fn one_side_speaks_tls_and_the_other_does_not() {
    both("plain to TLS", BROKER.tls, None, &[], &[], &["speaks TLS", "SSL"]);
    let plain = BROKER.broker.bootstrap().rsplit_once(':').expect("port").1.parse().expect("port");
    both("TLS to plain", plain, Some("ca.crt"), &[], &[], &["does not speak TLS"]);
}

#[test]
fn wrong_users_passwords_and_mechanisms() {
    let wrong = [("KAFKA_SASL_USERNAME", USER), ("KAFKA_SASL_PASSWORD", "wr0ng-s3cret")];
    for mechanism in ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] {
        let arguments = ["--sasl-mechanism", mechanism];
        both(
            mechanism,
            BROKER.sasl,
            Some("ca.crt"),
            &arguments,
            &wrong,
            &["authentication failed"],
        );
    }
    let arguments = ["--sasl-mechanism", "PLAIN"];
    both("mechanism", BROKER.token, Some("ca.crt"), &arguments, &wrong, &["OAUTHBEARER"]);
}

#[test]
fn tokens_that_are_expired_or_wrongly_signed() {
    let arguments = ["--sasl-mechanism", "OAUTHBEARER"];
    let expired = jwt(-60);
    let variables = [("KAFKA_SASL_TOKEN", expired.as_str())];
    both("expired token", BROKER.token, Some("ca.crt"), &arguments, &variables, &["expired"]);
    let stranger = format!("e30.{}.x", URL_SAFE_NO_PAD.encode(r#"{"sub":"x","exp":9999999999}"#));
    let variables = [("KAFKA_SASL_TOKEN", stranger.as_str())];
    both("stranger", BROKER.token, Some("ca.crt"), &arguments, &variables, &["wrong subject"]);

    let arguments = ["--sasl-mechanism", "AWS_MSK_IAM"];
    let iam = |region: &'static str, secret: &'static str| {
        [
            ("AWS_REGION", region),
            ("AWS_ACCESS_KEY_ID", ACCESS_KEY),
            ("AWS_SECRET_ACCESS_KEY", secret),
        ]
    };
    let token = BROKER.token;
    let wrong = iam(REGION, "wr0ng-s3cret");
    both("wrong key", token, Some("ca.crt"), &arguments, &wrong, &["wrong signature"]);
    let wrong = iam("us-east-1", SECRET_KEY);
    both("wrong region", token, Some("ca.crt"), &arguments, &wrong, &["wrong region"]);
    let none = [("AWS_REGION", REGION)];
    both("no credentials", token, Some("ca.crt"), &arguments, &none, &["no AWS credentials"]);
}

/// What is wrong before anything is connected is bad input: exit code 2.
#[test]
fn options_that_do_not_go_together_are_bad_input() {
    let cases: &[(&[&str], &str)] = &[
        (&["--sasl-mechanism", "GSSAPI"], "AWS_MSK_IAM"),
        (&["--sasl-mechanism", "PLAIN"], "sasl_username"),
        (&["--sasl-mechanism", "AWS_MSK_IAM", "--security-protocol", "SASL_PLAINTEXT"], "SASL_SSL"),
        (&["--tls-ca", "/nonexistent.pem"], "/nonexistent.pem"),
        (&["--kafka-config", "sasl.password=wr0ng-s3cret"], "variable or file"),
        (&["--kafka-config", "ssl.endpoint.identification.algorithm=none"], "must be the host's"),
        (&["--on-terminate", "stay"], "instance_id"),
    ];
    for (arguments, part) in cases {
        let output = binary("consume", 1, &[]).args(*arguments).output().expect("runs");
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {said}");
        assert_eq!(said.lines().count(), 1, "{arguments:?}: {said}");
        assert!(said.contains(part) && !said.contains("wr0ng"), "{arguments:?}: {said}");
    }
}
