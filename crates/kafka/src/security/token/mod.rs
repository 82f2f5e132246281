//! Bearer tokens for OAUTHBEARER and MSK IAM, never expired when they are used.
//!
//! Contract: [`TokenSource`] fetches a grant (AWS credentials, or a token) when it
//! is made, so that a wrong set-up is an error before any connection; where the grant
//! comes from may be away then, and is asked again. A thread of its own fetches the next one after three quarters of its lifetime, and again
//! after a failure, with growing waits. Whoever needs a token gets one signed with
//! the grant at hand: local work, no network. A token never outlives its grant.
//!
//! The broker's refresh event is served by polling only. Clients that are not
//! polled all the time get their token set before each call (`install`).
//!
//! # Layout
//! - `source`: the grant at hand, the thread that renews it, its status
//! - `install`: a token handed to a client without its event
//! - `msk`: the token of MSK's IAM listener; `sigv4`: its signature
//! - `aws`, `profile`: the chain of places AWS credentials come from
//! - `bearer`: tokens that are given or fetched by OpenID Connect

mod aws;
mod bearer;
mod install;
mod msk;
mod profile;
mod sigv4;
mod source;

pub(super) use bearer::check as check_oidc;
pub(crate) use install::install;
pub use source::{TokenStatus, Tokens};

use aws::Credentials;

/// What a token is made from.
/// Nothing shows it.
#[derive(Clone)]
struct Grant {
    kind: Kind,
    /// Unix ms; `None` does not expire.
    expires_at_ms: Option<i64>,
}

#[derive(Clone)]
enum Kind {
    Aws { credentials: Credentials, region: String },
    Bearer(String),
}
