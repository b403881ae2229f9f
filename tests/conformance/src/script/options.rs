//! The option lines at the beginning of a script.

use super::ast::{IpVersion, Options};
use super::error::SyntaxError;

/// Takes the option lines off the beginning of `text`. Returns the options, the rest and the rest's first line.
pub(super) fn take(text: &str) -> Result<(Options, &str, usize), SyntaxError> {
    let mut options = Options::default();
    let (mut rest, mut line) = (text, 1);
    loop {
        let blank = rest.len() - rest.trim_start().len();
        line += rest[..blank].matches('\n').count();
        rest = &rest[blank..];
        if let Some(comment) = rest.strip_prefix("//") {
            rest = &comment[comment.find('\n').unwrap_or(comment.len())..];
        } else if let Some(comment) = rest.strip_prefix("/*") {
            let Some(end) = comment.find("*/") else {
                return SyntaxError::new(line, "a comment without its end");
            };
            line += comment[..end].matches('\n').count();
            rest = &comment[end + 2..];
        } else if let Some(option) = rest.strip_prefix("--") {
            let end = end_of_option(option);
            apply(&mut options, &option[..end], line)?;
            line += option[..end].matches('\n').count();
            rest = &option[end..];
        } else {
            return Ok((options, rest, line));
        }
    }
}

/// An option ends at a blank, except inside quotes.
fn end_of_option(text: &str) -> usize {
    let mut quote = None;
    for (i, c) in text.char_indices() {
        match quote {
            Some(q) if c == q => quote = None,
            Some(_) => {}
            None if c == '"' || c == '`' => quote = Some(c),
            None if c.is_whitespace() => return i,
            None => {}
        }
    }
    text.len()
}

fn apply(options: &mut Options, text: &str, line: usize) -> Result<(), SyntaxError> {
    let (name, value) = text.split_once('=').unwrap_or((text, ""));
    let value = value.trim_matches('"');
    let bad = || SyntaxError { line, what: format!("`--{name}` cannot be `{value}`") };
    match name {
        "ip_version" => {
            options.ip_version = match value {
                "ipv4" => IpVersion::V4,
                "ipv6" => IpVersion::V6,
                "ipv4-mapped-ipv6" => IpVersion::V4MappedV6,
                _ => return Err(bad()),
            }
        }
        "tolerance_usecs" => options.tolerance_us = value.parse().map_err(|_| bad())?,
        "tolerance_percent" => {
            let percent: f64 = value.parse().map_err(|_| bad())?;
            options.tolerance_millipercent = (percent * 1_000.0) as i64;
        }
        "mtu" => options.mtu = value.parse().map_err(|_| bad())?,
        "local_ip" => options.local_ip = Some(value.parse().map_err(|_| bad())?),
        "remote_ip" => {
            let address = value.split('/').next().unwrap_or_default();
            options.remote_ip = Some(address.parse().map_err(|_| bad())?);
        }
        "bind_port" => options.bind_port = value.parse().map_err(|_| bad())?,
        "connect_port" => options.connect_port = value.parse().map_err(|_| bad())?,
        "tcp_ts_tick_usecs" => options.ts_tick_us = value.parse().map_err(|_| bad())?,
        "tcp_ts_ecr_scaled" => options.ts_ecr_scaled = true,
        "strict_segments" => options.strict_segments = true,
        "define" => {
            let (symbol, meaning) = value.split_once('=').ok_or_else(bad)?;
            options.defines.push((symbol.to_owned(), meaning.to_owned()));
        }
        // They shape the device that a script is played over elsewhere; here there is none.
        "gateway_ip" | "netmask_ip" | "speed" | "code_command" | "code_format" | "code_sockopt"
        | "mss" | "debug" | "verbose" | "so_filename" | "so_flags" | "is_anyip"
        | "send_omit_free" => {}
        _ => {
            return SyntaxError::new(
                line,
                format!("the option `--{name}` is not carried out here"),
            );
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_come_before_the_first_event_and_may_be_commented() {
        let text = "// x\n--ip_version=ipv4-mapped-ipv6\n--define=A=\"b c\" --mtu=1280\n\n0 x";
        let (options, rest, line) = take(text).unwrap();
        assert_eq!(options.ip_version, IpVersion::V4MappedV6);
        assert_eq!(options.defines, [("A".to_owned(), "\"b c".to_owned())]);
        assert_eq!((options.mtu, rest, line), (1280, "0 x", 5));
    }

    #[test]
    fn an_unknown_option_or_value_names_its_line() {
        assert_eq!(take("\n--frob\n0 x").unwrap_err().line, 2);
        assert_eq!(take("--mtu=x").unwrap_err().what, "`--mtu` cannot be `x`");
    }
}
