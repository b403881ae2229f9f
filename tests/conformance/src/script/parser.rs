//! Events, one after the other.

use super::ast::{Action, Direction, Event, Expr, Options, Script, SyscallSpec, Time};
use super::cursor::Cursor;
use super::error::SyntaxError;
use super::expr;
use super::lexer::{Located, Token, tokens};
use super::{options, packet};

/// Reads a whole script.
///
/// # Errors
/// The first line that is not the language, or that this interpreter does not carry out.
pub fn parse(text: &str) -> Result<Script, SyntaxError> {
    let (options, rest, line) = options::take(text)?;
    let located = define(tokens(rest, line)?, &options)?;
    let mut at = Cursor::new(located, line);
    let mut script = Script { options, ..Script::default() };
    if let Some(Token::Backticks(command)) = at.peek() {
        script.init = Some((at.line(), command.clone()));
        at.next();
    }
    while let Some(token) = at.peek() {
        if let Token::Backticks(command) = token {
            script.cleanup = Some((at.line(), command.clone()));
            at.next();
            if at.peek().is_some() {
                return at.fail("the end after the cleanup command");
            }
            break;
        }
        script.events.push(event(&mut at, &script.options)?);
    }
    if script.events.is_empty() {
        return SyntaxError::new(line, "a script without an event");
    }
    Ok(script)
}

/// Puts what `--define` says in the place of its names.
fn define(located: Vec<Located>, options: &Options) -> Result<Vec<Located>, SyntaxError> {
    if options.defines.is_empty() {
        return Ok(located);
    }
    let mut out = Vec::with_capacity(located.len());
    for item in located {
        let meaning = match &item.token {
            Token::Word(word) => options.defines.iter().find(|(name, _)| name == word),
            _ => None,
        };
        match meaning {
            Some((_, meaning)) => out.extend(tokens(meaning, item.line)?),
            None => out.push(item),
        }
    }
    Ok(out)
}

fn event(at: &mut Cursor, options: &Options) -> Result<Event, SyntaxError> {
    let line = at.line();
    let time = time(at)?;
    let action = action(at, options)?;
    let outbound = matches!(&action, Action::Packet(p) if p.direction == Direction::Outbound);
    match time {
        Time::Any if !outbound => {
            return SyntaxError::new(line, "the time `*` is for outbound packets only");
        }
        Time::AbsoluteRange(..) | Time::RelativeRange(..) if !outbound => {
            return SyntaxError::new(line, "a range of time is for outbound packets only");
        }
        Time::AbsoluteRange(from, to) | Time::RelativeRange(from, to) if to < from => {
            return SyntaxError::new(line, "the range of time is backwards");
        }
        Time::Any
        | Time::AbsoluteRange(..)
        | Time::RelativeRange(..)
        | Time::Absolute(_)
        | Time::Relative(_) => {}
    }
    Ok(Event { line, time, action })
}

fn time(at: &mut Cursor) -> Result<Time, SyntaxError> {
    if at.take_sign('*') {
        return Ok(Time::Any);
    }
    let relative = at.take_sign('+');
    let from = at.seconds()?;
    if !at.take_sign('~') {
        return Ok(if relative { Time::Relative(from) } else { Time::Absolute(from) });
    }
    if !relative {
        return Ok(Time::AbsoluteRange(from, at.seconds()?));
    }
    at.sign('+')?;
    Ok(Time::RelativeRange(from, at.seconds()?))
}

fn action(at: &mut Cursor, options: &Options) -> Result<Action, SyntaxError> {
    for (sign, direction) in [('<', Direction::Inbound), ('>', Direction::Outbound)] {
        if at.take_sign(sign) {
            let packet = packet::packet(at, direction, options.ip_version)?;
            return Ok(Action::Packet(Box::new(packet)));
        }
    }
    match at.peek() {
        Some(Token::Backticks(command)) => {
            let command = command.clone();
            at.next();
            Ok(Action::Command(command))
        }
        Some(Token::Code(code)) => {
            let code = code.clone();
            at.next();
            Ok(Action::Code(code))
        }
        Some(Token::Word(_) | Token::Ellipsis) => Ok(Action::Syscall(Box::new(syscall(at)?))),
        _ => at.fail("a packet, a system call, a command or code"),
    }
}

fn syscall(at: &mut Cursor) -> Result<SyscallSpec, SyntaxError> {
    let end = if at.peek() == Some(&Token::Ellipsis) {
        at.next();
        Some(at.seconds()?)
    } else {
        None
    };
    let name = at.word("a system call")?;
    at.sign('(')?;
    let args = expr::list(at, ')', 0)?;
    at.sign('=')?;
    let result = result(at)?;
    let mut errno = None;
    if matches!(at.peek(), Some(Token::Word(_))) {
        errno = Some(at.word("an errno")?);
        note(at)?;
    } else if at.is_sign('(') {
        note(at)?;
    }
    Ok(SyscallSpec { end, name, args, result, errno })
}

/// A result is a number, a name, or `...`; `-1` is followed by an errno.
fn result(at: &mut Cursor) -> Result<Expr, SyntaxError> {
    expr::expression(at, 0)
}

/// `(words)`: what the error says, for the reader.
fn note(at: &mut Cursor) -> Result<(), SyntaxError> {
    at.sign('(')?;
    while !at.take_sign(')') {
        if at.next().is_none() {
            return at.fail("`)`");
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::ast::{TcpOption, TransportSpec};
    use super::*;

    fn events(text: &str) -> Vec<Event> {
        parse(text).unwrap().events
    }

    #[test]
    fn a_handshake_is_read_as_it_is_written() {
        let events = events(
            "0 socket(..., SOCK_STREAM, IPPROTO_TCP) = 3\n\
             +.1 < S 0:0(0) win 32792 <mss 1000,sackOK,nop,nop,nop,wscale 7>\n\
             +0~+.01 > S. 0:0(0) ack 1 <...>\n\
             +.1...0.2 accept(3, ..., ...) = -1 EAGAIN (Resource temporarily unavailable)\n\
             * > [ect0] PEW. 1:11(10) ack 2 win 5 urg 3 <nop,nop,TS val 1 ecr 2>\n",
        );
        assert_eq!(events[1].time, Time::Relative(100_000));
        assert_eq!(events[2].time, Time::RelativeRange(0, 10_000));
        let Action::Syscall(call) = &events[3].action else { panic!() };
        assert_eq!((call.end, call.errno.as_deref()), (Some(200_000), Some("EAGAIN")));
        let Action::Packet(packet) = &events[4].action else { panic!() };
        let TransportSpec::Tcp(tcp) = &packet.transport else { panic!() };
        assert_eq!((tcp.flags.0, tcp.urgent, tcp.window), (0xd8, 3, Some(5)));
        let nop = TcpOption::Nop;
        assert_eq!(tcp.options, Some(vec![nop.clone(), nop, TcpOption::Timestamps(1, 2)]));
    }

    #[test]
    fn structures_are_read_with_their_fields() {
        let events = events(
            "0 sendmsg(4, {msg_name(...)=..., msg_iov(1)=[{..., 1000}], msg_flags=0}, 0) = 1000\n\
             +0 setsockopt(4, SOL_SOCKET, SO_LINGER, {onoff=1, linger=0}, 8) = 0\n\
             +0 epoll_ctl(6, EPOLL_CTL_ADD, 4, {events=EPOLLIN|EPOLLOUT, fd=4}) = 0\n",
        );
        let Action::Syscall(call) = &events[0].action else { panic!() };
        let Expr::Struct(fields) = &call.args[1] else { panic!() };
        assert_eq!(fields[1].1, Some(Expr::Int(1)));
        let iov = Expr::Braces(vec![Expr::Ellipsis, Expr::Int(1000)]);
        assert_eq!(fields[1].2, Expr::List(vec![iov]));
    }

    #[test]
    fn what_is_not_the_language_is_one_error_with_its_line() {
        let line = |text: &str| parse(text).unwrap_err().line;
        assert_eq!(line("0 socket(3) = 0\n+0 < S 0:5(0) win 1\n"), 2);
        assert_eq!(line("0 < S 0:0(0)\n"), 1);
        assert_eq!(line("\n* < S 0:0(0) win 1\n"), 2);
        assert_eq!(line("0 > S 0:0(0) <nop>\n"), 1);
        assert_eq!(line("0 > X 0:0(0)\n"), 1);
        assert_eq!(line("0 frob()\n"), 1);
        assert_eq!(line(""), 1);
    }

    #[test]
    fn commands_stand_before_between_and_after_events() {
        let script = parse("`a`\n0 `b`\n+0 %{ c }%\n`d`\n").unwrap();
        assert_eq!(script.init, Some((1, "a".into())));
        assert_eq!(script.cleanup, Some((4, "d".into())));
        assert_eq!(script.events.len(), 2);
    }
}
