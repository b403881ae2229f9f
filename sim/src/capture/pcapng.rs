//! pcapng (draft-ietf-opsawg-pcapng): sections with their interfaces, and packets. Blocks of other kinds are passed over.

use super::ReadError;
use super::file::{Capture, Cursor, INTERFACES_MAX, Interface, PACKET_BYTES_MAX, Record};
use super::link::LinkKind;

/// The type of a section header block, the same in either order of bytes: what each file begins with.
pub(super) const SECTION: [u8; 4] = [0x0a, 0x0d, 0x0d, 0x0a];
const MAGIC: [u8; 4] = [0x1a, 0x2b, 0x3c, 0x4d];
const INTERFACE: u32 = 1;
/// Obsolete, and still read.
const PACKET: u32 = 2;
const SIMPLE: u32 = 3;
const ENHANCED: u32 = 6;
/// Type and both lengths.
const BLOCK_LEAST: usize = 12;
const OPTION_NAME: u16 = 2;
const OPTION_RESOLUTION: u16 = 9;
const OPTION_OFFSET: u16 = 14;
/// No name of an interface is longer in a report.
const NAME_BYTES_MAX: usize = 64;

/// How an interface's times are written.
#[derive(Clone, Copy, Debug)]
struct Clock {
    /// Units of a second.
    per_second: u64,
    /// Seconds that are to be added.
    offset: i64,
    /// Most bytes that it keeps of a packet, for packets that do not say themselves. 0: all.
    snap: u32,
}

/// What was said of the interfaces of the section at hand.
#[derive(Debug, Default)]
struct Section {
    big: bool,
    /// Where its interfaces begin among all of the file.
    first: usize,
    clocks: Vec<Clock>,
}

pub(super) fn read(file: &[u8]) -> Result<Capture<'_>, ReadError> {
    let mut capture = Capture::default();
    let mut section = Section::default();
    let mut at = 0;
    while at < file.len() {
        let rest = &file[at..];
        if rest.starts_with(&SECTION) {
            section = match rest.get(8..12) {
                Some(magic) => begin(magic, at, capture.interfaces.len())?,
                None if at == 0 => return Err(ReadError::Header { at: file.len() }),
                None => Section::default(),
            };
        }
        let mut head = Cursor::new(rest, section.big);
        let (kind, total) = (head.u32(), head.u32());
        let (Some(kind), Some(total)) = (kind, total) else {
            capture.cut_at = Some(at);
            break;
        };
        let total = total as usize;
        if total < BLOCK_LEAST || !total.is_multiple_of(4) {
            let what = format!("a block is said to have {total} bytes");
            return Err(ReadError::damaged(at, what));
        }
        let Some(block) = rest.get(..total) else {
            capture.cut_at = Some(at);
            break;
        };
        let body = Cursor::new(&block[8..total - 4], section.big);
        let taken = match kind {
            INTERFACE => interface(&mut capture, &mut section, body)?,
            PACKET | SIMPLE | ENHANCED => packet(&mut capture, &section, kind, (at, body))?,
            _ => Some(()),
        };
        if taken.is_none() {
            return Err(ReadError::damaged(at, "a block is shorter than what is in it"));
        }
        at += total;
    }
    if at == 0 {
        return Err(ReadError::Header { at: file.len() });
    }
    Ok(capture)
}

fn begin(magic: &[u8], at: usize, first: usize) -> Result<Section, ReadError> {
    let mut turned = MAGIC;
    turned.reverse();
    if magic != MAGIC && magic != turned {
        return Err(ReadError::damaged(at, "a section does not say its order of bytes"));
    }
    Ok(Section { big: magic == MAGIC, first, clocks: Vec::new() })
}

/// `None` where the block is too short.
fn interface(
    capture: &mut Capture<'_>,
    section: &mut Section,
    mut body: Cursor<'_>,
) -> Result<Option<()>, ReadError> {
    if capture.interfaces.len() == INTERFACES_MAX {
        return Err(ReadError::Interfaces { most: INTERFACES_MAX });
    }
    let mut head = || Some((body.u16()?, body.u16()?, body.u32()?));
    let Some((link, _, snap)) = head() else { return Ok(None) };
    let mut clock = Clock { per_second: 1_000_000, offset: 0, snap };
    let mut name = String::new();
    while let Some((code, mut value)) = option(&mut body) {
        match code {
            OPTION_NAME => name = name_of(value.bytes),
            OPTION_RESOLUTION => {
                clock.per_second = value.bytes.first().map_or(1_000_000, |byte| units(*byte));
            }
            OPTION_OFFSET => clock.offset = value.u64().unwrap_or(0).cast_signed(),
            _ => {}
        }
    }
    section.clocks.push(clock);
    capture.interfaces.push(Interface { name, link: LinkKind::of(link) });
    Ok(Some(()))
}

fn name_of(bytes: &[u8]) -> String {
    let bytes = &bytes[..bytes.len().min(NAME_BYTES_MAX)];
    String::from_utf8_lossy(bytes).replace(|c: char| c.is_control(), " ").trim().to_owned()
}

/// The next option; `None` at their end, or where they are cut.
fn option<'a>(body: &mut Cursor<'a>) -> Option<(u16, Cursor<'a>)> {
    let (code, len) = (body.u16()?, usize::from(body.u16()?));
    if code == 0 {
        return None;
    }
    let value = body.take(len)?;
    // The last one need not be filled up where a writer is careless.
    let _ = body.take(len.next_multiple_of(4) - len);
    Some((code, Cursor::new(value, body.big)))
}

/// Units of a second of a resolution; those that are finer than anybody's are taken for the finest that can be.
fn units(resolution: u8) -> u64 {
    let power = u32::from(resolution & 0x7f);
    let base: u64 = if resolution & 0x80 == 0 { 10 } else { 2 };
    base.checked_pow(power).unwrap_or(u64::MAX)
}

impl Clock {
    /// Nanoseconds since 1970; what lies beyond what a number holds is its end.
    fn nanos(&self, units: u64) -> u64 {
        let nanos = u128::from(units) * 1_000_000_000 / u128::from(self.per_second);
        let nanos = i128::try_from(nanos).unwrap_or(i128::MAX);
        let nanos = nanos.saturating_add(i128::from(self.offset) * 1_000_000_000);
        u64::try_from(nanos.max(0)).unwrap_or(u64::MAX)
    }
}

/// `None` where the block is too short.
fn packet<'a>(
    capture: &mut Capture<'a>,
    section: &Section,
    kind: u32,
    (at, mut body): (usize, Cursor<'a>),
) -> Result<Option<()>, ReadError> {
    let number = capture.next_number();
    let mut head = || match kind {
        SIMPLE => Some((0, 0, u32::MAX, body.u32()?)),
        PACKET => {
            let (interface, _) = (body.u16()?, body.u16()?);
            let units = u64::from(body.u32()?) << 32 | u64::from(body.u32()?);
            Some((u32::from(interface), units, body.u32()?, body.u32()?))
        }
        _ => {
            let interface = body.u32()?;
            let units = u64::from(body.u32()?) << 32 | u64::from(body.u32()?);
            Some((interface, units, body.u32()?, body.u32()?))
        }
    };
    let Some((interface, units, kept, original)) = head() else { return Ok(None) };
    let Some(clock) = section.clocks.get(interface as usize) else {
        let what = format!("packet {number} is of interface {interface}, which is not described");
        return Err(ReadError::damaged(at, what));
    };
    let kept = if kind == SIMPLE {
        let snap = if clock.snap == 0 { original } else { clock.snap };
        original.min(snap).min(body.bytes.len() as u32)
    } else {
        kept
    };
    if kept > PACKET_BYTES_MAX {
        let what = format!("packet {number} is said to have {kept} bytes");
        return Err(ReadError::damaged(at, what));
    }
    let Some(bytes) = body.take(kept as usize) else { return Ok(None) };
    let at = clock.nanos(units);
    let interface = section.first + interface as usize;
    let original_len = original.max(kept);
    capture.push(Record { number, at, interface, bytes, original_len })?;
    Ok(Some(()))
}
