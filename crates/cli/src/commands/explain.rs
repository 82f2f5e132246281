//! `tidegate explain`: a decision in plain words, from a log or a live scaler.

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::net::{TcpStream, ToSocketAddrs as _};
use std::time::Duration;

use serde_json::Value;
use tidegate_autoscale::law::Decision;

use crate::args::ExplainArgs;
use crate::exit::{Outcome, bad_input};

/// How long a live scaler may take.
const HTTP_TIMEOUT: Duration = Duration::from_secs(5);

pub(super) fn run(args: &ExplainArgs) -> anyhow::Result<Outcome> {
    let decisions = read(args)?;
    let (Some(first), Some(last)) = (decisions.first(), decisions.last()) else {
        return Err(bad_input(format!("{}: no decision in it", args.source)));
    };
    let start_ms = first.at_ms;
    if args.changes {
        let mut changes = decisions.iter().filter(|decision| decision.changes()).peekable();
        if changes.peek().is_none() && !args.json {
            let count = decisions.len();
            anstream::println!("none of {count} decisions changed the count: {} pods", last.to);
        }
        for decision in changes {
            print(args, decision, start_ms, true)?;
        }
        return Ok(Outcome::Done);
    }
    let chosen = match args.at {
        Some(at_s) => at(args, &decisions, at_s)?,
        None => decisions.iter().rfind(|decision| decision.changes()).unwrap_or(last),
    };
    print(args, chosen, start_ms, false)?;
    Ok(Outcome::Done)
}

fn print(
    args: &ExplainArgs,
    decision: &Decision,
    start_ms: i64,
    short: bool,
) -> anyhow::Result<()> {
    let at = time(decision.at_ms, start_ms);
    match (args.json, short) {
        (true, _) => anstream::println!("{}", serde_json::to_string(decision)?),
        (false, true) => anstream::println!("{at}: {}", decision.explanation()),
        (false, false) => anstream::print!("{}", decision.story(&at)),
    }
    Ok(())
}

/// Seconds since the first decision; a live scaler's and a log's times of day as well.
fn time(at_ms: i64, start_ms: i64) -> String {
    let since_s = at_ms.saturating_sub(start_ms) as f64 / 1000.0;
    // A simulation counts from 0; the year 2001 began later.
    let of_day = (start_ms > 978_307_200_000)
        .then(|| jiff::Timestamp::from_millisecond(at_ms).ok())
        .flatten()
        .map(|at| format!(" ({})", at.strftime("%Y-%m-%d %H:%M:%S UTC")));
    format!("{since_s:.0} s{}", of_day.unwrap_or_default())
}

/// The newest decision that is not later.
fn at<'a>(
    args: &ExplainArgs,
    decisions: &'a [Decision],
    at_s: f64,
) -> anyhow::Result<&'a Decision> {
    let since_s =
        |decision: &Decision| decision.at_ms.saturating_sub(decisions[0].at_ms) as f64 / 1000.0;
    let last_s = decisions.last().map_or(0.0, since_s);
    if !(0.0..=last_s + 60.0).contains(&at_s) {
        return Err(bad_input(format!(
            "--at {at_s}: {} holds decisions of 0 to {last_s:.0} s",
            args.source
        )));
    }
    decisions
        .iter()
        .rfind(|decision| since_s(decision) <= at_s)
        .ok_or_else(|| bad_input(format!("{}: no decision in it", args.source)))
}

fn read(args: &ExplainArgs) -> anyhow::Result<Vec<Decision>> {
    let source = &args.source;
    if let Some(address) = source.strip_prefix("http://") {
        let host = address.split('/').next().unwrap_or_default();
        if host.rsplit_once(':').is_none_or(|(_, port)| port.parse::<u16>().is_err()) {
            return Err(bad_input(format!("{source}: allowed is http://HOST:PORT or a file")));
        }
        let body = get(address).map_err(|error| anyhow::anyhow!("{source}: {error}"))?;
        return live(source, &body, args.name.as_deref());
    }
    if source.starts_with("https://") {
        return Err(bad_input(format!("{source}: allowed is http://HOST:PORT or a file")));
    }
    let text = if source == "-" {
        std::io::read_to_string(std::io::stdin())?
    } else {
        std::fs::read_to_string(source).map_err(|error| bad_input(format!("{source}: {error}")))?
    };
    lines(source, &text, args.name.as_deref())
}

/// A line of a log.
enum Line {
    /// Of `decisions.jsonl`.
    Decision(Decision),
    /// Of a scaler with `--log-format json`: the ScaledObject and its decision.
    Of(String, Decision),
    /// Anything else that such a scaler says.
    Talk,
}

fn line(text: &str) -> serde_json::Result<Line> {
    let value: Value = serde_json::from_str(text)?;
    if let (Some(object), Some(decision)) = (value["object"].as_str(), value["decision"].as_str()) {
        return Ok(Line::Of(object.to_owned(), serde_json::from_str(decision)?));
    }
    // Of `tidegate scaler replay --json`.
    if value["decision"].is_object() {
        return Ok(Line::Decision(serde_json::from_value(value["decision"].clone())?));
    }
    if value["level"].is_string() && value["timestamp"].is_string() {
        return Ok(Line::Talk);
    }
    Ok(Line::Decision(serde_json::from_value(value)?))
}

/// One decision a line. The last line may be cut off: the log may still be written.
fn lines(source: &str, text: &str, name: Option<&str>) -> anyhow::Result<Vec<Decision>> {
    let mut decisions = Vec::new();
    let mut by_name: ByName = BTreeMap::new();
    let whole = text.ends_with('\n');
    let count = text.lines().count();
    for (index, said) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        match line(said) {
            Ok(Line::Decision(decision)) => decisions.push(decision),
            Ok(Line::Of(object, decision)) => by_name.entry(object).or_default().push(decision),
            Ok(Line::Talk) => {}
            Err(_) if !whole && index + 1 == count => {}
            Err(error) => {
                let number = index + 1;
                let why = if said.trim_start().starts_with('{') {
                    error.to_string()
                } else {
                    "decisions are lines of JSON; a scaler writes them with --log-format json"
                        .to_owned()
                };
                return Err(bad_input(format!("{source}, line {number}: not a decision: {why}")));
            }
        }
    }
    match name {
        Some(name) if !decisions.is_empty() => {
            Err(bad_input(format!("--name {name}: the decisions in {source} name no ScaledObject")))
        }
        _ if by_name.is_empty() => Ok(decisions),
        _ => choose(source, by_name, name),
    }
}

/// Decisions by `namespace/name` of a ScaledObject.
type ByName = BTreeMap<String, Vec<Decision>>;

/// Those of the one that is named, or of the only one.
fn choose(source: &str, mut by_name: ByName, name: Option<&str>) -> anyhow::Result<Vec<Decision>> {
    let known: Vec<String> = by_name.keys().cloned().collect();
    match (name, known.as_slice()) {
        (Some(name), _) => by_name
            .remove(name)
            .ok_or_else(|| bad_input(format!("--name {name}: {source} knows {known:?}"))),
        (None, [only]) => Ok(by_name.remove(only).unwrap_or_default()),
        (None, _) => Err(bad_input(format!("{source} knows {known:?}: choose one with --name"))),
    }
}

/// A live scaler answers with decisions by name, or with a list of them.
fn live(source: &str, body: &str, name: Option<&str>) -> anyhow::Result<Vec<Decision>> {
    let wrong = |what: String| anyhow::anyhow!("{source}: {what}");
    let value: Value =
        serde_json::from_str(body).map_err(|error| wrong(format!("not JSON: {error}")))?;
    let none = |error| wrong(format!("not a list of decisions: {error}"));
    if value.is_object() {
        return choose(source, serde_json::from_value(value).map_err(none)?, name);
    }
    serde_json::from_value(value).map_err(none)
}

/// A plain GET; the answer is closed by the server.
fn get(address: &str) -> anyhow::Result<String> {
    let (host, path) = match address.split_once('/') {
        Some((host, path)) if !path.is_empty() => (host, format!("/{path}")),
        Some((host, _)) => (host, "/decisions".to_owned()),
        None => (address, "/decisions".to_owned()),
    };
    let mut stream = connect(host)?;
    stream.set_read_timeout(Some(HTTP_TIMEOUT))?;
    stream.set_write_timeout(Some(HTTP_TIMEOUT))?;
    // In one piece: a formatted write to a socket sends each part by itself.
    let request =
        format!("GET {path} HTTP/1.0\r\nHost: {host}\r\nAccept: application/json\r\n\r\n");
    stream.write_all(request.as_bytes())?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let (head, body) =
        answer.split_once("\r\n\r\n").ok_or_else(|| anyhow::anyhow!("not an HTTP answer"))?;
    let status = head.lines().next().unwrap_or_default();
    if status.split_whitespace().nth(1) != Some("200") {
        anyhow::bail!("{path} answers {status:?}");
    }
    Ok(body.to_owned())
}

/// The first address of the name that answers in time.
fn connect(host: &str) -> anyhow::Result<TcpStream> {
    let mut last = None;
    for address in host.to_socket_addrs()? {
        match TcpStream::connect_timeout(&address, HTTP_TIMEOUT) {
            Ok(stream) => return Ok(stream),
            Err(error) => last = Some(error),
        }
    }
    Err(last.map_or_else(|| anyhow::anyhow!("the name has no address"), Into::into))
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use tidegate_kafka::PartitionOffsets;
    use tidegate_scaler::metadata::Settings;
    use tidegate_scaler::object::{Object, ObjectKey};

    use super::*;

    const LINE: &str = r#"{"at_ms":0,"decided_by":"slo","from":1,"to":4,"lag":9,"metric":9,"target":500,"active":true,"proposal":4,"stabilized":null,"reason":null,"binding":""}"#;

    #[test]
    fn a_log_that_is_still_written_is_read_up_to_its_last_whole_line() {
        let text = format!("{LINE}\n{}", &LINE[..20]);
        assert_eq!(lines("d.jsonl", &text, None).expect("read").len(), 1);
        let error = lines("d.jsonl", &format!("{LINE}\nnonsense\n"), None).expect_err("refused");
        assert!(error.to_string().starts_with("d.jsonl, line 2: not a decision"), "{error}");
    }

    #[test]
    fn a_replays_lines_are_read_and_a_text_log_is_told_how_it_should_be() {
        let replayed = format!(r#"{{"t_s":3,"recorded":1,"law":4,"decision":{LINE}}}"#);
        assert_eq!(lines("r.jsonl", &format!("{replayed}\n"), None).expect("read").len(), 1);
        let text = "[2025-12-30 16:12:05] INFO: decided object=\"a/b\"\n";
        let error = lines("log", text, None).expect_err("refused").to_string();
        assert!(error.starts_with("log, line 1") && error.contains("--log-format json"), "{error}");
    }

    /// As a pod's log has it: other lines, and decisions of several objects.
    #[test]
    fn a_scalers_log_is_read_by_name() {
        let decided = |object: &str| {
            let mut line = serde_json::json!({
                "timestamp": "2025-12-30T16:12:06Z", "level": "INFO", "message": "decided",
            });
            line["object"] = object.into();
            line["decision"] = LINE.into();
            line.to_string()
        };
        let talk = r#"{"timestamp":"2025-12-30T16:12:05Z","level":"INFO","message":"serving"}"#;
        let one = format!("{talk}\n{}\n{}\n", decided("a/orders"), decided("a/orders"));
        assert_eq!(lines("log", &one, None).expect("the only one").len(), 2);
        let two = format!("{one}{}\n", decided("a/trades"));
        assert_eq!(lines("log", &two, Some("a/trades")).expect("by name").len(), 1);
        let error = lines("log", &two, None).expect_err("which").to_string();
        assert_eq!(error, "log knows [\"a/orders\", \"a/trades\"]: choose one with --name");
        assert!(lines("log", talk, None).expect("none").is_empty());
    }

    /// The scaler's own decision, in a line of its log as JSON.
    #[test]
    fn a_live_scalers_line_says_what_the_other_law_would_do() {
        let metadata = [("consumerGroup", "g"), ("topic", "t"), ("podStartSeconds", "5")];
        let metadata = metadata.map(|(key, value)| (key.to_owned(), value.to_owned()));
        let settings = Settings::read("orders", &metadata.clone().into()).expect("settings");
        let key =
            ObjectKey { namespace: "a".into(), name: "orders".into(), metadata: metadata.to_vec() };
        let object = Object::new(key, settings, 0, Some(1)).expect("object");
        for second in 1..60 {
            let partition = |partition| PartitionOffsets {
                partition,
                committed: Some(0),
                start: Some(0),
                end: Some(second * 50),
            };
            let offsets = Ok((0..10).map(partition).collect());
            object.observe(second * 1000, offsets, None, None, true);
        }
        let decision = object.decisions().into_iter().rfind(Decision::changes).expect("a change");
        let mut said = serde_json::json!({
            "timestamp": "2025-12-30T16:12:06Z", "level": "INFO", "message": "decided",
        });
        said["object"] = object.label().into();
        said["decision"] = serde_json::to_string(&decision).expect("JSON").into();
        let read = lines("log", &format!("{said}\n"), Some("a/orders")).expect("read");
        let story = read[0].story("3 s");
        assert!(story.contains("(slo law)"), "{story}");
        assert!(story.contains("\n  limit  "), "{story}");
        assert!(story.contains("\n  otherwise  stock would say "), "{story}");
    }

    #[test]
    fn a_live_scaler_is_asked_by_name() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("port");
        let address = listener.local_addr().expect("address").to_string();
        let server = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().expect("asked");
            let mut request = Vec::new();
            // What is not read when the socket closes would reset it.
            while !request.ends_with(b"\r\n\r\n") {
                let mut byte = [0];
                stream.read_exact(&mut byte).expect("request");
                request.push(byte[0]);
            }
            let body = format!("{{\"orders\":[{LINE}],\"trades\":[]}}");
            write!(stream, "HTTP/1.0 200 OK\r\n\r\n{body}").expect("answered");
            String::from_utf8(request).expect("text")
        });
        let body = get(&address).expect("answer");
        assert!(server.join().expect("server").starts_with("GET /decisions HTTP/1.0\r\n"));
        assert_eq!(live("s", &body, Some("orders")).expect("read").len(), 1);
        let error = live("s", &body, None).expect_err("which").to_string();
        assert!(error.contains("orders") && error.contains("--name"), "{error}");
        assert!(live("s", &body, Some("other")).is_err());
    }
}
