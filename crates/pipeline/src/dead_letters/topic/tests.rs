//! Names that no topic has, a broker that is not there.

use std::sync::atomic::Ordering::Relaxed;

use super::publisher::lock;
use super::*;
use crate::decode::reason;
use crate::testing::record;

/// Nobody listens there.
fn topic() -> DeadLetterTopic {
    let mut connection = ConnectionOptions::new("127.0.0.1:9");
    connection.librdkafka.insert("message.timeout.ms".into(), "200".into());
    DeadLetterTopic::new(&connection, "letters").expect("a topic")
}

#[test]
fn a_name_that_no_topic_has_is_refused() {
    let connection = ConnectionOptions::new("127.0.0.1:9");
    for name in ["", ".", "..", "a b", "é", &"x".repeat(250)] {
        let error = DeadLetterTopic::new(&connection, name).expect_err(name).to_string();
        assert!(error.contains("dead_letter_topic") && error.contains("249"), "{error}");
    }
}

#[tokio::test]
async fn a_broker_that_is_not_there_allows_a_retry() {
    let (record, why) = (record(0, 7, "{"), Rejection::new(reason::BAD_JSON, "cut off"));
    let topic = topic();
    let error = topic.publish(&[(&record, &why)]).await.expect_err("nobody answers");
    let SinkError::Retry(text) = error else { panic!("{error:?}") };
    assert!(text.contains("dead_letter_topic = \"letters\""), "{text}");
    let published = lock(&topic.publisher.published).has(&(&record, &why));
    assert!(!published, "it counts as published");
    assert!(topic.publisher.is_doubtful.load(Relaxed));
    assert!(matches!(topic.check().await, Err(SinkError::Retry(_))));
    assert_eq!(topic.publish(&[]).await, Ok(()));
}
