//! The HTML around the data.

use std::fmt::Write as _;

use crate::Report;
use crate::chart::Chart;

const STYLE: &str = include_str!("report.css");
const SCRIPT: &str = include_str!("report.js");

/// A run that is over.
pub(crate) fn html(report: &Report<'_>) -> String {
    page(report, "")
}

/// A run that goes on: the page asks for its data again each second, at `url`.
pub(crate) fn live_html(report: &Report<'_>, url: &str) -> String {
    page(report, &format!(" data-live=\"{}\"", escaped(url)))
}

/// What the charts show.
pub(crate) fn data(report: &Report<'_>) -> String {
    let chart = Chart::new(report.seconds, report.promise_s);
    serde_json::to_string(&chart).unwrap_or_default()
}

fn page(report: &Report<'_>, live: &str) -> String {
    // Inside a script element only `<` could end it.
    let data = data(report).replace('<', "\\u003c");
    let title = escaped(&report.title);
    let subtitle = escaped(&report.subtitle);
    let mut figures = String::new();
    for (name, value) in &report.figures {
        let _ = writeln!(figures, "<tr><th>{}</th><td>{}</td></tr>", escaped(name), escaped(value));
    }
    if !figures.is_empty() {
        figures = format!(
            "<section class=\"card\"><h2>Figures</h2><table class=\"figures\"><tbody>\n{figures}</tbody></table></section>\n"
        );
    }
    format!(
        "<!doctype html>
<html lang=\"en\">
<head>
<meta charset=\"utf-8\">
<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">
<meta name=\"color-scheme\" content=\"light dark\">
<title>{title}</title>
<style>
{STYLE}</style>
</head>
<body>
<header><h1>{title}</h1><p>{subtitle} <b id=\"state\"></b></p></header>
<main>
<section id=\"tiles\" aria-label=\"Key figures\"></section>
<section id=\"charts\" aria-label=\"Charts\"></section>
<section class=\"card\"><h2>Decisions</h2><div id=\"decisions\"></div></section>
{figures}</main>
<div id=\"tip\" role=\"status\" hidden></div>
<script id=\"data\" type=\"application/json\"{live}>{data}</script>
<script>
{SCRIPT}</script>
</body>
</html>
"
    )
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
