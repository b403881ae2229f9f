//! Packets.

use super::ast::{
    Direction, Echoed, EcnCheck, Flags, IcmpSpec, IpSpec, IpVersion, PacketSpec, TcpOption,
    TcpSpec, TransportSpec, UdpSpec,
};
use super::cursor::Cursor;
use super::error::SyntaxError;
use super::lexer::Token;
use super::symbols;

/// What follows `<` or `>`.
pub(super) fn packet(
    at: &mut Cursor,
    direction: Direction,
    version: IpVersion,
) -> Result<PacketSpec, SyntaxError> {
    for tunnel in ["ipv4", "ipv6", "gre", "GREv0", "mpls"] {
        if at.is_word(tunnel) {
            return SyntaxError::new(at.line(), "encapsulation is not carried out here");
        }
    }
    let ip = ip_info(at, direction)?;
    if at.take_word("icmp") {
        let transport = TransportSpec::Icmp(icmp(at, version)?);
        return Ok(PacketSpec { direction, ip, ports: None, transport });
    }
    if at.take_word("udp") {
        let ports = ports(at)?;
        at.sign('(')?;
        let len = at.int("the payload's length")?;
        at.sign(')')?;
        return Ok(PacketSpec {
            direction,
            ip,
            ports,
            transport: TransportSpec::Udp(UdpSpec { len }),
        });
    }
    let ports = ports(at)?;
    let transport = TransportSpec::Tcp(tcp(at, direction)?);
    Ok(PacketSpec { direction, ip, ports, transport })
}

fn ports(at: &mut Cursor) -> Result<Option<(u16, u16)>, SyntaxError> {
    let given =
        matches!(at.peek(), Some(Token::Int(_))) && matches!(at.peek_at(1), Some(Token::Sign('>')));
    if !given {
        return Ok(None);
    }
    let src = at.int("a port")?;
    at.sign('>')?;
    Ok(Some((src, at.int("a port")?)))
}

fn ip_info(at: &mut Cursor, direction: Direction) -> Result<IpSpec, SyntaxError> {
    let mut ip = IpSpec::default();
    let close = match at.peek() {
        Some(Token::Sign('[')) => ']',
        Some(Token::Sign('(')) => ')',
        _ => return Ok(ip),
    };
    at.next();
    loop {
        let word = at.word("ect0, ect1, ect01, ce, noecn, tos, ttl or flowlabel")?;
        match word.as_str() {
            "noecn" => ip.ecn = EcnCheck::Ecn(0),
            "ect1" => ip.ecn = EcnCheck::Ecn(1),
            "ect0" => ip.ecn = EcnCheck::Ecn(2),
            "ce" => ip.ecn = EcnCheck::Ecn(3),
            "ect01" if direction == Direction::Outbound => ip.ecn = EcnCheck::Ect01,
            "ect01" => return SyntaxError::new(at.line(), "`ect01` is for outbound packets only"),
            "tos" => ip.ecn = EcnCheck::Tos(at.any_int("tos")?),
            "ttl" => ip.ttl = Some(at.int("ttl")?),
            "flowlabel" => ip.flow_label = Some(at.any_int("flowlabel")?),
            _ => {
                return SyntaxError::new(
                    at.line(),
                    format!("`{word}` says nothing of an IP header"),
                );
            }
        }
        if at.take_sign(close) {
            return Ok(ip);
        }
        at.sign(',')?;
    }
}

fn tcp(at: &mut Cursor, direction: Direction) -> Result<TcpSpec, SyntaxError> {
    let line = at.line();
    let flags = flags(at)?;
    let (seq, len) = sequence(at)?;
    let ack = if at.take_word("ack") { at.int("ack")? } else { 0 };
    let window = if at.take_word("win") { Some(at.int("win")?) } else { None };
    let urgent = if at.take_word("urg") { at.int("urg")? } else { 0 };
    let options = if at.take_sign('<') { tcp_options(at)? } else { Some(Vec::new()) };
    if direction == Direction::Inbound {
        if window.is_none() {
            return SyntaxError::new(line, "an inbound segment must say its window (`win`)");
        }
        if options.is_none() {
            return SyntaxError::new(line, "`<...>` is for outbound segments only");
        }
    }
    if at.is_sign('{') {
        return SyntaxError::new(at.line(), "mutation of packets is not carried out here");
    }
    let spec = TcpSpec { flags, seq, len, ack, window, urgent, options };
    let bytes: usize = spec.options.iter().flatten().map(option_len).sum();
    if !bytes.is_multiple_of(4) {
        return SyntaxError::new(
            line,
            format!("TCP options of {bytes} bytes are not padded to words: add nop or eol"),
        );
    }
    if bytes > 40 {
        return SyntaxError::new(line, format!("{bytes} bytes of TCP options, at most 40"));
    }
    Ok(spec)
}

/// Getter: bytes of an option on the wire.
pub(crate) fn option_len(option: &TcpOption) -> usize {
    match option {
        TcpOption::Nop | TcpOption::Eol => 1,
        TcpOption::Mss(_) => 4,
        TcpOption::WindowScale(_) => 3,
        TcpOption::SackOk => 2,
        TcpOption::Sack(blocks) => 2 + 8 * blocks.len(),
        TcpOption::Timestamps(..) => 10,
        TcpOption::FastOpen(cookie) => 2 + cookie.len(),
        TcpOption::FastOpenExperimental(cookie) => 4 + cookie.len(),
        TcpOption::Other(_, body) => 2 + body.len(),
    }
}

fn flags(at: &mut Cursor) -> Result<Flags, SyntaxError> {
    let line = at.line();
    let text = match at.next() {
        Some(Token::Word(word)) if at.take_sign('.') => format!("{word}."),
        Some(Token::Word(word)) => match at.peek() {
            // `P.5`: ACK and the ACE counter of accurate ECN.
            Some(Token::Float(number, _)) if number.starts_with('.') => {
                let text = format!("{word}{number}");
                at.next();
                text
            }
            _ => word,
        },
        Some(Token::Float(number, _)) if number.starts_with('.') => number,
        Some(Token::Sign('.')) => ".".to_owned(),
        Some(Token::Sign('-')) => String::new(),
        _ => return SyntaxError::new(line, "expected the flags of a TCP segment, `udp` or `icmp`"),
    };
    let mut flags = 0;
    for c in text.chars() {
        let ace = c.to_digit(8).map(|ace| u16::try_from(ace).unwrap_or(0) << 6);
        let letter = Flags::LETTERS.iter().find(|(_, l)| *l == c).map(|(bit, _)| *bit);
        match ace.or(letter) {
            Some(bits) => flags |= bits,
            None => return SyntaxError::new(line, format!("`{c}` is no TCP flag")),
        }
    }
    Ok(Flags(flags))
}

/// `start:end(len)`.
fn sequence(at: &mut Cursor) -> Result<(u32, u16), SyntaxError> {
    let line = at.line();
    let start: u32 = at.int("a sequence number")?;
    at.sign(':')?;
    let end: u32 = at.int("a sequence number")?;
    at.sign('(')?;
    let len: u16 = at.int("the payload's length")?;
    at.sign(')')?;
    if start.wrapping_add(u32::from(len)) != end {
        return SyntaxError::new(line, format!("{start}:{end} is not {len} bytes"));
    }
    Ok((start, len))
}

/// What follows `<`; `None` for `...`.
fn tcp_options(at: &mut Cursor) -> Result<Option<Vec<TcpOption>>, SyntaxError> {
    if at.peek() == Some(&Token::Ellipsis) {
        at.next();
        at.sign('>')?;
        return Ok(None);
    }
    let mut options = Vec::new();
    loop {
        options.push(tcp_option(at)?);
        if at.take_sign('>') {
            return Ok(Some(options));
        }
        at.sign(',')?;
    }
}

fn tcp_option(at: &mut Cursor) -> Result<TcpOption, SyntaxError> {
    let line = at.line();
    let word = at.word("a TCP option")?;
    Ok(match word.as_str() {
        "nop" => TcpOption::Nop,
        "eol" => TcpOption::Eol,
        "mss" => TcpOption::Mss(at.int("mss")?),
        "wscale" => TcpOption::WindowScale(at.int("wscale")?),
        "sackOK" => TcpOption::SackOk,
        "sack" => {
            let mut blocks = Vec::new();
            while matches!(at.peek(), Some(Token::Int(_))) {
                let left = at.int("a sack block")?;
                at.sign(':')?;
                blocks.push((left, at.int("a sack block")?));
            }
            TcpOption::Sack(blocks)
        }
        "TS" => {
            if !at.take_word("val") {
                return at.fail("`val`");
            }
            let value = at.int("the timestamp")?;
            if !at.take_word("ecr") {
                return at.fail("`ecr`");
            }
            TcpOption::Timestamps(value, at.int("the timestamp's echo")?)
        }
        "FO" => TcpOption::FastOpen(cookie(at)?),
        "FOEXP" => TcpOption::FastOpenExperimental(cookie(at)?),
        "md5" => return SyntaxError::new(line, "TCP-MD5 is not carried out here"),
        _ => return SyntaxError::new(line, format!("`{word}` is no TCP option")),
    })
}

/// Hexadecimal digits, or nothing.
fn cookie(at: &mut Cursor) -> Result<Vec<u8>, SyntaxError> {
    let line = at.line();
    let digits = match at.peek() {
        Some(Token::Word(word)) => word.clone(),
        Some(Token::Int(value)) => value.to_string(),
        _ => return Ok(Vec::new()),
    };
    at.next();
    let byte = |i: usize| u8::from_str_radix(digits.get(i..i + 2)?, 16).ok();
    match (0..digits.len()).step_by(2).map(byte).collect() {
        Some(bytes) => Ok(bytes),
        None => SyntaxError::new(line, format!("the cookie `{digits}` is not hexadecimal")),
    }
}

fn icmp(at: &mut Cursor, version: IpVersion) -> Result<IcmpSpec, SyntaxError> {
    let line = at.line();
    let v6 = version == IpVersion::V6;
    let kind_name = at.word("an ICMP type")?;
    let code_name = match at.peek() {
        Some(Token::Word(word)) if word != "mtu" && word != "id" => Some(at.word("a code")?),
        _ => None,
    };
    let Some((kind, code)) = symbols::icmp(v6, &kind_name, code_name.as_deref()) else {
        let code_name = code_name.unwrap_or_default();
        return SyntaxError::new(line, format!("`{kind_name} {code_name}` is no ICMP message"));
    };
    let mtu = if at.take_word("mtu") { Some(at.int("mtu")?) } else { None };
    let echo_id = if at.take_word("id") { Some(at.int("id")?) } else { None };
    let mut echoed = Echoed::Tcp(0, 0);
    if at.take_sign('[') {
        if at.take_word("udp") {
            at.sign('(')?;
            echoed = Echoed::Udp(at.int("the payload's length")?);
            at.sign(')')?;
        } else if at.take_word("raw") {
            at.sign('(')?;
            echoed = Echoed::Raw(at.int("the message's length")?);
            at.sign(')')?;
        } else {
            let (seq, len) = sequence(at)?;
            echoed = Echoed::Tcp(seq, len);
        }
        at.sign(']')?;
    }
    Ok(IcmpSpec { kind, code, mtu, echo_id, echoed })
}
