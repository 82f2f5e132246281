//! Numbers as people read them.

/// `12,345`.
pub(super) fn thousands(value: i64) -> String {
    let digits = value.unsigned_abs().to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    if value < 0 { format!("-{text}") } else { text }
}

/// Without needless decimals: `100`, `1.5`, `0.25`.
pub(super) fn short(value: f64) -> String {
    if value.abs() >= 1000.0 {
        return thousands(value.round() as i64);
    }
    let text = format!("{value:.2}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped_and_short() {
        assert_eq!(thousands(1_000_000), "1,000,000");
        assert_eq!(thousands(-999), "-999");
        assert_eq!(short(100.0), "100");
        assert_eq!(short(1.5), "1.5");
        assert_eq!(short(12_345.6), "12,346");
    }
}
