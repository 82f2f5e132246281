//! `tidegate scaler` between two guarded doors: Kafka with TLS, SASL and ACLs on one
//! side, KEDA with TLS and mutual TLS on the other. Real broker, real gRPC clients, the
//! binary from outside.

#[path = "support/acls.rs"]
mod acls;
#[path = "support/broker.rs"]
mod broker;
#[path = "support/scaler.rs"]
mod scaler;
#[path = "support/secure.rs"]
mod secure;
mod support;

use std::path::Path;
use std::process::Stdio;
use std::sync::LazyLock;

use acls::{DESCRIBE, GROUP, TOPIC, allow};
use scaler::{POLL, Scaler, connect, object, said};
use secure::{ACCESS_KEY, PASSWORD, REGION, SECRET_KEY, SESSION, SecureBroker, USER, certificates};
use support::{tidegate, wait_for};
use tidegate_kafka::{Admin, ConnectionOptions};
use tidegate_scaler::proto::external_scaler_client::ExternalScalerClient;
use tidegate_scaler::proto::{GetMetricsRequest, ScaledObjectRef};
use tokio_stream::StreamExt as _;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Identity};
use tonic::{Code, Status};
use tonic_reflection::pb::v1::ServerReflectionRequest;
use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;
use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;
use tonic_reflection::pb::v1::server_reflection_response::MessageResponse;

/// Whoever comes without SASL may do everything; everybody else needs ACLs.
static BROKER: LazyLock<SecureBroker> = LazyLock::new(|| {
    SecureBroker::with(&[
        ("authorizer.class.name", "org.apache.kafka.metadata.authorizer.StandardAuthorizer"),
        ("super.users", "User:ANONYMOUS"),
    ])
});

const IAM: [(&str, &str); 6] = [
    ("AWS_REGION", REGION),
    ("AWS_ACCESS_KEY_ID", ACCESS_KEY),
    ("AWS_SECRET_ACCESS_KEY", SECRET_KEY),
    ("AWS_SESSION_TOKEN", SESSION),
    ("AWS_EC2_METADATA_DISABLED", "true"),
    ("AWS_SHARED_CREDENTIALS_FILE", "/nonexistent"),
];
const SCRAM: [&str; 4] = ["--sasl-mechanism", "SCRAM-SHA-512", "--sasl-username", USER];

fn create_topic(topic: &str) {
    let admin = Admin::new(&ConnectionOptions::new(BROKER.broker.bootstrap())).expect("admin");
    admin.create_topic(topic, 3, 1, &[]).expect("topic");
}

/// A scaler at one of the broker's listeners, and an object of a group of its own.
fn at(
    directory: &Path,
    port: u16,
    further: &[&str],
    variables: &[(&str, &str)],
    topic: &str,
) -> (Scaler, ScaledObjectRef) {
    let ca = BROKER.file("ca.crt").display().to_string();
    let further = [&["--tls-ca", ca.as_str()][..], further].concat();
    let scaler = Scaler::with(directory, &format!("localhost:{port}"), &further, variables, None);
    (scaler, object(topic, topic, &[("consumerGroup", topic)]))
}

fn reads_an_empty_topic(scaler: &Scaler, object: &ScaledObjectRef) {
    let metric = wait_for(&scaler.process.log(), POLL, || scaler.metric(object).ok());
    assert_eq!((metric.value, metric.active), (0, false), "{}", scaler.process.log());
}

/// The error that KEDA would show, once it is about this.
fn error_about(scaler: &Scaler, object: &ScaledObjectRef, what: &str) -> Status {
    wait_for(&format!("an error about {what}\n{}", scaler.process.log()), POLL, || {
        scaler.metric(object).err().filter(|error| error.message().contains(what))
    })
}

fn says_no_secret(scaler: &Scaler, error: &Status) {
    for secret in [PASSWORD, SECRET_KEY, SESSION, "wr0ng-s3cret", "panicked"] {
        assert!(!scaler.process.log().contains(secret), "{}", scaler.process.log());
        assert!(!error.message().contains(secret), "{error:?}");
    }
}

#[test]
fn kafka_is_read_over_tls_with_a_password_and_with_iam() {
    let directory = tempfile::tempdir().expect("directory");
    create_topic("tls");
    let (scaler, trades) = at(directory.path(), BROKER.tls, &[], &[], "tls");
    reads_an_empty_topic(&scaler, &trades);

    create_topic("scram");
    allow(&BROKER, USER, TOPIC, "scram", DESCRIBE);
    allow(&BROKER, USER, GROUP, "scram", DESCRIBE);
    let password = directory.path().join("password");
    std::fs::write(&password, format!("{PASSWORD}\n")).expect("writes");
    let password = ["--sasl-password-file", password.to_str().expect("text")];
    let further = [&SCRAM[..], &password].concat();
    let (scaler, trades) = at(directory.path(), BROKER.sasl, &further, &[], "scram");
    reads_an_empty_topic(&scaler, &trades);

    create_topic("iam");
    let role = format!("arn:aws:sts::1:assumed-role/{ACCESS_KEY}");
    allow(&BROKER, &role, TOPIC, "iam", DESCRIBE);
    allow(&BROKER, &role, GROUP, "iam", DESCRIBE);
    let iam = ["--sasl-mechanism", "AWS_MSK_IAM"];
    let (scaler, trades) = at(directory.path(), BROKER.token, &iam, &IAM, "iam");
    reads_an_empty_topic(&scaler, &trades);
    let metrics = scaler.get("/metrics");
    assert!(metrics.contains("tidegate_scaler_kafka_connections 1\n"), "{metrics}");
}

/// What is refused is said by name, and is over as soon as it is allowed.
#[test]
fn a_missing_acl_is_named_until_it_is_given() {
    let directory = tempfile::tempdir().expect("directory");
    create_topic("guarded");
    let password = [("KAFKA_SASL_PASSWORD", PASSWORD)];
    let (scaler, trades) = at(directory.path(), BROKER.sasl, &SCRAM, &password, "guarded");
    let error = error_about(&scaler, &trades, "topic guarded");
    assert_eq!(error.code(), Code::PermissionDenied);
    assert_eq!(
        error.message(),
        "trades/guarded: Kafka denies access to topic guarded: the scaler needs Describe on \
         the topic and on the group; nothing is decided before it was read once"
    );
    assert_eq!(scaler.is_active(&trades).expect_err("denied").code(), Code::PermissionDenied);

    allow(&BROKER, USER, TOPIC, "guarded", DESCRIBE);
    let error = error_about(&scaler, &trades, "group guarded");
    assert_eq!(error.code(), Code::PermissionDenied);
    says_no_secret(&scaler, &error);

    allow(&BROKER, USER, GROUP, "guarded", DESCRIBE);
    reads_an_empty_topic(&scaler, &trades);
    assert!(scaler.get("/metrics").contains("code=\"PermissionDenied\"}"), "counted");
}

/// A scaler that Kafka does not trust goes on serving, and says why to whoever asks.
#[test]
fn kafkas_refusal_reaches_keda_as_a_sentence() {
    let directory = tempfile::tempdir().expect("directory");
    let port = BROKER.sasl;
    let wrong = [("KAFKA_SASL_PASSWORD", "wr0ng-s3cret")];
    let (scaler, trades) = at(directory.path(), port, &SCRAM, &wrong, "any");
    let error = error_about(&scaler, &trades, "authentication failed");
    assert_eq!(error.code(), Code::PermissionDenied);
    let begin = format!("trades/any: no secured connection to Kafka at localhost:{port}: ");
    assert!(error.message().starts_with(&begin), "{error:?}");
    says_no_secret(&scaler, &error);

    let wrong = [&IAM[..2], &[("AWS_SECRET_ACCESS_KEY", "wr0ng-s3cret")], &IAM[4..]].concat();
    let iam = ["--sasl-mechanism", "AWS_MSK_IAM"];
    let (scaler, trades) = at(directory.path(), BROKER.token, &iam, &wrong, "any");
    let error = error_about(&scaler, &trades, "wrong signature");
    assert_eq!(error.code(), Code::PermissionDenied);
    says_no_secret(&scaler, &error);

    let stranger = BROKER.file("stranger.crt").display().to_string();
    let address = format!("localhost:{}", BROKER.tls);
    let scaler = Scaler::start(directory.path(), &address, &["--tls-ca", &stranger]);
    let error = error_about(&scaler, &trades, "authority");
    assert_eq!(error.code(), Code::PermissionDenied, "{error:?}");

    let scaler = Scaler::start(directory.path(), &address, &[]);
    let error = error_about(&scaler, &trades, "speaks TLS");
    assert_eq!(error.code(), Code::PermissionDenied, "{error:?}");
}

/// Certificates of KEDA's side.
struct Files(tempfile::TempDir);

impl Files {
    fn make() -> Self {
        let directory = tempfile::tempdir().expect("directory");
        certificates(directory.path());
        Self(directory)
    }

    fn path(&self, name: &str) -> String {
        self.0.path().join(name).display().to_string()
    }

    fn pem(&self, name: &str) -> Vec<u8> {
        std::fs::read(self.path(name)).expect("file")
    }

    fn trusting(&self, ca: &str) -> ClientTlsConfig {
        ClientTlsConfig::new()
            .domain_name("localhost")
            .ca_certificate(Certificate::from_pem(self.pem(ca)))
    }

    fn identity(&self, name: &str) -> Identity {
        let (certificate, key) = (format!("{name}.crt"), format!("{name}.key"));
        Identity::from_pem(self.pem(&certificate), self.pem(&key))
    }
}

/// A first call with these settings; TLS 1.3 tells a client that is not let in only then.
async fn first_call(grpc: &str, tls: Option<ClientTlsConfig>) -> Result<(), String> {
    let channel = connect(grpc, tls).await.map_err(|error| format!("{error:?}"))?;
    let mut client = ExternalScalerClient::new(channel);
    let object = object("tls", "grpc", &[("consumerGroup", "grpc")]);
    let spec = client.get_metric_spec(object).await.map_err(|status| format!("{status:?}"))?;
    assert_eq!(spec.into_inner().metric_specs.len(), 1);
    Ok(())
}

async fn asks_and_sees(channel: &Channel) {
    let mut health = tonic_health::pb::health_client::HealthClient::new(channel.clone());
    for service in ["", "externalscaler.ExternalScaler"] {
        let request = tonic_health::pb::HealthCheckRequest { service: service.into() };
        let answer = health.check(request).await.expect("health").into_inner();
        assert_eq!(answer.status, 1, "{service:?} serves");
    }
    let unknown = tonic_health::pb::HealthCheckRequest { service: "other".into() };
    assert_eq!(health.check(unknown).await.expect_err("unknown").code(), Code::NotFound);

    let services = reflected(channel, MessageRequest::ListServices(String::new())).await;
    for service in ["externalscaler.ExternalScaler", "grpc.health.v1.Health"] {
        assert!(services.iter().any(|name| name == service), "{services:?}");
    }
    assert!(answers_as_of_old(channel).await, "Python's clients ask for v1alpha");
    let symbol = "externalscaler.ExternalScaler".to_owned();
    let methods = reflected(channel, MessageRequest::FileContainingSymbol(symbol)).await;
    assert_eq!(methods, ["IsActive", "StreamIsActive", "GetMetricSpec", "GetMetrics"]);
}

/// Names of services, or of the methods in the file that was asked for.
async fn reflected(channel: &Channel, request: MessageRequest) -> Vec<String> {
    let mut client = ServerReflectionClient::new(channel.clone());
    let request = ServerReflectionRequest { host: String::new(), message_request: Some(request) };
    let answers = client.server_reflection_info(tokio_stream::once(request)).await;
    let answer = answers.expect("reflection").into_inner().next().await.expect("an answer");
    match answer.expect("no error").message_response.expect("a message") {
        MessageResponse::ListServicesResponse(list) => {
            list.service.into_iter().map(|service| service.name).collect()
        }
        MessageResponse::FileDescriptorResponse(file) => {
            // Names are plain text in a descriptor.
            let text = String::from_utf8_lossy(&file.file_descriptor_proto[0]).into_owned();
            ["IsActive", "StreamIsActive", "GetMetricSpec", "GetMetrics"]
                .into_iter()
                .filter(|method| text.contains(method))
                .map(str::to_owned)
                .collect()
        }
        other => panic!("{other:?}"),
    }
}

/// Whether the older version of reflection lists the service.
async fn answers_as_of_old(channel: &Channel) -> bool {
    use tonic_reflection::pb::v1alpha as old;
    use tonic_reflection::pb::v1alpha::server_reflection_client::ServerReflectionClient;
    let wanted = old::server_reflection_request::MessageRequest::ListServices(String::new());
    let request =
        old::ServerReflectionRequest { host: String::new(), message_request: Some(wanted) };
    let mut client = ServerReflectionClient::new(channel.clone());
    let answers = client.server_reflection_info(tokio_stream::once(request)).await;
    let answer = answers.expect("reflection").into_inner().next().await.expect("an answer");
    let answer = answer.expect("no error").message_response.expect("a message");
    format!("{answer:?}").contains("externalscaler.ExternalScaler")
}

/// Both fields of the proto carry the number, whatever the metric is called.
async fn values_come_with_and_without_the_index(channel: &Channel, object: &ScaledObjectRef) {
    let mut client = ExternalScalerClient::new(channel.clone());
    let mut ask = async |metric_name: &str| {
        let request = GetMetricsRequest {
            scaled_object_ref: Some(object.clone()),
            metric_name: metric_name.into(),
        };
        Ok::<_, Status>(client.get_metrics(request).await?.into_inner().metric_values.remove(0))
    };
    for name in ["tidegate-pods", "s0-tidegate-pods", "s12-tidegate-pods"] {
        let value = ask(name).await.expect(name);
        assert_eq!(value.metric_name, name, "the name comes back as it was asked");
        assert_eq!((value.metric_value, value.metric_value_float), (2, 2.0), "{name}");
    }
    let error = ask("s0-lag").await.expect_err("another metric");
    assert_eq!(error.code(), Code::InvalidArgument);
    assert_eq!(error.message(), "metricName = \"s0-lag\": allowed is \"tidegate-pods\"");
}

#[test]
fn keda_is_served_over_tls() {
    let (directory, files) = (tempfile::tempdir().expect("directory"), Files::make());
    create_topic("grpc");
    let (certificate, key) = (files.path("server.crt"), files.path("server.key"));
    let scaler = Scaler::with(
        directory.path(),
        BROKER.broker.bootstrap(),
        &["--grpc-tls-cert", &certificate, "--grpc-tls-key", &key],
        &[],
        Some(files.trusting("ca.crt")),
    );
    let grpc = said(&scaler.process, "gRPC available at ");
    let two = object("tls", "grpc", &[("consumerGroup", "grpc"), ("minReplicas", "2")]);
    wait_for("two pods", POLL, || (scaler.metric(&two).ok()?.value == 2).then_some(()));
    scaler.runtime.block_on(async {
        asks_and_sees(&scaler.channel).await;
        values_come_with_and_without_the_index(&scaler.channel, &two).await;
        let call = first_call(&grpc, Some(files.trusting("stranger.crt"))).await;
        assert!(call.expect_err("another authority").contains("UnknownIssuer"));
        let other = files.trusting("ca.crt").domain_name("other.example");
        let call = first_call(&grpc, Some(other)).await;
        assert!(call.expect_err("another host").contains("NotValidForName"));
        first_call(&grpc, None).await.expect_err("plaintext");
        // Nobody asked for a certificate; one that comes anyway does no harm.
        let with_one = files.trusting("ca.crt").identity(files.identity("client"));
        first_call(&grpc, Some(with_one)).await.expect("served");
    });
}

#[test]
fn with_mutual_tls_only_certificates_of_the_authority_are_served() {
    let (directory, files) = (tempfile::tempdir().expect("directory"), Files::make());
    create_topic("mutual");
    let [certificate, key, ca] = ["server.crt", "server.key", "ca.crt"].map(|f| files.path(f));
    let tls = ["--grpc-tls-cert", &certificate, "--grpc-tls-key", &key];
    let scaler = Scaler::with(
        directory.path(),
        BROKER.broker.bootstrap(),
        &[&tls[..], &["--grpc-tls-client-ca", &ca]].concat(),
        &[],
        Some(files.trusting("ca.crt").identity(files.identity("client"))),
    );
    let grpc = said(&scaler.process, "gRPC available at ");
    scaler.runtime.block_on(async {
        asks_and_sees(&scaler.channel).await;
        let call = first_call(&grpc, Some(files.trusting("ca.crt"))).await;
        call.expect_err("no certificate");
        let intruder = files.trusting("ca.crt").identity(files.identity("intruder"));
        first_call(&grpc, Some(intruder)).await.expect_err("a stranger's certificate");
        first_call(&grpc, None).await.expect_err("plaintext");
    });
}

/// Files that cannot be used are bad input: one line that names the file, exit code 2.
#[test]
fn certificates_that_cannot_be_used_are_bad_input() {
    let files = Files::make();
    std::fs::write(files.0.path().join("nonsense.pem"), "nonsense").expect("writes");
    let cases: [(&str, &str, Option<&str>, &str); 5] = [
        ("absent.crt", "server.key", None, "absent.crt"),
        ("server.crt", "absent.key", None, "absent.key"),
        ("nonsense.pem", "server.key", None, "nonsense.pem"),
        ("server.crt", "client.key", None, "client.key"),
        ("server.crt", "server.key", Some("nonsense.pem"), "nonsense.pem"),
    ];
    for (certificate, key, ca, named) in cases {
        let mut command = tidegate();
        command
            .args(["scaler", "--brokers", "127.0.0.1:1", "--listen", "127.0.0.1:0"])
            .args(["--metrics-addr", "off", "--grpc-tls-cert", &files.path(certificate)])
            .args(["--grpc-tls-key", &files.path(key)])
            .stdin(Stdio::null());
        if let Some(ca) = ca {
            command.args(["--grpc-tls-client-ca", &files.path(ca)]);
        }
        let output = command.output().expect("runs");
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{certificate} {key}: {said}");
        assert_eq!(said.lines().count(), 1, "{certificate} {key}: {said}");
        assert!(said.contains(named), "{certificate} {key}: {said}");
    }
}
