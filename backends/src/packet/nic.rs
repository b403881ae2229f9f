//! The device as a [`Nic`].

use std::cell::Cell;
use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};

use causeway_core::nic::{
    BURST_MAX, Frame, MacAddr, Medium, Nic, NicCaps, RxChecksum, SUPER_FRAME_MAX, WaitSource,
};
use rustix::io::Errno;

use super::datagrams::Datagrams;
use super::error::PacketError;
use super::ring::{Geometry, Ring, Slot};
use super::socket::{PacketSocket, TxBatch};
use super::vnet::{Joined, VnetHeader};
use crate::buf::{Buf, Pool};
use crate::device::{Device, is_device_name};

/// Bytes of an Ethernet header with one VLAN tag.
const ETHERNET_HEADER_MAX: usize = 18;
const TAG_LEN: usize = 4;
/// Both addresses of an Ethernet header: a tag stands behind them.
const TAG_AT: usize = 12;
/// The longest super-segment that is sent. From 65,536 bytes on, Ethernet header included, the kernel no longer leaves the cutting to
/// the device (`gso_max_size`) and does it itself, which is slow.
const TSO_BYTES_MAX: u32 = 65_535;
/// Super-segments that the memory holds at a time: a burst being received, and what is being written.
const SUPER_FRAMES: usize = 4 * BURST_MAX;
/// A burst of super-segments ends early, so that what was copied is still in the cache when it is looked at.
const RX_BURST_BYTES: usize = 512 << 10;
/// What may be on its way through the kernel, where it lets us have so much.
const SEND_BUFFER_BYTES: i32 = 8 << 20;
/// After so many polls in a row that brought no frame, the kernel is asked whether the device is still there. Asking each time would
/// cost a system call; never asking would let a sleeper wake for ever.
const IDLE_POLLS: u32 = 64;

/// Settings of a [`Packet`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PacketConfig {
    /// Name of the device, 1 to 15 characters. It must exist, and is not changed: bring it up with `ip link set NAME up`.
    pub name: String,
    /// Our hardware address; default: the device's. With another one the device is asked to receive for both.
    pub mac: Option<MacAddr>,
    /// Largest IP datagram in bytes, at most the device's MTU; default: that.
    pub mtu: Option<u16>,
    /// Receive every frame on the link, whoever it is for; default false.
    pub promiscuous: bool,
    /// Send super-segments and partial checksums, which the device, or the kernel for it, cuts and completes; default true. They are
    /// received in any case: the kernel hands over what comes from this machine as it is.
    pub offload: bool,
    /// Send past the kernel's queueing discipline (`PACKET_QDISC_BYPASS`); default false. Saves some time a frame on a device that has
    /// such a discipline, and makes what does not fit the device's own queue a loss. Without super-segments: past the discipline the
    /// kernel drops those that the device cannot cut.
    pub qdisc_bypass: bool,
    /// Memory of the receive ring in bytes, 1 MiB to 1 GiB, of which whole MiB are used; default 32 MiB. Each holds 15 frames, short or
    /// long. More survives longer pauses of the thread that drives it.
    pub ring_bytes: usize,
    /// Frames of up to one MTU that its memory holds; default 1024.
    pub pool_frames: usize,
}

impl PacketConfig {
    /// The default settings for the device `name`.
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            mac: None,
            mtu: None,
            promiscuous: false,
            offload: true,
            qdisc_bypass: false,
            ring_bytes: 32 << 20,
            pool_frames: 1_024,
        }
    }
}

/// Frames that did not get through, since the device was opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PacketStats {
    /// Sent frames that the kernel refused or dropped: the device was down, its queue full, or the frame impossible.
    pub tx_dropped: u64,
    /// Frames that came while the ring was full.
    pub rx_overruns: u64,
    /// Received frames that did not fit a slot of the ring: longer than any super-segment of IP.
    pub rx_truncated: u64,
    /// Received frames longer than the MTU allows that are no super-segments (somebody raised it after the device was opened).
    pub rx_too_long: u64,
    /// Received frames whose description makes no sense: of a kind of super-segment that was not asked for, or with headers that
    /// contradict it.
    pub rx_malformed: u64,
}

/// One Ethernet device of the kernel, open. Closing it leaves the device as it was.
#[derive(Debug)]
pub struct Packet {
    ring: Ring,
    socket: PacketSocket,
    device: Device,
    name: String,
    index: i32,
    caps: NicCaps,
    memory: Memory,
    batch: TxBatch,
    /// Of the frame in front of the ring, which holds several datagrams: how many were delivered.
    datagrams_taken: usize,
    idle_polls: u32,
    gone: Cell<bool>,
    /// What the kernel has told of [`PacketStats::rx_overruns`]: it tells each once.
    overruns: Cell<u64>,
    stats: PacketStats,
}

/// Where frames live: short ones and super-segments apart.
#[derive(Debug)]
struct Memory {
    plain: Pool,
    joined: Pool,
}

impl Memory {
    fn alloc(&self, len: usize) -> Option<Buf> {
        if len <= self.plain.frame_bytes_max() {
            self.plain.alloc(len)
        } else {
            self.joined.alloc(len)
        }
    }
}

/// What became of the frame in front of the ring.
enum Taken {
    /// It is received.
    Frame(Buf),
    /// One of its datagrams is; there are more.
    Datagram(Buf),
    /// It cannot be, for a reason that is counted.
    Dropped,
    /// There is no memory for it: it stays.
    NoMemory,
}

impl Packet {
    /// Opens the device, which must exist.
    pub fn open(config: &PacketConfig) -> Result<Self, PacketError> {
        let name = config.name.as_str();
        if !is_device_name(name) {
            return Err(PacketError::InvalidName { name: name.to_owned() });
        }
        let geometry = Geometry::for_bytes(config.ring_bytes)
            .ok_or(PacketError::RingSize { bytes: config.ring_bytes })?;
        let system = |action: &'static str| {
            move |source: io::Error| PacketError::from_system(action, name, source)
        };
        let device = Device::new(name).map_err(system("opening a socket for"))?;
        let index = device.index().map_err(system("looking up"))?;
        let (kind, own_mac) = device.hardware().map_err(system("reading the address of"))?;
        if kind != libc::ARPHRD_ETHER {
            return Err(PacketError::NotEthernet { name: name.to_owned() });
        }
        let mac = config.mac.unwrap_or(own_mac);
        if mac.is_multicast() || mac.0 == [0; 6] {
            return Err(PacketError::Mac { name: name.to_owned(), mac });
        }
        let mtu = mtu(&device, config)?;
        let socket = PacketSocket::new().map_err(system("opening a packet socket for"))?;
        let ring = ring(&socket, geometry, name)?;
        socket.ignore_outgoing().map_err(|source| match source.raw_os_error() {
            Some(libc::ENOPROTOOPT) => PacketError::TooOld { what: "PACKET_IGNORE_OUTGOING" },
            _ => PacketError::from_system("setting up", name, source),
        })?;
        if config.qdisc_bypass {
            socket.bypass_qdisc().map_err(system("setting up"))?;
        }
        // The groups of IPv6 neighbour discovery are ours, and not the kernel's.
        let groups = (libc::PACKET_MR_ALLMULTI, MacAddr::default());
        let other = (mac != own_mac).then_some((libc::PACKET_MR_UNICAST, mac));
        let all = config.promiscuous.then_some((libc::PACKET_MR_PROMISC, MacAddr::default()));
        for (kind, mac) in [Some(groups), other, all].into_iter().flatten() {
            socket.join(index, kind, mac).map_err(system("joining the groups of"))?;
        }
        socket.set_send_buffer(SEND_BUFFER_BYTES).map_err(system("setting up"))?;
        socket.bind(index).map_err(system("binding to"))?;
        let nic = Self {
            ring,
            socket,
            device,
            name: name.to_owned(),
            index,
            caps: caps(mac, mtu, config),
            memory: memory(mtu, config.pool_frames),
            batch: TxBatch::new(),
            datagrams_taken: 0,
            idle_polls: 0,
            gone: Cell::new(false),
            overruns: Cell::new(0),
            stats: PacketStats::default(),
        };
        if !nic.link_up() {
            tracing::warn!(device = name, "is down or has no carrier: `ip link set {name} up`");
        }
        Ok(nic)
    }

    /// Getter: the device's name when it was opened.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Getter: frames that did not get through. Costs a system call, which asks for those that found no room.
    pub fn stats(&self) -> PacketStats {
        if let Ok(drops) = self.socket.take_drops() {
            self.overruns.set(self.overruns.get() + u64::from(drops));
        }
        PacketStats { rx_overruns: self.overruns.get(), ..self.stats }
    }

    /// Getter: the descriptor that becomes readable when a frame has arrived; none once the device is gone.
    pub fn wait_fd(&self) -> Option<BorrowedFd<'_>> {
        (!self.gone.get()).then(|| self.socket.as_fd())
    }

    /// Nothing has arrived; now and then, is there still a device that anything could arrive at?
    fn note_idle_poll(&mut self) {
        self.idle_polls += 1;
        if self.idle_polls >= IDLE_POLLS {
            self.idle_polls = 0;
            if self.socket.take_error().is_some() {
                self.is_running();
            }
        }
    }

    /// Asks the kernel: the device is up and has carrier. A device that was deleted does not come back, whatever another one is called.
    fn is_running(&self) -> bool {
        let running = libc::IFF_UP | libc::IFF_RUNNING;
        match self.device.flags_of(self.index) {
            Ok(flags) => flags & running == running,
            Err(error) => {
                let gone = matches!(error.raw_os_error(), Some(libc::ENODEV | libc::ENXIO));
                self.gone.set(self.gone.get() || gone);
                false
            }
        }
    }

    /// Takes the frame `slot` out of the ring.
    #[inline]
    fn take(slot: &Slot<'_>, datagram: usize, memory: &Memory, stats: &mut PacketStats) -> Taken {
        if slot.frame.len() < slot.len {
            stats.rx_truncated += 1;
            return Taken::Dropped;
        }
        if slot.tag.is_some() && slot.frame.len() < TAG_AT {
            stats.rx_malformed += 1;
            return Taken::Dropped;
        }
        let header = VnetHeader::decode(slot.vnet);
        let plain_max = memory.plain.frame_bytes_max();
        match header.joined {
            Joined::No if slot.frame.len() + tag_len(slot) > plain_max => {
                stats.rx_too_long += 1;
                Taken::Dropped
            }
            Joined::No | Joined::Tcp(_) => {
                let Some(buf) = copy(slot, slot.frame.len(), &header, memory, |out| {
                    out.copy_from_slice(slot.frame);
                }) else {
                    return Taken::NoMemory;
                };
                Taken::Frame(buf)
            }
            Joined::Udp => take_datagram(slot, &header, datagram, memory, stats),
            Joined::Unknown => {
                stats.rx_malformed += 1;
                Taken::Dropped
            }
        }
    }

    /// After an error of sending the first of `frames`: true when sending goes on, perhaps without some of them.
    #[cold]
    fn recover(&mut self, errno: Errno, frames: &mut VecDeque<Buf>, lost: &mut usize) -> bool {
        let count = match errno {
            Errno::AGAIN | Errno::INTR => return false,
            // The device was down; this is told once more after it has come back.
            Errno::NETDOWN if self.is_running() => return true,
            // It is: nothing that was offered gets through.
            Errno::NETDOWN | Errno::NXIO | Errno::NODEV => frames.len().min(BURST_MAX - *lost),
            // Too long, too short, dropped by the device's queue or by the far end: one frame's problem.
            _ => 1,
        };
        if matches!(errno, Errno::NXIO | Errno::NODEV) {
            self.is_running();
        }
        self.stats.tx_dropped += count as u64;
        frames.drain(..count);
        *lost += count;
        true
    }
}

/// The next datagram of a frame that holds several.
#[cold]
fn take_datagram(
    slot: &Slot<'_>,
    header: &VnetHeader,
    index: usize,
    memory: &Memory,
    stats: &mut PacketStats,
) -> Taken {
    let (start, size) = (usize::from(header.csum_start), usize::from(header.gso_size));
    let opened = Datagrams::open(slot.frame, start, size).filter(|_| header.needs_csum);
    let fits = |datagrams: &Datagrams<'_>| {
        datagrams.frame_len(0) + tag_len(slot) <= memory.plain.frame_bytes_max()
    };
    let Some(datagrams) = opened.filter(fits) else {
        stats.rx_malformed += 1;
        return Taken::Dropped;
    };
    let write = |out: &mut [u8]| datagrams.write(index, out);
    match copy(slot, datagrams.frame_len(index), header, memory, write) {
        None => Taken::NoMemory,
        Some(buf) if index + 1 == datagrams.count() => Taken::Frame(buf),
        Some(buf) => Taken::Datagram(buf),
    }
}

fn tag_len(slot: &Slot<'_>) -> usize {
    if slot.tag.is_some() { TAG_LEN } else { 0 }
}

/// A frame of `len` bytes that `write` writes, with its tag, if the kernel took one out, back in its place.
#[inline]
fn copy(
    slot: &Slot<'_>,
    len: usize,
    header: &VnetHeader,
    memory: &Memory,
    write: impl FnOnce(&mut [u8]),
) -> Option<Buf> {
    let tag_len = tag_len(slot);
    let mut buf = memory.alloc(len + tag_len)?;
    let bytes = buf.bytes_mut();
    write(&mut bytes[tag_len..]);
    let mut offload = header.offload(&bytes[tag_len..]);
    if let Some([tpid, tci]) = slot.tag {
        bytes.copy_within(TAG_LEN..TAG_LEN + TAG_AT, 0);
        bytes[TAG_AT..TAG_AT + 2].copy_from_slice(&tpid.to_be_bytes());
        bytes[TAG_AT + 2..TAG_AT + TAG_LEN].copy_from_slice(&tci.to_be_bytes());
        offload.csum_start += if offload.needs_csum { TAG_LEN as u16 } else { 0 };
        offload.hdr_len += if offload.hdr_len > 0 { TAG_LEN as u16 } else { 0 };
    }
    let meta = buf.meta_mut();
    // A partial checksum comes from this machine: the bytes never left memory.
    if header.needs_csum || header.data_valid {
        meta.rx_checksum = RxChecksum::Verified;
    }
    meta.offload = offload;
    Some(buf)
}

impl Nic for Packet {
    type Frame = Buf;

    fn caps(&self) -> &NicCaps {
        &self.caps
    }

    /// Costs two system calls.
    fn link_up(&self) -> bool {
        self.is_running()
    }

    /// A burst may end before `max` when super-segments are among it, though there are more frames.
    fn rx_burst(&mut self, out: &mut Vec<Buf>, max: usize) -> usize {
        let max = max.min(BURST_MAX);
        let (mut received, mut looked, mut bytes) = (0, 0, 0);
        // A frame that is dropped counts too: the work of one call is bounded.
        while received < max && looked < BURST_MAX && bytes < RX_BURST_BYTES {
            let Some(slot) = self.ring.front() else { break };
            looked += 1;
            match Self::take(&slot, self.datagrams_taken, &self.memory, &mut self.stats) {
                Taken::NoMemory => break,
                Taken::Dropped => {}
                Taken::Datagram(buf) => {
                    out.push(buf);
                    received += 1;
                    self.datagrams_taken += 1;
                    continue;
                }
                Taken::Frame(buf) => {
                    bytes += buf.len();
                    out.push(buf);
                    received += 1;
                }
            }
            self.datagrams_taken = 0;
            self.ring.release();
        }
        if looked == 0 {
            self.note_idle_poll();
        }
        received
    }

    fn alloc(&mut self, len: usize) -> Option<Buf> {
        let plain = len <= self.memory.plain.frame_bytes_max();
        let joined = len <= self.caps.tso_bytes_max as usize;
        if plain || joined { self.memory.alloc(len) } else { None }
    }

    fn tx_burst(&mut self, frames: &mut VecDeque<Buf>) -> usize {
        let (mut sent, mut lost, mut retried) = (0, 0, false);
        while sent + lost < BURST_MAX && !frames.is_empty() {
            let room = BURST_MAX - sent - lost;
            match self.batch.send(self.socket.as_fd(), frames.iter_mut().take(room)) {
                Ok(count) => {
                    frames.drain(..count);
                    sent += count;
                }
                Err(errno) => {
                    let before = lost;
                    if !self.recover(errno, frames, &mut lost) || (lost == before && retried) {
                        break;
                    }
                    retried |= lost == before;
                }
            }
        }
        sent + lost
    }

    fn wait_source(&self) -> WaitSource {
        self.wait_fd().map_or(WaitSource::Driver, |fd| WaitSource::Fd(fd.as_raw_fd()))
    }
}

/// The MTU that was asked for, if the device carries it.
fn mtu(device: &Device, config: &PacketConfig) -> Result<u16, PacketError> {
    let name = config.name.clone();
    let mtu = device
        .mtu()
        .map_err(|source| PacketError::from_system("reading the MTU of", &config.name, source))?;
    let own = match u16::try_from(mtu) {
        Ok(bytes) if bytes >= 68 => bytes,
        _ => return Err(PacketError::Mtu { name, mtu }),
    };
    match config.mtu {
        Some(wanted) if wanted > own => Err(PacketError::MtuBelow { name, mtu: own, wanted }),
        Some(wanted) if wanted < 68 => Err(PacketError::Mtu { name, mtu: wanted.into() }),
        Some(wanted) => Ok(wanted),
        None => Ok(own),
    }
}

/// The ring of `socket`, mapped.
fn ring(socket: &PacketSocket, geometry: Geometry, name: &str) -> Result<Ring, PacketError> {
    let refused = |source: io::Error| match source.raw_os_error() {
        Some(libc::ENOMEM) => {
            PacketError::RingMemory { name: name.to_owned(), bytes: geometry.bytes() }
        }
        _ => PacketError::from_system("making the ring of", name, source),
    };
    socket.set_ring(geometry).map_err(refused)?;
    Ring::map(socket.as_fd(), geometry).map_err(refused)
}

fn memory(mtu: u16, pool_frames: usize) -> Memory {
    let plain = Pool::new(pool_frames, usize::from(mtu) + ETHERNET_HEADER_MAX);
    Memory { plain, joined: Pool::new(SUPER_FRAMES, SUPER_FRAME_MAX) }
}

fn caps(mac: MacAddr, mtu: u16, config: &PacketConfig) -> NicCaps {
    let cuts = config.offload && !config.qdisc_bypass;
    NicCaps {
        medium: Medium::Ethernet,
        mac,
        mtu,
        burst: BURST_MAX as u16,
        tx_segments: 1,
        tx_checksum: config.offload,
        rx_checksum: true,
        tso_bytes_max: if cuts { TSO_BYTES_MAX } else { 0 },
        lro: true,
        rss: false,
        vlan: false,
    }
}
