//! Flags several commands share.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogFormat {
    /// `[2025-12-30 16:12:06] INFO: …`
    Text,
    /// One JSON object a line
    Json,
}

#[derive(Debug, Clone, Args)]
pub(crate) struct CommonArgs {
    /// Settings file (TOML); config/default.toml shows every key
    #[arg(long, value_name = "FILE", env = "TIDEGATE_CONFIG", global = true)]
    pub(crate) config: Option<PathBuf>,
    /// Log lines as text or JSON (on stderr; TIDEGATE_LOG filters them)
    #[arg(long, value_name = "FORMAT", value_enum, default_value = "text", global = true)]
    pub(crate) log_format: LogFormat,
}

#[derive(Debug, Clone, Args)]
pub(crate) struct KafkaArgs {
    /// Kafka brokers, comma separated [default: 127.0.0.1:9092]
    #[arg(long, value_name = "HOST:PORT", env = "KAFKA_BOOTSTRAP_SERVERS")]
    pub(crate) brokers: Option<String>,
    /// Topic of the trades [default: trade-tx]
    #[arg(long, value_name = "NAME", env = "KAFKA_TOPIC")]
    pub(crate) topic: Option<String>,
    #[command(flatten)]
    pub(crate) security: SecurityArgs,
    /// A librdkafka setting, repeatable; keys that tidegate owns are refused
    #[arg(long = "kafka-config", value_name = "KEY=VALUE", value_parser = key_value)]
    pub(crate) kafka_config: Vec<(String, String)>,
}

/// How to be trusted and whom to trust. Secrets come from a file or a variable,
/// never from the command line, which every user of the machine can read.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Security")]
pub(crate) struct SecurityArgs {
    /// auto, PLAINTEXT, SSL, SASL_PLAINTEXT or SASL_SSL [default: auto]
    #[arg(long, value_name = "PROTOCOL", env = "KAFKA_SECURITY_PROTOCOL")]
    pub(crate) security_protocol: Option<String>,
    /// PLAIN, SCRAM-SHA-256, SCRAM-SHA-512, OAUTHBEARER or AWS_MSK_IAM
    #[arg(long, value_name = "MECHANISM", env = "KAFKA_SASL_MECHANISM")]
    pub(crate) sasl_mechanism: Option<String>,
    /// User of PLAIN and SCRAM
    #[arg(long, value_name = "NAME", env = "KAFKA_SASL_USERNAME")]
    pub(crate) sasl_username: Option<String>,
    /// A file with its password [default: KAFKA_SASL_PASSWORD]
    #[arg(long, value_name = "FILE", env = "KAFKA_SASL_PASSWORD_FILE")]
    pub(crate) sasl_password_file: Option<PathBuf>,
    /// A file with the token of OAUTHBEARER [default: KAFKA_SASL_TOKEN]
    #[arg(long, value_name = "FILE", env = "KAFKA_SASL_TOKEN_FILE")]
    pub(crate) sasl_token_file: Option<PathBuf>,
    /// OAUTHBEARER: where tokens are fetched, OpenID Connect's token endpoint
    #[arg(long, value_name = "URL", env = "KAFKA_OIDC_TOKEN_URL")]
    pub(crate) oidc_token_url: Option<String>,
    /// Client id at the token endpoint
    #[arg(long, value_name = "ID", env = "KAFKA_OIDC_CLIENT_ID")]
    pub(crate) oidc_client_id: Option<String>,
    /// A file with the client's secret [default: KAFKA_OIDC_CLIENT_SECRET]
    #[arg(long, value_name = "FILE", env = "KAFKA_OIDC_CLIENT_SECRET_FILE")]
    pub(crate) oidc_client_secret_file: Option<PathBuf>,
    /// Scope asked for at the token endpoint
    #[arg(long, value_name = "SCOPE", env = "KAFKA_OIDC_SCOPE")]
    pub(crate) oidc_scope: Option<String>,
    /// AWS_MSK_IAM: region of the cluster [default: AWS_REGION, or as the brokers' names say]
    #[arg(long, value_name = "REGION")]
    pub(crate) aws_region: Option<String>,
    /// Authorities to trust, PEM [default: the system's]
    #[arg(long, value_name = "FILE", env = "KAFKA_TLS_CA")]
    pub(crate) tls_ca: Option<PathBuf>,
    /// Own certificate with its chain, PEM, for mutual TLS
    #[arg(long, value_name = "FILE", env = "KAFKA_TLS_CERTIFICATE")]
    pub(crate) tls_certificate: Option<PathBuf>,
    /// Key of the own certificate, PEM
    #[arg(long, value_name = "FILE", env = "KAFKA_TLS_KEY")]
    pub(crate) tls_key: Option<PathBuf>,
    /// A file with the key's pass phrase [default: KAFKA_TLS_KEY_PASSWORD]
    #[arg(long, value_name = "FILE", env = "KAFKA_TLS_KEY_PASSWORD_FILE")]
    pub(crate) tls_key_password_file: Option<PathBuf>,
}

impl SecurityArgs {
    /// Key, flag and value of each.
    pub(crate) fn values(&self) -> [(&'static str, &'static str, Option<String>); 14] {
        let path = |path: &Option<PathBuf>| path.as_ref().map(|path| path.display().to_string());
        [
            ("security_protocol", "--security-protocol", self.security_protocol.clone()),
            ("sasl_mechanism", "--sasl-mechanism", self.sasl_mechanism.clone()),
            ("sasl_username", "--sasl-username", self.sasl_username.clone()),
            ("sasl_password_file", "--sasl-password-file", path(&self.sasl_password_file)),
            ("sasl_token_file", "--sasl-token-file", path(&self.sasl_token_file)),
            ("oidc_token_url", "--oidc-token-url", self.oidc_token_url.clone()),
            ("oidc_client_id", "--oidc-client-id", self.oidc_client_id.clone()),
            (
                "oidc_client_secret_file",
                "--oidc-client-secret-file",
                path(&self.oidc_client_secret_file),
            ),
            ("oidc_scope", "--oidc-scope", self.oidc_scope.clone()),
            ("aws_region", "--aws-region", self.aws_region.clone()),
            ("tls_ca", "--tls-ca", path(&self.tls_ca)),
            ("tls_certificate", "--tls-certificate", path(&self.tls_certificate)),
            ("tls_key", "--tls-key", path(&self.tls_key)),
            ("tls_key_password_file", "--tls-key-password-file", path(&self.tls_key_password_file)),
        ]
    }
}

fn key_value(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.trim().is_empty() => {
            Ok((key.trim().to_owned(), value.to_owned()))
        }
        _ => Err("expected KEY=VALUE, for example socket.keepalive.enable=true".into()),
    }
}
