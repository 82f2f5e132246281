//! Tokens that are given, or fetched with OpenID Connect's client credentials grant.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::Value;

use super::sigv4::encode;
use super::{Grant, Kind};
use crate::Error;
use crate::security::failure::Failure;
use crate::security::http::{self, Request};
use crate::security::{OidcOptions, Secret};

/// A token that does not say when it expires is asked for again after this, ms.
const UNKNOWN_LIFETIME_MS: i64 = 300_000;

/// Whether a token can be fetched there at all.
///
/// # Errors
/// [`Error::Option`] naming the field.
pub(crate) fn check(oidc: &OidcOptions) -> Result<(), Error> {
    if !http::is_protected(&oidc.token_url) {
        let allowed = "an https:// URL: the client secret goes there";
        return Err(Error::option("oidc_token_url", &oidc.token_url, allowed));
    }
    if oidc.client_id.is_empty() {
        return Err(Error::option("oidc_client_id", "", "a client id"));
    }
    oidc.client_secret.read().map(drop)
}

/// The token of a variable or a file.
pub(super) fn given(secret: &Secret, now_ms: i64) -> Result<Grant, Failure> {
    let token = secret.read().map_err(|error| error.to_string())?;
    let expires_at_ms = expiry_of_jwt(&token)
        .or_else(|| secret.can_change().then_some(now_ms + UNKNOWN_LIFETIME_MS));
    if expires_at_ms.is_some_and(|at| at <= now_ms) {
        let ago_s = (now_ms - expires_at_ms.unwrap_or(now_ms)) / 1000;
        return Err(format!("the token of {secret} expired {ago_s} s ago").into());
    }
    Ok(Grant { kind: Kind::Bearer(token), expires_at_ms })
}

/// A fresh token of an identity provider.
pub(super) fn fetch(oidc: &OidcOptions, now_ms: i64) -> Result<Grant, Failure> {
    let secret = oidc.client_secret.read().map_err(|error| error.to_string())?;
    // RFC 6749, 2.3.1: both are form-encoded before they are put together.
    let pair = STANDARD.encode(format!("{}:{}", encode(&oidc.client_id), encode(&secret)));
    let mut body = "grant_type=client_credentials".to_owned();
    if let Some(scope) = &oidc.scope {
        body.push_str(&format!("&scope={}", encode(scope)));
    }
    let answer = http::send(&Request {
        method: "POST",
        url: &oidc.token_url,
        headers: &[
            ("Authorization", &format!("Basic {pair}")),
            ("Content-Type", "application/x-www-form-urlencoded"),
            ("Accept", "application/json"),
        ],
        body: Some(&body),
    })
    .map_err(|why| why.of("token endpoint "))?;
    let answer: Value = serde_json::from_str(&answer)
        .map_err(|_| "the token endpoint's answer is not JSON".to_owned())?;
    let token = answer["access_token"].as_str().filter(|token| !token.is_empty());
    let token = token.ok_or("the token endpoint's answer has no access_token")?;
    let lifetime_ms = answer["expires_in"].as_i64().map(|seconds| seconds.saturating_mul(1000));
    let expires_at_ms = lifetime_ms
        .map(|lifetime| now_ms + lifetime)
        .or_else(|| expiry_of_jwt(token))
        .unwrap_or(now_ms + UNKNOWN_LIFETIME_MS);
    Ok(Grant { kind: Kind::Bearer(token.to_owned()), expires_at_ms: Some(expires_at_ms) })
}

/// The `exp` claim, Unix ms. The signature is the broker's to check.
fn expiry_of_jwt(token: &str) -> Option<i64> {
    let claims: Value = serde_json::from_slice(&part(token, 1)?).ok()?;
    let seconds = claims["exp"].as_f64().filter(|seconds| (0.0..1e11).contains(seconds))?;
    Some((seconds * 1000.0) as i64)
}

/// Who the token is about, where it says so.
pub(super) fn subject_of_jwt(token: &str) -> Option<String> {
    let claims: Value = serde_json::from_slice(&part(token, 1)?).ok()?;
    claims["sub"].as_str().map(str::to_owned)
}

fn part(token: &str, index: usize) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(token.split('.').nth(index)?.trim_end_matches('=')).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn jwt(claims: &str) -> String {
        format!("e30.{}.", URL_SAFE_NO_PAD.encode(claims))
    }

    #[test]
    fn a_given_token_expires_when_it_says_so() {
        let token = Secret::value(jwt(r#"{"sub":"me","exp":1000.5}"#));
        let grant = given(&token, 1_000_000).expect("valid for half a second");
        assert_eq!(grant.expires_at_ms, Some(1_000_500));
        let error = given(&token, 3_000_500).err().expect("expired");
        assert!(error.reason.contains("expired 2000 s ago") && !error.may_pass, "{error}");
        let opaque = given(&Secret::value("opaque"), 5).expect("never expires");
        assert_eq!(opaque.expires_at_ms, None);
        assert_eq!(subject_of_jwt(&jwt(r#"{"sub":"me"}"#)).as_deref(), Some("me"));
        assert_eq!(subject_of_jwt("opaque"), None);
    }
}
