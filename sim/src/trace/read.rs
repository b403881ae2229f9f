//! The case out of a capture that the simulator wrote: a capture repeats its run.

use pcap_file::pcapng::{PcapNgParser, RawBlock};
use pcap_file::{Endianness, PcapError};

use super::pcapng::{CUSTOM_BLOCK, TEXT_BLOCK_PEN, TEXT_CASE, TEXT_NAME, TEXT_VERSION};
use crate::trial::{Case, CaseError};

/// The longest case that is read, in bytes.
const CASE_BYTES_MAX: usize = 16 << 20;

/// Why there is no case in a capture.
#[derive(Debug, thiserror::Error)]
pub enum CaptureError {
    /// It is no pcapng, or a block of it cannot be what it claims to be.
    #[error(
        "this is no pcapng file, or a damaged one: {0}; give a capture that the simulator wrote"
    )]
    Format(PcapError),
    /// The file ends inside of a block, and no case came before.
    #[error("the capture is cut at byte {at}, before its case; the file has to be copied whole")]
    Truncated {
        /// Where the block begins that has no end.
        at: usize,
    },
    /// No block carries a case.
    #[error(
        "there is no case in the capture: it was not written by an explained run of the simulator"
    )]
    NoCase,
    /// A block carries a case in a way that this version does not know.
    #[error(
        "the capture's case has version {found}, this simulator reads {TEXT_VERSION}; read it with the version that wrote it"
    )]
    Version {
        /// What the block says.
        found: String,
    },
    /// The case is longer than any that is run.
    #[error("the capture's case has {bytes} bytes, more than {CASE_BYTES_MAX}")]
    Long {
        /// How many.
        bytes: usize,
    },
    /// The case is no UTF-8.
    #[error("the capture's case is no text: {0}")]
    Text(#[from] std::str::Utf8Error),
    /// The case cannot be read.
    #[error("the capture's case: {0}")]
    Case(#[from] CaseError),
}

impl Case {
    /// The case whose run this capture shows; running it again gives the same run. `capture` is the whole pcapng file.
    ///
    /// # Errors
    /// [`CaptureError`]: it is no such capture.
    pub fn from_pcapng(capture: &[u8]) -> Result<Self, CaptureError> {
        let broken = |at: usize| {
            move |error| match error {
                PcapError::IncompleteBuffer => CaptureError::Truncated { at },
                other => CaptureError::Format(other),
            }
        };
        let (mut rest, mut parser) = PcapNgParser::new(capture).map_err(broken(0))?;
        while !rest.is_empty() {
            let at = capture.len() - rest.len();
            let (after, block) = parser.next_raw_block(rest).map_err(broken(at))?;
            let endianness = parser.section().endianness;
            if let Some(case) = text_of(&block, endianness).and_then(case_of) {
                return case;
            }
            rest = after;
        }
        Err(CaptureError::NoCase)
    }
}

/// The data of a custom block of ours.
fn text_of<'a>(block: &'a RawBlock<'_>, endianness: Endianness) -> Option<&'a [u8]> {
    let (pen, data) = block.body.split_first_chunk::<4>()?;
    let pen = match endianness {
        Endianness::Little => u32::from_le_bytes(*pen),
        Endianness::Big => u32::from_be_bytes(*pen),
    };
    let ours = block.type_ == CUSTOM_BLOCK && pen == TEXT_BLOCK_PEN;
    // The number is everybody's: what does not begin as our texts do is somebody else's.
    data.strip_prefix(TEXT_NAME.as_bytes()).filter(|_| ours)
}

/// The case of a block whose text goes on behind the name; `None` where it is another text.
fn case_of(text: &[u8]) -> Option<Result<Case, CaptureError>> {
    let end = text.iter().position(|&byte| byte == b'\n').unwrap_or(text.len());
    let (line, text) = text.split_at(end);
    let line = String::from_utf8_lossy(&line[..line.len().min(40)]);
    let (version, kind) = line.split_once(' ').unwrap_or((line.as_ref(), ""));
    if version != TEXT_VERSION {
        return Some(Err(CaptureError::Version { found: version.to_owned() }));
    }
    (kind == TEXT_CASE).then(|| {
        if text.len() > CASE_BYTES_MAX {
            return Err(CaptureError::Long { bytes: text.len() });
        }
        Ok(std::str::from_utf8(text)?.trim_start().parse()?)
    })
}

#[cfg(test)]
mod tests {
    use super::super::{CaptureSide, PcapngTap};
    use super::*;
    use crate::fault::FaultPlan;
    use proptest::prelude::*;

    #[derive(Clone, Default)]
    struct File(std::rc::Rc<std::cell::RefCell<Vec<u8>>>);

    impl std::io::Write for File {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.borrow_mut().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    fn case() -> Case {
        "causeway fault plan 2\nseed 17\n| host = []\n# why\ndrop a->b 17\n".parse().expect("right")
    }

    fn capture(case: Option<&Case>) -> Vec<u8> {
        let side = CaptureSide {
            name: "a->b".to_owned(),
            from: "a".to_owned(),
            to: "b".to_owned(),
            rate_bps: 1_000,
        };
        let file = File::default();
        let tap = PcapngTap::new(file.clone(), "", vec![side], 64).expect("memory");
        case.into_iter().for_each(|case| tap.case(case));
        tap.finish(&FaultPlan::new()).expect("memory");
        file.0.take()
    }

    #[test]
    fn the_case_comes_out_as_it_went_in() {
        assert_eq!(Case::from_pcapng(&capture(Some(&case()))).expect("it has one"), case());
    }

    #[test]
    fn what_is_no_capture_with_a_case_is_told() {
        let whole = capture(Some(&case()));
        let error = |bytes: &[u8]| Case::from_pcapng(bytes).expect_err("no case").to_string();
        assert!(error(&capture(None)).starts_with("there is no case in the capture"));
        assert!(error(b"").starts_with("the capture is cut at byte 0"));
        assert!(error(b"causeway fault plan 2").starts_with("this is no pcapng file"));
        let name = b"capture 1 case";
        let at = whole.windows(name.len()).position(|w| w == name).expect("it is there");
        assert!(error(&whole[..at]).starts_with("the capture is cut at byte"));
        let mut newer = whole.clone();
        newer[at + 8] = b'2';
        assert!(error(&newer).contains("case has version 2, this simulator reads 1"));
        let mut wrong = whole.clone();
        wrong[at + name.len() + 1] = b'C';
        assert!(error(&wrong).starts_with("the capture's case: line 1: expected"));
        // A cut behind the case does no harm.
        assert_eq!(Case::from_pcapng(&whole[..whole.len() - 4]).expect("it has one"), case());
    }

    proptest! {
        #[test]
        fn no_file_makes_the_reader_panic(
            at in 0..400_usize, byte: u8, len in 0..600_usize, noise in any::<[u8; 32]>()
        ) {
            let mut bytes = capture(Some(&case()));
            let place = at % bytes.len();
            bytes[place] = byte;
            let _ = Case::from_pcapng(&bytes);
            let _ = Case::from_pcapng(&bytes[..len.min(bytes.len())]);
            bytes[place..].iter_mut().zip(noise).for_each(|(to, from)| *to = from);
            let _ = Case::from_pcapng(&bytes);
            let _ = Case::from_pcapng(&noise);
        }
    }
}
