//! The format of libpcap (draft-ietf-opsawg-pcap), with microseconds or nanoseconds, in either order of bytes.

use super::ReadError;
use super::file::{Capture, Cursor, Interface, PACKET_BYTES_MAX, Record};
use super::link::LinkKind;

/// How a file is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Format {
    big: bool,
    /// Nanoseconds of a unit of its times.
    unit: u64,
}

impl Format {
    /// That of a file that begins with these bytes.
    pub(super) const fn of(magic: [u8; 4]) -> Option<Self> {
        match magic {
            [0xa1, 0xb2, 0xc3, 0xd4] => Some(Self { big: true, unit: 1_000 }),
            [0xd4, 0xc3, 0xb2, 0xa1] => Some(Self { big: false, unit: 1_000 }),
            [0xa1, 0xb2, 0x3c, 0x4d] => Some(Self { big: true, unit: 1 }),
            [0x4d, 0x3c, 0xb2, 0xa1] => Some(Self { big: false, unit: 1 }),
            _ => None,
        }
    }
}

/// Bytes in front of the first record.
const HEADER_LEN: usize = 24;

pub(super) fn read(file: &[u8], format: Format) -> Result<Capture<'_>, ReadError> {
    let mut capture = Capture::default();
    let mut rest = Cursor::new(file, format.big);
    let link = header(&mut rest).ok_or(ReadError::Header { at: file.len() })??;
    capture.interfaces.push(Interface { name: String::new(), link });
    let mut at = HEADER_LEN;
    while !rest.bytes.is_empty() {
        match record(&mut rest, at, format, capture.next_number())? {
            Some(record) => capture.push(record)?,
            None => {
                capture.cut_at = Some(at);
                break;
            }
        }
        at = file.len() - rest.bytes.len();
    }
    Ok(capture)
}

/// `None` where the file ends before it.
fn header(rest: &mut Cursor<'_>) -> Option<Result<LinkKind, ReadError>> {
    rest.take(4)?;
    let (major, minor) = (rest.u16()?, rest.u16()?);
    // Time zone, accuracy of times, snap length: nobody fills them in, or needs them.
    rest.take(12)?;
    // The upper bits say how long a frame check sequence is.
    let link = LinkKind::of((rest.u32()? & 0xffff) as u16);
    Some(if major == 2 { Ok(link) } else { Err(ReadError::Version { major, minor }) })
}

/// `None` where the file ends inside of it.
fn record<'a>(
    rest: &mut Cursor<'a>,
    at: usize,
    format: Format,
    number: u32,
) -> Result<Option<Record<'a>>, ReadError> {
    let mut head = || Some((rest.u32()?, rest.u32()?, rest.u32()?, rest.u32()?));
    let Some((seconds, parts, kept, original)) = head() else { return Ok(None) };
    if kept > PACKET_BYTES_MAX {
        let what = format!("packet {number} is said to have {kept} bytes");
        return Err(ReadError::damaged(at, what));
    }
    let Some(bytes) = rest.take(kept as usize) else { return Ok(None) };
    let at = u64::from(seconds) * 1_000_000_000 + u64::from(parts) * format.unit;
    Ok(Some(Record { number, at, interface: 0, bytes, original_len: original.max(kept) }))
}
