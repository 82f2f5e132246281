//! A whole pipeline on a broker that says which cluster it is, and nothing else.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::Instant;

use tidegate_kafka::{ConnectionOptions, Record};

use super::*;
use crate::sink::Written;
use crate::status::Phase;
use crate::{DiscardSink, Rejection, TradeDecoder, TradeRow};

const PATIENCE: Duration = Duration::from_secs(30);

/// Listens; returns the address. Connections that ask for more are hung up on.
fn broker() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("listener");
    let address = listener.local_addr().expect("address").to_string();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            std::thread::spawn(move || answer(stream));
        }
    });
    address
}

fn answer(mut stream: TcpStream) {
    let mut length = [0; 4];
    while stream.read_exact(&mut length).is_ok() {
        let mut request = vec![0; u32::from_be_bytes(length) as usize];
        if stream.read_exact(&mut request).is_err() {
            return;
        }
        let body: &[u8] = match request[..4] {
            // ApiVersions, version 0: no error, no requests.
            [0, 18, 0, 0] => &[0; 6],
            // Metadata, version 4: throttle, no brokers, cluster `c`, controller, no topics.
            [0, 3, 0, 4] => &[0, 0, 0, 0, 0, 0, 0, 0, 0, 1, b'c', 0, 0, 0, 0, 0, 0, 0, 0],
            _ => return,
        };
        let correlation = &request[4..8];
        let length = (correlation.len() + body.len()) as u32;
        let answer = [&length.to_be_bytes(), correlation, body].concat();
        if stream.write_all(&answer).is_err() {
            return;
        }
    }
}

/// Tells by its end that the decode thread has ended, and so that of the group before it.
struct Watched(#[allow(dead_code)] std::sync::mpsc::Sender<()>);

impl Decoder for Watched {
    type Row = ();

    fn decode(&self, _: &Record) -> Result<(), Rejection> {
        Ok(())
    }
}

#[tokio::test]
async fn a_dropped_run_leaves_the_group_though_others_look_on() {
    let group = GroupOptions {
        connection: ConnectionOptions::new(broker()),
        topic: "t".into(),
        group: "g".into(),
        ..GroupOptions::default()
    };
    let (watched, decoder_ends) = std::sync::mpsc::channel();
    let mut registry = Registry::default();
    let pipeline = Pipeline::builder(group, PipelineOptions::default())
        .decoder(Watched(watched))
        .sink(DiscardSink)
        .registry(&mut registry)
        .build()
        .expect("builds");
    let handle = pipeline.handle();
    let running = async {
        while handle.phase() != Phase::Running {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::select! {
        ended = pipeline.run(std::future::pending()) => panic!("{ended:?}"),
        () = running => {}
        () = tokio::time::sleep(PATIENCE) => panic!("not running: {:?}", handle.ready()),
    }
    let dropped = Instant::now();
    assert_eq!(handle.phase(), Phase::Ended);
    assert!(handle.healthy().is_err_and(|why| why.contains("ended")), "{:?}", handle.healthy());
    let ended = decoder_ends.recv_timeout(PATIENCE);
    assert_eq!(ended, Err(std::sync::mpsc::RecvTimeoutError::Disconnected), "it is still a member");
    assert!(dropped.elapsed() < PATIENCE / 3, "{:?}", dropped.elapsed());
    assert!(handle.report().member_id.is_none());
    drop(registry);
}

/// Panics before there is anything to write.
struct Panics;

impl Sink for Panics {
    async fn prepare(&self, _: &SinkContext) -> Result<(), SinkError> {
        panic!("no such driver")
    }

    async fn positions(
        &self,
        _: &[tidegate_kafka::TopicPartition],
    ) -> Result<Vec<Option<i64>>, SinkError> {
        panic!("nobody asks")
    }

    async fn write(&self, _: Arc<Batch<TradeRow>>) -> Result<Written, SinkError> {
        panic!("nobody asks")
    }
}

/// As one in a write is: the caller is told whose defect it is.
#[tokio::test]
async fn a_sink_that_panics_while_it_is_prepared_is_an_error() {
    let group =
        GroupOptions { connection: ConnectionOptions::new(broker()), ..GroupOptions::default() };
    let pipeline = Pipeline::builder(group, PipelineOptions::default())
        .decoder(TradeDecoder)
        .sink(Panics)
        .build()
        .expect("builds");
    let handle = pipeline.handle();
    let error = pipeline.run(std::future::pending()).await.expect_err("a defect of the sink");
    assert!(matches!(&error, Error::SinkPanicked(said) if said == "no such driver"), "{error}");
    assert_eq!(handle.phase(), Phase::Ended);
}

/// Nobody restarts a process for a pipeline that says it is about to start.
#[test]
fn a_pipeline_that_was_never_run_has_ended_once_it_is_gone() {
    let pipeline = Pipeline::builder(GroupOptions::default(), PipelineOptions::default())
        .decoder(TradeDecoder)
        .sink(DiscardSink)
        .build()
        .expect("builds");
    let handle = pipeline.handle();
    assert_eq!((handle.phase(), handle.healthy()), (Phase::Starting, Ok(())));
    drop(pipeline);
    assert_eq!(handle.phase(), Phase::Ended);
    assert!(handle.healthy().is_err_and(|why| why.contains("ended")));
}
