//! Where the parser is in the tokens.

use super::ast::Micros;
use super::error::SyntaxError;
use super::lexer::{Located, Token};

/// A position in a list of tokens.
pub(super) struct Cursor {
    tokens: Vec<Located>,
    at: usize,
    last_line: usize,
}

impl Cursor {
    pub(super) fn new(tokens: Vec<Located>, first_line: usize) -> Self {
        Self { tokens, at: 0, last_line: first_line }
    }

    pub(super) fn peek(&self) -> Option<&Token> {
        self.peek_at(0)
    }

    pub(super) fn peek_at(&self, ahead: usize) -> Option<&Token> {
        self.tokens.get(self.at + ahead).map(|t| &t.token)
    }

    /// The line of the next token, or of the last.
    pub(super) fn line(&self) -> usize {
        self.tokens.get(self.at).map_or(self.last_line, |t| t.line)
    }

    pub(super) fn next(&mut self) -> Option<Token> {
        let located = self.tokens.get(self.at)?;
        self.at += 1;
        self.last_line = located.line;
        Some(located.token.clone())
    }

    pub(super) fn fail<T>(&self, expected: &str) -> Result<T, SyntaxError> {
        let found = match self.peek() {
            None => "the end".to_owned(),
            Some(token) => describe(token),
        };
        SyntaxError::new(self.line(), format!("expected {expected}, found {found}"))
    }

    pub(super) fn is_sign(&self, sign: char) -> bool {
        self.peek() == Some(&Token::Sign(sign))
    }

    pub(super) fn is_word(&self, word: &str) -> bool {
        matches!(self.peek(), Some(Token::Word(w)) if w == word)
    }

    /// Takes `sign` if it is next.
    pub(super) fn take_sign(&mut self, sign: char) -> bool {
        let found = self.is_sign(sign);
        self.at += usize::from(found);
        found
    }

    /// Takes `word` if it is next.
    pub(super) fn take_word(&mut self, word: &str) -> bool {
        let found = self.is_word(word);
        self.at += usize::from(found);
        found
    }

    pub(super) fn sign(&mut self, sign: char) -> Result<(), SyntaxError> {
        if self.take_sign(sign) { Ok(()) } else { self.fail(&format!("`{sign}`")) }
    }

    pub(super) fn word(&mut self, what: &str) -> Result<String, SyntaxError> {
        match self.peek() {
            Some(Token::Word(word)) => {
                let word = word.clone();
                self.at += 1;
                Ok(word)
            }
            _ => self.fail(what),
        }
    }

    /// A decimal number of type `T`.
    pub(super) fn int<T: TryFrom<i64>>(&mut self, what: &str) -> Result<T, SyntaxError> {
        let Some(Token::Int(value)) = self.peek() else { return self.fail(what) };
        let value = *value;
        match T::try_from(value) {
            Ok(value) => {
                self.at += 1;
                Ok(value)
            }
            Err(_) => SyntaxError::new(self.line(), format!("{what}: {value} is out of range")),
        }
    }

    /// A number in hexadecimal, or a decimal one.
    pub(super) fn any_int<T: TryFrom<i64>>(&mut self, what: &str) -> Result<T, SyntaxError> {
        if let Some(Token::Hex(value)) = self.peek() {
            let value = *value;
            let line = self.line();
            self.at += 1;
            return T::try_from(value).or_else(|_| {
                SyntaxError::new(line, format!("{what}: {value:#x} is out of range"))
            });
        }
        self.int(what)
    }

    /// A span or time in seconds.
    pub(super) fn seconds(&mut self) -> Result<Micros, SyntaxError> {
        let micros = match self.peek() {
            Some(Token::Float(_, micros)) => *micros,
            Some(Token::Int(seconds)) => seconds.saturating_mul(1_000_000),
            _ => return self.fail("a time"),
        };
        if micros < 0 {
            return SyntaxError::new(self.line(), "a negative time");
        }
        self.at += 1;
        Ok(micros)
    }
}

fn describe(token: &Token) -> String {
    match token {
        Token::Int(value) => format!("`{value}`"),
        Token::Hex(value) => format!("`{value:#x}`"),
        Token::Float(text, _) | Token::Word(text) => format!("`{text}`"),
        Token::Text(bytes) => format!("{:?}", String::from_utf8_lossy(bytes)),
        Token::Backticks(text) => format!("`` `{text}` ``"),
        Token::Code(_) => "`%{`".to_owned(),
        Token::V4(address) => format!("`{address}`"),
        Token::V6(address) => format!("`{address}`"),
        Token::Ellipsis => "`...`".to_owned(),
        Token::Sign(sign) => format!("`{sign}`"),
    }
}
