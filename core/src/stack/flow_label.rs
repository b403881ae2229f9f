//! Flow labels (RFC 6437): one for each flow, the same in all its packets, until its path seems dead.

use super::composition::Stack;
use super::emit::Ipv6Fields;
use super::sock::Socket;
use crate::planted::{self, Bug};

impl Stack {
    /// What stands in the IPv6 headers of a socket's packets. The label is a keyed hash of the flow's ends (RFC 6437 §3), and
    /// another one after each retransmission timeout: routers that balance by it try another path.
    pub(super) fn ipv6_fields(&self, socket: &Socket) -> Ipv6Fields {
        let turn = if planted::is(Bug::OneLabel) { 0 } else { socket.label_turn };
        let flow_label = self.flow_labels.flow_label(&socket.tuple, turn);
        let interface = &self.ipv6[socket.interface.index()];
        let (hop_limit, link_mtu) = (interface.hop_limit(), interface.mtu());
        Ipv6Fields { flow_label, hop_limit, link_mtu }
    }
}
