//! A connection and the task that drives it.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::timeout;
use tokio_postgres::error::SqlState;
use tokio_postgres::{Client, Connection, NoTls};
use tokio_postgres_rustls::MakeRustlsConnect;
use tokio_util::task::AbortOnDropHandle;

use crate::tls::{self, SslMode};
use crate::url::PostgresUrl;

/// Where to connect to, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConnectOptions {
    /// The database.
    pub url: PostgresUrl,
    /// A file whose first line is the password, for example a mounted secret.
    /// A password in the URL goes before it, it goes before `PGPASSWORD`. It is
    /// read at each connection, so that a changed secret needs no restart.
    pub password_file: Option<PathBuf>,
    /// Longest wait for a connection, TLS and authentication included, milliseconds.
    pub connect_timeout_ms: u64,
}

impl ConnectOptions {
    /// A connection within five seconds.
    pub fn new(url: PostgresUrl) -> Self {
        Self { url, password_file: None, connect_timeout_ms: 5_000 }
    }

    /// The password, from wherever it comes; `None` if there is none.
    ///
    /// # Errors
    /// [`ConnectError::PasswordFile`] if there is a file and it cannot be read.
    pub fn password(&self) -> Result<Option<Vec<u8>>, ConnectError> {
        if let Some(password) = self.url.config.get_password() {
            return Ok(Some(password.to_owned()));
        }
        if let Some(path) = &self.password_file {
            let text = std::fs::read(path)
                .map_err(|source| ConnectError::PasswordFile { path: path.clone(), source })?;
            let line = text.split(|byte| matches!(byte, b'\n' | b'\r')).next();
            return Ok(line.map(<[u8]>::to_vec));
        }
        let variable = std::env::var_os("PGPASSWORD").filter(|word| !word.is_empty());
        Ok(variable.map(std::os::unix::ffi::OsStringExt::into_vec))
    }
}

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The password file cannot be read.
    #[error("password file {}: {source}", path.display())]
    PasswordFile {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// TLS cannot be set up on this side.
    #[error("{0}")]
    Tls(String),
    /// The time was over.
    #[error("no connection within {0} ms")]
    Timeout(u64),
    /// The server's answer, or that there was none.
    #[error("{}", describe(.0))]
    Postgres(#[from] tokio_postgres::Error),
}

const NO_ENTRY: SqlState = SqlState::INVALID_AUTHORIZATION_SPECIFICATION;

const POOLER: &str = "behind a pooler in transaction mode, such as PgBouncer, every consumer \
     needs --database-pooler (database_pooler = true)";

/// An error of the client library in one line: what the server said with its
/// SQLSTATE, else the error and its causes.
pub fn describe(error: &tokio_postgres::Error) -> String {
    if let Some(db) = error.as_db_error() {
        let said = format!("{} (SQLSTATE {})", db.message(), db.code().code());
        return match names_prepared_statement(db.code(), db.message()) {
            true => format!("{said}: {POOLER}"),
            false => said,
        };
    }
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        let more = error.to_string();
        if !text.contains(&more) {
            text.push_str(": ");
            text.push_str(&more);
        }
        cause = error.source();
    }
    text.replace('\n', " ")
}

/// Where nobody is in between, a session's statements are its own: none is absent, there
/// already, or another one of that name.
fn names_prepared_statement(state: &SqlState, message: &str) -> bool {
    [SqlState::INVALID_SQL_STATEMENT_NAME, SqlState::DUPLICATE_PSTATEMENT].contains(state)
        || *state == SqlState::PROTOCOL_VIOLATION && message.contains("prepared statement")
}

/// An open connection. Dropping it closes the socket at once: the server rolls
/// back what was not committed as soon as it notices.
pub struct Connected {
    /// The client's side.
    pub client: Client,
    _driver: AbortOnDropHandle<()>,
}

impl fmt::Debug for Connected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Connected")
    }
}

/// Connects; `application_name` is what the server shows unless the URL names one.
///
/// # Errors
/// [`ConnectError`], without the password.
pub async fn connect(
    options: &ConnectOptions,
    application_name: &str,
) -> Result<Connected, ConnectError> {
    let mut config = options.url.config.clone();
    if let Some(password) = options.password()? {
        config.password(password);
    }
    if config.get_application_name().is_none() {
        config.application_name(application_name);
    }
    let tls = tls::client_config(&options.url).map_err(ConnectError::Tls)?;
    let opening = async {
        let Some(tls) = tls else { return Ok(driven(config.connect(NoTls).await?)) };
        if options.url.ssl_mode == SslMode::Allow {
            match config.connect(NoTls).await {
                // No line of its `pg_hba.conf` takes a client without TLS.
                Err(error) if error.code() == Some(&NO_ENTRY) => {}
                connected => return Ok(driven(connected?)),
            }
            config.ssl_mode(SslMode::Require.of_client());
        }
        Ok(driven(config.connect(MakeRustlsConnect::new(tls)).await?))
    };
    timeout(Duration::from_millis(options.connect_timeout_ms), opening)
        .await
        .unwrap_or(Err(ConnectError::Timeout(options.connect_timeout_ms)))
}

fn driven<S, T>((client, connection): (Client, Connection<S, T>)) -> Connected
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let driver = tokio::spawn(async move {
        if let Err(error) = connection.await {
            tracing::debug!(%error, "connection to PostgreSQL ended");
        }
    });
    Connected { client, _driver: AbortOnDropHandle::new(driver) }
}
