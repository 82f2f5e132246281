//! How to reach a PostgreSQL server: URL, password, TLS.
//!
//! Contract: the password is in no error, no `Debug` and no `Display` of this
//! crate. Whether an error allows another attempt is the caller's question.
//!
//! Threads: a connection is driven by a task of the runtime it was opened in.
//!
//! Rejected: libpq and native-tls (OpenSSL is not to be linked); one copy of
//! this in the sink and another in the audit.
//!
//! # Layout
//! - `url`: what a URL says, shown without its password
//! - `tls`: what each `sslmode` verifies
//! - `connect`: password, timeouts, the task that drives the connection

#![deny(missing_docs)]

mod connect;
mod tls;
mod url;

pub use connect::{ConnectError, ConnectOptions, Connected, connect, describe};
pub use tls::SslMode;
pub use tokio_postgres;
pub use url::{PostgresUrl, UrlError};
