//! `postgres://user:password@host:port/database?sslmode=verify-full`, as libpq
//! reads it.

use std::ffi::OsString;
use std::fmt;
use std::os::unix::ffi::OsStringExt as _;
use std::path::PathBuf;
use std::str::FromStr;

use percent_encoding::percent_decode_str;
use tokio_postgres::Config;
use tokio_postgres::config::Host;

use crate::connect::describe;
use crate::tls::SslMode;

/// Idle time after which the kernel asks whether the server is still there,
/// seconds, unless the URL says otherwise: libpq's two hours would stop a
/// partition for as long when the server's host vanishes.
const KEEPALIVE_IDLE_S: u64 = 10;
const KEEPALIVE_INTERVAL_S: u64 = 5;
const KEEPALIVE_RETRIES: u32 = 3;

/// A URL of a PostgreSQL database. It shows itself without the password.
#[derive(Clone, PartialEq, Eq)]
pub struct PostgresUrl {
    /// What was given, password and all.
    text: String,
    pub(crate) config: Config,
    pub(crate) ssl_mode: SslMode,
    /// `sslrootcert`: a PEM file, or `system`.
    pub(crate) ssl_root_cert: Option<PathBuf>,
    /// `sslcert` and `sslkey`: PEM files of the own certificate.
    pub(crate) ssl_cert: Option<PathBuf>,
    pub(crate) ssl_key: Option<PathBuf>,
}

/// Why a text is no URL of a PostgreSQL database. It never repeats the text.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct UrlError(String);

impl FromStr for PostgresUrl {
    type Err = UrlError;

    fn from_str(text: &str) -> Result<Self, UrlError> {
        if !["postgres://", "postgresql://"].iter().any(|scheme| text.starts_with(scheme)) {
            return Err(UrlError("it does not begin with postgres://".into()));
        }
        check_user(text)?;
        let mut ssl_mode = SslMode::default();
        let (mut ssl_root_cert, mut ssl_cert, mut ssl_key) = (None, None, None);
        // The client's own parser knows no files and not all of the modes.
        let plain = map_parameters(text, |name, value| match name {
            "sslmode" => {
                ssl_mode = value.parse().map_err(UrlError)?;
                Ok(false)
            }
            "sslrootcert" | "sslcert" | "sslkey" => {
                let file = match name {
                    "sslrootcert" => &mut ssl_root_cert,
                    "sslcert" => &mut ssl_cert,
                    _ => &mut ssl_key,
                };
                *file = Some(unescaped(value)?).filter(|path| !path.as_os_str().is_empty());
                Ok(false)
            }
            _ => Ok(true),
        })?;
        let mut config: Config = plain.parse().map_err(|error| UrlError(describe(&error)))?;
        if config.get_hosts().is_empty() && config.get_hostaddrs().is_empty() {
            config.host("localhost");
        }
        if !text.contains("keepalives_idle=") {
            config
                .keepalives_idle(std::time::Duration::from_secs(KEEPALIVE_IDLE_S))
                .keepalives_interval(std::time::Duration::from_secs(KEEPALIVE_INTERVAL_S))
                .keepalives_retries(KEEPALIVE_RETRIES);
        }
        config.ssl_mode(ssl_mode.of_client());
        Ok(Self { text: text.to_owned(), config, ssl_mode, ssl_root_cert, ssl_cert, ssl_key })
    }
}

/// An @ in a parameter would make what is before it user and password, and show it.
fn check_user(text: &str) -> Result<(), UrlError> {
    let credentials = text.split_once("://").and_then(|(_, rest)| rest.split_once('@'));
    let user =
        credentials.map_or("", |(credentials, _)| credentials.split(':').next().unwrap_or(""));
    if user.contains(['/', '?']) {
        return Err(UrlError(
            "an @ behind the host: write %40 for it, and %2F and %3F for / and ? in a user".into(),
        ));
    }
    Ok(())
}

/// A file's name as a URL has it: `%20` is a space.
fn unescaped(value: &str) -> Result<PathBuf, UrlError> {
    let is_escape = |behind: &str| {
        behind.as_bytes().get(..2).is_some_and(|two| two.iter().all(u8::is_ascii_hexdigit))
    };
    if !value.split('%').skip(1).all(is_escape) {
        return Err(UrlError(format!("{value:?}: behind % allowed are two digits")));
    }
    Ok(OsString::from_vec(percent_decode_str(value).collect()).into())
}

impl PostgresUrl {
    /// The URL as it was given, without its password: for the command line of a
    /// child, which every user of the machine can read.
    pub fn without_password(&self) -> String {
        let text = map_parameters(&self.text, |name, _| Ok(name != "password"))
            .unwrap_or_else(|_| self.to_string());
        let Some((credentials, rest)) = text.split_once('@') else { return text };
        let Some((scheme, credentials)) = credentials.split_once("://") else { return text };
        let user = credentials.split_once(':').map_or(credentials, |(user, _)| user);
        format!("{scheme}://{user}@{rest}")
    }

    /// Whether it carries a password.
    pub fn has_password(&self) -> bool {
        self.config.get_password().is_some_and(|password| !password.is_empty())
    }

    /// Whether every host is a socket in the file system.
    pub(crate) fn is_local_socket(&self) -> bool {
        let hosts = self.config.get_hosts();
        !hosts.is_empty() && hosts.iter().all(|host| matches!(host, Host::Unix(_)))
    }
}

/// Calls `keep` with each parameter behind the `?`, and leaves out what it
/// does not keep.
fn map_parameters(
    text: &str,
    mut keep: impl FnMut(&str, &str) -> Result<bool, UrlError>,
) -> Result<String, UrlError> {
    // As the client reads it: all before the first @ is user and password.
    let behind = text.find('@').map_or(0, |at| at + 1);
    let Some(at) = text[behind..].find('?').map(|at| behind + at) else {
        return Ok(text.to_owned());
    };
    let (base, parameters) = (&text[..at], &text[at + 1..]);
    let mut kept = Vec::new();
    for parameter in parameters.split('&').filter(|parameter| !parameter.is_empty()) {
        let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
        if keep(name, value)? {
            kept.push(parameter);
        }
    }
    let mark = if kept.is_empty() { "" } else { "?" };
    Ok(format!("{base}{mark}{}", kept.join("&")))
}

/// `postgres://user@host:port/database`: who and where, and nothing else.
impl fmt::Display for PostgresUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("postgres://")?;
        if let Some(user) = self.config.get_user() {
            write!(f, "{user}@")?;
        }
        let ports = self.config.get_ports();
        for (index, host) in self.config.get_hosts().iter().enumerate() {
            if index > 0 {
                f.write_str(",")?;
            }
            match host {
                Host::Tcp(name) => f.write_str(name)?,
                Host::Unix(path) => write!(f, "{}", path.display())?,
            }
            if let Some(port) = ports.get(index).or(ports.first()) {
                write!(f, ":{port}")?;
            }
        }
        write!(f, "/{}", self.config.get_dbname().unwrap_or_default())
    }
}

impl fmt::Debug for PostgresUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PostgresUrl({self}, sslmode {})", self.ssl_mode)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> PostgresUrl {
        text.parse().expect(text)
    }

    #[test]
    fn a_password_is_never_shown() {
        for text in [
            "postgres://me:s3cret@db:5433/trades?sslmode=verify-full",
            "postgresql://me@db:5433/trades?password=s3cret&sslmode=verify-full",
        ] {
            let url = url(text);
            assert_eq!(url.to_string(), "postgres://me@db:5433/trades");
            assert!(!format!("{url:?}").contains("s3cret"));
            assert!(!url.without_password().contains("s3cret"));
            assert!(url.without_password().contains("sslmode=verify-full"));
            assert_eq!(
                url.without_password().parse::<PostgresUrl>().unwrap().ssl_mode,
                url.ssl_mode
            );
            assert_eq!(url.config.get_password(), Some(&b"s3cret"[..]));
            assert!(url.has_password());
        }
    }

    #[test]
    fn an_error_names_the_parameter_and_not_the_password() {
        for (text, part) in [
            ("postgres://me:s3cret@db/x?sslmode=always", "sslmode"),
            ("postgres://me:s3cret@db/x?sslcrl=a", "sslcrl"),
            ("postgres://me:s3cret@db/x?sslcert=%2", "behind %"),
            ("postgres://me:s3cret@db:port/x", "port"),
            ("mysql://me:s3cret@db/x", "postgres://"),
        ] {
            let error = text.parse::<PostgresUrl>().expect_err(text).to_string();
            assert!(error.contains(part) && !error.contains("s3cret"), "{error}");
        }
    }

    /// Its first ? was taken for that of the parameters, and `sslmode` was not seen.
    #[test]
    fn a_password_may_have_a_question_mark_and_parameters_count_behind_it() {
        let url = url("postgres://me:s3?cret@db/x?sslmode=require&password=");
        assert_eq!(url.ssl_mode, SslMode::Require);
        assert_eq!(url.without_password(), "postgres://me@db/x?sslmode=require");
    }

    /// The client takes all before the @ for a user, who is shown.
    #[test]
    fn an_at_sign_in_a_parameter_is_refused_and_shows_nothing() {
        for text in ["postgres://db/x?password=s3@cret", "postgres:///x?password=s3@cret"] {
            let error = text.parse::<PostgresUrl>().expect_err(text).to_string();
            assert!(error.contains("%40") && !error.contains("s3"), "{error}");
        }
    }

    #[test]
    fn a_files_name_may_be_escaped() {
        let url = url("postgres:///x?sslcert=/a%20b/c%2ept&sslkey=k&sslrootcert=");
        assert_eq!(url.ssl_cert, Some("/a b/c.pt".into()));
        assert_eq!((url.ssl_key, url.ssl_root_cert), (Some("k".into()), None));
    }

    #[test]
    fn the_defaults_are_those_of_psql_but_for_a_vanished_host() {
        let url = url("postgres:///trades");
        assert_eq!(url.ssl_mode, SslMode::Prefer);
        assert_eq!(url.config.get_hosts(), [Host::Tcp("localhost".into())]);
        assert_eq!(url.config.get_keepalives_idle().as_secs(), KEEPALIVE_IDLE_S);
    }
}
