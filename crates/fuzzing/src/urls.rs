//! Addresses: taken, or refused without repeating a password.

use tidegate_kafka::ConnectionOptions;
use tidegate_postgres::PostgresUrl;

use crate::assert_one_line;

/// A password that no generated text contains by chance.
const SECRET: &str = "hunter2hunter2";

/// A PostgreSQL URL. Whatever is shown of it is one line, and a password in its place
/// is not shown.
pub fn postgres(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    match text.parse::<PostgresUrl>() {
        Err(error) => assert!(!error.to_string().is_empty()),
        Ok(url) => {
            let bare = url.without_password();
            assert!(bare.parse::<PostgresUrl>().is_ok(), "{bare:?} from {text:?}");
        }
    }
    // The same with a password, in the two places where one may be.
    let Some(rest) = text.strip_prefix("postgres://") else { return };
    // Parameters begin behind the host, whatever a password has in it.
    let host = rest.split_once('@').map_or(rest, |(_, host)| host);
    let glue = if host.contains('?') { '&' } else { '?' };
    for with_secret in [
        format!("postgres://me:{SECRET}@{rest}"),
        format!("postgres://{rest}{glue}password={SECRET}"),
    ] {
        let shown = match with_secret.parse::<PostgresUrl>() {
            Ok(url) => format!("{url} {url:?} {}", url.without_password()),
            Err(error) => error.to_string(),
        };
        assert!(!shown.contains(SECRET), "{shown:?} from {with_secret:?}");
    }
}

/// A list of brokers.
pub fn brokers(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let options = ConnectionOptions::new(text);
    if let Err(error) = options.validate() {
        assert_one_line(&error.to_string());
    }
}
