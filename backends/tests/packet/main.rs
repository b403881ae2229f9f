//! The AF_PACKET backend on one end of a virtual cable (veth), each test in a network namespace of its own.

#[path = "../netns/mod.rs"]
mod netns;

mod device;
mod offload;

use std::collections::VecDeque;

use causeway_backends::Buf;
use causeway_backends::packet::{Packet, PacketConfig};
use causeway_core::nic::{BURST_MAX, Nic};
use netns::{KernelPeer, RawSocket, ip};

/// A small ring: the tests make many.
const RING_BYTES: usize = 4 << 20;

fn config() -> PacketConfig {
    PacketConfig { ring_bytes: RING_BYTES, ..PacketConfig::new("v0") }
}

/// The cable v0 - v1, plugged in at both ends.
fn cable() {
    ip("link add v0 type veth peer name v1");
    ip("link set v0 up");
    ip("link set v1 up");
}

fn open(config: &PacketConfig) -> Packet {
    let nic = Packet::open(config).unwrap_or_else(|e| panic!("{e}"));
    wait_for_link(&nic, true);
    nic
}

/// The kernel notices some time after a cable was plugged in, or out, that it was; until then it drops what is sent, or seems to send it.
fn wait_for_link(nic: &Packet, up: bool) {
    let give_up = std::time::Instant::now() + std::time::Duration::from_secs(60);
    while nic.link_up() != up {
        assert!(std::time::Instant::now() < give_up, "the link is not as it should be");
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
    // Asking takes the lock under which the kernel does the rest of what is to be done.
    ip("link show");
}

/// A fresh cable with the NIC at v0 and a packet socket at v1.
fn rig_with(config: &PacketConfig) -> KernelPeer<Packet> {
    cable();
    KernelPeer { nic: open(config), socket: RawSocket::on("v1") }
}

fn rig() -> KernelPeer<Packet> {
    rig_with(&config())
}

fn frames(nic: &mut impl Nic<Frame = Buf>, contents: &[Vec<u8>]) -> VecDeque<Buf> {
    let write = |bytes: &Vec<u8>| {
        let mut frame = nic.alloc(bytes.len()).expect("memory");
        frame.bytes_mut().copy_from_slice(bytes);
        frame
    };
    contents.iter().map(write).collect()
}

fn received(nic: &mut impl Nic<Frame = Buf>) -> Vec<Vec<u8>> {
    let mut out = Vec::new();
    // A frame that is dropped makes a burst of none.
    for _ in 0..100 {
        nic.rx_burst(&mut out, BURST_MAX);
    }
    out.iter().map(|frame: &Buf| frame.bytes().to_vec()).collect()
}
