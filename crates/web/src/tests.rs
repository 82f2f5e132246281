use tidegate_autoscale::series::Second;

use crate::Report;

fn report(seconds: &[Second]) -> String {
    Report {
        title: "A <run> & more".into(),
        subtitle: "demo".into(),
        seconds,
        promise_s: Some(5.0),
        figures: Report::figures_from(
            "age            half within 0.4 s\npods           peak 16\nno value",
        ),
    }
    .html()
}

#[test]
fn the_page_asks_the_network_for_nothing() {
    let page = report(&[Second::default()]);
    for loads in ["http:", "https:", "//cdn", "src=", "href=", "@import", "url("] {
        let namespace = page.matches("http://www.w3.org/2000/svg").count();
        let found = page.matches(loads).count() - if loads == "http:" { namespace } else { 0 };
        assert_eq!(found, 0, "{loads}");
    }
}

#[test]
fn what_people_wrote_stays_text() {
    let reason = "</script><script>alert(1)</script>".to_owned();
    let seconds = [
        Second { t_s: 1, ..Second::default() },
        Second { t_s: 2, replicas_desired: 3, reason, ..Second::default() },
    ];
    let page = report(&seconds);
    assert!(page.contains("<title>A &lt;run&gt; &amp; more</title>"));
    assert!(!page.contains("<script>alert"));
    assert_eq!(page.matches("</script>").count(), 2);
    assert!(page.contains("\\u003c/script>"), "but it is there");
}

#[test]
fn a_summary_becomes_rows() {
    let page = report(&[]);
    assert!(page.contains("<tr><th>age</th><td>half within 0.4 s</td></tr>"));
    assert!(page.contains("<tr><th>pods</th><td>peak 16</td></tr>"));
}

#[test]
fn every_part_of_the_script_has_its_place_in_the_page() {
    let page = report(&[]);
    let script = include_str!("report.js");
    for part in script.split("byId('").skip(1) {
        let id = part.split('\'').next().unwrap_or_default();
        assert!(page.contains(&format!("id=\"{id}\"")), "{id}");
    }
}
