//! The member id of a group consumer: librdkafka has it, its Rust wrapper does not.

use std::ffi::CStr;

use rdkafka::bindings::{rd_kafka_mem_free, rd_kafka_memberid};
use rdkafka::client::{Client, ClientContext};

/// Id within the group, valid from the first assignment; `None` before. Only for a client
/// that is not about to end: the answer comes from its main thread, and a question that
/// arrives as the group ends is dropped without one.
#[allow(unsafe_code)]
pub(crate) fn of<C: ClientContext>(client: &Client<C>) -> Option<String> {
    // SAFETY: the client outlives the call. The returned C string is ours to
    // free, with the library's own free, after it was copied.
    unsafe {
        let raw = rd_kafka_memberid(client.native_ptr());
        if raw.is_null() {
            return None;
        }
        let id = CStr::from_ptr(raw).to_string_lossy().into_owned();
        rd_kafka_mem_free(client.native_ptr(), raw.cast());
        (!id.is_empty()).then_some(id)
    }
}
