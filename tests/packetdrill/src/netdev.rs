//! The wire and the clock.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use causeway_conformance::host::Addresses;
use causeway_core::time::Duration;

use crate::memory::{copy_in, copy_out};
use crate::state::{Locked, lock, micros};

/// How far `netdev_receive` looks ahead for a packet.
const LOOK_AHEAD: Duration = Duration::from_secs(20);

/// A script's local address is random: the first packet or bind tells it. One that no machine can have is not it.
pub(crate) fn learn_address(state: &mut Locked, address: IpAddr) {
    let Addresses { v4, v6 } = state.addresses;
    let addresses = match address.to_canonical() {
        IpAddr::V4(v4) if !v4.is_unspecified() => Addresses { v4, v6 },
        IpAddr::V6(v6) if !v6.is_unspecified() => Addresses { v4, v6 },
        IpAddr::V4(_) | IpAddr::V6(_) => return,
    };
    state.readdress(addresses);
}

fn destination(packet: &[u8]) -> Option<IpAddr> {
    match packet.first()? >> 4 {
        4 => packet.get(16..)?.first_chunk::<4>().map(|b| Ipv4Addr::from(*b).into()),
        6 => packet.get(24..)?.first_chunk::<16>().map(|b| Ipv6Addr::from(*b).into()),
        _ => None,
    }
}

/// A packet for the stack.
pub(crate) unsafe extern "C" fn netdev_send(
    _userdata: *mut libc::c_void,
    packet: *const libc::c_void,
    len: libc::size_t,
) -> libc::c_int {
    let Some(mut state) = lock() else { return -1 };
    // SAFETY: packetdrill gives a packet of `len` bytes.
    let Some(bytes) = (unsafe { copy_in(packet.cast::<u8>(), len) }) else { return -1 };
    if len > usize::from(u16::MAX) {
        return -1;
    }
    state.refresh();
    if let Some(address) = destination(&bytes) {
        learn_address(&mut state, address);
    }
    state.host().inject(&bytes);
    drop(state.settle());
    0
}

/// The next packet of the stack, and when it was sent. None within twenty seconds: a packet of no bytes.
pub(crate) unsafe extern "C" fn netdev_receive(
    _userdata: *mut libc::c_void,
    buffer: *mut libc::c_void,
    len: *mut libc::size_t,
    time_us: *mut libc::c_longlong,
) -> libc::c_int {
    let Some(mut state) = lock() else { return -1 };
    if buffer.is_null() || len.is_null() || time_us.is_null() {
        return -1;
    }
    state.refresh();
    if state.host().sent().next().is_none() {
        let end = state.host().now() + LOOK_AHEAD;
        state = state.advance(end, true);
    }
    let now = state.host().now();
    let (at, bytes) =
        state.host().poll_sent().map_or((now, Vec::new()), |sent| (sent.at, sent.bytes));
    // SAFETY: packetdrill gives the address of the buffer's size, a buffer of that size, and where the time goes.
    unsafe {
        if !copy_out(&bytes, buffer.cast::<u8>(), *len) {
            return -1;
        }
        *len = bytes.len().min(*len);
        *time_us = micros(at);
    }
    0
}

/// Time passes.
pub(crate) unsafe extern "C" fn usleep(
    _userdata: *mut libc::c_void,
    span_us: libc::useconds_t,
) -> libc::c_int {
    let Some(mut state) = lock() else { return -1 };
    state.refresh();
    let end = state.host().now() + Duration::from_micros(u64::from(span_us));
    drop(state.advance(end, false));
    0
}

/// The time. Asking for it takes a microsecond, so that whoever waits for a moment by asking gets there.
pub(crate) unsafe extern "C" fn gettimeofday(
    _userdata: *mut libc::c_void,
    time: *mut libc::timeval,
    _zone: *mut libc::c_void,
) -> libc::c_int {
    let Some(state) = lock() else { return -1 };
    let now = micros(state.time_of_day());
    if !time.is_null() {
        // SAFETY: packetdrill gives the address of a timeval.
        unsafe {
            (*time).tv_sec = now / 1_000_000;
            (*time).tv_usec = now % 1_000_000;
        }
    }
    0
}
