//! A broker with a listener for every way to be trusted, and certificates for it.

#![allow(dead_code)]

use std::path::{Path, PathBuf};
use std::process::Command;

use tidegate_kafka::{ConnectionOptions, Secret, SecurityOptions};
use tidegate_local::broker::{BrokerOptions, Distribution, Listener};

use super::broker::{TestBroker, free_ports};

pub(crate) const USER: &str = "alice";
pub(crate) const PASSWORD: &str = "alice-s3cret";
pub(crate) const REGION: &str = "eu-central-1";
pub(crate) const ACCESS_KEY: &str = "AKIDTEST";
pub(crate) const SECRET_KEY: &str = "aws/s3cret+key";
pub(crate) const SESSION: &str = "session/t0ken==";
/// Pass phrase of `client-locked.key`.
pub(crate) const KEY_PASSWORD: &str = "key-s3cret";

/// The broker, its ports, and the directory of the certificates.
pub(crate) struct SecureBroker {
    pub(crate) broker: TestBroker,
    pub(crate) files: PathBuf,
    pub(crate) tls: u16,
    pub(crate) mutual: u16,
    pub(crate) wrong_host: u16,
    pub(crate) sasl: u16,
    pub(crate) sasl_plain: u16,
    pub(crate) token: u16,
}

impl SecureBroker {
    pub(crate) fn start() -> Self {
        Self::with(&[])
    }

    /// With further settings of the broker.
    pub(crate) fn with(further: &[(&str, &str)]) -> Self {
        let directory = tempfile::tempdir().expect("directory");
        let files = directory.path().join("files");
        std::fs::create_dir(&files).expect("directory");
        certificates(&files);
        let classes = compile(&files);
        let [tls, mutual, wrong_host, sasl, sasl_plain, token] = free_ports();
        let listeners = [
            ("TLS", "SSL", tls),
            ("MUTUAL", "SSL", mutual),
            ("WRONGHOST", "SSL", wrong_host),
            ("SASL", "SASL_SSL", sasl),
            ("SASLPLAIN", "SASL_PLAINTEXT", sasl_plain),
            ("TOKEN", "SASL_SSL", token),
        ];
        let lines = settings(&files);
        let options = BrokerOptions {
            listeners: listeners
                .map(|(name, protocol, port)| Listener { name, protocol, port })
                .to_vec(),
            settings: lines
                .lines()
                .filter_map(|line| line.split_once('='))
                .chain(further.iter().copied())
                .map(|(key, value)| (key.to_owned(), value.to_owned()))
                .collect(),
            format: ["SCRAM-SHA-256", "SCRAM-SHA-512"]
                .iter()
                .flat_map(|hash| {
                    ["--add-scram".to_owned(), format!("{hash}=[name={USER},password={PASSWORD}]")]
                })
                .collect(),
            classes: Some(classes),
            ..BrokerOptions::default()
        };
        let broker = TestBroker::start(directory, options);
        Self { broker, files, tls, mutual, wrong_host, sasl, sasl_plain, token }
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.files.join(name)
    }

    /// Options for a listener that trust the broker's authority.
    pub(crate) fn options(&self, port: u16) -> ConnectionOptions {
        let mut options = ConnectionOptions::new(format!("localhost:{port}"));
        options.security.tls_ca = Some(self.file("ca.crt"));
        options
    }

    /// The same with a user and password.
    pub(crate) fn with_user(&self, port: u16) -> ConnectionOptions {
        let mut options = self.options(port);
        options.security = SecurityOptions {
            sasl_username: Some(USER.into()),
            sasl_password: Some(Secret::value(PASSWORD)),
            ..options.security
        };
        options
    }
}

fn settings(files: &Path) -> String {
    let file = |name: &str| files.join(name).display().to_string();
    let server = |listener: &str, pem: &str| {
        let prefix = format!("listener.name.{listener}.ssl");
        format!(
            "{prefix}.keystore.type=PEM\n{prefix}.keystore.location={}\n\
             {prefix}.truststore.type=PEM\n{prefix}.truststore.location={}\n",
            file(pem),
            file("ca.crt")
        )
    };
    let scram = "org.apache.kafka.common.security.scram.ScramLoginModule required;";
    let mut text = String::new();
    for (listener, pem) in [
        ("tls", "server.pem"),
        ("mutual", "server.pem"),
        ("wronghost", "other.pem"),
        ("sasl", "server.pem"),
        ("token", "server.pem"),
    ] {
        text.push_str(&server(listener, pem));
    }
    text.push_str("listener.name.mutual.ssl.client.auth=required\n");
    for listener in ["sasl", "saslplain"] {
        text.push_str(&format!(
            "listener.name.{listener}.sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-256,SCRAM-SHA-512\n\
             listener.name.{listener}.plain.sasl.jaas.config=\
             org.apache.kafka.common.security.plain.PlainLoginModule required user_{USER}=\"{PASSWORD}\";\n\
             listener.name.{listener}.scram-sha-256.sasl.jaas.config={scram}\n\
             listener.name.{listener}.scram-sha-512.sasl.jaas.config={scram}\n"
        ));
    }
    text.push_str(&format!(
        "listener.name.token.sasl.enabled.mechanisms=OAUTHBEARER\n\
         listener.name.token.oauthbearer.sasl.jaas.config=\
         org.apache.kafka.common.security.oauthbearer.OAuthBearerLoginModule required \
         unsecuredLoginStringClaim_sub=\"broker\" region=\"{REGION}\" session=\"{SESSION}\" \
         key_{ACCESS_KEY}=\"{SECRET_KEY}\";\n\
         listener.name.token.oauthbearer.sasl.server.callback.handler.class=TokenValidator\n\
         listener.name.token.oauthbearer.connections.max.reauth.ms=3600000\n\
         connection.failed.authentication.delay.ms=100\n"
    ));
    text
}

/// An authority, a stranger's, and certificates for this host, another host, a client and a
/// client of the stranger's.
pub(crate) fn certificates(files: &Path) {
    let script = format!(
        r#"set -eu
key() {{ openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out "$1.key"; }}
authority() {{ key "$1"; openssl req -x509 -new -key "$1.key" -days 30 -subj "/CN=$1" -out "$1.crt" \
  -addext basicConstraints=critical,CA:TRUE -addext keyUsage=critical,keyCertSign; }}
signed() {{ key "$1"; openssl req -new -key "$1.key" -subj "/CN=$1" -out "$1.csr"
  printf 'subjectAltName=%s\n' "$2" > "$1.ext"
  openssl x509 -req -in "$1.csr" -CA "${{3:-ca}}.crt" -CAkey "${{3:-ca}}.key" -CAcreateserial -days 30 -extfile "$1.ext" -out "$1.crt"
  cat "$1.key" "$1.crt" > "$1.pem"; }}
authority ca; authority stranger
signed server DNS:localhost,IP:127.0.0.1; signed other DNS:other.example; signed client DNS:client
signed intruder DNS:client stranger
openssl pkcs8 -topk8 -in client.key -passout pass:{KEY_PASSWORD} -out client-locked.key
"#
    );
    let output = Command::new("sh").arg("-c").arg(script).current_dir(files).output();
    let output = output.expect("sh and openssl");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// The class that checks tokens on the broker's side.
fn compile(files: &Path) -> PathBuf {
    let jars = Distribution::find(&mut |_| {}).expect("Kafka is provisioned").jars;
    let classes = files.join("classes");
    let source =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/support/java/TokenValidator.java");
    let output = Command::new("javac")
        .arg("-cp")
        .arg(std::env::join_paths(&jars).expect("paths"))
        .arg("-d")
        .arg(&classes)
        .arg(source)
        .output()
        .expect("javac: a JDK, which scripts/ensure-tools.sh test installs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    classes
}
