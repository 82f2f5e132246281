//! The grant at hand, and the thread that renews it.
//!
//! Contract: only a grant that was fetched is kept. A first attempt that failed is made
//! again for whoever asks after [`RETRY_MS`]'s first wait; until then it is the answer, so
//! that clients which start together ask once. What may pass is no permanent error.

use std::fmt;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use super::{Grant, Kind, aws, bearer, msk};
use crate::security::failure::Failure;
use crate::security::{SaslMechanism, SecurityOptions};
use crate::{ConnectionOptions, Error};

/// A grant that does not expire is looked at again this often, ms: its source may
/// have changed.
const RECHECK_MS: i64 = 3_600_000;
/// Waits after failures, ms; doubled from the first to the last, and jittered.
const RETRY_MS: std::ops::RangeInclusive<u64> = 1_000..=30_000;
/// A token that lives shorter than this is not worth a connection, ms.
const MIN_LIFETIME_MS: i64 = 1_000;
/// A token that never expires is handed to the client for this long, ms.
const ENDLESS_MS: i64 = 24 * 3_600_000;

/// A token, ready to be sent.
pub(crate) struct Token {
    pub(crate) value: String,
    /// What the client's log calls it; the broker reads the token itself.
    pub(crate) principal: String,
    /// Unix ms.
    pub(crate) expires_at_ms: i64,
}

/// How the tokens of a process are doing.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TokenStatus {
    /// Grants fetched: credentials or tokens.
    pub refreshes_total: u64,
    /// Attempts that failed.
    pub failures_total: u64,
    /// When the grant at hand expires, Unix ms; `None` does not expire.
    pub expires_at_ms: Option<i64>,
    /// Why the last attempt failed, if it did.
    pub failure: Option<String>,
}

/// Where the clones of one set of options find their tokens.
#[derive(Clone, Default)]
pub struct Tokens(Arc<Slot>);

#[derive(Default)]
struct Slot {
    source: OnceLock<Arc<TokenSource>>,
    /// When the first grant was last fetched in vain, and why. Locked while it is fetched.
    failed: Mutex<Option<(Instant, Error)>>,
}

impl Tokens {
    fn source(&self, connection: &ConnectionOptions) -> Result<Arc<TokenSource>, Error> {
        if let Some(source) = self.0.source.get() {
            return Ok(source.clone());
        }
        let mut failed = self.0.failed.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(source) = self.0.source.get() {
            return Ok(source.clone());
        }
        if let Some((at, error)) = &*failed
            && at.elapsed() < Duration::from_millis(*RETRY_MS.start())
        {
            return Err(error.clone());
        }
        match TokenSource::start(connection) {
            Ok(source) => Ok(self.0.source.get_or_init(|| source).clone()),
            Err(error) => {
                *failed = Some((Instant::now(), error.clone()));
                Err(error)
            }
        }
    }
}

impl fmt::Debug for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tokens(***)")
    }
}

/// What was obtained does not make options different.
impl PartialEq for Tokens {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Tokens {}

impl ConnectionOptions {
    /// A token for the next connection; `None` where the mechanism has none. Calls fetch
    /// the grant until there is one: seconds at most.
    ///
    /// # Errors
    /// [`Error::Option`] and [`Error::Security`] where trying again cannot help,
    /// [`Error::Client`] where it may.
    pub(crate) fn token(&self) -> Result<Option<Token>, Error> {
        if !self.security.sasl_mechanism.is_some_and(SaslMechanism::has_token) {
            return Ok(None);
        }
        let source = self.security.tokens.source(self)?;
        source.token().map(Some).map_err(|why| refused(self, &why))
    }

    /// How the tokens are doing; `None` where the mechanism has none.
    pub fn token_status(&self) -> Option<TokenStatus> {
        let source = self.security.tokens.0.source.get()?;
        Some(source.state().status.clone())
    }
}

fn refused(connection: &ConnectionOptions, why: &Failure) -> Error {
    if why.may_pass {
        return Error::Client { action: "get a token", reason: why.to_string(), code: None };
    }
    Error::Security { brokers: connection.brokers.clone(), reason: format!("no token: {why}") }
}

/// Keeps a grant fresh. The thread ends with the last clone of the options.
pub(crate) struct TokenSource {
    from: From,
    state: Mutex<State>,
    /// Wakes the thread before its time.
    hurry: Sender<()>,
}

enum From {
    Aws { region: String },
    Options(SecurityOptions),
}

struct State {
    grant: Grant,
    status: TokenStatus,
    /// The last attempt failed, for a reason that stays.
    is_refused: bool,
}

impl TokenSource {
    fn start(connection: &ConnectionOptions) -> Result<Arc<Self>, Error> {
        let from = match connection.security.sasl_mechanism {
            Some(SaslMechanism::AwsMskIam) => From::Aws { region: region(connection)? },
            _ => From::Options(SecurityOptions {
                tokens: Tokens::default(),
                ..connection.security.clone()
            }),
        };
        let grant = from.fetch().map_err(|why| refused(connection, &why))?;
        let status = TokenStatus {
            refreshes_total: 1,
            expires_at_ms: grant.expires_at_ms,
            ..TokenStatus::default()
        };
        let state = State { grant, status, is_refused: false };
        let (hurry, hurried) = channel();
        let source = Arc::new(Self { from, state: Mutex::new(state), hurry });
        let weak = Arc::downgrade(&source);
        std::thread::Builder::new()
            .name("kafka-token".into())
            .spawn(move || renew(&weak, &hurried))
            .map_err(|error| refused(connection, &Failure::passing(error.to_string())))?;
        Ok(source)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn token(&self) -> Result<Token, Failure> {
        let (grant, failure, is_refused) = {
            let state = self.state();
            (state.grant.clone(), state.status.failure.clone(), state.is_refused)
        };
        let now_ms = now_ms();
        let left_ms = grant.expires_at_ms.map_or(ENDLESS_MS, |at| at - now_ms);
        if left_ms < MIN_LIFETIME_MS {
            let _ = self.hurry.send(());
            let failure = failure.map_or_else(String::new, |why| format!(": {why}"));
            let reason = format!("the last grant has expired and there is no new one{failure}");
            return Err(Failure { reason, may_pass: !is_refused });
        }
        match grant.kind {
            Kind::Bearer(value) => Ok(Token {
                principal: bearer::subject_of_jwt(&value).unwrap_or_else(|| "tidegate".into()),
                value,
                expires_at_ms: now_ms + left_ms,
            }),
            Kind::Aws { credentials, region } => {
                let lifetime_s = msk::MAX_LIFETIME_S.min(left_ms / 1000);
                Ok(Token {
                    value: msk::token(&credentials, &region, now_ms, lifetime_s)?,
                    principal: "tidegate".into(),
                    expires_at_ms: now_ms + lifetime_s * 1000,
                })
            }
        }
    }

    /// Fetches once; returns how long the thread may sleep then.
    fn renew(&self, failures: &mut u32) -> Duration {
        let fetched = self.from.fetch();
        let mut state = self.state();
        match fetched {
            Ok(grant) => {
                if std::mem::take(failures) > 0 {
                    tracing::info!("Kafka tokens are renewed again");
                }
                state.status.refreshes_total += 1;
                (state.status.failure, state.is_refused) = (None, false);
                state.status.expires_at_ms = grant.expires_at_ms;
                let wait = renewal_wait(grant.expires_at_ms, now_ms());
                state.grant = grant;
                wait
            }
            Err(why) => {
                *failures += 1;
                state.status.failures_total += 1;
                let (first, last) = (*RETRY_MS.start(), *RETRY_MS.end());
                let wait_ms = last.min(first << (*failures - 1).min(10));
                let wait = Duration::from_millis(wait_ms / 2 + fastrand::u64(0..=wait_ms / 2));
                let left_s = state.grant.expires_at_ms.map(|at| (at - now_ms()) / 1000);
                tracing::warn!(
                    why = why.reason,
                    expires_in_s = left_s,
                    retry_in_ms = wait.as_millis() as u64,
                    "Kafka token not renewed"
                );
                (state.status.failure, state.is_refused) = (Some(why.reason), !why.may_pass);
                wait
            }
        }
    }
}

impl From {
    fn fetch(&self) -> Result<Grant, Failure> {
        match self {
            Self::Aws { region } => {
                let (credentials, expires_at_ms) =
                    aws::fetch(&|name| std::env::var(name).ok(), region)?;
                let kind = Kind::Aws { credentials, region: region.clone() };
                Ok(Grant { kind, expires_at_ms })
            }
            Self::Options(options) => match (&options.sasl_token, &options.oidc) {
                (Some(token), _) => bearer::given(token, now_ms()),
                (None, Some(oidc)) => bearer::fetch(oidc, now_ms()),
                (None, None) => Err("neither a token nor where to fetch one".into()),
            },
        }
    }
}

fn renew(source: &Weak<TokenSource>, hurried: &Receiver<()>) {
    let mut failures = 0;
    let mut due = match source.upgrade() {
        Some(source) => Instant::now() + renewal_wait(source.state().grant.expires_at_ms, now_ms()),
        None => return,
    };
    loop {
        match hurried.recv_timeout(due.saturating_duration_since(Instant::now())) {
            Err(RecvTimeoutError::Disconnected) => return,
            // A hurry while failures are waited out would only fail again.
            Ok(()) if failures > 0 => continue,
            Ok(()) | Err(RecvTimeoutError::Timeout) => {}
        }
        let Some(source) = source.upgrade() else { return };
        due = Instant::now() + source.renew(&mut failures);
    }
}

/// Three quarters of what is left: time for failures before it expires.
fn renewal_wait(expires_at_ms: Option<i64>, now_ms: i64) -> Duration {
    let left_ms = expires_at_ms.map_or(RECHECK_MS, |at| (at - now_ms).min(4 * RECHECK_MS));
    Duration::from_millis((left_ms * 3 / 4).max(500) as u64)
}

fn region(connection: &ConnectionOptions) -> Result<String, Error> {
    let env = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    connection
        .security
        .aws_region
        .clone()
        .or_else(|| env("AWS_REGION"))
        .or_else(|| env("AWS_DEFAULT_REGION"))
        .or_else(|| msk::region_of_brokers(&connection.brokers))
        .ok_or_else(|| {
            let allowed = "AWS_MSK_IAM needs the cluster's region: the option, or AWS_REGION";
            Error::option("aws_region", "", allowed)
        })
}

fn now_ms() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as i64)
}

#[cfg(test)]
mod tests;
