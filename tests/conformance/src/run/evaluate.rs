//! Code between `%{` and `}%`: the part of Python that checks figures.
//!
//! Statements are `assert condition[, message]`, `print(...)` and `name = expression`, separated by line ends or
//! semicolons. Expressions have numbers, names, `and`, `or`, `not`, chained comparisons, arithmetic, bit operations and
//! `abs`, `min`, `max`, `int`, `float`, `round`.

use std::collections::BTreeMap;

/// A number of Python.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Value {
    Int(i128),
    Float(f64),
}

/// Names and their values; they live as long as the script.
pub(super) type Names = BTreeMap<String, Value>;

impl Value {
    fn float(self) -> f64 {
        match self {
            Self::Int(value) => value as f64,
            Self::Float(value) => value,
        }
    }

    fn int(self) -> Result<i128, String> {
        match self {
            Self::Int(value) => Ok(value),
            Self::Float(value) => Err(format!("{value} is no whole number")),
        }
    }

    fn truth(self) -> bool {
        self.float() != 0.0
    }
}

impl From<bool> for Value {
    fn from(value: bool) -> Self {
        Self::Int(value.into())
    }
}

impl std::fmt::Display for Value {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Int(value) => write!(f, "{value}"),
            Self::Float(value) => write!(f, "{value}"),
        }
    }
}

/// Runs `code`. What it prints is returned; an assertion that does not hold is an error that shows the values in it.
pub(super) fn run(code: &str, names: &mut Names) -> Result<Vec<String>, String> {
    let mut printed = Vec::new();
    for statement in statements(code)? {
        run_statement(&statement, names, &mut printed)?;
    }
    Ok(printed)
}

#[derive(Clone, Debug, PartialEq)]
enum Token {
    Number(Value),
    Name(String),
    Text(String),
    Sign(&'static str),
}

const SIGNS: &[&str] = &[
    "**", "//", "<<", ">>", "<=", ">=", "==", "!=", "+", "-", "*", "/", "%", "<", ">", "(", ")",
    ",", "&", "|", "^", "~", "=", "[", "]",
];

/// Cuts code into statements, and these into tokens.
fn statements(code: &str) -> Result<Vec<Vec<Token>>, String> {
    let mut all = Vec::new();
    let mut current = Vec::new();
    let mut depth = 0;
    let mut rest = code;
    while let Some(c) = rest.chars().next() {
        if c == '#' {
            rest = rest.find('\n').map_or("", |end| &rest[end..]);
        } else if c == ';' || (c == '\n' && depth == 0) {
            all.push(std::mem::take(&mut current));
            rest = &rest[1..];
        } else if c.is_whitespace() || c == '\\' {
            rest = &rest[c.len_utf8()..];
        } else {
            let (token, len) = token(rest)?;
            match token {
                Token::Sign("(" | "[") => depth += 1,
                Token::Sign(")" | "]") => depth -= 1,
                _ => {}
            }
            current.push(token);
            rest = &rest[len..];
        }
    }
    all.push(current);
    all.retain(|statement| !statement.is_empty());
    Ok(all)
}

fn token(text: &str) -> Result<(Token, usize), String> {
    let first = text.chars().next().unwrap_or(' ');
    let span = |of: fn(char) -> bool| text.find(|c| !of(c)).unwrap_or(text.len());
    if let Some(hex) = text.strip_prefix("0x") {
        let len = hex.find(|c: char| !c.is_ascii_hexdigit()).unwrap_or(hex.len());
        let value = i128::from_str_radix(&hex[..len], 16).map_err(|e| e.to_string())?;
        return Ok((Token::Number(Value::Int(value)), len + 2));
    }
    if first.is_ascii_digit()
        || (first == '.' && text[1..].starts_with(|c: char| c.is_ascii_digit()))
    {
        let len = number_len(text);
        let number = &text[..len];
        let value = match number.parse() {
            Ok(value) => Value::Int(value),
            Err(_) => Value::Float(number.parse().map_err(|_| format!("`{number}` is no number"))?),
        };
        return Ok((Token::Number(value), len));
    }
    if first.is_alphabetic() || first == '_' {
        let len = span(|c| c.is_alphanumeric() || c == '_');
        return Ok((Token::Name(text[..len].to_owned()), len));
    }
    if first == '"' || first == '\'' {
        let end = text[1..].find(first).ok_or("a string without its end")?;
        return Ok((Token::Text(text[1..=end].to_owned()), end + 2));
    }
    let sign = SIGNS.iter().find(|sign| text.starts_with(**sign));
    sign.map(|sign| (Token::Sign(sign), sign.len()))
        .ok_or_else(|| format!("`{first}` is not understood"))
}

/// Bytes of the number at the beginning of `text`, an exponent included.
fn number_len(text: &str) -> usize {
    let bytes = text.as_bytes();
    let mut len = 0;
    while let Some(b) = bytes.get(len) {
        let exponent = matches!(b, b'e' | b'E');
        let sign =
            matches!(b, b'+' | b'-') && matches!(bytes.get(len.wrapping_sub(1)), Some(b'e' | b'E'));
        if !(b.is_ascii_digit() || *b == b'.' || exponent || sign) {
            break;
        }
        len += 1;
    }
    len
}

fn run_statement(
    tokens: &[Token],
    names: &mut Names,
    printed: &mut Vec<String>,
) -> Result<(), String> {
    match tokens {
        [Token::Name(word), rest @ ..] if word == "assert" => {
            let mut at = At { tokens: rest, names, at: 0 };
            let value = at.expression()?;
            let condition = &rest[..at.at];
            if at.at < rest.len() && !at.take(",") {
                return Err(format!("`{}` is not understood", text_of(&rest[at.at..])));
            }
            if value.truth() {
                return Ok(());
            }
            Err(format!("`{}` does not hold: {}", text_of(condition), values_of(condition, names)))
        }
        [Token::Name(word), rest @ ..] if word == "print" => {
            printed.push(print(rest, names)?);
            Ok(())
        }
        [Token::Name(name), Token::Sign("="), rest @ ..] => {
            let mut at = At { tokens: rest, names, at: 0 };
            let value = at.expression()?;
            at.end()?;
            names.insert(name.clone(), value);
            Ok(())
        }
        [Token::Name(word), ..] if word == "pass" || word == "import" => Ok(()),
        _ => Err(format!("the statement `{}` is not understood", text_of(tokens))),
    }
}

fn print(tokens: &[Token], names: &Names) -> Result<String, String> {
    let mut at = At { tokens, names, at: 0 };
    let parenthesis = at.take("(");
    let mut parts = Vec::new();
    while at.at < tokens.len() && !(parenthesis && at.peek_sign(")")) {
        match at.tokens.get(at.at) {
            Some(Token::Text(text)) => {
                parts.push(text.clone());
                at.at += 1;
                // `"format" % values`: the values follow.
                at.take("%");
            }
            _ => parts.push(at.expression()?.to_string()),
        }
        at.take(",");
    }
    Ok(parts.join(" "))
}

fn text_of(tokens: &[Token]) -> String {
    let word = |token: &Token| match token {
        Token::Number(value) => value.to_string(),
        Token::Name(name) => name.clone(),
        Token::Text(text) => format!("'{text}'"),
        Token::Sign(sign) => (*sign).to_owned(),
    };
    tokens.iter().map(word).collect::<Vec<_>>().join(" ")
}

/// The names in a condition with their values.
fn values_of(tokens: &[Token], names: &Names) -> String {
    let mut seen = Vec::new();
    for token in tokens {
        if let Token::Name(name) = token
            && let Some(value) = names.get(name)
        {
            let text = format!("{name} = {value}");
            if !seen.contains(&text) {
                seen.push(text);
            }
        }
    }
    seen.join(", ")
}

/// Operators by how weakly they bind; those of one row bind alike.
const BINARY: &[&[&str]] =
    &[&["|"], &["^"], &["&"], &["<<", ">>"], &["+", "-"], &["*", "//", "/", "%"]];
const COMPARISONS: &[&str] = &["==", "!=", "<=", ">=", "<", ">"];

struct At<'a> {
    tokens: &'a [Token],
    names: &'a Names,
    at: usize,
}

impl At<'_> {
    fn peek_sign(&self, sign: &str) -> bool {
        matches!(self.tokens.get(self.at), Some(Token::Sign(s)) if *s == sign)
    }

    fn take(&mut self, sign: &str) -> bool {
        let found = self.peek_sign(sign);
        self.at += usize::from(found);
        found
    }

    fn take_word(&mut self, word: &str) -> bool {
        let found = matches!(self.tokens.get(self.at), Some(Token::Name(name)) if name == word);
        self.at += usize::from(found);
        found
    }

    fn end(&self) -> Result<(), String> {
        match self.tokens.get(self.at..) {
            Some([]) | None => Ok(()),
            Some(rest) => Err(format!("`{}` is not understood", text_of(rest))),
        }
    }

    fn expression(&mut self) -> Result<Value, String> {
        let mut value = self.conjunction()?;
        while self.take_word("or") {
            let other = self.conjunction()?;
            value = if value.truth() { value } else { other };
        }
        Ok(value)
    }

    fn conjunction(&mut self) -> Result<Value, String> {
        let mut value = self.negation()?;
        while self.take_word("and") {
            let other = self.negation()?;
            value = if value.truth() { other } else { value };
        }
        Ok(value)
    }

    fn negation(&mut self) -> Result<Value, String> {
        if self.take_word("not") {
            return Ok((!self.negation()?.truth()).into());
        }
        let mut left = self.binary(0)?;
        let mut result = None;
        while let Some(sign) = COMPARISONS.iter().find(|sign| self.peek_sign(sign)) {
            self.at += 1;
            let right = self.binary(0)?;
            let holds = result.unwrap_or(true) && compare(sign, left, right);
            result = Some(holds);
            left = right;
        }
        Ok(result.map_or(left, Value::from))
    }

    fn binary(&mut self, row: usize) -> Result<Value, String> {
        let Some(signs) = BINARY.get(row) else { return self.unary() };
        let mut left = self.binary(row + 1)?;
        while let Some(sign) = signs.iter().find(|sign| self.peek_sign(sign)) {
            self.at += 1;
            let right = self.binary(row + 1)?;
            left = calculate(sign, left, right)?;
        }
        Ok(left)
    }

    fn unary(&mut self) -> Result<Value, String> {
        if self.take("-") {
            return calculate("-", Value::Int(0), self.unary()?);
        }
        if self.take("+") {
            return self.unary();
        }
        if self.take("~") {
            return Ok(Value::Int(!self.unary()?.int()?));
        }
        let base = self.primary()?;
        if self.take("**") {
            let exponent = self.unary()?;
            return Ok(match (base, exponent) {
                (Value::Int(b), Value::Int(e @ 0..=127)) => {
                    Value::Int(b.checked_pow(e as u32).ok_or("a number out of range")?)
                }
                _ => Value::Float(base.float().powf(exponent.float())),
            });
        }
        Ok(base)
    }

    fn primary(&mut self) -> Result<Value, String> {
        if self.take("(") {
            let value = self.expression()?;
            return if self.take(")") { Ok(value) } else { Err("`)` is missing".to_owned()) };
        }
        let token = self.tokens.get(self.at).cloned();
        self.at += 1;
        match token {
            Some(Token::Number(value)) => Ok(value),
            Some(Token::Name(name)) if self.take("(") => self.call(&name),
            Some(Token::Name(name)) if name == "True" => Ok(true.into()),
            Some(Token::Name(name)) if name == "False" => Ok(false.into()),
            Some(Token::Name(name)) => {
                self.names.get(&name).copied().ok_or_else(|| format!("`{name}` is unknown"))
            }
            Some(other) => Err(format!("`{}` is not understood", text_of(&[other]))),
            None => Err("an expression is missing".to_owned()),
        }
    }

    fn call(&mut self, name: &str) -> Result<Value, String> {
        let mut values = Vec::new();
        while !self.take(")") {
            values.push(self.expression()?);
            if !self.take(",") && !self.peek_sign(")") {
                return Err("`)` is missing".to_owned());
            }
        }
        let pick = |better: fn(f64, f64) -> bool| {
            values.iter().copied().reduce(|a, b| if better(b.float(), a.float()) { b } else { a })
        };
        let first = values.first().copied();
        let value = match (name, first) {
            ("abs", Some(Value::Int(value))) => Some(Value::Int(value.abs())),
            ("abs", Some(Value::Float(value))) => Some(Value::Float(value.abs())),
            ("int", Some(value)) => Some(Value::Int(value.float() as i128)),
            ("round", Some(value)) => Some(Value::Int(value.float().round() as i128)),
            ("float", Some(value)) => Some(Value::Float(value.float())),
            ("min", _) => pick(|a, b| a < b),
            ("max", _) => pick(|a, b| a > b),
            _ => None,
        };
        value.ok_or_else(|| format!("`{name}` of {} values is not understood", values.len()))
    }
}

fn compare(sign: &str, left: Value, right: Value) -> bool {
    let order = match (left, right) {
        (Value::Int(a), Value::Int(b)) => Some(a.cmp(&b)),
        _ => left.float().partial_cmp(&right.float()),
    };
    let Some(order) = order else { return false };
    match sign {
        "==" => order.is_eq(),
        "!=" => order.is_ne(),
        "<=" => order.is_le(),
        ">=" => order.is_ge(),
        "<" => order.is_lt(),
        _ => order.is_gt(),
    }
}

fn calculate(sign: &str, left: Value, right: Value) -> Result<Value, String> {
    let range = || "a number out of range".to_owned();
    let zero = right.float() == 0.0;
    if matches!(sign, "/" | "//" | "%") && zero {
        return Err("division by zero".to_owned());
    }
    let (Value::Int(a), Value::Int(b)) = (left, right) else {
        let (a, b) = (left.float(), right.float());
        return Ok(Value::Float(match sign {
            "+" => a + b,
            "-" => a - b,
            "*" => a * b,
            "/" => a / b,
            "//" => (a / b).floor(),
            "%" => a.rem_euclid(b),
            _ => return Err(format!("`{sign}` of {left} and {right}")),
        }));
    };
    let shift = u32::try_from(b).unwrap_or(u32::MAX);
    let value = match sign {
        "+" => a.checked_add(b),
        "-" => a.checked_sub(b),
        "*" => a.checked_mul(b),
        "/" => return Ok(Value::Float(a as f64 / b as f64)),
        "//" => a.checked_div_euclid(b),
        "%" => a.checked_rem_euclid(b),
        "<<" => a.checked_shl(shift),
        ">>" => a.checked_shr(shift),
        "&" => Some(a & b),
        "|" => Some(a | b),
        _ => Some(a ^ b),
    };
    value.map(Value::Int).ok_or_else(range)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holds(code: &str) -> bool {
        let mut names = Names::new();
        names.insert("x".to_owned(), Value::Int(10));
        run(code, &mut names).is_ok()
    }

    #[test]
    fn conditions_mean_what_they_mean_in_python() {
        assert!(holds("assert x == 10"));
        assert!(!holds("assert x == 11"));
        assert!(holds("assert 9 < x <= 10 and not x > 10, 'message %d' % x"));
        assert!(holds("y = x * 2 + 1; assert y == 21"));
        assert!(holds("assert x / 4 == 2.5\nassert x // 4 == 2\nassert -x % 3 == 2"));
        assert!(holds("assert (x == 1 or\n  x == 10)"));
        assert!(holds("assert abs(x - 12) < 3 and min(x, 3) == 3"));
        assert!(holds("assert x & 0x2 != 0 and 1 << 3 == 8 and 2 ** 3 == 8"));
        assert!(holds("assert x > 1e0 # comment"));
    }

    #[test]
    fn what_is_not_understood_is_an_error_and_not_passed_over() {
        for code in
            ["assert z", "assert", "assert x ==", "foo(x)", "if x:", "assert x 3", "assert x / 0"]
        {
            assert!(!holds(code), "{code}");
        }
    }

    #[test]
    fn an_assertion_that_fails_shows_its_values() {
        let mut names = Names::from([("x".to_owned(), Value::Int(3))]);
        let error = run("assert x > 4", &mut names).unwrap_err();
        assert_eq!(error, "`x > 4` does not hold: x = 3");
        let printed = run("print('x is', x + 1)", &mut names).unwrap();
        assert_eq!(printed, ["x is 4"]);
    }
}
