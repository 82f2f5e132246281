//! Query-string signatures, AWS Signature Version 4. Pure.
//!
//! Source: "Authenticating requests: using query parameters", whose worked example
//! is the test below.

use ring::{digest, hmac};

/// What is signed.
pub(super) struct Presign<'a> {
    pub(super) host: &'a str,
    pub(super) path: &'a str,
    pub(super) service: &'a str,
    pub(super) region: &'a str,
    /// Hex of the payload's SHA-256, or `UNSIGNED-PAYLOAD`.
    pub(super) payload_hash: &'a str,
    /// Parameters besides AWS's own.
    pub(super) query: &'a [(&'a str, &'a str)],
    pub(super) expires_s: i64,
    /// `YYYYMMDDTHHMMSSZ`.
    pub(super) timestamp: &'a str,
}

impl Presign<'_> {
    /// `https://host/path?…&X-Amz-Signature=…`.
    pub(super) fn url(&self, access_key: &str, secret: &str, session: Option<&str>) -> String {
        let date = self.timestamp.get(..8).unwrap_or_default();
        let scope = format!("{date}/{}/{}/aws4_request", self.region, self.service);
        let credential = format!("{access_key}/{scope}");
        let expires = self.expires_s.to_string();
        let mut parameters: Vec<(&str, &str)> = self.query.to_vec();
        parameters.extend([
            ("X-Amz-Algorithm", "AWS4-HMAC-SHA256"),
            ("X-Amz-Credential", &credential),
            ("X-Amz-Date", self.timestamp),
            ("X-Amz-Expires", &expires),
            ("X-Amz-SignedHeaders", "host"),
        ]);
        parameters.extend(session.map(|session| ("X-Amz-Security-Token", session)));
        let mut encoded: Vec<(String, String)> =
            parameters.iter().map(|(key, value)| (encode(key), encode(value))).collect();
        encoded.sort();
        let query: Vec<String> =
            encoded.iter().map(|(key, value)| format!("{key}={value}")).collect();
        let query = query.join("&");
        let canonical = format!(
            "GET\n{}\n{query}\nhost:{}\n\nhost\n{}",
            self.path, self.host, self.payload_hash
        );
        let to_sign = format!(
            "AWS4-HMAC-SHA256\n{}\n{scope}\n{}",
            self.timestamp,
            sha256_hex(canonical.as_bytes())
        );
        let mut key = sign(format!("AWS4{secret}").as_bytes(), date);
        for part in [self.region, self.service, "aws4_request"] {
            key = sign(&key, part);
        }
        let signature = hex(&sign(&key, &to_sign));
        format!("https://{}{}?{query}&X-Amz-Signature={signature}", self.host, self.path)
    }
}

fn sign(key: &[u8], text: &str) -> Vec<u8> {
    hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), text.as_bytes()).as_ref().to_vec()
}

pub(super) fn sha256_hex(bytes: &[u8]) -> String {
    hex(digest::digest(&digest::SHA256, bytes).as_ref())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// RFC 3986: everything but the unreserved characters.
pub(super) fn encode(text: &str) -> String {
    text.bytes().fold(String::with_capacity(text.len()), |mut encoded, byte| {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                encoded.push(char::from(byte));
            }
            other => encoded.push_str(&format!("%{other:02X}")),
        }
        encoded
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The worked example of the documentation, keys included.
    #[test]
    fn the_documented_example_is_reproduced() {
        let presign = Presign {
            host: "examplebucket.s3.amazonaws.com",
            path: "/test.txt",
            service: "s3",
            region: "us-east-1",
            payload_hash: "UNSIGNED-PAYLOAD",
            query: &[],
            expires_s: 86_400,
            timestamp: "20130524T000000Z",
        };
        let url =
            presign.url("AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", None);
        assert_eq!(
            url.rsplit_once("&X-Amz-Signature=").expect("signed").1,
            "aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404"
        );
    }
}
