//! On a real server with TLS and passwords: who is trusted, who gets in.

use std::path::{Path, PathBuf};
use std::process::Command;

use tidegate_pgtest::Server;
use tidegate_postgres::{ConnectOptions, connect};

fn data(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(name)
}

/// A server with TLS, and a user `guarded` that needs the password `s3cret`.
fn server() -> Server {
    let server = Server::start(&["fsync=off"]).expect("a PostgreSQL server");
    let directory = server.directory().join("data");
    for (from, to) in
        [("server.pem", "server.crt"), ("server.key", "server.key"), ("client-ca.pem", "root.crt")]
    {
        std::fs::copy(data(from), directory.join(to)).expect("copies");
    }
    let key = directory.join("server.key");
    let chown = Command::new("chown").arg("--reference").arg(&directory).arg(&key).status();
    assert!(chown.expect("chown runs").success());
    let chmod = Command::new("chmod").arg("600").arg(&key).status();
    assert!(chmod.expect("chmod runs").success());
    std::fs::write(
        directory.join("pg_hba.conf"),
        "hostssl all certified all cert\nhost all certified all reject\n\
         hostssl all walled all trust\nhost all guarded all scram-sha-256\n\
         host all tidegate all trust\nlocal all all trust\n",
    )
    .expect("writes");
    server.psql("postgres", "CREATE ROLE guarded LOGIN PASSWORD 's3cret'").expect("role");
    server.psql("postgres", "CREATE ROLE certified LOGIN").expect("role");
    server.psql("postgres", "CREATE ROLE walled LOGIN").expect("role");
    server.psql("postgres", "ALTER SYSTEM SET ssl_ca_file = 'root.crt'").expect("authority");
    server.psql("postgres", "ALTER SYSTEM SET ssl = on").expect("TLS");
    server.psql("postgres", "SELECT pg_reload_conf()").expect("reloads");
    // Only a new session sees it.
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(30);
    while server.psql("postgres", "SHOW ssl").unwrap_or_default() != "on" {
        assert!(std::time::Instant::now() < deadline, "the server has no TLS");
    }
    server
}

/// Whether the session has TLS, or why there is none.
async fn reach(options: &ConnectOptions) -> Result<bool, String> {
    let connected = connect(options, "test").await.map_err(|error| error.to_string())?;
    let row = connected
        .client
        .query_one("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()", &[])
        .await
        .map_err(|error| error.to_string())?;
    Ok(row.get(0))
}

#[tokio::test]
async fn sslmode_means_what_it_means_to_psql() {
    let server = server();
    let (ca, other) = (data("ca.pem"), data("other-ca.pem"));
    let (ca, other) = (ca.display(), other.display());
    for (host, parameters, expected) in [
        ("localhost", String::new(), Ok(true)),
        ("localhost", "?sslmode=disable".into(), Ok(false)),
        ("localhost", "?sslmode=allow".into(), Ok(false)),
        ("localhost", "?sslmode=require".into(), Ok(true)),
        ("localhost", format!("?sslmode=require&sslrootcert={other}"), Err("UnknownIssuer")),
        ("localhost", format!("?sslmode=verify-ca&sslrootcert={ca}"), Ok(true)),
        ("127.0.0.1", format!("?sslmode=verify-ca&sslrootcert={ca}"), Ok(true)),
        ("localhost", format!("?sslmode=verify-ca&sslrootcert={other}"), Err("UnknownIssuer")),
        ("localhost", format!("?sslmode=verify-full&sslrootcert={ca}"), Ok(true)),
        ("127.0.0.1", format!("?sslmode=verify-full&sslrootcert={ca}"), Err("not valid for name")),
        ("localhost", "?sslmode=verify-full&sslrootcert=/absent.pem".into(), Err("/absent.pem")),
        ("localhost", "?sslmode=verify-full&sslrootcert=system".into(), Err("certificate")),
    ] {
        let url = server.url("postgres").replace("127.0.0.1", host) + &parameters;
        let found = reach(&ConnectOptions::new(url.parse().expect("URL"))).await;
        match (&found, expected) {
            (Ok(found), Ok(expected)) => assert_eq!(*found, expected, "{url}"),
            (Err(error), Err(part)) => assert!(error.contains(part), "{url}: {error}"),
            _ => panic!("{url}: {found:?}"),
        }
    }
}

/// The server takes this user with TLS only.
#[tokio::test]
async fn sslmode_allow_comes_back_with_tls_where_none_is_refused() {
    let server = server();
    let url = server.url("postgres").replace("tidegate@", "walled@");
    let reached = |mode: &'static str| {
        let options = ConnectOptions::new(format!("{url}?sslmode={mode}").parse().expect("URL"));
        async move { reach(&options).await }
    };
    assert_eq!(reached("allow").await, Ok(true));
    let error = reached("disable").await.expect_err("refused");
    assert!(error.contains("no encryption (SQLSTATE 28000)"), "{error}");
    // What the server has no entry for at all it refuses with TLS, too.
    let url = server.url("postgres").replace("tidegate@", "stranger@") + "?sslmode=allow";
    let error = reach(&ConnectOptions::new(url.parse().expect("URL"))).await.expect_err("refused");
    assert!(error.contains("SSL encryption (SQLSTATE 28000)"), "{error}");
}

#[tokio::test]
async fn a_certificate_of_ones_own_lets_in() {
    let server = server();
    let (certificate, key) = (data("client.pem"), data("client.key"));
    let (certificate, key) = (certificate.display(), key.display());
    let base = server.url("postgres").replace("tidegate@", "certified@");
    for (parameters, expected) in [
        (format!("sslcert={certificate}&sslkey={key}"), Ok(true)),
        (format!("sslmode=allow&sslcert={certificate}&sslkey={key}"), Ok(true)),
        ("sslmode=require".into(), Err("28000")),
        (format!("sslcert={certificate}&sslkey={}", data("server.key").display()), Err("sslkey")),
        (format!("sslcert={certificate}&sslkey=/absent.key"), Err("sslkey /absent.key")),
        (format!("sslcert=/absent.pem&sslkey={key}"), Err("sslcert /absent.pem")),
    ] {
        let options = ConnectOptions::new(format!("{base}?{parameters}").parse().expect("URL"));
        match (reach(&options).await, expected) {
            (Ok(found), Ok(expected)) => assert_eq!(found, expected, "{parameters}"),
            (Err(error), Err(part)) => assert!(error.contains(part), "{parameters}: {error}"),
            (found, _) => panic!("{parameters}: {found:?}"),
        }
    }
}

#[tokio::test]
async fn a_password_comes_from_the_url_or_a_file_and_is_never_shown() {
    let server = server();
    let url = server.url("postgres").replace("tidegate@", "guarded@");
    let with = |url: &str, file: Option<&Path>| ConnectOptions {
        password_file: file.map(Path::to_owned),
        ..ConnectOptions::new(url.parse().expect("URL"))
    };
    let directory = tempfile::tempdir().expect("directory");
    let (right, wrong) = (directory.path().join("right"), directory.path().join("wrong"));
    std::fs::write(&right, "s3cret\n").expect("writes");
    std::fs::write(&wrong, "s3cre\n").expect("writes");
    let in_url = url.replace("guarded@", "guarded:s3cret@");

    assert_eq!(reach(&with(&in_url, None)).await, Ok(true));
    assert_eq!(reach(&with(&url, Some(&right))).await, Ok(true));
    assert_eq!(reach(&with(&in_url, Some(&wrong))).await, Ok(true), "the URL goes first");
    for (options, part) in [
        (with(&url, Some(&wrong)), "28P01"),
        (with(&url, None), "password"),
        (with(&url, Some(&directory.path().join("absent"))), "absent"),
    ] {
        let error = reach(&options).await.expect_err("refused");
        assert!(error.contains(part), "{error}");
        assert!(!error.contains("s3cre") && !format!("{options:?}").contains("s3cre"), "{error}");
    }
}
