//! What only an `[[interface]]` with the backend "packet" says.

use causeway_backends::packet::{RING_BYTES_MAX, RING_BYTES_MIN};
use causeway_core::nic::MacAddr;
use toml::Spanned;

use super::check::Integer;
use super::error::{ConfigError, Source};
use super::interface::Backend;

/// How a device of the kernel is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PacketOptions {
    mac: Option<MacAddr>,
    mtu: Option<u16>,
    promiscuous: bool,
    offload: bool,
    qdisc_bypass: bool,
    ring_bytes: usize,
}

impl PacketOptions {
    /// Getter: the Ethernet address, default the device's.
    pub fn mac(&self) -> Option<MacAddr> {
        self.mac
    }

    /// Getter: the largest IP datagram in bytes, default the device's MTU.
    pub fn mtu(&self) -> Option<u16> {
        self.mtu
    }

    /// Getter: whether frames for others are received as well, default false.
    pub fn promiscuous(&self) -> bool {
        self.promiscuous
    }

    /// Getter: whether super-segments and partial checksums are sent; by default unless there are faults, which strike frames.
    pub fn offload(&self) -> bool {
        self.offload
    }

    /// Getter: whether frames leave past the kernel's queueing discipline, default false.
    pub fn qdisc_bypass(&self) -> bool {
        self.qdisc_bypass
    }

    /// Getter: the memory of the receive ring in bytes, 1 MiB to 1 GiB, default 32 MiB.
    pub fn ring_bytes(&self) -> usize {
        self.ring_bytes
    }
}

const RING_BYTES: Integer = Integer::new(
    "interface.ring_bytes",
    32 << 20,
    RING_BYTES_MIN as i64,
    RING_BYTES_MAX as i64,
    "bytes",
);

/// What an interface says, checked already or of this backend alone.
#[derive(Debug)]
pub(super) struct RawPacket {
    pub(super) mac: Option<MacAddr>,
    pub(super) mtu: Option<u16>,
    pub(super) promiscuous: Option<Spanned<bool>>,
    pub(super) offload: Option<Spanned<bool>>,
    pub(super) qdisc_bypass: Option<Spanned<bool>>,
    pub(super) ring_bytes: Option<Spanned<i128>>,
}

impl RawPacket {
    /// The options of an interface with `backend`; `None`, and none of the keys, for any other.
    pub(super) fn build(
        &self,
        source: &Source<'_>,
        backend: Backend,
        faults: bool,
    ) -> Result<Option<PacketOptions>, ConfigError> {
        if backend != Backend::Packet {
            return self.refuse(source);
        }
        if let (true, Some(given)) = (faults, self.offload.as_ref().filter(|o| *o.get_ref())) {
            let problem = "faults strike frames, not what a card makes into frames later";
            let advice = "remove it, or the [interface.fault]";
            return Err(source.error("interface.offload", given.span(), problem, advice));
        }
        let is = |flag: &Option<Spanned<bool>>, default| {
            flag.as_ref().map_or(default, |given| *given.get_ref())
        };
        let ring_bytes = RING_BYTES.check_u64(source, self.ring_bytes.as_ref())?;
        Ok(Some(PacketOptions {
            mac: self.mac,
            mtu: self.mtu,
            promiscuous: is(&self.promiscuous, false),
            offload: is(&self.offload, !faults),
            qdisc_bypass: is(&self.qdisc_bypass, false),
            ring_bytes: usize::try_from(ring_bytes).expect("the range of the setting fits"),
        }))
    }

    fn refuse(&self, source: &Source<'_>) -> Result<Option<PacketOptions>, ConfigError> {
        let span = |flag: &Option<Spanned<bool>>| flag.as_ref().map(Spanned::span);
        let given = [
            ("interface.promiscuous", span(&self.promiscuous)),
            ("interface.offload", span(&self.offload)),
            ("interface.qdisc_bypass", span(&self.qdisc_bypass)),
            ("interface.ring_bytes", self.ring_bytes.as_ref().map(Spanned::span)),
        ];
        match given.into_iter().find_map(|(key, span)| Some((key, span?))) {
            None => Ok(None),
            Some((key, span)) => {
                let problem = "only a device of the kernel has it";
                let advice = "remove it, or use the backend \"packet\"";
                Err(source.error(key, span, problem, advice))
            }
        }
    }
}
