//! As much of HTTP/1.1 (RFC 9112) as a scraper needs.

/// The longest request, headers included.
pub(super) const REQUEST_BYTES_MAX: usize = 8 << 10;

/// What a request wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    /// More of it has to come.
    More,
    /// The figures, or only the headers that they would come with.
    Metrics {
        /// Without the body.
        head: bool,
    },
    /// Something else, which is answered with this status.
    Refused(Status),
}

/// A status that is not 200.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Status {
    BadRequest,
    NotFound,
    MethodNotAllowed,
    TooLarge,
    Unavailable,
}

impl Status {
    const fn line(self) -> &'static str {
        match self {
            Self::BadRequest => "400 Bad Request",
            Self::NotFound => "404 Not Found",
            Self::MethodNotAllowed => "405 Method Not Allowed",
            Self::TooLarge => "431 Request Header Fields Too Large",
            Self::Unavailable => "503 Service Unavailable",
        }
    }
}

/// Input: what has come of a request.
pub(super) fn parse(bytes: &[u8]) -> Wanted {
    let ends = bytes.windows(4).any(|four| four == b"\r\n\r\n");
    if !ends {
        let full = bytes.len() >= REQUEST_BYTES_MAX;
        return if full { Wanted::Refused(Status::TooLarge) } else { Wanted::More };
    }
    let line = bytes.split(|byte| *byte == b'\r').next().unwrap_or_default();
    let Ok(line) = std::str::from_utf8(line) else { return Wanted::Refused(Status::BadRequest) };
    let words: Vec<&str> = line.split(' ').collect();
    let [method, target, version] = words[..] else {
        return Wanted::Refused(Status::BadRequest);
    };
    if !version.starts_with("HTTP/1.") || !target.starts_with('/') {
        return Wanted::Refused(Status::BadRequest);
    }
    let path = target.split('?').next().unwrap_or_default();
    match (method, path) {
        ("GET" | "HEAD", "/metrics") => Wanted::Metrics { head: method == "HEAD" },
        ("GET" | "HEAD", _) => Wanted::Refused(Status::NotFound),
        _ => Wanted::Refused(Status::MethodNotAllowed),
    }
}

/// Output: the figures.
pub(super) fn found(content_type: &str, body: &str, head: bool) -> Vec<u8> {
    let headers = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: {content_type}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    );
    let mut bytes = headers.into_bytes();
    if !head {
        bytes.extend(body.as_bytes());
    }
    bytes
}

/// Output: no.
pub(super) fn refused(status: Status) -> Vec<u8> {
    let allow = match status {
        Status::MethodNotAllowed => "Allow: GET, HEAD\r\n",
        _ => "",
    };
    let line = status.line();
    let length = line.len() + 1;
    format!(
        "HTTP/1.1 {line}\r\n{allow}Content-Type: text/plain\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{line}\n"
    )
    .into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_understood_when_it_is_whole_and_not_before() {
        let whole = b"GET /metrics?x=1 HTTP/1.1\r\nHost: a\r\n\r\n";
        for len in 0..whole.len() {
            assert_eq!(parse(&whole[..len]), Wanted::More, "{len}");
        }
        assert_eq!(parse(whole), Wanted::Metrics { head: false });
        assert_eq!(parse(b"HEAD /metrics HTTP/1.0\r\n\r\n"), Wanted::Metrics { head: true });
    }

    #[test]
    fn everything_else_is_refused_by_its_status() {
        let refused = |bytes: &[u8], status| {
            assert_eq!(parse(bytes), Wanted::Refused(status), "{}", bytes.escape_ascii());
        };
        refused(b"GET / HTTP/1.1\r\n\r\n", Status::NotFound);
        refused(b"POST /metrics HTTP/1.1\r\n\r\n", Status::MethodNotAllowed);
        refused(b"GET /metrics\r\n\r\n", Status::BadRequest);
        refused(b"GET metrics HTTP/1.1\r\n\r\n", Status::BadRequest);
        refused(b"GET /metrics HTTP/2\r\n\r\n", Status::BadRequest);
        refused(b"\r\n\r\n", Status::BadRequest);
        refused(b"\xff\xff /metrics HTTP/1.1\r\n\r\n", Status::BadRequest);
        refused(&vec![b'x'; REQUEST_BYTES_MAX], Status::TooLarge);
    }
}
