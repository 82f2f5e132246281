//! The grant at hand, and the thread that renews it.

use std::fmt;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, Weak};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use super::{Grant, Kind, aws, bearer, msk};
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
pub struct Tokens(Arc<OnceLock<Result<Arc<TokenSource>, Error>>>);

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
    /// A token for the next connection; `None` where the mechanism has none. The
    /// first call fetches the grant: seconds at most.
    pub(crate) fn token(&self) -> Result<Option<Token>, Error> {
        if !self.security.sasl_mechanism.is_some_and(SaslMechanism::has_token) {
            return Ok(None);
        }
        let source = self.security.tokens.0.get_or_init(|| TokenSource::start(self)).clone()?;
        source.token().map(Some).map_err(|why| refused(self, &why))
    }

    /// How the tokens are doing; `None` where the mechanism has none.
    pub fn token_status(&self) -> Option<TokenStatus> {
        let source = self.security.tokens.0.get()?.as_ref().ok()?;
        Some(source.state().status.clone())
    }
}

fn refused(connection: &ConnectionOptions, why: &str) -> Error {
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
        let (hurry, hurried) = channel();
        let source = Arc::new(Self { from, state: Mutex::new(State { grant, status }), hurry });
        let weak = Arc::downgrade(&source);
        std::thread::Builder::new()
            .name("kafka-token".into())
            .spawn(move || renew(&weak, &hurried))
            .map_err(|error| refused(connection, &error.to_string()))?;
        Ok(source)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    fn token(&self) -> Result<Token, String> {
        let (grant, failure) = {
            let state = self.state();
            (state.grant.clone(), state.status.failure.clone())
        };
        let now_ms = now_ms();
        let left_ms = grant.expires_at_ms.map_or(ENDLESS_MS, |at| at - now_ms);
        if left_ms < MIN_LIFETIME_MS {
            let _ = self.hurry.send(());
            let failure = failure.map_or_else(String::new, |why| format!(": {why}"));
            return Err(format!("the last grant has expired and there is no new one{failure}"));
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
                state.status.failure = None;
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
                    why,
                    expires_in_s = left_s,
                    retry_in_ms = wait.as_millis() as u64,
                    "Kafka token not renewed"
                );
                state.status.failure = Some(why);
                wait
            }
        }
    }
}

impl From {
    fn fetch(&self) -> Result<Grant, String> {
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
mod tests {
    use super::*;
    use crate::security::{Secret, SecurityProtocol};

    fn options(token: Secret) -> ConnectionOptions {
        let mut options = ConnectionOptions::new("localhost:1");
        options.security = SecurityOptions {
            security_protocol: SecurityProtocol::SaslPlaintext,
            sasl_mechanism: Some(SaslMechanism::OAuthBearer),
            sasl_token: Some(token),
            ..SecurityOptions::default()
        };
        options
    }

    #[test]
    fn it_is_renewed_after_three_quarters() {
        assert_eq!(renewal_wait(Some(4_000), 0), Duration::from_secs(3));
        assert_eq!(renewal_wait(Some(0), 10_000), Duration::from_millis(500));
        assert_eq!(renewal_wait(None, 7), Duration::from_secs(2700));
    }

    #[test]
    fn clones_share_one_grant_and_nothing_shows_it() {
        let options = options(Secret::value("opaque"));
        let token = options.clone().token().expect("token").expect("has one");
        assert_eq!((token.value.as_str(), token.principal.as_str()), ("opaque", "tidegate"));
        assert_eq!(options.token_status().expect("shared").refreshes_total, 1);
        assert!(!format!("{options:?}").contains("opaque"));
        assert_eq!(options, options.clone());
    }

    #[test]
    fn a_file_that_is_renewed_is_read_again_and_a_failure_is_told() {
        let directory = tempfile::tempdir().expect("directory");
        let path = directory.path().join("token");
        std::fs::write(&path, "first").expect("writes");
        let options = options(Secret::file(&path));
        assert_eq!(options.token().expect("token").expect("has one").value, "first");
        let source = options.security.tokens.0.get().expect("made").clone().expect("made");
        std::fs::write(&path, "second").expect("writes");
        let mut failures = 0;
        source.renew(&mut failures);
        assert_eq!(options.token().expect("token").expect("has one").value, "second");
        std::fs::remove_file(&path).expect("removes");
        source.renew(&mut failures);
        let status = options.token_status().expect("has one");
        assert_eq!((failures, status.failures_total, status.refreshes_total), (1, 1, 2));
        assert!(status.failure.expect("told").contains("token"), "names the file");
        assert_eq!(options.token().expect("still").expect("has one").value, "second");
        source.state().grant.expires_at_ms = Some(now_ms());
        let error = options.token().err().expect("expired").to_string();
        assert!(error.contains("expired"), "{error}");
    }

    /// MSK takes 15 minutes at most; credentials that end sooner end the token with them.
    #[test]
    fn a_token_of_iam_never_outlives_its_credentials() {
        for (credentials_s, token_s) in [(Some(60), 60), (Some(3_600), 900), (None, 900)] {
            let options = options(Secret::value("unused"));
            options.token().expect("token");
            let source = options.security.tokens.0.get().expect("made").clone().expect("made");
            let credentials = aws::Credentials::new("AKID", "secret", None);
            let before_ms = now_ms();
            let expires_at_ms = credentials_s.map(|seconds: i64| before_ms + seconds * 1_000);
            let kind = Kind::Aws { credentials, region: "eu-west-1".into() };
            source.state().grant = Grant { kind, expires_at_ms };
            let token = source.token().expect("signs");
            assert!(
                expires_at_ms.is_none_or(|end| token.expires_at_ms <= end),
                "{credentials_s:?}"
            );
            let lived_ms = token.expires_at_ms - before_ms;
            assert!((token_s * 1_000 - lived_ms).abs() < 5_000, "{credentials_s:?}: {lived_ms}");
        }
    }

    /// Clients that ask again and again do not push the next attempt away.
    #[test]
    fn an_expired_grant_is_fetched_again_however_often_it_is_asked_for() {
        let directory = tempfile::tempdir().expect("directory");
        let path = directory.path().join("token");
        std::fs::write(&path, "first").expect("writes");
        let options = options(Secret::file(&path));
        options.token().expect("token");
        let source = options.security.tokens.0.get().expect("made").clone().expect("made");
        std::fs::remove_file(&path).expect("removes");
        source.state().grant.expires_at_ms = Some(now_ms());
        let deadline = Instant::now() + Duration::from_secs(20);
        while options.token().is_err() {
            if source.state().status.failures_total > 0 && !path.exists() {
                std::fs::write(&path, "second").expect("writes");
            }
            assert!(Instant::now() < deadline, "{:?}", options.token_status());
            std::thread::park_timeout(Duration::from_millis(20));
        }
        assert_eq!(options.token().expect("token").expect("has one").value, "second");
    }
}
