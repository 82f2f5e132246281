//! A token handed to a client without waiting for its event.

use std::ffi::{CString, c_char};

use rdkafka::bindings::{rd_kafka_oauthbearer_set_token, rd_kafka_resp_err_t};
use rdkafka::client::{Client, ClientContext};

use super::source::Token;
use crate::Error;

/// Sets the client's token; its connections that wait for one go on at once.
#[allow(unsafe_code)]
pub(crate) fn install<C: ClientContext>(client: &Client<C>, token: &Token) -> Result<(), Error> {
    let failed = |reason: String| Error::Client { action: "set the token", reason, code: None };
    let value =
        CString::new(token.value.as_str()).map_err(|_| failed("it has a NUL byte".into()))?;
    let principal = CString::new(token.principal.as_str())
        .map_err(|_| failed("its subject has a NUL byte".into()))?;
    let mut why = [0u8; 256];
    // SAFETY: the client outlives the call. Both strings end with NUL and are copied
    // by the library; no extensions are passed; it writes at most 256 bytes of text,
    // NUL included, into `why`.
    let code = unsafe {
        rd_kafka_oauthbearer_set_token(
            client.native_ptr(),
            value.as_ptr(),
            token.expires_at_ms,
            principal.as_ptr(),
            std::ptr::null_mut(),
            0,
            why.as_mut_ptr().cast::<c_char>(),
            why.len(),
        )
    };
    if code == rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR {
        return Ok(());
    }
    let end = why.iter().position(|byte| *byte == 0).unwrap_or(why.len());
    Err(failed(String::from_utf8_lossy(&why[..end]).into_owned()))
}
