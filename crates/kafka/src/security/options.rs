//! What can be chosen about security, and which choices go together.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::token::{self, Tokens};
use super::{Secret, stream};
use crate::Error;

/// How a connection is protected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum SecurityProtocol {
    /// `SASL_SSL` with a mechanism, `SSL` with a certificate option, else `PLAINTEXT`.
    #[default]
    Auto,
    /// Neither encrypted nor authenticated.
    Plaintext,
    /// TLS.
    Ssl,
    /// Authenticated, not encrypted.
    SaslPlaintext,
    /// Authenticated within TLS.
    SaslSsl,
}

impl SecurityProtocol {
    const ALL: &'static [(&'static str, Self)] = &[
        ("auto", Self::Auto),
        ("PLAINTEXT", Self::Plaintext),
        ("SSL", Self::Ssl),
        ("SASL_PLAINTEXT", Self::SaslPlaintext),
        ("SASL_SSL", Self::SaslSsl),
    ];

    pub(crate) fn has_tls(self) -> bool {
        matches!(self, Self::Ssl | Self::SaslSsl)
    }

    pub(crate) fn has_sasl(self) -> bool {
        matches!(self, Self::SaslPlaintext | Self::SaslSsl)
    }
}

/// How a client proves who it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum SaslMechanism {
    /// User and password as they are: only within TLS.
    Plain,
    /// User and password, proven without sending it.
    ScramSha256,
    /// The same with SHA-512; what MSK offers.
    ScramSha512,
    /// A bearer token: given, or fetched by OpenID Connect.
    OAuthBearer,
    /// A token signed with AWS credentials, as MSK's IAM listener wants it.
    AwsMskIam,
}

impl SaslMechanism {
    const ALL: &'static [(&'static str, Self)] = &[
        ("PLAIN", Self::Plain),
        ("SCRAM-SHA-256", Self::ScramSha256),
        ("SCRAM-SHA-512", Self::ScramSha512),
        ("OAUTHBEARER", Self::OAuthBearer),
        ("AWS_MSK_IAM", Self::AwsMskIam),
    ];

    /// The name in the exchange with the broker.
    pub(crate) fn on_the_wire(self) -> &'static str {
        match self {
            Self::AwsMskIam => "OAUTHBEARER",
            other => name_of(Self::ALL, other),
        }
    }

    pub(crate) fn has_token(self) -> bool {
        matches!(self, Self::OAuthBearer | Self::AwsMskIam)
    }
}

fn name_of<T: PartialEq + Copy>(all: &'static [(&'static str, T)], value: T) -> &'static str {
    all.iter().find(|(_, known)| *known == value).map_or("", |(name, _)| name)
}

fn named<T: Copy>(all: &'static [(&'static str, T)], text: &str) -> Result<T, String> {
    all.iter()
        .find(|(name, _)| name.eq_ignore_ascii_case(text))
        .map(|(_, value)| *value)
        .ok_or_else(|| {
            let names: Vec<&str> = all.iter().map(|(name, _)| *name).collect();
            format!("{text:?}: allowed is {}", names.join(", "))
        })
}

macro_rules! text_form {
    ($type:ty) => {
        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(name_of(Self::ALL, *self))
            }
        }

        impl FromStr for $type {
            type Err = String;

            fn from_str(text: &str) -> Result<Self, String> {
                named(Self::ALL, text)
            }
        }

        impl TryFrom<String> for $type {
            type Error = String;

            fn try_from(text: String) -> Result<Self, String> {
                text.parse()
            }
        }

        impl From<$type> for String {
            fn from(value: $type) -> Self {
                value.to_string()
            }
        }
    };
}

text_form!(SecurityProtocol);
text_form!(SaslMechanism);

/// Where a token comes from by OpenID Connect's client credentials grant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OidcOptions {
    /// Token endpoint, `https://` (or `http://` on this machine).
    pub token_url: String,
    /// Client id.
    pub client_id: String,
    /// Client secret.
    pub client_secret: Secret,
    /// Scope asked for, if any.
    #[serde(default)]
    pub scope: Option<String>,
}

/// How to be trusted, and whom to trust. Clones share their tokens.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SecurityOptions {
    /// Encrypted, authenticated, both or neither.
    pub security_protocol: SecurityProtocol,
    /// How to authenticate, for the `SASL_` protocols.
    pub sasl_mechanism: Option<SaslMechanism>,
    /// User of PLAIN and SCRAM.
    pub sasl_username: Option<String>,
    /// Password of PLAIN and SCRAM.
    pub sasl_password: Option<Secret>,
    /// A token for OAUTHBEARER; a file is read again when its token expires.
    pub sasl_token: Option<Secret>,
    /// OAUTHBEARER: fetch tokens here instead.
    pub oidc: Option<OidcOptions>,
    /// `AWS_MSK_IAM`: the cluster's region; else `AWS_REGION`, `AWS_DEFAULT_REGION`,
    /// or what the brokers' names say.
    pub aws_region: Option<String>,
    /// Authorities to trust, PEM; else the system's.
    pub tls_ca: Option<PathBuf>,
    /// Our own certificate with its chain, PEM, for mutual TLS.
    pub tls_certificate: Option<PathBuf>,
    /// Its key, PEM.
    pub tls_key: Option<PathBuf>,
    /// Pass phrase of the key.
    pub tls_key_password: Option<Secret>,
    /// What was obtained, for all clones; leave it at its default.
    #[serde(skip)]
    pub tokens: Tokens,
}

impl SecurityOptions {
    /// The protocol, `Auto` resolved.
    pub fn protocol(&self) -> SecurityProtocol {
        match self.security_protocol {
            SecurityProtocol::Auto if self.sasl_mechanism.is_some() => SecurityProtocol::SaslSsl,
            SecurityProtocol::Auto if self.tls_file().is_some() => SecurityProtocol::Ssl,
            SecurityProtocol::Auto => SecurityProtocol::Plaintext,
            chosen => chosen,
        }
    }

    fn tls_file(&self) -> Option<(&'static str, &Path)> {
        self.tls_files().next()
    }

    fn tls_files(&self) -> impl Iterator<Item = (&'static str, &Path)> {
        [
            ("tls_ca", &self.tls_ca),
            ("tls_certificate", &self.tls_certificate),
            ("tls_key", &self.tls_key),
        ]
        .into_iter()
        .filter_map(|(field, file)| Some((field, file.as_deref()?)))
    }

    /// Checks that the choices go together and that files can be read.
    ///
    /// # Errors
    /// [`Error::Option`] naming the field, its value and what is allowed.
    pub fn validate(&self) -> Result<(), Error> {
        let protocol = self.protocol();
        if let Some((field, file)) = self.tls_file().filter(|_| !protocol.has_tls()) {
            return Err(Error::option(
                field,
                file.display(),
                format!("only with security_protocol SSL or SASL_SSL, and it is {protocol}"),
            ));
        }
        for (field, file) in self.tls_files() {
            std::fs::File::open(file)
                .map_err(|error| Error::option(field, file.display(), error.to_string()))?;
        }
        match (&self.tls_certificate, &self.tls_key) {
            (Some(file), None) => {
                return Err(Error::option("tls_certificate", file.display(), "needs tls_key"));
            }
            (None, Some(file)) => {
                return Err(Error::option("tls_key", file.display(), "needs tls_certificate"));
            }
            _ => {}
        }
        stream::check_files(self)?;
        match self.sasl_mechanism {
            Some(mechanism) if !protocol.has_sasl() => Err(Error::option(
                "sasl_mechanism",
                mechanism,
                format!(
                    "only with security_protocol SASL_SSL or SASL_PLAINTEXT, and it is {protocol}"
                ),
            )),
            None if protocol.has_sasl() => Err(Error::option(
                "security_protocol",
                protocol,
                "needs sasl_mechanism: PLAIN, SCRAM-SHA-256, SCRAM-SHA-512, OAUTHBEARER or AWS_MSK_IAM",
            )),
            Some(mechanism) => self.validate_sasl(mechanism),
            None => Ok(()),
        }
    }

    fn validate_sasl(&self, mechanism: SaslMechanism) -> Result<(), Error> {
        let missing = |what: &str| Err(Error::option("sasl_mechanism", mechanism, what));
        match mechanism {
            SaslMechanism::Plain | SaslMechanism::ScramSha256 | SaslMechanism::ScramSha512 => {
                if self.sasl_username.as_deref().is_none_or(str::is_empty) {
                    return missing("needs a user: sasl_username");
                }
                match &self.sasl_password {
                    None => missing("needs a password, from KAFKA_SASL_PASSWORD or a file"),
                    Some(password) => password.read().map(drop),
                }
            }
            SaslMechanism::OAuthBearer => match (&self.sasl_token, &self.oidc) {
                (None, None) => missing("needs a token or OIDC's token URL"),
                (Some(_), Some(_)) => missing("takes a token or OIDC's token URL, not both"),
                (Some(token), None) => token.read().map(drop),
                (None, Some(oidc)) => token::check_oidc(oidc),
            },
            SaslMechanism::AwsMskIam if self.protocol() != SecurityProtocol::SaslSsl => {
                missing("only with security_protocol SASL_SSL: the token is a credential")
            }
            SaslMechanism::AwsMskIam => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error_of(options: &SecurityOptions) -> String {
        options.validate().expect_err("refused").to_string()
    }

    #[test]
    fn the_protocol_follows_from_what_is_given() {
        let mut options = SecurityOptions::default();
        assert_eq!(options.protocol(), SecurityProtocol::Plaintext);
        options.tls_ca = Some("/dev/null".into());
        assert_eq!(options.protocol(), SecurityProtocol::Ssl);
        assert!(error_of(&options).contains("at least one certificate"), "it is empty");
        options.sasl_mechanism = Some(SaslMechanism::AwsMskIam);
        assert_eq!(options.protocol(), SecurityProtocol::SaslSsl);
        options.security_protocol = SecurityProtocol::SaslPlaintext;
        assert!(error_of(&options).contains("tls_ca"), "TLS files without TLS");
        options.tls_ca = None;
        assert!(error_of(&options).contains("SASL_SSL"), "an IAM token in the clear");
    }

    #[test]
    fn what_does_not_go_together_is_one_line_with_the_field() {
        let mut options = SecurityOptions {
            security_protocol: SecurityProtocol::SaslSsl,
            ..SecurityOptions::default()
        };
        assert!(error_of(&options).contains("needs sasl_mechanism"));
        options.sasl_mechanism = Some(SaslMechanism::Plain);
        assert!(error_of(&options).contains("sasl_username"));
        options.sasl_username = Some("me".into());
        assert!(error_of(&options).contains("KAFKA_SASL_PASSWORD"));
        options.sasl_password = Some(Secret::file("/nonexistent/password"));
        assert!(error_of(&options).contains("/nonexistent/password"));
        options.sasl_password = Some(Secret::value("s3cret"));
        options.validate().expect("complete");
        assert!(!format!("{options:?}").contains("s3cret"));
        options.tls_certificate = Some("/dev/null".into());
        assert!(error_of(&options).contains("needs tls_key"));
        options.tls_certificate = Some("/nonexistent.pem".into());
        assert!(error_of(&options).contains("/nonexistent.pem"));
    }

    #[test]
    fn names_are_read_in_any_case_and_wrong_ones_are_told_the_right_ones() {
        assert_eq!("sasl_ssl".parse(), Ok(SecurityProtocol::SaslSsl));
        assert_eq!("scram-sha-512".parse(), Ok(SaslMechanism::ScramSha512));
        let error = "GSSAPI".parse::<SaslMechanism>().expect_err("unknown");
        assert!(error.contains("AWS_MSK_IAM"), "{error}");
    }
}
