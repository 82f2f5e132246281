//! `tidegate explain`: a decision in plain words, from a log or a live scaler.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
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
        for decision in decisions.iter().filter(|decision| decision.changes()) {
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
    lines(source, &text)
}

/// One decision a line. The last line may be cut off: the log may still be written.
fn lines(source: &str, text: &str) -> anyhow::Result<Vec<Decision>> {
    let mut decisions = Vec::new();
    let whole = text.ends_with('\n');
    let count = text.lines().count();
    for (index, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        match serde_json::from_str(line) {
            Ok(decision) => decisions.push(decision),
            Err(_) if !whole && index + 1 == count => {}
            Err(error) => {
                return Err(bad_input(format!(
                    "{source}, line {}: not a decision: {error}",
                    index + 1
                )));
            }
        }
    }
    Ok(decisions)
}

/// A live scaler answers with decisions by name, or with those of its only object.
fn live(source: &str, body: &str, name: Option<&str>) -> anyhow::Result<Vec<Decision>> {
    let wrong = |what: String| anyhow::anyhow!("{source}: {what}");
    let value: Value =
        serde_json::from_str(body).map_err(|error| wrong(format!("not JSON: {error}")))?;
    let list = match (value, name) {
        (Value::Object(mut by_name), Some(name)) => by_name.remove(name).ok_or_else(|| {
            let known: Vec<&String> = by_name.keys().collect();
            bad_input(format!("--name {name}: {source} knows {known:?}"))
        })?,
        (Value::Object(by_name), None) if by_name.len() == 1 => {
            by_name.into_iter().next().map(|(_, list)| list).unwrap_or_default()
        }
        (Value::Object(by_name), None) => {
            let known: Vec<&String> = by_name.keys().collect();
            return Err(bad_input(format!("{source} knows {known:?}: choose one with --name")));
        }
        (list, _) => list,
    };
    serde_json::from_value(list).map_err(|error| wrong(format!("not a list of decisions: {error}")))
}

/// A plain GET; the answer is closed by the server.
fn get(address: &str) -> anyhow::Result<String> {
    let (host, path) = match address.split_once('/') {
        Some((host, path)) if !path.is_empty() => (host, format!("/{path}")),
        Some((host, _)) => (host, "/decisions".to_owned()),
        None => (address, "/decisions".to_owned()),
    };
    let mut stream = TcpStream::connect(host)?;
    stream.set_read_timeout(Some(HTTP_TIMEOUT))?;
    stream.set_write_timeout(Some(HTTP_TIMEOUT))?;
    write!(stream, "GET {path} HTTP/1.0\r\nHost: {host}\r\nAccept: application/json\r\n\r\n")?;
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

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    const LINE: &str = r#"{"at_ms":0,"decided_by":"slo","from":1,"to":4,"lag":9,"metric":9,"target":500,"active":true,"proposal":4,"stabilized":null,"reason":null,"binding":""}"#;

    #[test]
    fn a_log_that_is_still_written_is_read_up_to_its_last_whole_line() {
        let text = format!("{LINE}\n{}", &LINE[..20]);
        assert_eq!(lines("d.jsonl", &text).expect("read").len(), 1);
        let error = lines("d.jsonl", &format!("{LINE}\nnonsense\n")).expect_err("refused");
        assert!(error.to_string().starts_with("d.jsonl, line 2: not a decision"), "{error}");
    }

    #[test]
    fn a_live_scaler_is_asked_by_name() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("port");
        let address = listener.local_addr().expect("address").to_string();
        let server = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().expect("asked");
            let mut request = [0; 1024];
            let read = stream.read(&mut request).expect("request");
            let body = format!("{{\"orders\":[{LINE}],\"trades\":[]}}");
            write!(stream, "HTTP/1.0 200 OK\r\n\r\n{body}").expect("answered");
            String::from_utf8_lossy(&request[..read]).into_owned()
        });
        let body = get(&address).expect("answer");
        assert!(server.join().expect("server").starts_with("GET /decisions HTTP/1.0\r\n"));
        assert_eq!(live("s", &body, Some("orders")).expect("read").len(), 1);
        let error = live("s", &body, None).expect_err("which").to_string();
        assert!(error.contains("orders") && error.contains("--name"), "{error}");
        assert!(live("s", &body, Some("other")).is_err());
    }
}
