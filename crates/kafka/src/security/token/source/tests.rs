//! Grants: made, kept fresh, refused, and away for a while.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpListener;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use super::*;
use crate::security::{OidcOptions, Secret, SecurityProtocol};

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
    let source = options.security.tokens.0.source.get().expect("made").clone();
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
        let source = options.security.tokens.0.source.get().expect("made").clone();
        let credentials = aws::Credentials::new("AKID", "secret", None);
        let before_ms = now_ms();
        let expires_at_ms = credentials_s.map(|seconds: i64| before_ms + seconds * 1_000);
        let kind = Kind::Aws { credentials, region: "eu-west-1".into() };
        source.state().grant = Grant { kind, expires_at_ms };
        let token = source.token().expect("signs");
        assert!(expires_at_ms.is_none_or(|end| token.expires_at_ms <= end), "{credentials_s:?}");
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
    let source = options.security.tokens.0.source.get().expect("made").clone();
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

/// A token endpoint that answers as it is told to, and how often it was asked.
struct Endpoint {
    url: String,
    asked: Arc<AtomicUsize>,
    answer: Arc<Mutex<(&'static str, &'static str)>>,
}

const DOWN: (&str, &str) = ("503 Service Unavailable", "out of order");
const DENIES: (&str, &str) = ("401 Unauthorized", r#"{"error":"invalid_client"}"#);
const GIVES: (&str, &str) = ("200 OK", r#"{"access_token":"t0ken","expires_in":600}"#);

impl Endpoint {
    fn start(answer: (&'static str, &'static str)) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("binds");
        let url = format!("http://{}/token", listener.local_addr().expect("address"));
        let (asked, answer) = (Arc::new(AtomicUsize::new(0)), Arc::new(Mutex::new(answer)));
        let (count, answers) = (asked.clone(), answer.clone());
        std::thread::spawn(move || {
            for mut stream in listener.incoming().flatten() {
                let mut lines = BufReader::new(stream.try_clone().expect("clones"));
                let (mut line, mut length) = (String::new(), 0);
                while lines.read_line(&mut line).is_ok_and(|read| read > 2) {
                    if let Some(value) = line.strip_prefix("Content-Length: ") {
                        length = value.trim().parse().expect("length");
                    }
                    line.clear();
                }
                let _ = lines.read_exact(&mut vec![0; length]);
                count.fetch_add(1, SeqCst);
                let (status, body) = *answers.lock().expect("lock");
                let head = format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\n\r\n", body.len());
                let _ = stream.write_all((head + body).as_bytes());
            }
        });
        Self { url, asked, answer }
    }

    fn options(&self) -> ConnectionOptions {
        of_provider(&self.url)
    }
}

fn of_provider(url: &str) -> ConnectionOptions {
    let mut options = options(Secret::value("unused"));
    options.security.sasl_token = None;
    options.security.oidc = Some(OidcOptions {
        token_url: url.into(),
        client_id: "me".into(),
        client_secret: Secret::value("hunter2"),
        scope: None,
    });
    options
}

fn error_of(options: &ConnectionOptions) -> Error {
    let error = options.token().err().expect("no token");
    assert!(!error.to_string().contains("hunter2"), "{error}");
    error
}

#[test]
fn an_identity_provider_that_is_away_at_first_is_asked_again() {
    let endpoint = Endpoint::start(DOWN);
    let options = endpoint.options();
    let error = error_of(&options);
    assert!(!error.is_permanent() && !error.is_refusal(), "{error}");
    assert!(error.to_string().contains("503"), "{error}");
    *endpoint.answer.lock().expect("lock") = GIVES;
    let (clone, deadline) = (options.clone(), Instant::now() + Duration::from_secs(20));
    while clone.token().is_err() {
        assert!(Instant::now() < deadline, "never");
        std::thread::park_timeout(Duration::from_millis(20));
    }
    assert_eq!(options.token().expect("shared").expect("has one").value, "t0ken");
    assert_eq!(endpoint.asked.load(SeqCst), 2, "once a second, and never again");
}

#[test]
fn nobody_at_the_token_url_may_pass() {
    let free = TcpListener::bind("127.0.0.1:0").expect("binds").local_addr().expect("address");
    let error = error_of(&of_provider(&format!("http://{free}/token")));
    assert!(!error.is_permanent() && error.to_string().contains("token endpoint"), "{error}");
}

#[test]
fn a_denial_is_permanent_and_names_the_providers_reason() {
    let error = error_of(&Endpoint::start(DENIES).options());
    assert!(error.is_permanent() && error.to_string().contains("invalid_client"), "{error}");
    let error = error_of(&options(Secret::file("/nonexistent/token")));
    assert!(error.is_permanent() && error.to_string().contains("/nonexistent"), "{error}");
}

#[test]
fn clients_that_start_together_share_an_attempt() {
    let endpoint = Endpoint::start(DOWN);
    let options = endpoint.options();
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| error_of(&options));
        }
    });
    assert_eq!(endpoint.asked.load(SeqCst), 1);
}

#[test]
fn an_expired_grant_is_permanent_only_when_the_next_one_is_denied() {
    let endpoint = Endpoint::start(GIVES);
    let options = endpoint.options();
    options.token().expect("token");
    let source = options.security.tokens.0.source.get().expect("made").clone();
    for (answer, is_permanent) in [(DOWN, false), (DENIES, true)] {
        *endpoint.answer.lock().expect("lock") = answer;
        source.renew(&mut 0);
        source.state().grant.expires_at_ms = Some(now_ms());
        let error = error_of(&options);
        assert_eq!(error.is_permanent(), is_permanent, "{error}");
        assert!(error.to_string().contains("expired"), "{error}");
    }
}

#[test]
fn each_cluster_has_tokens_of_its_own() {
    let first = options(Secret::value("opaque"));
    first.token().expect("token");
    let second = first.for_cluster("other:1");
    assert_eq!((second.brokers.as_str(), second.token_status()), ("other:1", None));
    second.token().expect("token");
    let source = |of: &ConnectionOptions| of.security.tokens.0.source.get().expect("made").clone();
    assert!(!Arc::ptr_eq(&source(&first), &source(&second)));
}
