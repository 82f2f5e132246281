//! Each place, with a server of the test's own where there is one to ask.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::thread::JoinHandle;

use super::*;

/// Answers as many requests as there are answers; returns what it was asked.
fn serve(answers: Vec<String>) -> (String, JoinHandle<Vec<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("binds");
    let url = format!("http://{}", listener.local_addr().expect("address"));
    let handle = std::thread::spawn(move || {
        let mut asked = Vec::new();
        for answer in answers {
            let (mut stream, _) = listener.accept().expect("accepts");
            let mut reader = BufReader::new(stream.try_clone().expect("clones"));
            let (mut request, mut length) = (String::new(), 0);
            loop {
                let mut line = String::new();
                reader.read_line(&mut line).expect("reads");
                if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                    length = value.trim().parse().expect("length");
                }
                if line.trim().is_empty() {
                    break;
                }
                request.push_str(&line);
            }
            let mut body = vec![0; length];
            reader.read_exact(&mut body).expect("body");
            asked.push(request + &String::from_utf8(body).expect("text"));
            let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", answer.len());
            stream.write_all((head + &answer).as_bytes()).expect("answers");
        }
        asked
    });
    (url, handle)
}

fn fetch_with(variables: &[(&str, &str)]) -> Result<Fetched, Failure> {
    let mut all: HashMap<&str, &str> = HashMap::from([
        ("AWS_EC2_METADATA_DISABLED", "true"),
        ("AWS_SHARED_CREDENTIALS_FILE", "/nonexistent"),
    ]);
    all.extend(variables.iter().copied());
    fetch(&|name| all.get(name).map(|value| (*value).to_owned()), "eu-west-1")
}

const JSON: &str = r#"{"AccessKeyId":"AKID","SecretAccessKey":"SECRET","Token":"SESSION","Expiration":"2026-01-01T00:00:00Z"}"#;
const EXPIRY_MS: i64 = 1_767_225_600_000;

#[test]
fn variables_come_first() {
    let (credentials, expiry) = fetch_with(&[
        ("AWS_ACCESS_KEY_ID", "AKID"),
        ("AWS_SECRET_ACCESS_KEY", "SECRET"),
        ("AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://127.0.0.1:1/"),
    ])
    .expect("found");
    assert_eq!((credentials.session_token(), expiry), (None, None));
    assert_eq!(format!("{credentials:?}"), "Credentials(AKID, ***)");
}

#[test]
fn pod_identity_shows_its_token_file_and_gets_credentials_with_an_end() {
    let directory = tempfile::tempdir().expect("directory");
    let file = directory.path().join("token");
    std::fs::write(&file, "pod-token\n").expect("writes");
    let (url, server) = serve(vec![JSON.into()]);
    let (credentials, expiry) = fetch_with(&[
        ("AWS_CONTAINER_CREDENTIALS_FULL_URI", &format!("{url}/v1/credentials")),
        ("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", file.to_str().expect("text")),
    ])
    .expect("fetched");
    assert_eq!(credentials, Credentials::new("AKID", "SECRET", Some("SESSION")));
    assert_eq!(expiry, Some(EXPIRY_MS));
    let asked = server.join().expect("served");
    assert!(asked[0].starts_with("GET /v1/credentials "), "{asked:?}");
    assert!(asked[0].contains("Authorization: pod-token\r\n"), "{asked:?}");
    let error = fetch_with(&[("AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://10.0.0.1/x")])
        .expect_err("a stranger without TLS");
    assert!(error.reason.contains("10.0.0.1") && !error.may_pass, "{error}");
}

#[test]
fn irsa_exchanges_its_token_for_credentials() {
    let directory = tempfile::tempdir().expect("directory");
    let file = directory.path().join("token");
    std::fs::write(&file, "web/token").expect("writes");
    let (url, server) = serve(vec![
        "<R><Credentials><AccessKeyId>AKID</AccessKeyId><SecretAccessKey>SECRET</SecretAccessKey>\
         <SessionToken>SESSION</SessionToken><Expiration>2026-01-01T00:00:00Z</Expiration></Credentials></R>"
            .into(),
    ]);
    let variables = [
        ("AWS_WEB_IDENTITY_TOKEN_FILE", file.to_str().expect("text")),
        ("AWS_ROLE_ARN", "arn:aws:iam::1:role/reader"),
        ("AWS_ENDPOINT_URL_STS", &url),
    ];
    let (credentials, expiry) = fetch_with(&variables).expect("fetched");
    assert_eq!(credentials, Credentials::new("AKID", "SECRET", Some("SESSION")));
    assert_eq!(expiry, Some(EXPIRY_MS));
    let asked = server.join().expect("served");
    assert!(asked[0].contains("RoleArn=arn%3Aaws%3Aiam%3A%3A1%3Arole%2Freader"), "{asked:?}");
    assert!(asked[0].contains("WebIdentityToken=web%2Ftoken"), "{asked:?}");
    let error = fetch_with(&variables).expect_err("nobody answers any more");
    assert!(error.reason.contains("web identity") && error.may_pass, "{error}");
    assert!(!error.reason.contains("web/token"), "{error}");
}

#[test]
fn an_instance_has_its_role() {
    let (url, server) = serve(vec!["session".into(), "reader\n".into(), JSON.into()]);
    let (credentials, _) = fetch_with(&[
        ("AWS_EC2_METADATA_DISABLED", "false"),
        ("AWS_EC2_METADATA_SERVICE_ENDPOINT", &url),
    ])
    .expect("fetched");
    assert_eq!(credentials, Credentials::new("AKID", "SECRET", Some("SESSION")));
    let asked = server.join().expect("served");
    assert!(asked[0].starts_with("PUT /latest/api/token "), "{asked:?}");
    assert!(asked[2].contains("security-credentials/reader "), "{asked:?}");
    assert!(asked[2].contains("X-aws-ec2-metadata-token: session"), "{asked:?}");
}

#[test]
fn without_any_place_all_are_named() {
    let error = fetch_with(&[]).expect_err("nothing");
    assert!(error.reason.contains("variables, profile, web identity nor container"), "{error}");
    assert!(!error.may_pass, "{error}");
    let error = fetch_with(&[("AWS_PROFILE", "work")]).expect_err("asked for by name");
    assert!(error.reason.contains("profile work") && !error.may_pass, "{error}");
}
