//! How a flow ends in the extended profile.

use crate::error::EndReason;
use crate::machnet::flow::Flow;
use crate::machnet::packet::{Disposition, FlowState};
use crate::planted::{self, Bug};
use crate::reach::reach;
use crate::wire::machnet::MachnetHeader;

impl Flow {
    /// FIN is to be sent: everything that the application sent was acknowledged, so that whoever answers with RST has had it all.
    pub(super) fn is_fin_due(&self) -> bool {
        let Some(extended) = &self.extended else { return false };
        self.state == FlowState::Closing
            && self.queue.is_empty()
            && self.tx.is_empty()
            && !extended.fin_sent
    }

    /// A closing flow has delivered everything: it ends if its FIN is among that.
    pub(in crate::machnet) fn finish_extended_close(&mut self) {
        match &self.extended {
            Some(extended) if self.state != FlowState::SynReceived && !extended.fin_sent => {}
            Some(_) | None => self.end_quietly(EndReason::Closed),
        }
    }

    /// FIN came in order: everything is here, and nothing that is said from now on is heard.
    pub(super) fn on_fin(&mut self) {
        reach!(MachnetFin);
        if let Some(extended) = &mut self.extended {
            extended.last_ack = !planted::is(Bug::MachnetFinUnanswered);
        }
        self.end_quietly(EndReason::Closed);
    }

    /// RST with a good echo.
    pub(super) fn on_extended_rst(&mut self, header: &MachnetHeader) -> Disposition {
        let ahead = header.seqno.wrapping_sub(self.rx.rcv_nxt());
        let inside = match self.state {
            FlowState::SynReceived => header.ackno == self.tx.snd_nxt(),
            FlowState::Established | FlowState::Closing => {
                ahead <= u32::from(self.rx.limits().packets)
            }
            FlowState::SynSent | FlowState::Closed => false,
        };
        if !inside {
            reach!(MachnetStrangeRst);
            return Disposition::Ignore;
        }
        // The peer has forgotten the flow because FIN reached it.
        let over = self.extended.as_ref().is_some_and(|extended| extended.fin_sent);
        self.end_quietly(if over { EndReason::Closed } else { EndReason::Reset });
        Disposition::Accept
    }

    /// The end, of which the peer need not be told.
    fn end_quietly(&mut self, reason: EndReason) {
        self.end(reason);
        self.rsts_due = 0;
    }
}
