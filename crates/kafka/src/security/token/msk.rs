//! The token of MSK's IAM listener: a signed URL, in base64. Pure.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;

use super::aws::Credentials;
use super::sigv4::{Presign, sha256_hex};

/// The longest that the broker accepts, seconds.
pub(super) const MAX_LIFETIME_S: i64 = 900;

/// A token that is good for `lifetime_s`, at most [`MAX_LIFETIME_S`].
pub(super) fn token(
    credentials: &Credentials,
    region: &str,
    now_ms: i64,
    lifetime_s: i64,
) -> Result<String, String> {
    let timestamp = Timestamp::from_millisecond(now_ms)
        .map_err(|error| error.to_string())?
        .strftime("%Y%m%dT%H%M%SZ")
        .to_string();
    let host = format!("kafka.{region}.amazonaws.com");
    let presign = Presign {
        host: &host,
        path: "/",
        service: "kafka-cluster",
        region,
        payload_hash: &sha256_hex(b""),
        query: &[("Action", "kafka-cluster:Connect")],
        expires_s: lifetime_s.clamp(1, MAX_LIFETIME_S),
        timestamp: &timestamp,
    };
    let url =
        presign.url(&credentials.access_key, &credentials.secret_key, credentials.session_token());
    // The broker's log shows it; it is not part of the signature.
    let url = format!("{url}&User-Agent=tidegate%2F{}", env!("CARGO_PKG_VERSION"));
    Ok(URL_SAFE_NO_PAD.encode(url))
}

/// The region in the names of MSK's brokers, provisioned or serverless.
pub(super) fn region_of_brokers(brokers: &str) -> Option<String> {
    brokers.split(',').find_map(|broker| {
        let host = broker.trim().rsplit_once(':').map_or(broker, |(host, _)| host);
        let host = host.strip_suffix(".cn").unwrap_or(host);
        let labels: Vec<&str> = host.strip_suffix(".amazonaws.com")?.split('.').collect();
        match labels.as_slice() {
            [.., "kafka" | "kafka-serverless", region] => Some((*region).to_owned()),
            _ => None,
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_token_is_a_signed_url_of_the_region() {
        let credentials = Credentials::new("AKID", "secret", Some("a/session+token="));
        let token = token(&credentials, "eu-central-1", 1_700_000_000_123, 900).expect("signs");
        let url = String::from_utf8(URL_SAFE_NO_PAD.decode(token).expect("base64")).expect("text");
        for part in [
            "https://kafka.eu-central-1.amazonaws.com/?Action=kafka-cluster%3AConnect&",
            "&X-Amz-Credential=AKID%2F20231114%2Feu-central-1%2Fkafka-cluster%2Faws4_request&",
            "&X-Amz-Date=20231114T221320Z&X-Amz-Expires=900&",
            "&X-Amz-Security-Token=a%2Fsession%2Btoken%3D&X-Amz-SignedHeaders=host&",
            "&User-Agent=tidegate%2F",
        ] {
            assert!(url.contains(part), "{part} in {url}");
        }
        assert!(!url.contains("secret&") && !url.contains("secret%"), "{url}");
    }

    #[test]
    fn the_region_is_read_from_the_brokers() {
        let of = |brokers| region_of_brokers(brokers);
        assert_eq!(
            of("b-1.demo.abc123.c2.kafka.us-east-1.amazonaws.com:9098,b-2.x:9098").as_deref(),
            Some("us-east-1")
        );
        assert_eq!(
            of("boot-abc.c1.kafka-serverless.eu-west-1.amazonaws.com:9098").as_deref(),
            Some("eu-west-1")
        );
        assert_eq!(of("localhost:9092"), None);
    }
}
