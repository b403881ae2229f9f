//! TCP headers by themselves: flags, options, lengths.

use super::connection::{End, Segment, Tri};
use super::host::HostRules;
use super::registry::{
    TCP_FLAGS, TCP_MSS, TCP_MSS_OPTION, TCP_OPTIONS, TCP_PATH_MTU, TCP_RESERVED, TCP_SACK_AGREED,
    TCP_SCALE, TCP_SYN_DATA, TCP_SYN_OPTIONS,
};
use super::report::{Report, Scene};
use crate::packet::{Flags, Ip, Tcp};

/// A stack may refuse to send less, whatever the peer announces.
const MSS_LEAST: i64 = 48;
const SCALE_MAX: u8 = 14;

/// What can be said of a header alone.
#[inline]
pub(super) fn judge(tcp: &Tcp, ip: &Ip, host: &HostRules, scene: &Scene, out: &mut Report) {
    let flags = tcp.flags;
    if tcp.reserved != 0 {
        out.broken(TCP_RESERVED, scene, format!("reserved bits {:#x}", tcp.reserved));
    }
    let opens = flags.has(Flags::SYN);
    let impossible = opens && flags.0 & (Flags::FIN.0 | Flags::RST.0) != 0;
    let mute = flags.0 & (Flags::SYN.0 | Flags::ACK.0 | Flags::RST.0) == 0;
    if impossible || mute {
        out.broken(TCP_FLAGS, scene, format!("flags {:#04x}", flags.0));
    }
    let options = &tcp.options;
    if options.malformed || options.repeated {
        out.broken(TCP_OPTIONS, scene, format!("{options:?}"));
    }
    let of_syn = options.mss.is_some() || options.window_scale.is_some() || options.sack_permitted;
    if of_syn && !opens {
        out.broken(TCP_SYN_OPTIONS, scene, format!("flags {:#04x} with {options:?}", flags.0));
    }
    if opens {
        judge_syn(tcp, ip, host, scene, out);
    }
}

#[cold]
fn judge_syn(tcp: &Tcp, ip: &Ip, host: &HostRules, scene: &Scene, out: &mut Report) {
    if let Some(scale) = tcp.options.window_scale.filter(|scale| *scale > SCALE_MAX) {
        out.broken(TCP_SCALE, scene, format!("window scale {scale}"));
    }
    let expected = host.mss(ip.is_v4());
    let told = tcp.options.mss;
    let short = host.full_mss && tcp.options.fast_open.is_none() && told != Some(expected);
    if short || told.is_some_and(|mss| mss > expected) {
        out.broken(TCP_MSS_OPTION, scene, format!("MSS {told:?}, the link carries {expected}"));
    }
    let payload = ip.end - ip.payload_at - tcp.header_len;
    let without = tcp.options.fast_open.is_none_or(|option| option.cookie_len == 0);
    if payload > 0 && !tcp.flags.has(Flags::ACK) && without && !host.fast_open_without_cookie {
        out.broken(TCP_SYN_DATA, scene, format!("a SYN with {payload} bytes and no cookie"));
    }
}

/// What can be said of a header that is not a SYN's, knowing what was agreed on.
#[inline]
pub(super) fn judge_agreed(end: &End, segment: &Segment<'_>, scene: &Scene, out: &mut Report) {
    let agreed = &end.agreed;
    if end.irs.is_none() {
        return;
    }
    let tcp = segment.tcp;
    let bytes = segment.payload + tcp.header_len as i64 - 20;
    if segment.payload > 0 && bytes > i64::from(agreed.peer_mss).max(MSS_LEAST) {
        let words = format!("{bytes} bytes of options and data, MSS {}", agreed.peer_mss);
        out.broken(TCP_MSS, scene, words);
    }
    if let Some((mtu, since, until)) = end.path
        && (since < segment.at && segment.at < until)
        && segment.ip.total_len() > mtu
    {
        let words = format!("{} bytes, the path carries {mtu}", segment.ip.total_len());
        out.broken(TCP_PATH_MTU, scene, words);
    }
    if !tcp.options.sack.is_empty() && agreed.sack == Tri::No {
        out.broken(TCP_SACK_AGREED, scene, format!("{:?}", tcp.options.sack.as_slice()));
    }
}
