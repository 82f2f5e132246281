//! Where AWS credentials come from, in the order of AWS's own tools.
//!
//! 1. `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`, `AWS_SESSION_TOKEN`
//! 2. a profile with keys in the shared credentials file (`profile`)
//! 3. a web identity: `AWS_ROLE_ARN` and `AWS_WEB_IDENTITY_TOKEN_FILE` (IRSA on EKS)
//! 4. a container endpoint: `AWS_CONTAINER_CREDENTIALS_FULL_URI` or `…_RELATIVE_URI`
//!    (EKS Pod Identity, ECS)
//! 5. the instance's role (IMDSv2), unless `AWS_EC2_METADATA_DISABLED`
//!
//! The first place that is configured is the one; that it fails is an error and
//! not a reason to go on, as a fall back to an instance's role would hide it.

use std::fmt;
use std::sync::Arc;

use jiff::Timestamp;

use super::profile;
use super::sigv4::encode;
use crate::security::failure::Failure;
use crate::security::http::{self, Request};

/// Reads an environment variable; an argument, so that tests need no real one.
pub(super) type Env<'a> = &'a dyn Fn(&str) -> Option<String>;

/// AWS credentials. `Debug` shows the access key only.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Credentials {
    pub(super) access_key: Arc<str>,
    pub(super) secret_key: Arc<str>,
    session_token: Option<Arc<str>>,
}

impl Credentials {
    pub(super) fn new(access_key: &str, secret_key: &str, session_token: Option<&str>) -> Self {
        Self {
            access_key: access_key.into(),
            secret_key: secret_key.into(),
            session_token: session_token.filter(|token| !token.is_empty()).map(Into::into),
        }
    }

    pub(super) fn session_token(&self) -> Option<&str> {
        self.session_token.as_deref()
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Credentials({}, ***)", self.access_key)
    }
}

/// Credentials and when they expire, Unix ms.
pub(super) type Fetched = (Credentials, Option<i64>);

/// Fetches from the first place that is configured; an error names the place.
pub(super) fn fetch(env: Env<'_>, region: &str) -> Result<Fetched, Failure> {
    let set = |name: &str| env(name).filter(|value| !value.is_empty());
    if let (Some(key), Some(secret)) = (set("AWS_ACCESS_KEY_ID"), set("AWS_SECRET_ACCESS_KEY")) {
        let session = set("AWS_SESSION_TOKEN");
        return Ok((Credentials::new(&key, &secret, session.as_deref()), None));
    }
    if let Some(found) = profile::read(env)? {
        return Ok((found, None));
    }
    if let (Some(file), Some(role)) = (set("AWS_WEB_IDENTITY_TOKEN_FILE"), set("AWS_ROLE_ARN")) {
        return web_identity(env, region, &file, &role)
            .map_err(|why| why.of(format_args!("web identity ({role}): ")));
    }
    if let Some(url) = container_url(env) {
        return container(env, &url).map_err(|why| why.of("container credentials: "));
    }
    if set("AWS_EC2_METADATA_DISABLED").is_some_and(|value| value.eq_ignore_ascii_case("true")) {
        return Err("no AWS credentials: neither variables, profile, web identity nor container \
                    endpoint, and the instance's role is disabled"
            .into());
    }
    instance(env).map_err(|why| {
        why.of(
            "no AWS credentials: neither variables, profile, web identity nor container endpoint, \
             and the instance's role: ",
        )
    })
}

fn web_identity(env: Env<'_>, region: &str, file: &str, role: &str) -> Result<Fetched, Failure> {
    let token = std::fs::read_to_string(file).map_err(|error| format!("{file}: {error}"))?;
    let session = env("AWS_ROLE_SESSION_NAME").filter(|name| !name.is_empty());
    let endpoint = env("AWS_ENDPOINT_URL_STS")
        .filter(|url| !url.is_empty())
        .unwrap_or_else(|| format!("https://sts.{region}.amazonaws.com"));
    let body = format!(
        "Action=AssumeRoleWithWebIdentity&Version=2011-06-15&RoleArn={}&RoleSessionName={}&WebIdentityToken={}",
        encode(role),
        encode(session.as_deref().unwrap_or("tidegate")),
        encode(token.trim())
    );
    let url = format!("{}/", endpoint.trim_end_matches('/'));
    let answer = http::send(&Request {
        method: "POST",
        url: &url,
        headers: &[("Content-Type", "application/x-www-form-urlencoded")],
        body: Some(&body),
    })?;
    let field = |name: &str| xml_text(&answer, name).ok_or(format!("the answer has no {name}"));
    let credentials = Credentials::new(
        &field("AccessKeyId")?,
        &field("SecretAccessKey")?,
        Some(&field("SessionToken")?),
    );
    Ok((credentials, Some(instant(&field("Expiration")?)?)))
}

/// Text of the first element of this name; STS's values need no unescaping.
fn xml_text(xml: &str, name: &str) -> Option<String> {
    let (_, rest) = xml.split_once(&format!("<{name}>"))?;
    Some(rest.split_once(&format!("</{name}>"))?.0.trim().to_owned())
}

fn container_url(env: Env<'_>) -> Option<String> {
    let set = |name: &str| env(name).filter(|value| !value.is_empty());
    set("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI")
        .map(|path| format!("http://169.254.170.2{path}"))
        .or_else(|| set("AWS_CONTAINER_CREDENTIALS_FULL_URI"))
}

/// The addresses that AWS allows without TLS: ECS, EKS Pod Identity, this machine.
const CONTAINER_HOSTS: &[&str] =
    &["http://169.254.170.2", "http://169.254.170.23", "http://[fd00:ec2::23]"];

fn container(env: Env<'_>, url: &str) -> Result<Fetched, Failure> {
    let known = CONTAINER_HOSTS.iter().any(|host| {
        url.strip_prefix(host).is_some_and(|rest| rest.starts_with(['/', ':']) || rest.is_empty())
    });
    if !known && !http::is_protected(url) {
        let only = "only https, this machine, or the container hosts of AWS";
        return Err(format!("{url}: {only}").into());
    }
    let set = |name: &str| env(name).filter(|value| !value.is_empty());
    let token = match set("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE") {
        Some(file) => {
            Some(std::fs::read_to_string(&file).map_err(|error| format!("{file}: {error}"))?)
        }
        None => set("AWS_CONTAINER_AUTHORIZATION_TOKEN"),
    };
    let token = token.map(|token| token.trim_end().to_owned());
    let headers: Vec<(&str, &str)> =
        token.iter().map(|token| ("Authorization", token.as_str())).collect();
    Ok(json(&http::send(&Request { method: "GET", url, headers: &headers, body: None })?)?)
}

fn instance(env: Env<'_>) -> Result<Fetched, Failure> {
    let endpoint = env("AWS_EC2_METADATA_SERVICE_ENDPOINT")
        .filter(|url| !url.is_empty())
        .unwrap_or_else(|| "http://169.254.169.254".into());
    let endpoint = endpoint.trim_end_matches('/');
    let ask = |method, path: &str, headers: &[(&str, &str)]| {
        http::send(&Request { method, url: &format!("{endpoint}{path}"), headers, body: None })
    };
    let session = ask(
        "PUT",
        "/latest/api/token",
        &[("X-aws-ec2-metadata-token-ttl-seconds", "300"), ("Content-Length", "0")],
    )?;
    let headers = [("X-aws-ec2-metadata-token", session.trim())];
    let roles = "/latest/meta-data/iam/security-credentials/";
    let role = ask("GET", roles, &headers)?;
    let role = role.lines().next().unwrap_or_default().trim();
    Ok(json(&ask("GET", &format!("{roles}{role}"), &headers)?)?)
}

fn json(text: &str) -> Result<Fetched, String> {
    let answer: serde_json::Value =
        serde_json::from_str(text).map_err(|_| "the answer is not JSON".to_owned())?;
    let field = |name: &str| {
        let value = answer[name].as_str().filter(|value| !value.is_empty());
        value.ok_or_else(|| format!("the answer has no {name}"))
    };
    let token = answer["Token"].as_str();
    let credentials = Credentials::new(field("AccessKeyId")?, field("SecretAccessKey")?, token);
    Ok((credentials, Some(instant(field("Expiration")?)?)))
}

fn instant(text: &str) -> Result<i64, String> {
    text.parse::<Timestamp>()
        .map(Timestamp::as_millisecond)
        .map_err(|_| format!("Expiration {text:?} is not a time"))
}

#[cfg(test)]
mod tests;
