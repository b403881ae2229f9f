//! RST for packets of Machnet's extended profile that nobody takes.

use core::net::IpAddr;

use super::composition::Stack;
use super::datagram::Datagram;
use super::rx::Packet;
use crate::ip::is_group_or_broadcast;
use crate::machnet::answer_nobody;
use crate::wire::machnet::{HEADER_LEN, MachnetHeader, NetFlags};
use crate::wire::{IpProtocol, UDP_HEADER_LEN, UdpHeader};

impl Stack {
    /// Answers a packet of the extended profile for which there is no flow with RST, if the rate of resets allows it; a RST with silence.
    /// False for any other packet, and where the profile is switched off.
    pub(super) fn refuse_extended(
        &mut self,
        packet: &Packet,
        (udp, header): (&UdpHeader, &MachnetHeader),
    ) -> bool {
        let single = |address: IpAddr| !address.is_unspecified() && !is_group_or_broadcast(address);
        let spoken = self.config.machnet().extended() && single(packet.src) && single(packet.dst);
        let Some(rst) = answer_nobody(header).filter(|_| spoken) else {
            return spoken && header.net_flags == NetFlags::Rst && header.timestamp != 0;
        };
        if !self.reset_rate.allow_uncounted(packet.now, &mut self.reply_random) {
            self.stats.replies_lost += 1;
            return true;
        }
        let mut bytes = [0; UDP_HEADER_LEN + HEADER_LEN];
        let (head, body) = bytes.split_at_mut(UDP_HEADER_LEN);
        rst.emit(body);
        let answer = UdpHeader {
            src_port: udp.dst_port,
            dst_port: udp.src_port,
            payload_len: HEADER_LEN as u16,
            checksum: 0,
        };
        let sum = self.config.checksum().sum(body);
        answer.with_checksum(packet.dst, packet.src, sum).emit(head);
        self.send_datagram(&Datagram::answer(packet, IpProtocol::UDP), &[&bytes]);
        true
    }
}
