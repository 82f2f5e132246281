//! `tidegate audit`: ledger against database.

use std::sync::Arc;

use tidegate_kafka::Record;
use tidegate_load::LoadProfile;
use tidegate_load::audit::{AuditTable, RowMeaning, TimeColumn, audit_table};
use tidegate_load::trade::{Kind, POISON, TradeGenerator};
use tidegate_pipeline::table::{ColumnType, RecordField, TableKind, WriteMode};
use tidegate_pipeline::{Decoder, MappedDecoder, Mapping, Rejection};

use super::parts;
use crate::args::AuditArgs;
use crate::exit::{Outcome, bad_input};

pub(super) fn run(args: &AuditArgs) -> anyhow::Result<Outcome> {
    let table = match parts::table_kind(args.mapping.as_deref())? {
        TableKind::Trades => AuditTable::default(),
        TableKind::Mapped(mapping) => of_mapping(&mapping).map_err(|why| {
            let file = args.mapping.as_ref().map(|file| file.display().to_string());
            bad_input(format!("--mapping {}: {why}", file.unwrap_or_default()))
        })?,
    };
    let password_file = args.database.password_file.as_deref();
    let database = parts::database(&args.database.database, password_file)?;
    let report = audit_table(&args.ledger, &database, &table)
        .map_err(|error| bad_input(error.to_string()))?;
    if args.json {
        anstream::println!("{}", serde_json::to_string_pretty(&report)?);
    } else {
        anstream::println!("{report}");
    }
    Ok(if report.passed() { Outcome::Done } else { Outcome::PromiseBroken })
}

/// What an audit knows about a mapping's table; the error says what to add.
fn of_mapping(mapping: &Arc<Mapping>) -> Result<AuditTable, String> {
    let column = |field| mapping.record_column(field).map(str::to_owned);
    let position = column(RecordField::Partition).zip(column(RecordField::Offset));
    let trade_id = mapping.column_from("/trade_id", ColumnType::Text).map(str::to_owned);
    if position.is_none() && trade_id.is_none() {
        return Err("the audit cannot tell which record a row is: add partition and offset to \
                    [record], or a column with type = \"text\" and from = \"/trade_id\""
            .into());
    }
    let decoder = MappedDecoder::new(Arc::clone(mapping));
    decode(&decoder, Some(&sample_trade())).map_err(|why| {
        format!(
            "the audit knows what `tidegate produce` sends, and the mapping refuses its trades: \
             {why}"
        )
    })?;
    let committed_at = column(RecordField::CommittedAtMs).map(TimeColumn::Ms);
    Ok(AuditTable {
        table: mapping.table().to_owned(),
        topic: column(RecordField::Topic),
        committed_at: committed_at.or(column(RecordField::CommittedAt).map(TimeColumn::Time)),
        // A table with an own column of this name is not numbered by it.
        number: match mapping.mode() {
            WriteMode::Append if !writes_id(mapping) => Some("id".into()),
            _ => None,
        },
        rows: meaning(mapping, trade_id.as_deref(), position.as_ref(), &decoder)?,
        position,
        trade_id,
        accepts: Some(Box::new(move |payload: Option<&[u8]>| decode(&decoder, payload).is_ok())),
    })
}

fn writes_id(mapping: &Mapping) -> bool {
    mapping.sqlite_shape().written().any(|column| column.name.eq_ignore_ascii_case("id"))
}

/// A row a record, or a row a key: what the key of an upsert says.
fn meaning(
    mapping: &Mapping,
    trade_id: Option<&str>,
    position: Option<&(String, String)>,
    decoder: &MappedDecoder,
) -> Result<RowMeaning, String> {
    let WriteMode::Upsert { key } = mapping.mode() else { return Ok(RowMeaning::EachRecord) };
    let has = |name: Option<&str>| name.is_some_and(|name| key.iter().any(|key| key == name));
    let has_position =
        position.is_some_and(|(partition, offset)| has(Some(partition)) && has(Some(offset)));
    if has(trade_id) || has_position {
        return Ok(RowMeaning::EachRecord);
    }
    let account = mapping.column_from("/account_id", ColumnType::Text);
    let of_key = [RecordField::Key, RecordField::KeyText].map(|field| mapping.record_column(field));
    let same_for_a_key = [RecordField::Topic, RecordField::Partition]
        .map(|field| mapping.record_column(field))
        .into_iter()
        .chain([account])
        .chain(of_key);
    let known: Vec<&str> = same_for_a_key.flatten().collect();
    let names_the_key = has(account) || of_key.into_iter().any(has);
    if !names_the_key || key.iter().any(|name| !known.contains(&name.as_str())) {
        return Err(format!(
            "key = {key:?}: the audit knows the record (the column from /trade_id, or partition \
             and offset) or its key (the column from /account_id, or key or key_text of [record])"
        ));
    }
    // Poison names one account, whatever its record's key is.
    let stored = POISON.iter().find(|kind| decode(decoder, poison(**kind).as_deref()).is_ok());
    match stored {
        Some(kind) if has(account) => Err(format!(
            "key = {key:?}: the mapping stores poison of the kind {}, whose account is not its \
             record's key: use key_text of [record] in place of the account, or \
             unknown_fields = \"reject\"",
            kind.name()
        )),
        _ => Ok(RowMeaning::LastOfKey),
    }
}

fn poison(kind: Kind) -> Option<Vec<u8>> {
    kind.poison_payload(0)
}

fn decode(decoder: &MappedDecoder, payload: Option<&[u8]>) -> Result<(), Rejection> {
    let record = Record {
        topic: "audit".into(),
        partition: 0,
        offset: 0,
        timestamp_ms: None,
        key: None,
        payload: payload.map(|bytes| bytes.to_vec().into()),
        headers: Vec::new(),
    };
    decoder.decode(&record).map(drop)
}

fn sample_trade() -> Vec<u8> {
    let mut payload = Vec::new();
    TradeGenerator::new(&LoadProfile::constant(1.0, Some(1.0))).make(0, &mut payload);
    payload
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(text: &str) -> Result<AuditTable, String> {
        let mapping = Mapping::from_text("m.toml", text).expect("a mapping");
        of_mapping(&Arc::new(mapping))
    }

    const ID: &str = "[[columns]]\nname = \"nr\"\ntype = \"text\"\nfrom = \"/trade_id\"\n";
    const ACCOUNT: &str = "[[columns]]\nname = \"who\"\ntype = \"text\"\nfrom = \"/account_id\"\n";

    fn mapping(head: &str, columns: &[&str], record: &str) -> String {
        format!("table = \"t\"\n{head}\n{}\n[record]\n{record}", columns.concat())
    }

    #[test]
    fn the_trades_as_a_mapping_are_audited_as_the_trades() {
        let text = include_str!("../../../../config/tables/trade.toml");
        let (mapped, trades) = (table(text).expect("auditable"), AuditTable::default());
        assert_eq!((&mapped.table, &mapped.topic), (&trades.table, &trades.topic));
        assert_eq!((&mapped.position, &mapped.trade_id), (&trades.position, &trades.trade_id));
        assert_eq!((&mapped.committed_at, &mapped.number), (&trades.committed_at, &trades.number));
        assert_eq!(mapped.rows, RowMeaning::EachRecord);
        let accepts = mapped.accepts.expect("a mapping's own");
        assert!(accepts(Some(&sample_trade())));
        assert!(POISON.iter().all(|kind| !accepts(poison(*kind).as_deref())));
    }

    #[test]
    fn what_cannot_be_audited_says_what_to_add() {
        let refused = |text: String| table(&text).expect_err(&text);
        let why = refused(mapping("", &[ACCOUNT], "topic = \"t\"\noffset = \"o\""));
        assert!(why.contains("partition and offset") && why.contains("/trade_id"), "{why}");
        let why = refused(mapping("unknown_fields = \"reject\"", &[ID], ""));
        assert!(why.contains("refuses its trades") && why.contains("account_id"), "{why}");
        let by_price = ID.replace("nr", "p").replace("trade_id", "symbol");
        let why = refused(mapping("mode = \"upsert\"\nkey = [\"p\"]", &[ID, &by_price], ""));
        assert!(why.contains("[\"p\"]") && why.contains("/account_id"), "{why}");
        let why = refused(mapping("mode = \"upsert\"\nkey = [\"who\"]", &[ID, ACCOUNT], ""));
        assert!(why.contains("unknown_field") && why.contains("key_text"), "{why}");
    }

    #[test]
    fn the_key_of_an_upsert_says_what_a_row_is() {
        let rows = |text: String| table(&text).expect("auditable").rows;
        let upsert = |key: &str| format!("mode = \"upsert\"\nkey = [{key}]");
        let place = "partition = \"p\"\noffset = \"o\"\nkey_text = \"k\"";
        for key in ["\"nr\"", "\"who\", \"nr\"", "\"p\", \"o\""] {
            let text = mapping(&upsert(key), &[ID, ACCOUNT], place);
            assert_eq!(rows(text), RowMeaning::EachRecord, "{key}");
        }
        for key in ["\"k\"", "\"k\", \"p\""] {
            let text = mapping(&upsert(key), &[ID, ACCOUNT], place);
            assert_eq!(rows(text), RowMeaning::LastOfKey, "{key}");
        }
        assert_eq!(table(&mapping(&upsert("\"k\""), &[ID], place)).expect("m").number, None);
    }
}
