//! An Ethernet device of the kernel, used beside the kernel's own stack (`packet(7)`).
//!
//! Frames that arrive are taken from a ring that the kernel fills (TPACKET_V2): no system call as long as there are any, and none to find
//! that there are none. Frames that leave go by `sendmmsg(2)`, a burst a call. The header of virtio goes with each, so that TCP's
//! super-segments of up to 64 KiB and partial checksums pass in both directions: a network card cuts and completes them, or the kernel for it, or
//! nobody where both ends are on this machine.
//!
//! Works as root, with CAP_NET_RAW, and for anybody inside `unshare -Urn`.
//!
//! # The kernel is still there
//!
//! It sees every frame that arrives as well. **Give the device no address of the kernel's that is ours**: the kernel answers TCP
//! segments to an address that it has and a port that it does not know with RST, which ends our connections. Best it has none at all:
//!
//! ```text
//! ip address flush dev eth1                     # no IPv4, so nothing that the kernel would answer
//! sysctl -w net.ipv6.conf.eth1.disable_ipv6=1   # no link-local address, and no neighbour discovery of its own
//! ip link set eth1 arp off                      # no answers to ARP for addresses of other devices (arp_ignore=8 does the same)
//! ip link set eth1 up
//! ```
//!
//! A host that forwards (`net.ipv4.ip_forward`) would also forward what is ours: switch it off for the device
//! (`net.ipv4.conf.eth1.forwarding=0`). Where the kernel has to keep addresses on the device, take another hardware address
//! ([`PacketConfig::mac`]): the kernel ignores frames for it. That needs a link that lets a port have two; many virtual and all
//! wireless ones do not.
//!
//! # What is received
//!
//! What others send to the device, and nothing that leaves by it (PACKET_IGNORE_OUTGOING): neither our own frames nor the kernel's.
//! Multicast of all groups. A VLAN tag, which the kernel takes out, is put back where it was. TCP super-segments are handed on as such; frames
//! with several UDP datagrams (`UDP_SEGMENT` of a local program) are taken apart. What cannot be handed on is counted in [`PacketStats`].
//!
//! A device that goes down loses what is sent meanwhile, and works again when it comes up. One that is deleted is gone for good: open
//! again what takes its place.

mod datagrams;
mod error;
mod nic;
mod ring;
mod socket;
mod vnet;

pub use error::PacketError;
pub use nic::{Packet, PacketConfig, PacketStats};
pub use ring::{RING_BYTES_MAX, RING_BYTES_MIN};
