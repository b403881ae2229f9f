//! What the two SYNs agreed on: MSS, window scale, timestamps, SACK.

use serde::{Deserialize, Serialize};

use super::config::Config;
use crate::planted::{self, Bug};
use crate::wire::tcp::{TcpHeader, TcpOptions, Timestamps};

/// What a peer that sends no MSS option may be sent (RFC 9293 §3.7.1, MUST-15, IPv4).
pub const MSS_DEFAULT: u16 = 536;
/// The least MSS that we believe (tcp_min_snd_mss; CVE-2019-11479).
pub const MSS_MIN: u16 = 48;
/// The greatest window scale (RFC 7323 §2.3).
pub const WINDOW_SCALE_MAX: u8 = 14;
/// Bytes that the timestamps option takes from each segment, padding included.
pub const TIMESTAMPS_LEN: u16 = 12;

/// The options in force. Before the peer's SYN: what we offer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::tcp) struct Negotiated {
    /// The MSS of the peer's SYN, not reduced by options (RFC 6691).
    pub(in crate::tcp) peer_mss: u16,
    /// What our IP layer can carry, as `poll_transmit` last said.
    pub(in crate::tcp) mss_ip: u16,
    /// Shift of the windows that we receive.
    pub(in crate::tcp) snd_wscale: u8,
    /// Shift of the windows that we send.
    pub(in crate::tcp) rcv_wscale: u8,
    pub(in crate::tcp) window_scaling: bool,
    pub(in crate::tcp) timestamps: bool,
    pub(in crate::tcp) sack: bool,
    /// Added to our millisecond clock (RFC 7323 §5.4).
    pub(in crate::tcp) ts_offset: u32,
}

impl Negotiated {
    pub(in crate::tcp) fn offer(config: &Config, ts_offset: u32) -> Self {
        Self {
            peer_mss: MSS_DEFAULT,
            mss_ip: MSS_DEFAULT,
            snd_wscale: 0,
            rcv_wscale: 0,
            window_scaling: config.window_scaling,
            timestamps: config.timestamps,
            sack: config.sack,
            ts_offset,
        }
    }

    /// Each option holds only if both SYNs carry it (RFC 7323 §1.3, §2.2; RFC 2018 §2).
    pub(in crate::tcp) fn settle(&mut self, config: &Config, syn: &TcpHeader) {
        let options = &syn.options;
        let peer_mss = options
            .mss
            .filter(|mss| *mss > 0 || planted::is(Bug::ZeroMssBelieved))
            .map_or(if planted::is(Bug::NoMssMeans1460) { 1_460 } else { MSS_DEFAULT }, |m| {
                m.max(if planted::is(Bug::TinyMss) { 1 } else { MSS_MIN })
            });
        let wanted = config.max_segment_or_all();
        self.peer_mss =
            if planted::is(Bug::MaxsegIgnored) { peer_mss } else { peer_mss.min(wanted) };
        self.timestamps &= options.timestamps.is_some() || planted::is(Bug::OneSidedTimestamps);
        self.sack &= options.sack_permitted;
        match options.window_scale {
            Some(shift) if self.window_scaling => {
                let max = if planted::is(Bug::ScaleAbove14) { 24 } else { WINDOW_SCALE_MAX };
                self.snd_wscale = shift.min(max);
                self.rcv_wscale = config.window_scale_offered();
            }
            _ => self.window_scaling = planted::is(Bug::OneSidedScale),
        }
    }

    /// Getter: payload bytes of a full segment: what both sides carry, less the options that each segment has.
    #[inline]
    pub(in crate::tcp) fn mss(&self) -> u32 {
        if planted::is(Bug::MtuUnheeded) {
            return u32::from(self.peer_mss);
        }
        u32::from(self.peer_mss.min(self.mss_ip.max(MSS_MIN)) - self.each_segment_len())
    }

    /// Getter: bytes of options that each segment has.
    #[inline]
    pub(in crate::tcp) fn each_segment_len(&self) -> u16 {
        let counted = self.timestamps && !planted::is(Bug::OptionsNotCounted);
        if counted { TIMESTAMPS_LEN } else { 0 }
    }

    pub(in crate::tcp) fn syn_options(
        &self,
        config: &Config,
        mss_link: u16,
        timestamps: Timestamps,
    ) -> TcpOptions {
        TcpOptions {
            mss: Some(
                mss_link.min(config.max_segment_or_all())
                    - if planted::is(Bug::MssLessOptions) { TIMESTAMPS_LEN } else { 0 },
            ),
            window_scale: self.window_scaling.then_some(config.window_scale_offered()),
            sack_permitted: self.sack,
            timestamps: self.timestamps.then_some(timestamps),
            ..TcpOptions::default()
        }
    }

    pub(in crate::tcp) fn is_valid(&self) -> bool {
        self.peer_mss >= MSS_MIN
            && self.snd_wscale <= WINDOW_SCALE_MAX
            && self.rcv_wscale <= WINDOW_SCALE_MAX
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settled(options: TcpOptions) -> Negotiated {
        let config = Config::default();
        let mut negotiated = Negotiated::offer(&config, 0);
        negotiated.mss_ip = 1460;
        negotiated.settle(&config, &TcpHeader { options, ..TcpHeader::default() });
        negotiated
    }

    #[test]
    fn what_only_one_syn_carries_is_not_used() {
        let bare = settled(TcpOptions::default());
        assert!(!bare.timestamps && !bare.sack && !bare.window_scaling);
        assert_eq!((bare.snd_wscale, bare.rcv_wscale, bare.mss()), (0, 0, 536));
    }

    #[test]
    fn a_hostile_mss_or_window_scale_is_clamped() {
        let hostile = |mss| {
            settled(TcpOptions { mss: Some(mss), window_scale: Some(255), ..TcpOptions::default() })
        };
        assert_eq!(hostile(1).mss(), 48);
        assert_eq!(hostile(0).mss(), 536);
        assert_eq!(hostile(65_535).mss(), 1460);
        assert_eq!(hostile(1).snd_wscale, 14);
    }

    #[test]
    fn timestamps_take_twelve_bytes_of_each_segment() {
        let timestamps = Some(Timestamps::default());
        let both = settled(TcpOptions { mss: Some(1460), timestamps, ..TcpOptions::default() });
        assert_eq!(both.mss(), 1448);
    }
}
