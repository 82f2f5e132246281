//! Who we are to a broker, and how we know that it is the right one.
//!
//! Contract: one set of options for every connection of the process: group member,
//! producer, lag reader, admin (all librdkafka's) and fencing (our own, `stream`).
//! Certificates and host names are always verified. No secret is shown by `Debug`,
//! serialization, an error or a log line.
//!
//! Threads: tokens are obtained by a thread of their own (`token`); the client's
//! callback only signs. Everything else runs on its caller's thread.
//!
//! Rejected: an AWS SDK for the IAM tokens (some eighty crates for one HMAC and two
//! HTTP requests); librdkafka's own OIDC (it needs libcurl, and fencing needs the
//! token too); passing secrets by argument.
//!
//! # Layout
//! - `options`: what can be chosen, checked
//! - `secret`: a secret's source
//! - `settings`: the options as librdkafka has them
//! - `context`: callbacks of the clients that only ask
//! - `refusal`: which errors of the client are the broker's refusal, in plain words
//! - `stream`, `sasl`, `scram`: a secured connection of our own
//! - `http`: the little of HTTP that tokens need; `failure`: which failures may pass
//! - `token`: bearer tokens and AWS credentials, refreshed before they expire

pub(crate) mod context;
mod failure;
mod http;
mod options;
pub(crate) mod refusal;
pub(crate) mod sasl;
mod scram;
mod secret;
mod settings;
pub(crate) mod stream;
pub(crate) mod token;

pub use options::{OidcOptions, SaslMechanism, SecurityOptions, SecurityProtocol};
pub use secret::Secret;
pub use token::{TokenStatus, Tokens};
