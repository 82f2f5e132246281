//! The Kafka section's security, from configuration and environment.
//!
//! A secret is named by its file, which may come from any layer, or stands in an
//! environment variable; no layer holds the secret itself.

use std::path::{Path, PathBuf};

use tidegate_kafka::{OidcOptions, Secret, SecurityOptions};

use crate::config::KafkaConfig;
use crate::exit::bad_input;

/// The options, not yet checked against each other.
pub(super) fn options(config: &KafkaConfig) -> anyhow::Result<SecurityOptions> {
    let refused = |key: &str, why: String| bad_input(format!("kafka.{key} = {why}"));
    let mechanism = &config.sasl_mechanism;
    let mut options = SecurityOptions {
        security_protocol: config
            .security_protocol
            .parse()
            .map_err(|why| refused("security_protocol", why))?,
        sasl_mechanism: match mechanism.as_str() {
            "" => None,
            name => Some(name.parse().map_err(|why| refused("sasl_mechanism", why))?),
        },
        sasl_username: filled(&config.sasl_username),
        aws_region: filled(&config.aws_region),
        tls_ca: file(&config.tls_ca),
        tls_certificate: file(&config.tls_certificate),
        tls_key: file(&config.tls_key),
        tls_key_password: secret(&config.tls_key_password_file, "KAFKA_TLS_KEY_PASSWORD"),
        ..SecurityOptions::default()
    };
    // A variable that is set for another mechanism is not this one's business.
    if mechanism.eq_ignore_ascii_case("OAUTHBEARER") {
        options.oidc = oidc(config)?;
        if options.oidc.is_none() {
            options.sasl_token = secret(&config.sasl_token_file, "KAFKA_SASL_TOKEN");
        }
    } else {
        options.sasl_password = secret(&config.sasl_password_file, "KAFKA_SASL_PASSWORD");
    }
    Ok(options)
}

fn oidc(config: &KafkaConfig) -> anyhow::Result<Option<OidcOptions>> {
    let Some(token_url) = filled(&config.oidc_token_url) else { return Ok(None) };
    let secret = secret(&config.oidc_client_secret_file, "KAFKA_OIDC_CLIENT_SECRET");
    let client_secret = secret.ok_or_else(|| {
        bad_input(
            "kafka.oidc_token_url: needs a client secret: a file, or KAFKA_OIDC_CLIENT_SECRET",
        )
    })?;
    Ok(Some(OidcOptions {
        token_url,
        client_id: config.oidc_client_id.clone(),
        client_secret,
        scope: filled(&config.oidc_scope),
    }))
}

fn secret(file: &Path, variable: &str) -> Option<Secret> {
    if !file.as_os_str().is_empty() {
        return Some(Secret::file(file));
    }
    std::env::var_os(variable).filter(|value| !value.is_empty()).map(|_| Secret::env(variable))
}

fn filled(text: &str) -> Option<String> {
    Some(text.to_owned()).filter(|text| !text.is_empty())
}

fn file(path: &Path) -> Option<PathBuf> {
    Some(path.to_owned()).filter(|path| !path.as_os_str().is_empty())
}
