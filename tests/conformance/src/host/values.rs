//! Values of socket options on the application's side: which are only kept, what they are at first, what they mean to calls.

use causeway_core::tcp::defer_accept_lasts;
use causeway_core::time::Duration;

use super::errno::Errno;
use super::file::Values;
use super::sysctl::Sysctl;

/// A level and a name.
pub(super) type Key = (i32, i32);

pub(super) const SOCKET: i32 = libc::SOL_SOCKET;
pub(super) const TCP: i32 = libc::IPPROTO_TCP;
pub(super) const IP: i32 = libc::IPPROTO_IP;
pub(super) const IPV6: i32 = libc::IPPROTO_IPV6;
/// Options that the C library's headers lack in part.
pub(super) const SO_NO_CHECK: i32 = 11;
pub(super) const SO_MAX_PACING_RATE: i32 = 47;
pub(super) const SO_COOKIE: i32 = 57;
pub(super) const SO_ZEROCOPY: i32 = 60;
const SO_RCVTIMEO_NEW: i32 = 66;
const SO_SNDTIMEO_NEW: i32 = 67;
const SO_PREFER_BUSY_POLL: i32 = 69;
const SO_BUSY_POLL_BUDGET: i32 = 70;
const SO_TXREHASH: i32 = 74;
pub(super) const TCP_THIN_DUPACK: i32 = 17;
pub(super) const IP_LOCAL_PORT_RANGE: i32 = 51;
const IPV6_FLOWINFO_SEND: i32 = 33;
const IPV6_AUTOFLOWLABEL: i32 = 70;
const IPV6_ADDR_PREFERENCES: i32 = 72;

/// Options whose value is kept and given back, and which need nothing of the stack: they are about queues, processors and
/// devices that a host does not have, or their meaning is this side's.
const KEPT: &[Key] = &[
    (SOCKET, libc::SO_PRIORITY),
    (SOCKET, libc::SO_MARK),
    (SOCKET, libc::SO_RCVLOWAT),
    (SOCKET, libc::SO_RCVTIMEO),
    (SOCKET, libc::SO_SNDTIMEO),
    (SOCKET, libc::SO_DONTROUTE),
    (SOCKET, libc::SO_BROADCAST),
    (SOCKET, libc::SO_BUSY_POLL),
    (SOCKET, SO_PREFER_BUSY_POLL),
    (SOCKET, SO_BUSY_POLL_BUDGET),
    (SOCKET, libc::SO_INCOMING_CPU),
    (SOCKET, libc::SO_BINDTODEVICE),
    // Nothing is told of it but a number of datagrams that were dropped, where there are some.
    (SOCKET, libc::SO_RXQ_OVFL),
    (SOCKET, SO_NO_CHECK),
    (SOCKET, SO_ZEROCOPY),
    (SOCKET, libc::SO_TIMESTAMP),
    (SOCKET, libc::SO_TIMESTAMPNS),
    (SOCKET, libc::SO_TIMESTAMPING),
    (TCP, libc::TCP_INQ),
    (TCP, libc::TCP_THIN_LINEAR_TIMEOUTS),
    (TCP, TCP_THIN_DUPACK),
    (TCP, libc::TCP_SAVE_SYN),
    (TCP, libc::TCP_FASTOPEN_KEY),
    (IP, libc::IP_RECVERR),
    (IP, libc::IP_RECVTOS),
    (IP, libc::IP_RECVTTL),
    (IP, libc::IP_PKTINFO),
    (IP, libc::IP_FREEBIND),
    (IP, libc::IP_BIND_ADDRESS_NO_PORT),
    (IP, IP_LOCAL_PORT_RANGE),
    (IPV6, libc::IPV6_V6ONLY),
    (IPV6, libc::IPV6_RECVERR),
    (IPV6, libc::IPV6_RECVTCLASS),
    (IPV6, libc::IPV6_RECVHOPLIMIT),
    (IPV6, libc::IPV6_RECVPKTINFO),
    (IPV6, IPV6_ADDR_PREFERENCES),
];

/// Options that the stack has one value of, first what it always does; another one is refused.
const FIXED: &[(Key, &[i32])] = &[
    // A stuck path gets another flow label.
    ((SOCKET, SO_TXREHASH), &[1, -1]),
    ((IPV6, IPV6_AUTOFLOWLABEL), &[1]),
    ((IPV6, IPV6_FLOWINFO_SEND), &[0]),
];

/// Those of [`KEPT`] that are on or off, and what of the stack's is: another number but 0 is 1.
const FLAGS: &[Key] = &[
    (SOCKET, libc::SO_KEEPALIVE),
    (SOCKET, libc::SO_OOBINLINE),
    (SOCKET, libc::SO_REUSEADDR),
    (SOCKET, libc::SO_REUSEPORT),
    (SOCKET, libc::SO_BROADCAST),
    (SOCKET, libc::SO_DONTROUTE),
    (SOCKET, libc::SO_RXQ_OVFL),
    (SOCKET, libc::SO_TIMESTAMP),
    (SOCKET, libc::SO_TIMESTAMPNS),
    (TCP, libc::TCP_NODELAY),
    (TCP, libc::TCP_CORK),
    (IP, libc::IP_RECVTOS),
    (IP, libc::IP_RECVTTL),
    (IP, libc::IP_PKTINFO),
    (IPV6, libc::IPV6_RECVTCLASS),
    (IPV6, libc::IPV6_RECVHOPLIMIT),
    (IPV6, libc::IPV6_RECVPKTINFO),
];

/// What an option is before it is set, where no setting of the host says so.
const DEFAULTS: &[(Key, i32)] = &[
    ((SOCKET, libc::SO_RCVLOWAT), 1),
    ((SOCKET, libc::SO_INCOMING_CPU), -1),
    ((SOCKET, SO_MAX_PACING_RATE), -1),
    ((TCP, libc::TCP_QUICKACK), 1),
    ((TCP, libc::TCP_MAXSEG), 536),
    ((IP, libc::IP_TTL), 64),
    ((IP, libc::IP_MTU_DISCOVER), 1),
    ((IPV6, libc::IPV6_UNICAST_HOPS), 64),
    ((IPV6, libc::IPV6_MTU_DISCOVER), 1),
    // IPV6_PREFER_SRC_PUBTMP_DEFAULT and IPV6_PREFER_SRC_HOME.
    ((IPV6, IPV6_ADDR_PREFERENCES), 0x500),
];

/// Buffers of a socket of UDP at first: net.core.rmem_default and net.core.wmem_default.
const UDP_BUFFER: i32 = 212_992;

/// Getter: what `key` of a socket of UDP is before it is set.
pub(super) fn default_of_udp(key: Key) -> i32 {
    match key {
        (SOCKET, libc::SO_SNDBUF | libc::SO_RCVBUF) => UDP_BUFFER,
        key => constant(key),
    }
}

/// Getter: what `key` of a socket of TCP is before it is set.
pub(super) fn default_of_tcp(key: Key, sysctl: &Sysctl) -> i32 {
    let all = match key {
        (SOCKET, libc::SO_SNDBUF) => sysctl.send_buffer(),
        (SOCKET, libc::SO_RCVBUF) => sysctl.receive_buffer(),
        (TCP, libc::TCP_KEEPIDLE) => sysctl.keepalive_time(),
        (TCP, libc::TCP_KEEPINTVL) => sysctl.keepalive_interval(),
        (TCP, libc::TCP_KEEPCNT) => sysctl.keepalive_probes(),
        (TCP, libc::TCP_SYNCNT) => sysctl.syn_retries(),
        (TCP, libc::TCP_LINGER2) => sysctl.fin_timeout(),
        key => return constant(key),
    };
    i32::try_from(all).unwrap_or(i32::MAX)
}

/// Getter: SO_SNDBUF and SO_RCVBUF.
pub(super) fn is_buffer(key: Key) -> bool {
    matches!(key, (SOCKET, libc::SO_SNDBUF | libc::SO_RCVBUF))
}

/// Getter: the size of a buffer as it is shown. Linux doubles what is set, for its own bookkeeping, and says so.
pub(super) fn shown_buffer(key: Key, bytes: i32) -> i32 {
    let least = if key == (SOCKET, libc::SO_SNDBUF) { 4_608 } else { 2_304 };
    bytes.saturating_mul(2).max(least)
}

fn constant(key: Key) -> i32 {
    let fixed = FIXED.iter().find(|(known, _)| *known == key).map(|(_, values)| values[0]);
    let known = DEFAULTS.iter().find(|(known, _)| *known == key).map(|(_, value)| *value);
    fixed.or(known).unwrap_or(0)
}

/// Getter: the option by its older name. The newer names of timeouts differ on machines of 32 bits only.
pub(super) fn older(key: Key) -> Key {
    match key {
        (SOCKET, SO_RCVTIMEO_NEW) => (SOCKET, libc::SO_RCVTIMEO),
        (SOCKET, SO_SNDTIMEO_NEW) => (SOCKET, libc::SO_SNDTIMEO),
        key => key,
    }
}

/// Getter: nothing of the stack's follows from the option.
pub(super) fn is_kept(key: Key) -> bool {
    KEPT.contains(&key) || key == (SOCKET, libc::SO_REUSEADDR) || is_fixed(key)
}

fn is_fixed(key: Key) -> bool {
    FIXED.iter().any(|(known, _)| *known == key)
}

/// Getter: the value as the kernel keeps it, or why it does not. `udp`: the socket is one of UDP.
pub(super) fn checked(key: Key, value: &[u8], udp: bool) -> Result<Vec<u8>, Errno> {
    let number = |value: i32| Ok(value.to_ne_bytes().to_vec());
    let text = [(SOCKET, libc::SO_BINDTODEVICE), (TCP, libc::TCP_CONGESTION)].contains(&key);
    if value.len() < 4 && key.0 != IP && !text {
        return Err(Errno::EINVAL);
    }
    if let Some((_, values)) = FIXED.iter().find(|(known, _)| *known == key) {
        let asked = int(value)?;
        return if values.contains(&asked) { number(values[0]) } else { Err(Errno::ENOPROTOOPT) };
    }
    let flag = [(TCP, libc::TCP_INQ), (SOCKET, SO_ZEROCOPY), (TCP, TCP_THIN_DUPACK)];
    let byte = || u8::try_from(int(value)?).map_err(|_| Errno::EINVAL);
    match key {
        key if flag.contains(&key) && !matches!(int(value)?, 0 | 1) => Err(Errno::EINVAL),
        (TCP, TCP_THIN_DUPACK) => number(0),
        (IP, IP_LOCAL_PORT_RANGE) if !is_port_range(int(value)?) => Err(Errno::EINVAL),
        (TCP, libc::TCP_SAVE_SYN) if !matches!(int(value)?, 0..=2) => Err(Errno::EINVAL),
        // Without checksums: the stack always has them (IPv4; RFC 768 leaves it to the application).
        (SOCKET, SO_NO_CHECK) if udp && int(value)? != 0 => Err(Errno::ENOPROTOOPT),
        (SOCKET, libc::SO_BINDTODEVICE) => device(value),
        (SOCKET, libc::SO_RCVTIMEO | libc::SO_SNDTIMEO) if value.len() >= 16 => {
            let micros = word(value, 8).unwrap_or(0);
            if (0..1_000_000).contains(&micros) {
                Ok(value[..16].to_vec())
            } else {
                Err(Errno::EDOM)
            }
        }
        (TCP, libc::TCP_DEFER_ACCEPT) => {
            let lasts = defer_accept_lasts(u32::try_from(int(value)?).unwrap_or(0));
            number(lasts.cast_signed())
        }
        // TCP_FIN_TIMEOUT_MAX.
        (TCP, libc::TCP_LINGER2) => number(int(value)?.clamp(-1, 120)),
        (IP, libc::IP_TTL) if int(value)? == -1 => number(-1),
        (IP, libc::IP_TTL) if byte()? == 0 => Err(Errno::EINVAL),
        (IPV6, libc::IPV6_UNICAST_HOPS) if int(value)? == -1 => number(-1),
        (IPV6, libc::IPV6_UNICAST_HOPS) if byte()? == 0 => Err(Errno::EINVAL),
        // ECN is the machine's where it is TCP.
        (IP, libc::IP_TOS) => number(int(value)? & if udp { 0xff } else { 0xfc }),
        (IPV6, libc::IPV6_TCLASS) if int(value)? == -1 => number(0),
        (IPV6, libc::IPV6_TCLASS) => number(i32::from(byte()?) & if udp { 0xff } else { 0xfc }),
        key if FLAGS.contains(&key) => number(i32::from(int(value)? != 0)),
        _ => Ok(value.to_vec()),
    }
}

/// The first port is in the lower half, the last in the upper one; 0 says nothing.
const fn is_port_range(range: i32) -> bool {
    let (first, last) = (range.cast_unsigned() & 0xffff, range.cast_unsigned() >> 16);
    first == 0 || last == 0 || first <= last
}

/// The one interface of a host, under the name that packetdrill gives it.
fn device(name: &[u8]) -> Result<Vec<u8>, Errno> {
    match name.split(|byte| *byte == 0).next() {
        None | Some([]) => Ok(Vec::new()),
        Some(b"tun0") => Ok(b"tun0\0".to_vec()),
        Some(_) => Err(Errno::ENODEV),
    }
}

pub(super) fn int(value: &[u8]) -> Result<i32, Errno> {
    match (value.first_chunk::<4>(), value.first()) {
        (Some(bytes), _) => Ok(i32::from_ne_bytes(*bytes)),
        // IP_TOS and its like may be one byte.
        (None, Some(byte)) => Ok(i32::from(*byte)),
        (None, None) => Err(Errno::EINVAL),
    }
}

impl Values {
    /// Getter: a number, where it was set to one that is not the kernel's word for none.
    pub(super) fn int(&self, key: Key) -> Option<i32> {
        let value = self.set.get(&key).and_then(|value| int(value).ok())?;
        let none =
            value == -1 && matches!(key, (IP, libc::IP_TTL) | (IPV6, libc::IPV6_UNICAST_HOPS));
        (!none).then_some(value)
    }

    pub(super) fn flag(&self, key: Key) -> bool {
        self.int(key).is_some_and(|value| value != 0)
    }

    /// SO_RCVLOWAT.
    pub(super) fn low_water(&self) -> usize {
        let value = self.int((SOCKET, libc::SO_RCVLOWAT)).unwrap_or(1);
        usize::try_from(value).unwrap_or(1).max(1)
    }

    /// TCP_NOTSENT_LOWAT, or where it is not set what all sockets have.
    pub(super) fn not_sent_low_water(&self, of_all: u32) -> Option<u32> {
        let own = self.int((TCP, libc::TCP_NOTSENT_LOWAT)).filter(|value| *value != 0);
        Some(own.map_or(of_all, i32::cast_unsigned)).filter(|value| *value != u32::MAX)
    }

    /// IP_MTU_DISCOVER says that what does not fit into one packet is refused.
    pub(super) fn never_fragments(&self) -> bool {
        let keys = [(IP, libc::IP_MTU_DISCOVER), (IPV6, libc::IPV6_MTU_DISCOVER)];
        keys.iter().any(|key| matches!(self.int(*key), Some(2..=4)))
    }

    /// SO_LINGER's seconds, where it is on.
    pub(super) fn linger(&self) -> Option<u32> {
        let value = self.set.get(&(SOCKET, libc::SO_LINGER))?;
        let (on, seconds) = (int(value).ok()?, int(value.get(4..)?).ok()?);
        (on != 0).then_some(u32::try_from(seconds).unwrap_or(0))
    }

    /// A struct timeval, where it is not zero. Below zero it is no time at all: who would wait gives up at once
    /// (sock_set_timeout).
    pub(super) fn span(&self, key: Key) -> Option<Duration> {
        let value = self.set.get(&key)?;
        let (seconds, micros) = (word(value, 0)?, word(value, 8)?);
        let Ok(seconds) = u64::try_from(seconds) else { return Some(Duration::ZERO) };
        let micros = seconds.saturating_mul(1_000_000).saturating_add(micros.unsigned_abs());
        (micros > 0).then_some(Duration::from_micros(micros))
    }

    /// SO_RCVTIMEO and SO_SNDTIMEO as they are shown: what is no time at all looks like none.
    pub(super) fn shown_span(&self, key: Key) -> Vec<u8> {
        let value = self.set.get(&key).filter(|value| word(value, 0).is_some_and(|s| s >= 0));
        value.cloned().unwrap_or_else(|| vec![0; 16])
    }
}

fn word(value: &[u8], at: usize) -> Option<i64> {
    value.get(at..)?.first_chunk::<8>().map(|bytes| i64::from_ne_bytes(*bytes))
}
