//! The series that `simulate --csv` and `up --csv` wrote, read back.

use tidegate_autoscale::series::{self, Second};

/// A file that is no such series.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{name}: {reason}")]
pub struct CsvError {
    /// The file's name as the caller gave it.
    pub name: String,
    /// Line and what is wrong.
    pub reason: String,
}

/// Reads a series. The name is used in messages only.
///
/// # Errors
/// Another header, a line with too few columns, or a value that is no number.
pub fn read_csv(name: &str, text: &str) -> Result<Vec<Second>, CsvError> {
    let wrong = |reason: String| CsvError { name: name.to_owned(), reason };
    let header = series::csv(&[]);
    let header = header.trim_end();
    let mut lines = text.lines();
    let first = lines.next().unwrap_or_default().trim_end();
    if first != header {
        return Err(wrong(format!("line 1: expected the header {header}")));
    }
    let lines = lines.enumerate().filter(|(_, line)| !line.trim().is_empty());
    let second = |(index, line): (usize, &str)| {
        second(line).map_err(|reason| wrong(format!("line {}: {reason}", index + 2)))
    };
    lines.map(second).collect()
}

fn second(line: &str) -> Result<Second, String> {
    let field: Vec<&str> = line.splitn(11, ',').collect();
    if field.len() < 11 {
        return Err(format!("{} columns of 11", field.len()));
    }
    Ok(Second {
        t_s: number(field[0], "t_s")?,
        arrival_per_s: number(field[1], "arrival_per_s")?,
        processed_per_s: number(field[2], "processed_per_s")?,
        backlog: number(field[3], "backlog")?,
        lag_metric: number(field[4], "lag_metric")?,
        oldest_age_s: number(field[5], "oldest_age_s")?,
        replicas_desired: number(field[6], "replicas_desired")?,
        replicas_current: number(field[7], "replicas_current")?,
        pods_ready: number(field[8], "pods_ready")?,
        nodes: number(field[9], "nodes")?,
        reason: unquoted(field[10]),
    })
}

fn number<T: std::str::FromStr>(text: &str, column: &str) -> Result<T, String> {
    text.trim().parse().map_err(|_| format!("{column} = {text:?} is not a number of its kind"))
}

fn unquoted(text: &str) -> String {
    let text = text.trim_end_matches('\r');
    let inner = text.strip_prefix('"').and_then(|text| text.strip_suffix('"'));
    inner.map_or_else(|| text.to_owned(), |inner| inner.replace("\"\"", "\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_is_read() {
        let seconds = [
            Second { t_s: 1, arrival_per_s: 10.5, oldest_age_s: 1.25, ..Second::default() },
            Second { t_s: 2, reason: "lag 5, so \"2\"".into(), nodes: 3, ..Second::default() },
        ];
        assert_eq!(read_csv("run.csv", &series::csv(&seconds)), Ok(seconds.to_vec()));
    }

    #[test]
    fn errors_name_file_line_and_column() {
        let error = |text: &str| read_csv("run.csv", text).expect_err(text).to_string();
        assert!(error("t,lag\n1,2").starts_with("run.csv: line 1: expected the header t_s,"));
        let header = series::csv(&[]);
        assert_eq!(error(&format!("{header}1,2\n")), "run.csv: line 2: 2 columns of 11");
        let line = format!("{header}1,2,3,4,5,6,x,8,9,10,why\n");
        assert!(error(&line).contains("line 2: replicas_desired = \"x\""));
    }
}
