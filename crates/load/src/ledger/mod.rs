//! What was sent and acknowledged, on disk, outside of the pipeline.
//!
//! A directory: `ledger.json` says what the load was; `acked.csv` has one line an
//! acknowledged record (`seq,key,partition,offset,timestamp_ms,kind`); `failed.csv`
//! those that were given up. Flushed at least each second, and at the end to the
//! disk. After kill -9 of the producer all but the last second is there; a torn
//! last line is ignored.

mod reader;
mod writer;

pub use reader::Ledger;
pub use writer::{LedgerMeta, LedgerSender, LedgerWriter};

use crate::trade::Kind;

const META: &str = "ledger.json";
const ACKED: &str = "acked.csv";
const FAILED: &str = "failed.csv";
const ACKED_HEADER: &str = "seq,key,partition,offset,timestamp_ms,kind";
const FAILED_HEADER: &str = "seq,key,timestamp_ms,kind";

/// One acknowledged record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Acked {
    /// Global sequence number.
    pub seq: u64,
    /// Number of its key.
    pub key: u32,
    /// Partition it went to.
    pub partition: i32,
    /// Offset it got.
    pub offset: i64,
    /// Its timestamp, Unix milliseconds.
    pub timestamp_ms: i64,
    /// What it is.
    pub kind: Kind,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn acked(seq: u64) -> Acked {
        Acked {
            seq,
            key: 7,
            partition: 1,
            offset: seq as i64,
            timestamp_ms: 1000,
            kind: Kind::Trade,
        }
    }

    fn written(count: u64) -> tempfile::TempDir {
        let directory = tempfile::tempdir().expect("directory");
        let meta = LedgerMeta { topic: "t".into(), seed: 1, started_at_ms: 5 };
        let writer = LedgerWriter::create(directory.path(), &meta).expect("ledger");
        let sender = writer.sender();
        for seq in 0..count {
            sender.acked(acked(seq));
        }
        sender.failed(99, 7, 1000, Kind::Trade);
        drop(sender);
        writer.finish().expect("finish");
        directory
    }

    #[test]
    fn what_is_written_is_read() {
        let directory = written(3);
        let ledger = Ledger::read(directory.path()).expect("ledger");
        assert_eq!(ledger.acked, [acked(0), acked(1), acked(2)]);
        assert_eq!(ledger.failed, [99]);
        assert_eq!(ledger.meta.topic, "t");
    }

    #[test]
    fn a_torn_last_line_is_ignored_and_a_broken_one_is_not() {
        let directory = written(3);
        let file = directory.path().join(ACKED);
        let whole = std::fs::read_to_string(&file).expect("file");
        std::fs::write(&file, format!("{whole}3,7,1,3,10")).expect("torn");
        assert_eq!(Ledger::read(directory.path()).expect("ledger").acked.len(), 3);
        std::fs::write(&file, format!("{whole}3,7,1\n4,7,1,4,1000,trade\n")).expect("broken");
        let error = Ledger::read(directory.path()).expect_err("broken").to_string();
        assert!(error.contains("line 5"), "{error}");
    }

    #[test]
    fn an_existing_ledger_is_not_written_over() {
        let directory = written(1);
        let meta = LedgerMeta { topic: "t".into(), seed: 1, started_at_ms: 5 };
        assert!(LedgerWriter::create(directory.path(), &meta).is_err());
    }
}
