//! `tidegate dead-letters`: what could not be stored, seen and tried again.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::Serialize;
use tidegate_pipeline::dead_letters::{DeadLetter, Filter, list, replay, topics};

use super::parts;
use crate::args::{
    DeadLettersArgs, DeadLettersCommand, FilterArgs, LettersListArgs, LettersReplayArgs,
    LettersShowArgs,
};
use crate::exit::Outcome;

pub(super) fn run(args: &DeadLettersArgs) -> anyhow::Result<Outcome> {
    match &args.what {
        DeadLettersCommand::List(args) => run_list(args),
        DeadLettersCommand::Show(args) => run_show(args),
        DeadLettersCommand::Replay(args) => run_replay(args),
    }
}

fn filter(args: &FilterArgs) -> Filter {
    Filter {
        ids: Vec::new(),
        reason: args.reason.clone(),
        topic: args.topic.clone(),
        since_ms: args.since.map(jiff::Timestamp::as_millisecond),
        until_ms: args.until.map(jiff::Timestamp::as_millisecond),
        limit: args.limit,
    }
}

fn run_list(args: &LettersListArgs) -> anyhow::Result<Outcome> {
    let database = parts::sink_database(&args.database)?;
    let letters = parts::runtime()?.block_on(list(&database, &filter(&args.filter)))?;
    for letter in &letters {
        if args.json {
            anstream::println!("{}", serde_json::to_string(&LetterJson::new(letter))?);
        } else {
            anstream::println!(
                "{:>6}  {}  {}/{}@{}  {}  {}",
                letter.id,
                time(letter.committed_at_ms),
                letter.record.topic,
                letter.record.partition,
                letter.record.offset,
                letter.reason_code,
                letter.reason.replace('\n', " ")
            );
        }
    }
    anstream::eprintln!("{} dead letters", letters.len());
    Ok(Outcome::Done)
}

fn run_show(args: &LettersShowArgs) -> anyhow::Result<Outcome> {
    let database = parts::sink_database(&args.database)?;
    let one = Filter { ids: vec![args.id], ..Filter::default() };
    let letters = parts::runtime()?.block_on(list(&database, &one))?;
    let Some(letter) = letters.first() else {
        anyhow::bail!("{database}: there is no dead letter {}", args.id);
    };
    if args.json {
        anstream::println!("{}", serde_json::to_string_pretty(&LetterJson::new(letter))?);
        return Ok(Outcome::Done);
    }
    let record = &letter.record;
    anstream::println!("id           {}", letter.id);
    anstream::println!("written      {}", time(letter.committed_at_ms));
    anstream::println!("record       {}/{}@{}", record.topic, record.partition, record.offset);
    anstream::println!("timestamp    {}", record.timestamp_ms.map_or("-".into(), time));
    anstream::println!("reason       {}: {}", letter.reason_code, letter.reason);
    anstream::println!("key          {}", shown(record.key.as_deref()));
    for header in &record.headers {
        anstream::println!("header       {}: {}", header.key, shown(header.value.as_deref()));
    }
    anstream::println!("payload      {}", shown(record.payload.as_deref()));
    Ok(Outcome::Done)
}

fn run_replay(args: &LettersReplayArgs) -> anyhow::Result<Outcome> {
    let table = parts::table_kind(args.mapping.as_deref())?;
    let database = parts::sink_database(&args.database)?;
    let chosen = Filter { ids: args.ids.clone(), ..filter(&args.filter) };
    let runtime = parts::runtime()?;
    if !args.ids.is_empty() {
        let by_id = Filter { ids: args.ids.clone(), ..Filter::default() };
        let there = runtime.block_on(list(&database, &by_id))?;
        let is_absent = |id: &&i64| !there.iter().any(|letter| letter.id == **id);
        let absent: Vec<String> = args.ids.iter().filter(is_absent).map(i64::to_string).collect();
        let absent = absent.join(", ");
        anyhow::ensure!(absent.is_empty(), "{database}: there is no dead letter {absent}");
    }
    if args.ids.is_empty() && args.filter.topic.is_none() && !args.all_topics {
        // As a rule a table has one topic's records; the letters of a database are of all.
        let topics = runtime.block_on(topics(&database))?;
        anyhow::ensure!(
            topics.len() < 2,
            "{database}: there are letters of {} topics ({}): choose those of the table with \
             --topic, or --all-topics",
            topics.len(),
            topics.join(", ")
        );
    }
    let done = runtime.block_on(replay(&database, &table, &chosen))?;
    if args.json {
        anstream::println!("{}", serde_json::to_string_pretty(&done)?);
    } else {
        for (id, code, reason) in &done.refused {
            anstream::println!("{id}  {code}  {}", reason.replace('\n', " "));
        }
    }
    let (stored, refused) = (done.stored, done.refused.len());
    anyhow::ensure!(refused == 0, "{stored} stored, {refused} refused again: they stay");
    anstream::eprintln!("{stored} stored");
    Ok(Outcome::Done)
}

/// Text as it is, anything else as base64.
#[derive(Serialize)]
#[serde(rename_all = "snake_case")]
enum Bytes {
    Text(String),
    Base64(String),
}

impl Bytes {
    fn new(bytes: &[u8]) -> Self {
        match std::str::from_utf8(bytes) {
            Ok(text) => Self::Text(text.to_owned()),
            Err(_) => Self::Base64(BASE64.encode(bytes)),
        }
    }
}

#[derive(Serialize)]
struct LetterJson<'a> {
    id: i64,
    committed_at_ms: i64,
    topic: &'a str,
    partition: i32,
    offset: i64,
    record_timestamp_ms: Option<i64>,
    reason_code: &'a str,
    reason: &'a str,
    key: Option<Bytes>,
    headers: Vec<(&'a str, Option<Bytes>)>,
    payload: Option<Bytes>,
}

impl<'a> LetterJson<'a> {
    fn new(letter: &'a DeadLetter) -> Self {
        let record = &letter.record;
        let header = |header: &'a tidegate_kafka::Header| {
            (header.key.as_str(), header.value.as_deref().map(Bytes::new))
        };
        Self {
            id: letter.id,
            committed_at_ms: letter.committed_at_ms,
            topic: &record.topic,
            partition: record.partition,
            offset: record.offset,
            record_timestamp_ms: record.timestamp_ms,
            reason_code: &letter.reason_code,
            reason: &letter.reason,
            key: record.key.as_deref().map(Bytes::new),
            headers: record.headers.iter().map(header).collect(),
            payload: record.payload.as_deref().map(Bytes::new),
        }
    }
}

/// On one line, without control characters; bytes that are no text as base64.
fn shown(bytes: Option<&[u8]>) -> String {
    match bytes.map(Bytes::new) {
        None => "-".into(),
        Some(Bytes::Text(text)) => text.escape_debug().to_string().replace("\\\"", "\""),
        Some(Bytes::Base64(text)) => format!("base64:{text}"),
    }
}

fn time(at_ms: i64) -> String {
    jiff::Timestamp::from_millisecond(at_ms)
        .map_or_else(|_| at_ms.to_string(), |at| format!("{at:.3}"))
}
