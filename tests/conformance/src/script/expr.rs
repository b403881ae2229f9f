//! Expressions: arguments and results of system calls.

use super::ast::Expr;
use super::cursor::Cursor;
use super::error::SyntaxError;
use super::lexer::Token;

/// How deep braces and brackets may nest.
const DEPTH_MAX: usize = 16;

/// `a, b, c` up to `close`, which is taken.
pub(super) fn list(at: &mut Cursor, close: char, depth: usize) -> Result<Vec<Expr>, SyntaxError> {
    let mut items = Vec::new();
    if at.take_sign(close) {
        return Ok(items);
    }
    loop {
        items.push(expression(at, depth)?);
        if at.take_sign(close) {
            return Ok(items);
        }
        at.sign(',')?;
    }
}

/// One expression.
pub(super) fn expression(at: &mut Cursor, depth: usize) -> Result<Expr, SyntaxError> {
    if depth > DEPTH_MAX {
        return SyntaxError::new(at.line(), "an expression too deep");
    }
    let mut left = primary(at, depth)?;
    while at.take_sign('|') {
        let right = primary(at, depth)?;
        left = Expr::Or(Box::new(left), Box::new(right));
    }
    Ok(left)
}

fn primary(at: &mut Cursor, depth: usize) -> Result<Expr, SyntaxError> {
    match at.peek() {
        Some(Token::Ellipsis) => {
            at.next();
            Ok(Expr::Ellipsis)
        }
        Some(Token::Int(value) | Token::Hex(value)) => {
            let value = *value;
            at.next();
            Ok(Expr::Int(value))
        }
        Some(Token::Text(_)) => Ok(text(at)),
        Some(Token::Word(_)) => {
            let word = at.word("a name")?;
            if at.take_sign('(') {
                let argument = expression(at, depth + 1)?;
                at.sign(')')?;
                return Ok(Expr::Call(word, Box::new(argument)));
            }
            if at.take_sign('=') {
                return Ok(Expr::Assign(word, Box::new(expression(at, depth + 1)?)));
            }
            Ok(Expr::Word(word))
        }
        Some(Token::Sign('[')) => {
            at.next();
            Ok(Expr::List(list(at, ']', depth + 1)?))
        }
        Some(Token::Sign('{')) => {
            at.next();
            braces(at, depth + 1)
        }
        _ => at.fail("an expression"),
    }
}

/// Strings one after the other are one.
fn text(at: &mut Cursor) -> Expr {
    let mut bytes = Vec::new();
    while let Some(Token::Text(part)) = at.peek() {
        bytes.extend_from_slice(part);
        at.next();
    }
    let open = at.peek() == Some(&Token::Ellipsis);
    if open {
        at.next();
    }
    Expr::Text(bytes, open)
}

/// `{name = value, ...}` or `{a, b}`.
fn braces(at: &mut Cursor, depth: usize) -> Result<Expr, SyntaxError> {
    let named = matches!(at.peek(), Some(Token::Word(_)))
        && matches!(at.peek_at(1), Some(Token::Sign('=' | '(')));
    if !named {
        return Ok(Expr::Braces(list(at, '}', depth)?));
    }
    let mut fields = Vec::new();
    loop {
        let name = at.word("a field's name")?;
        let argument = if at.take_sign('(') {
            let argument = expression(at, depth + 1)?;
            at.sign(')')?;
            Some(argument)
        } else {
            None
        };
        at.sign('=')?;
        fields.push((name, argument, expression(at, depth + 1)?));
        if at.take_sign('}') {
            return Ok(Expr::Struct(fields));
        }
        at.sign(',')?;
    }
}
