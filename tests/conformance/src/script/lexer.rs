//! Text to tokens.

use std::net::{Ipv4Addr, Ipv6Addr};

use super::ast::Micros;
use super::error::SyntaxError;

/// One token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Token {
    Int(i64),
    Hex(i64),
    /// A number with a point: as written, and in microseconds.
    Float(String, Micros),
    Word(String),
    Text(Vec<u8>),
    Backticks(String),
    Code(String),
    V4(Ipv4Addr),
    V6(Ipv6Addr),
    Ellipsis,
    Sign(char),
}

/// A token and the line that it stands in.
#[derive(Clone, Debug)]
pub(super) struct Located {
    pub(super) line: usize,
    pub(super) token: Token,
}

/// Cuts `text`, whose first line is `line`, into tokens.
pub(super) fn tokens(text: &str, line: usize) -> Result<Vec<Located>, SyntaxError> {
    let mut lexer = Lexer { bytes: text.as_bytes(), at: 0, line, out: Vec::new() };
    while lexer.skip_blank()? {
        lexer.next()?;
    }
    Ok(lexer.out)
}

struct Lexer<'a> {
    bytes: &'a [u8],
    at: usize,
    line: usize,
    out: Vec<Located>,
}

impl Lexer<'_> {
    fn rest(&self) -> &[u8] {
        &self.bytes[self.at..]
    }

    fn peek(&self, ahead: usize) -> u8 {
        self.bytes.get(self.at + ahead).copied().unwrap_or(0)
    }

    /// Goes on by `count` bytes, counting lines.
    fn bump(&mut self, count: usize) {
        let passed = &self.bytes[self.at..self.at + count];
        self.line += passed.iter().filter(|b| **b == b'\n').count();
        self.at += count;
    }

    /// Goes past blanks and comments; false at the end.
    fn skip_blank(&mut self) -> Result<bool, SyntaxError> {
        loop {
            match (self.peek(0), self.peek(1)) {
                _ if self.at >= self.bytes.len() => return Ok(false),
                (b' ' | b'\t' | b'\n' | b'\r', _) => self.bump(1),
                (b'/', b'/') => {
                    let end = self.find(b"\n", 0).unwrap_or(self.rest().len());
                    self.bump(end);
                }
                (b'/', b'*') => {
                    let Some(end) = self.find(b"*/", 2) else {
                        return SyntaxError::new(self.line, "a comment without its end");
                    };
                    self.bump(end + 2);
                }
                _ => return Ok(true),
            }
        }
    }

    fn find(&self, what: &[u8], from: usize) -> Option<usize> {
        self.rest().get(from..)?.windows(what.len()).position(|w| w == what).map(|i| i + from)
    }

    fn push(&mut self, line: usize, token: Token) {
        self.out.push(Located { line, token });
    }

    fn next(&mut self) -> Result<(), SyntaxError> {
        let line = self.line;
        match (self.peek(0), self.peek(1), self.peek(2)) {
            (b'%', b'{', _) => {
                let Some(end) = self.find(b"}%", 2) else {
                    return SyntaxError::new(line, "`%{` without `}%`");
                };
                let code = String::from_utf8_lossy(&self.rest()[2..end]).into_owned();
                self.bump(end + 2);
                self.push(line, Token::Code(code));
            }
            (quote @ (b'"' | b'`'), ..) => self.quoted(quote)?,
            (b'.', b'.', b'.') => {
                self.bump(3);
                self.push(line, Token::Ellipsis);
            }
            (b'-', b'0'..=b'9' | b'.', _) => self.number(line)?,
            (b'.', b'0'..=b'9', _) => self.number(line)?,
            (b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z' | b'_' | b':', ..) => {
                if !self.address(line) {
                    self.word_or_number(line)?;
                }
            }
            (sign, ..) => {
                self.bump(1);
                self.push(line, Token::Sign(char::from(sign)));
            }
        }
        Ok(())
    }

    fn quoted(&mut self, quote: u8) -> Result<(), SyntaxError> {
        let line = self.line;
        let mut out = Vec::new();
        let mut i = 1;
        loop {
            match self.peek(i) {
                _ if self.at + i >= self.bytes.len() => {
                    return SyntaxError::new(line, "a string without its end");
                }
                b if b == quote => break,
                b'\\' if quote == b'"' => {
                    let (byte, len) = self.escape(i + 1);
                    out.push(byte);
                    i += 1 + len;
                }
                b => {
                    out.push(b);
                    i += 1;
                }
            }
        }
        self.bump(i + 1);
        let token = match quote {
            b'"' => Token::Text(out),
            _ => Token::Backticks(String::from_utf8_lossy(&out).into_owned()),
        };
        self.push(line, token);
        Ok(())
    }

    /// The byte that the escape after a backslash at `i` means, and its length.
    fn escape(&self, i: usize) -> (u8, usize) {
        match self.peek(i) {
            b'n' => (b'\n', 1),
            b't' => (b'\t', 1),
            b'r' => (b'\r', 1),
            b'0' => (0, 1),
            b'x' => {
                let digits = &self.bytes[self.at + i + 1..(self.at + i + 3).min(self.bytes.len())];
                let text = std::str::from_utf8(digits).unwrap_or("");
                (u8::from_str_radix(text, 16).unwrap_or(b'x'), 3)
            }
            byte => (byte, 1),
        }
    }

    /// An IP address, where one stands. Sequence ranges like `1:1001` are none.
    fn address(&mut self, line: usize) -> bool {
        let is_part = |b: u8| b.is_ascii_hexdigit() || b == b':' || b == b'.';
        let len = self.rest().iter().take_while(|b| is_part(**b)).count();
        let text = String::from_utf8_lossy(&self.rest()[..len]).into_owned();
        let text = text.trim_end_matches('.');
        // `ipv6 A > B:` ends in a colon of its own.
        for text in [text, text.strip_suffix(':').unwrap_or(text)] {
            let colons = text.matches(':').count();
            let token = if text.contains("::") || colons == 7 {
                text.parse().ok().map(Token::V6)
            } else if colons == 0 {
                text.parse().ok().map(Token::V4)
            } else {
                None
            };
            if let Some(token) = token {
                self.bump(text.len());
                self.push(line, token);
                return true;
            }
        }
        false
    }

    fn word_or_number(&mut self, line: usize) -> Result<(), SyntaxError> {
        let is_word = |b: u8| b.is_ascii_alphanumeric() || b == b'_' || b == b'#';
        let len = self.rest().iter().take_while(|b| is_word(**b)).count();
        if len == 0 {
            let sign = char::from(self.peek(0));
            self.bump(1);
            self.push(line, Token::Sign(sign));
            return Ok(());
        }
        let word = String::from_utf8_lossy(&self.rest()[..len]).into_owned();
        if word.bytes().all(|b| b.is_ascii_digit()) {
            return self.number(line);
        }
        self.bump(len);
        let token = match word.strip_prefix("0x").map(|hex| i64::from_str_radix(hex, 16)) {
            Some(Ok(value)) => Token::Hex(value),
            _ => Token::Word(word),
        };
        self.push(line, token);
        Ok(())
    }

    fn number(&mut self, line: usize) -> Result<(), SyntaxError> {
        let sign = usize::from(self.peek(0) == b'-');
        let digits =
            |from: usize| self.rest().iter().skip(from).take_while(|b| b.is_ascii_digit()).count();
        let whole = digits(sign);
        let fraction = if self.peek(sign + whole) == b'.' { digits(sign + whole + 1) } else { 0 };
        if whole == 0 && fraction == 0 {
            self.bump(1);
            self.push(line, Token::Sign('-'));
            return Ok(());
        }
        let len = sign + whole + if fraction > 0 { 1 + fraction } else { 0 };
        let text = String::from_utf8_lossy(&self.rest()[..len]).into_owned();
        self.bump(len);
        let token = if whole >= 8 && fraction == 0 && text.starts_with('0') {
            // A cookie: as a number it would lose its zeros.
            Token::Word(text)
        } else if fraction > 0 {
            let Some(micros) = micros(&text) else {
                return SyntaxError::new(line, format!("`{text}` is out of range"));
            };
            Token::Float(text, micros)
        } else {
            match text.parse() {
                Ok(value) => Token::Int(value),
                Err(_) => return SyntaxError::new(line, format!("`{text}` is out of range")),
            }
        };
        self.push(line, token);
        Ok(())
    }
}

/// A decimal number of seconds in microseconds; further digits are cut off.
fn micros(text: &str) -> Option<Micros> {
    let (negative, text) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let whole: i64 = if whole.is_empty() { 0 } else { whole.parse().ok()? };
    let digits: String = fraction.chars().chain("000000".chars()).take(6).collect();
    let micros = whole.checked_mul(1_000_000)?.checked_add(digits.parse().ok()?)?;
    Some(if negative { -micros } else { micros })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lex(text: &str) -> Vec<Token> {
        tokens(text, 1).unwrap().into_iter().map(|t| t.token).collect()
    }

    #[test]
    fn a_blocking_call_s_time_is_two_numbers_with_an_ellipsis_between() {
        let float = |text: &str, micros| Token::Float(text.into(), micros);
        assert_eq!(
            lex("0.100...0.2 +0...2"),
            [
                float("0.100", 100_000),
                Token::Ellipsis,
                float("0.2", 200_000),
                Token::Sign('+'),
                Token::Int(0),
                Token::Ellipsis,
                Token::Int(2),
            ]
        );
    }

    #[test]
    fn sequence_ranges_are_no_addresses_and_addresses_are_no_numbers() {
        assert_eq!(lex("1:1001")[..2], [Token::Int(1), Token::Sign(':')]);
        assert_eq!(lex("192.0.2.1"), [Token::V4(Ipv4Addr::new(192, 0, 2, 1))]);
        let v6 = "fd3d::1".parse().unwrap();
        assert_eq!(lex("fd3d::1:"), [Token::V6(v6), Token::Sign(':')]);
        assert_eq!(lex("P.5"), [Token::Word("P".into()), Token::Float(".5".into(), 500_000)]);
        assert_eq!(lex("FO 1234567890abcdef")[1], Token::Word("1234567890abcdef".into()));
    }

    #[test]
    fn lines_are_counted_through_comments_and_code() {
        let located = tokens("// a\n/* b\n */ %{\nx }% y", 1).unwrap();
        assert_eq!((located[0].line, located[1].line), (3, 4));
        assert_eq!(located[0].token, Token::Code("\nx ".into()));
    }

    #[test]
    fn what_has_no_end_is_an_error_with_its_line() {
        assert_eq!(tokens("\n\"abc", 1).unwrap_err().line, 2);
        assert_eq!(tokens("\n%{ x", 1).unwrap_err().line, 2);
        assert_eq!(tokens("/* x", 1).unwrap_err().line, 1);
    }
}
