//! Why something outside Kafka could not be fetched, and whether it may pass. Pure.
//!
//! Contract: what a retry may heal passes: nobody answers, a server's own error, throttling.
//! A refusal and a wrong option last; so does everything that was not looked into.

use std::fmt;

/// A failure, in words without a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Failure {
    pub(crate) reason: String,
    pub(crate) may_pass: bool,
}

/// What answers with a status of 400 say when it is not the request that is wrong: AWS's
/// codes, and those of OAuth.
const PASSING_CODES: &[&str] = &[
    "Throttl",
    "TooManyRequests",
    "RequestLimitExceeded",
    "IDPCommunicationError",
    "temporarily_unavailable",
    "slow_down",
];

impl Failure {
    pub(crate) fn passing(reason: impl Into<String>) -> Self {
        Self { reason: reason.into(), may_pass: true }
    }

    /// An answer with this status; `start` is how its text begins.
    pub(crate) fn of_status(status: u16, start: &str) -> Self {
        let may_pass = match status {
            408 | 425 | 429 | 500..=599 => true,
            400..=499 => PASSING_CODES.iter().any(|code| start.contains(code)),
            _ => false,
        };
        Self { reason: format!("status {status}: {start}"), may_pass }
    }

    /// A connection that failed. Whom we do not trust, or who does not speak TLS, stays so.
    pub(crate) fn of_connection(error: &std::io::Error) -> Self {
        let tls: Option<&rustls::Error> = error.get_ref().and_then(|inner| inner.downcast_ref());
        Self { reason: error.to_string(), may_pass: tls.is_none() }
    }

    /// The same with what it is about in front.
    pub(crate) fn of(self, what: impl fmt::Display) -> Self {
        Self { reason: format!("{what}{}", self.reason), ..self }
    }
}

/// It lasts.
impl From<String> for Failure {
    fn from(reason: String) -> Self {
        Self { reason, may_pass: false }
    }
}

impl From<&str> for Failure {
    fn from(reason: &str) -> Self {
        reason.to_owned().into()
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.reason)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_that_is_out_of_order_passes_and_a_denial_lasts() {
        for (status, start) in [
            (500, ""),
            (503, "<html>"),
            (429, ""),
            (408, ""),
            (400, "<Code>Throttling</Code>"),
            (400, r#"{"error":"temporarily_unavailable"}"#),
        ] {
            assert!(Failure::of_status(status, start).may_pass, "{status} {start}");
        }
        for (status, start) in [
            (400, r#"{"error":"invalid_client"}"#),
            (401, ""),
            (403, "<Code>AccessDenied</Code>"),
            (404, ""),
            (302, ""),
        ] {
            assert!(!Failure::of_status(status, start).may_pass, "{status} {start}");
        }
        let refused = std::io::Error::from(std::io::ErrorKind::ConnectionRefused);
        assert!(Failure::of_connection(&refused).may_pass);
        let stranger = std::io::Error::other(rustls::Error::InvalidCertificate(
            rustls::CertificateError::UnknownIssuer,
        ));
        assert!(!Failure::of_connection(&stranger).may_pass);
    }
}
