//! The little JSON that the page needs: texts, and numbers in flat lists.

use std::fmt::Write as _;

use causeway_core::time::Instant;

/// Appends `text` as a JSON string that may also stand inside an HTML script element.
pub fn push_text(out: &mut String, text: &str) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            // `</script>` and `<!--` must not appear.
            '<' => out.push_str("\\u003c"),
            c if u32::from(c) < 0x20 || c == '\u{2028}' || c == '\u{2029}' => {
                // Writing to a string cannot fail.
                let _ = write!(out, "\\u{:04x}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out.push('"');
}

/// Appends a flat list of numbers.
pub fn push_numbers(out: &mut String, numbers: impl IntoIterator<Item = f64>) {
    out.push('[');
    for (index, number) in numbers.into_iter().enumerate() {
        if index > 0 {
            out.push(',');
        }
        let _ = write!(out, "{number}");
    }
    out.push(']');
}

/// Microseconds with one decimal: what the page counts time in.
pub fn micros(at: Instant) -> f64 {
    (at.as_nanos() / 100) as f64 / 10.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_cannot_leave_their_string_or_their_script_element() {
        let mut out = String::new();
        push_text(&mut out, "a\"b\\c</script>\n\u{2028}");
        assert_eq!(out, "\"a\\\"b\\\\c\\u003c/script>\\u000a\\u2028\"");
    }

    #[test]
    fn numbers_come_flat_and_short() {
        let mut out = String::new();
        push_numbers(&mut out, [1.0, micros(Instant::from_nanos(1_234_567))]);
        assert_eq!(out, "[1,1234.5]");
    }
}
