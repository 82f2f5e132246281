//! A record's headers as JSON, the same in both databases.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::{Deserialize, Serialize};
use tidegate_kafka::Header;

#[derive(Serialize)]
struct HeaderJson<'a> {
    key: &'a str,
    value: Option<String>,
}

/// `[{"key":"trace","value":"<base64>"}]`; a header without value has `null`.
pub(crate) fn headers_json(headers: &[Header]) -> String {
    if headers.is_empty() {
        return "[]".into();
    }
    let headers: Vec<HeaderJson<'_>> = headers
        .iter()
        .map(|header| HeaderJson {
            key: &header.key,
            value: header.value.as_ref().map(|value| BASE64.encode(value)),
        })
        .collect();
    serde_json::to_string(&headers).unwrap_or_default()
}

#[derive(Deserialize)]
struct StoredHeader {
    key: String,
    value: Option<String>,
}

/// Reads [`headers_json`] back. `None` if it is something else.
pub(crate) fn headers_from_json(text: &str) -> Option<Vec<Header>> {
    let stored: Vec<StoredHeader> = serde_json::from_str(text).ok()?;
    stored
        .into_iter()
        .map(|StoredHeader { key, value }| {
            let value = match value {
                Some(text) => Some(BASE64.decode(text).ok()?.into()),
                None => None,
            };
            Some(Header { key, value })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_come_back_as_they_went() {
        let headers = vec![
            Header { key: "trace \"1\"".into(), value: Some(vec![0u8, 255].into()) },
            Header { key: "none".into(), value: None },
            Header { key: "empty".into(), value: Some(Vec::new().into()) },
        ];
        assert_eq!(headers_from_json(&headers_json(&headers)), Some(headers));
        assert_eq!(headers_from_json(&headers_json(&[])), Some(Vec::new()));
        assert_eq!(headers_from_json("{}"), None);
    }
}
