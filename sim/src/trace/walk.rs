//! A strict reader for the tests: written from the specification (draft-ietf-opsawg-pcapng), not from the writer.

/// One enhanced packet block.
#[derive(Debug)]
pub struct Packet {
    /// Index of the interface description block.
    pub interface: u32,
    /// Timestamp in the interface's unit.
    pub nanos: u64,
    /// Bytes in the file.
    pub captured: usize,
    /// Bytes on the wire.
    pub original: u32,
    /// `opt_comment`.
    pub comment: String,
}

/// What one section holds.
#[derive(Debug, Default)]
pub struct Section {
    /// `opt_comment` of the section header.
    pub comment: String,
    /// `if_name` of each interface.
    pub interfaces: Vec<String>,
    /// `if_tsresol` of each interface.
    pub resolutions: Vec<u8>,
    /// Packets in file order.
    pub packets: Vec<Packet>,
    /// The texts in custom blocks.
    pub texts: Vec<String>,
}

fn u16_at(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes(bytes[at..at + 2].try_into().expect("two bytes"))
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes"))
}

/// The options of a block as (code, value); checks padding and the end marker.
fn options(mut bytes: &[u8]) -> Vec<(u16, Vec<u8>)> {
    let mut all = Vec::new();
    while !bytes.is_empty() {
        let (code, len) = (u16_at(bytes, 0), usize::from(u16_at(bytes, 2)));
        if code == 0 {
            assert_eq!((len, bytes.len()), (0, 4), "the end of options is the end of the block");
            return all;
        }
        let padded = len.next_multiple_of(4);
        assert!(bytes[4 + len..4 + padded].iter().all(|&pad| pad == 0), "padding is zero");
        all.push((code, bytes[4..4 + len].to_vec()));
        bytes = &bytes[4 + padded..];
    }
    assert!(all.is_empty(), "options end with opt_endofopt");
    all
}

fn text(options: &[(u16, Vec<u8>)], code: u16) -> String {
    let value = options.iter().find(|(c, _)| *c == code).map(|(_, v)| v.clone());
    String::from_utf8(value.unwrap_or_default()).expect("texts are UTF-8")
}

/// Reads a whole little-endian file of one section; panics at the first thing that is not as specified.
pub fn walk(mut file: &[u8]) -> Section {
    let mut section = Section::default();
    assert_eq!(u32_at(file, 0), 0x0a0d_0d0a, "a section header comes first");
    assert_eq!(u32_at(file, 8), 0x1a2b_3c4d, "byte-order magic");
    let mut last_nanos = 0;
    while !file.is_empty() {
        let (kind, len) = (u32_at(file, 0), u32_at(file, 4) as usize);
        assert!(len >= 12 && len % 4 == 0 && len <= file.len(), "block length {len}");
        assert_eq!(u32_at(file, len - 4) as usize, len, "both lengths agree");
        let body = &file[8..len - 4];
        match kind {
            0x0a0d_0d0a => section.comment = text(&options(&body[16..]), 1),
            1 => {
                assert_eq!((u16_at(body, 0), u16_at(body, 2)), (1, 0), "Ethernet, reserved zero");
                let options = options(&body[8..]);
                section.interfaces.push(text(&options, 2));
                let resolution = options.iter().find(|(code, _)| *code == 9);
                section.resolutions.push(resolution.expect("if_tsresol is there").1[0]);
            }
            6 => {
                let packet = packet(body);
                assert!((packet.interface as usize) < section.interfaces.len());
                assert!(packet.nanos >= last_nanos, "time does not run backwards");
                last_nanos = packet.nanos;
                section.packets.push(packet);
            }
            0xbad => {
                assert_eq!(u32_at(body, 0), super::TEXT_BLOCK_PEN);
                let text = std::str::from_utf8(&body[4..]).expect("texts are UTF-8");
                section.texts.push(format!("{}\n", text.trim_end()));
            }
            other => panic!("unexpected block type {other:#x}"),
        }
        file = &file[len..];
    }
    section
}

fn packet(body: &[u8]) -> Packet {
    let captured = u32_at(body, 12) as usize;
    let original = u32_at(body, 16);
    assert!(captured as u32 <= original, "captured is at most original");
    Packet {
        interface: u32_at(body, 0),
        nanos: u64::from(u32_at(body, 4)) << 32 | u64::from(u32_at(body, 8)),
        captured,
        original,
        comment: text(&options(&body[20 + captured.next_multiple_of(4)..]), 1),
    }
}
