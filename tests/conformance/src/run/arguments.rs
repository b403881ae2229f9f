//! Expressions to numbers.

use crate::script::{Expr, symbols};

/// Why an argument is refused.
pub(super) type Refused = String;

/// Getter: the number that an expression stands for.
pub(super) fn number(expr: &Expr) -> Result<i64, Refused> {
    match expr {
        Expr::Int(value) => Ok(*value),
        Expr::Word(name) => {
            let errno = crate::host::errno::NAMES.iter().find(|(known, _)| known == name);
            let errno = errno.map(|(_, number)| i64::from(*number));
            symbols::number(name).or(errno).ok_or_else(|| format!("`{name}` is unknown"))
        }
        Expr::Or(left, right) => Ok(number(left)? | number(right)?),
        Expr::Call(name, argument) if name == "htons" => {
            let port = u16::try_from(number(argument)?).map_err(|_| "a port out of range")?;
            Ok(i64::from(port.to_be()))
        }
        _ => Err(format!("{expr:?} is no number")),
    }
}

pub(super) fn int(expr: &Expr) -> Result<i32, Refused> {
    let value = number(expr)?;
    // Flags with the highest bit set (EPOLLET) are written without a sign.
    i32::try_from(value)
        .or_else(|_| u32::try_from(value).map(u32::cast_signed))
        .map_err(|_| format!("{value} is out of range"))
}

pub(super) fn size(expr: &Expr) -> Result<usize, Refused> {
    let value = number(expr)?;
    usize::try_from(value).map_err(|_| format!("{value} is no length"))
}

/// `[n]`.
pub(super) fn bracketed(expr: &Expr) -> Result<i64, Refused> {
    match expr {
        Expr::List(items) if items.len() == 1 => number(&items[0]),
        _ => Err(format!("expected [number], found {expr:?}")),
    }
}

pub(super) fn ellipsis(expr: &Expr) -> Result<(), Refused> {
    if *expr == Expr::Ellipsis { Ok(()) } else { Err(format!("expected `...`, found {expr:?}")) }
}

/// The buffer of a call.
pub(super) enum Buffer {
    /// `...`: the stream's bytes.
    Stream,
    /// A string.
    Text(Vec<u8>),
    /// NULL.
    Null,
}

/// `...`, a string, or NULL.
pub(super) fn buffer(expr: &Expr) -> Result<Buffer, Refused> {
    match expr {
        Expr::Ellipsis => Ok(Buffer::Stream),
        Expr::Int(0) => Ok(Buffer::Null),
        Expr::Word(null) if null == "NULL" => Ok(Buffer::Null),
        Expr::Text(bytes, _) => Ok(Buffer::Text(bytes.clone())),
        _ => Err(format!("expected `...` for a buffer, found {expr:?}")),
    }
}

/// `[{..., n}, ...]`: the bytes in all.
pub(super) fn io_vector(expr: &Expr, count: usize) -> Result<usize, Refused> {
    let Expr::List(items) = expr else {
        return Err(format!("expected [{{..., n}}], found {expr:?}"));
    };
    if items.len() != count {
        return Err(format!("{count} does not match a vector of {}", items.len()));
    }
    let mut total = 0;
    for item in items {
        match item {
            Expr::Braces(parts) if parts.len() == 2 => total += size(&parts[1])?,
            _ => return Err(format!("expected {{..., n}}, found {item:?}")),
        }
    }
    Ok(total)
}

/// The field `name` of a structure.
pub(super) fn field<'a>(expr: &'a Expr, name: &str) -> Result<&'a Expr, Refused> {
    let Expr::Struct(fields) = expr else {
        return Err(format!("expected a structure, found {expr:?}"));
    };
    let found = fields.iter().find(|(known, ..)| known == name);
    found.map(|(.., value)| value).ok_or_else(|| format!("the structure lacks `{name}`"))
}

/// What stands in parentheses behind the name of a field.
pub(super) fn field_count(expr: &Expr, name: &str) -> Result<usize, Refused> {
    let Expr::Struct(fields) = expr else {
        return Err(format!("expected a structure, found {expr:?}"));
    };
    let found = fields.iter().find(|(known, ..)| known == name);
    match found {
        Some((_, Some(count), _)) => size(count),
        _ => Err(format!("the structure lacks `{name}(count)`")),
    }
}
