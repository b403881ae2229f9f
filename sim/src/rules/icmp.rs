//! ICMP of both families: what errors may be about, and what echo replies answer.

use std::net::IpAddr;

use causeway_core::time::{Duration, Instant};

use super::host::HostRules;
use super::registry::{ICMP_ABOUT, ICMP_ECHO, ICMP_QUOTE, ICMP_RATE};
use super::report::{Report, Scene};
use crate::packet::{Icmp, Ip, PayloadSum, Quote};

/// Echo requests that are remembered.
const REQUESTS_MAX: usize = 64;
/// The longest errors.
const ERROR_BYTES_MAX_V4: usize = 576;
const ERROR_BYTES_MAX_V6: usize = 1_280;
/// ICMPv6 errors that are about packets to groups, too (RFC 4443 2.4 e).
const TOO_BIG_V6: u8 = 2;
const PARAMETER_PROBLEM_V6: u8 = 4;
const UNKNOWN_OPTION_V6: u8 = 2;
/// ICMP redirect (RFC 792), sent by routers at their own rate.
const REDIRECT: u8 = 5;

/// An echo request or reply: who, identifier and number, content.
type Echo = (IpAddr, u32, usize, PayloadSum);

/// What a host's messages leave behind.
#[derive(Debug, Default)]
pub(super) struct Messages {
    requests: Vec<Echo>,
    next: usize,
    forgotten: bool,
    /// Some requests came in fragments.
    pub(super) in_fragments: bool,
    second: Option<Instant>,
    errors: u32,
}

impl Messages {
    /// Input: a message with a right checksum reached the host.
    pub(super) fn received(&mut self, ip: &Ip, icmp: &Icmp, payload: &[u8]) {
        if !icmp.is_echo() {
            return;
        }
        let echo = (ip.source, icmp.rest, payload.len(), PayloadSum::of(payload));
        if self.requests.len() < REQUESTS_MAX {
            self.requests.push(echo);
            return;
        }
        self.requests[self.next % REQUESTS_MAX] = echo;
        self.next += 1;
        self.forgotten = true;
    }

    /// Input: the host sends a message.
    pub(super) fn sent(
        &mut self,
        ip: &Ip,
        icmp: &Icmp,
        payload: &[u8],
        host: &HostRules,
        scene: &Scene,
        out: &mut Report,
    ) {
        if icmp.is_echo_reply() {
            let echo = (ip.destination, icmp.rest, payload.len(), PayloadSum::of(payload));
            let unknown = self.forgotten || self.in_fragments || ip.fragment.is_some();
            if !unknown && !self.requests.contains(&echo) {
                let words =
                    format!("to {}: {} bytes that nobody sent", ip.destination, payload.len());
                out.broken(ICMP_ECHO, scene, words);
            }
        }
        if icmp.is_error() && !(icmp.v4 && icmp.kind == REDIRECT) {
            judge_error(ip, icmp, scene, out);
            self.count(host, scene, out);
        }
    }

    fn count(&mut self, host: &HostRules, scene: &Scene, out: &mut Report) {
        let second = Duration::from_secs(1);
        if self.second.is_none_or(|began| scene.at.saturating_since(began) >= second) {
            (self.second, self.errors) = (Some(scene.at), 0);
        }
        self.errors += 1;
        // A bucket that was full when the second began is emptied, and filled once.
        if self.errors > host.icmp_errors_per_second.saturating_mul(2) {
            out.broken(ICMP_RATE, scene, format!("{} errors in a second", self.errors));
        }
    }
}

fn judge_error(ip: &Ip, icmp: &Icmp, scene: &Scene, out: &mut Report) {
    let Some(quote) = &icmp.quote else {
        return out.broken(ICMP_QUOTE, scene, "no packet is quoted".to_owned());
    };
    let (least, most) = if icmp.v4 { (8, ERROR_BYTES_MAX_V4) } else { (0, ERROR_BYTES_MAX_V6) };
    // A header that was damaged may claim all of its packet.
    let short = quote.payload_len < least && quote.len < quote.total_len;
    if short || ip.total_len() > most {
        let words = format!("{} bytes quoted, {} in all", quote.len, ip.total_len());
        out.broken(ICMP_QUOTE, scene, words);
    }
    let later = quote.ip.fragment.is_some_and(|fragment| fragment.offset > 0);
    let to_many = quote.is_to_many() && !may_be_about_groups(icmp);
    if quote.is_about_error() || (later && icmp.v4) || to_many || is_from_many(quote) {
        out.broken(ICMP_ABOUT, scene, format!("type {} about {quote:?}", icmp.kind));
    }
}

const fn may_be_about_groups(icmp: &Icmp) -> bool {
    let problem = icmp.kind == PARAMETER_PROBLEM_V6 && icmp.code == UNKNOWN_OPTION_V6;
    !icmp.v4 && (icmp.kind == TOO_BIG_V6 || problem)
}

/// Its source is not a single host.
const fn is_from_many(quote: &Quote) -> bool {
    match quote.ip.source {
        IpAddr::V4(address) => {
            address.is_multicast() || address.is_broadcast() || address.is_unspecified()
        }
        IpAddr::V6(address) => address.is_multicast() || address.is_unspecified(),
    }
}
