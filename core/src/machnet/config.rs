//! The settings of a flow: private fields, checked by [`ConfigBuilder::build`].

use causeway_checksum::Implementation;

use crate::time::Duration;
use crate::wire::UDP_HEADER_LEN;
use crate::wire::machnet::{HEADER_LEN, Offer, PAYLOAD_MAX, PAYLOAD_MAX_V6};

/// Settings of Machnet flows. Cheap to copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Config {
    pub(super) syn_rto: Duration,
    pub(super) syn_attempts_max: u8,
    pub(super) rto_min: Duration,
    pub(super) rto_max: Duration,
    pub(super) retries_max: u8,
    pub(super) window_initial: u8,
    pub(super) linger: Duration,
    pub(super) stall: Duration,
    pub(super) msg_max: u32,
    pub(super) messages_queued_max: u32,
    pub(super) payload_max: u16,
    pub(super) extended: bool,
    ack_delay_us: u32,
    keepalive_ms: u32,
    /// [`Delays`] in microseconds, in its order.
    delays_us: [u32; 3],
    /// The most payload bytes that a packet of the extended profile may have on the flow's link.
    pub(super) payload_offered: u16,
    pub(super) checksum: Implementation,
}

/// What Swift allows a round trip to take beyond its least (docs/machnet.md).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Delays {
    pub(super) target: Duration,
    pub(super) hop: Duration,
    pub(super) flows: Duration,
}

/// Most messages of a flow that wait to be cut into packets, unless it is configured otherwise. An application that has handed over so many
/// whose bytes it was not given back yet waits: a message that is refused leaves a gap that none after it gets over.
pub const MESSAGES_QUEUED_MAX: u32 = 16_384;

impl Config {
    /// A builder with the defaults.
    pub const fn builder() -> ConfigBuilder {
        ConfigBuilder(Self {
            syn_rto: Duration::from_secs(1),
            syn_attempts_max: 5,
            rto_min: Duration::from_millis(20),
            rto_max: Duration::from_secs(3),
            retries_max: 10,
            window_initial: 32,
            linger: Duration::from_secs(30),
            stall: Duration::from_secs(10),
            msg_max: 8 << 20,
            messages_queued_max: MESSAGES_QUEUED_MAX,
            payload_max: PAYLOAD_MAX,
            extended: false,
            ack_delay_us: 500,
            keepalive_ms: 30_000,
            delays_us: [300, 10, 200],
            payload_offered: PAYLOAD_MAX,
            checksum: Implementation::PORTABLE,
        })
    }

    /// The same settings for flows over IPv6, whose longer header leaves less to each packet of the same length. Upstream has
    /// no IPv6 that this could differ from.
    #[must_use]
    pub const fn over_ipv6(mut self) -> Self {
        self.payload_max = PAYLOAD_MAX_V6;
        self
    }

    /// The same settings for a flow over a link that carries datagrams of `mtu` bytes, `ip_header` of them IP's: how much its packets
    /// may carry in the extended profile.
    #[must_use]
    pub fn on_link(mut self, mtu: u16, ip_header: u16) -> Self {
        let headers = ip_header + (UDP_HEADER_LEN + HEADER_LEN) as u16;
        self.payload_offered = Offer::new(mtu.saturating_sub(headers)).payload;
        self
    }

    /// The same settings, with CRCs computed by `checksum`.
    #[must_use]
    pub const fn summed_by(mut self, checksum: Implementation) -> Self {
        self.checksum = checksum;
        self
    }

    /// Getter: flows offer the extended profile, and accept it.
    pub const fn extended(&self) -> bool {
        self.extended
    }

    /// Getter: how long an acknowledgement may wait for company.
    pub(super) const fn ack_delay(&self) -> Duration {
        Duration::from_micros(self.ack_delay_us as u64)
    }

    /// Getter: a peer is asked whether it lives when nothing was heard for so long.
    pub(super) const fn keepalive(&self) -> Duration {
        Duration::from_millis(self.keepalive_ms as u64)
    }

    /// Getter: what Swift allows.
    pub(super) fn delays(&self) -> Delays {
        let [target, hop, flows] = self.delays_us.map(|us| Duration::from_micros(us.into()));
        Delays { target, hop, flows }
    }

    /// Getter: what a flow offers, and answers to an offer.
    pub(super) fn offer(&self) -> Option<Offer> {
        self.extended.then(|| Offer::new(self.payload_offered))
    }

    /// Getter: what is agreed with a peer that said `timestamp` in its SYN or SYN-ACK; `None` for the upstream profile.
    pub fn agree(&self, timestamp: u64) -> Option<Offer> {
        Some(self.offer()?.agreed(Offer::parse(timestamp)?))
    }

    /// Getter: the longest message that is sent or accepted, in bytes.
    pub const fn msg_max(&self) -> u32 {
        self.msg_max
    }

    /// Getter: how often a SYN, or the answer to one, is sent before its sender gives up.
    pub const fn syn_attempts(&self) -> u8 {
        self.syn_attempts_max
    }

    /// Getter: a peer of which nothing is heard counts as dead after so long at most.
    pub fn gives_up_within(&self) -> Duration {
        // In the extended profile it is asked first when it has been silent for so long.
        let silence = if self.extended { self.keepalive() } else { Duration::ZERO };
        silence + self.rto_max.saturating_mul(u64::from(self.retries_max) + 1)
    }
}

impl Default for Config {
    fn default() -> Self {
        Self::builder().0
    }
}

/// Which setting is outside its range.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ConfigError {
    /// `syn_rto` is not in 10 ms ..= 60 s.
    SynRto,
    /// `syn_attempts_max` is not in 1 ..= 16.
    SynAttempts,
    /// `rto_min` is below 100 us, or above `rto_max`, or `rto_max` above 60 s.
    Rto,
    /// `retries_max` is not in 1 ..= 64.
    Retries,
    /// `window_initial` is not in 1 ..= 32.
    WindowInitial,
    /// `linger` is above one hour.
    Linger,
    /// `stall` is not in 100 ms ..= 1 h.
    Stall,
    /// `msg_max` is not in 1 ..= 64 MiB.
    MsgMax,
    /// `messages_queued_max` is not in 1 ..= 1,048,576.
    MessagesQueued,
    /// `ack_delay` is above 100 ms.
    AckDelay,
    /// `keepalive` is not in 100 ms ..= 1 h.
    Keepalive,
    /// One of `swift_delays` is above one second, or `target` is zero.
    SwiftDelays,
}

/// Builds a [`Config`].
#[derive(Clone, Copy, Debug)]
pub struct ConfigBuilder(Config);

impl ConfigBuilder {
    /// First wait for an answer to a SYN or SYN-ACK; doubled each time up to four times itself. 10 ms ..= 60 s, default
    /// 1 s. Shorter connects faster over a lossy link, longer bothers a slow peer less.
    pub const fn syn_rto(mut self, value: Duration) -> Self {
        self.0.syn_rto = value;
        self
    }

    /// How often a SYN or SYN-ACK is sent before the flow ends with `TimedOut`. 1 ..= 16, default 5.
    pub const fn syn_attempts_max(mut self, value: u8) -> Self {
        self.0.syn_attempts_max = value;
        self
    }

    /// The bounds of the retransmission timeout. At least 100 us, at most 60 s; default 20 ms and 3 s. A lower
    /// minimum repairs a lost single packet sooner, and repeats more needlessly when the peer's host stutters.
    pub const fn rto(mut self, min: Duration, max: Duration) -> Self {
        self.0.rto_min = min;
        self.0.rto_max = max;
        self
    }

    /// Timeouts in a row, without a packet from the peer, after which it counts as dead (`TimedOut`). 1 ..= 64, default
    /// 10, which with the default timeouts is about 15 s.
    pub const fn retries_max(mut self, value: u8) -> Self {
        self.0.retries_max = value;
        self
    }

    /// Packets that may be in flight before the first acknowledgement. 1 ..= 32, default 32 as upstream.
    pub const fn window_initial(mut self, value: u8) -> Self {
        self.0.window_initial = value;
        self
    }

    /// How long a closed flow tries to deliver what is queued. At most 1 h, default 30 s.
    pub const fn linger(mut self, value: Duration) -> Self {
        self.0.linger = value;
        self
    }

    /// How long a message that cannot fit into the receive ring, although all before it was consumed, is waited
    /// for before the flow ends with `NoMemory`. 100 ms ..= 1 h, default 10 s.
    pub const fn stall(mut self, value: Duration) -> Self {
        self.0.stall = value;
        self
    }

    /// The longest message sent or accepted. 1 byte ..= 64 MiB, default 8 MiB. A message lies whole in the receive ring,
    /// so the ring must be able to hold one.
    pub const fn msg_max(mut self, value: u32) -> Self {
        self.0.msg_max = value;
        self
    }

    /// Messages that may wait to be sent. 1 ..= 1,048,576, default 16,384 (16 bytes of memory each, when used).
    pub const fn messages_queued_max(mut self, value: u32) -> Self {
        self.0.messages_queued_max = value;
        self
    }

    /// Whether flows offer the extended profile to their peers, and accept it where it is offered (docs/machnet.md). Default false.
    /// With an upstream peer a flow speaks upstream's either way.
    pub const fn extended(mut self, value: bool) -> Self {
        self.0.extended = value;
        self
    }

    /// Extended profile: how long an acknowledgement may wait for company, in whole microseconds. At most 100 ms, default 500 us. Longer
    /// saves packets, and delays who waits for a window.
    pub const fn ack_delay(mut self, value: Duration) -> Self {
        self.0.ack_delay_us = narrow(value.as_micros());
        self
    }

    /// Extended profile: a peer of which nothing was heard for so long is asked whether it lives. 100 ms ..= 1 h, default 30 s.
    pub const fn keepalive(mut self, value: Duration) -> Self {
        self.0.keepalive_ms = narrow(value.as_millis());
        self
    }

    /// Extended profile: what a round trip may take beyond the least one before the window shrinks: `target`, `hop` for each
    /// router on the way, and up to `flows` for a window of a fraction of a packet. At most 1 s each, default 300 us, 10 us and
    /// 200 us. More keeps links busier, and queues longer.
    pub const fn swift_delays(mut self, target: Duration, hop: Duration, flows: Duration) -> Self {
        self.0.delays_us =
            [narrow(target.as_micros()), narrow(hop.as_micros()), narrow(flows.as_micros())];
        self
    }

    /// Checks the settings.
    ///
    /// # Errors
    /// The first setting that is outside its range.
    pub const fn build(self) -> Result<Config, ConfigError> {
        const HOUR_S: u64 = 3_600;
        let config = self.0;
        if config.syn_rto.as_millis() < 10 || config.syn_rto.as_millis() > 60_000 {
            return Err(ConfigError::SynRto);
        }
        if config.syn_attempts_max == 0 || config.syn_attempts_max > 16 {
            return Err(ConfigError::SynAttempts);
        }
        let (min, max) = (config.rto_min.as_nanos(), config.rto_max.as_nanos());
        if min < 100_000 || min > max || max > 60_000_000_000 {
            return Err(ConfigError::Rto);
        }
        if config.retries_max == 0 || config.retries_max > 64 {
            return Err(ConfigError::Retries);
        }
        if config.window_initial == 0 || config.window_initial > 32 {
            return Err(ConfigError::WindowInitial);
        }
        if config.linger.as_nanos() > HOUR_S * 1_000_000_000 {
            return Err(ConfigError::Linger);
        }
        if config.stall.as_millis() < 100 || config.stall.as_millis() > HOUR_S * 1_000 {
            return Err(ConfigError::Stall);
        }
        if config.msg_max == 0 || config.msg_max > 64 << 20 {
            return Err(ConfigError::MsgMax);
        }
        if config.messages_queued_max == 0 || config.messages_queued_max > 1 << 20 {
            return Err(ConfigError::MessagesQueued);
        }
        config.check_extended()
    }
}

/// Settings take little room: each flow has them.
const fn narrow(value: u64) -> u32 {
    if value > u32::MAX as u64 { u32::MAX } else { value as u32 }
}

impl Config {
    /// The settings of the extended profile.
    const fn check_extended(self) -> Result<Self, ConfigError> {
        const SECOND_US: u32 = 1_000_000;
        if self.ack_delay_us > SECOND_US / 10 {
            return Err(ConfigError::AckDelay);
        }
        if self.keepalive_ms < 100 || self.keepalive_ms > 3_600_000 {
            return Err(ConfigError::Keepalive);
        }
        let [target, hop, flows] = self.delays_us;
        if target == 0 || target > SECOND_US || hop > SECOND_US || flows > SECOND_US {
            return Err(ConfigError::SwiftDelays);
        }
        Ok(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_settings_of_the_extended_profile_have_ranges_too() {
        let (us, s, b) = (Duration::from_micros, Duration::from_secs, Config::builder);
        for (wrong, error) in [
            (b().ack_delay(us(100_001)), ConfigError::AckDelay),
            (b().keepalive(us(99_999)), ConfigError::Keepalive),
            (b().keepalive(s(3_601)), ConfigError::Keepalive),
            (b().swift_delays(us(0), us(1), us(1)), ConfigError::SwiftDelays),
            (b().swift_delays(us(1), s(2), us(1)), ConfigError::SwiftDelays),
            (b().swift_delays(us(1), us(1), s(2)), ConfigError::SwiftDelays),
        ] {
            assert_eq!(wrong.build(), Err(error));
        }
        assert!(!Config::default().extended(), "nobody is surprised");
    }

    #[test]
    fn a_packet_fills_its_link_and_no_more_than_an_offer_may_say() {
        let config = Config::builder().extended(true).build().unwrap();
        let payload = |mtu, ip| config.on_link(mtu, ip).offer().map(|offer| offer.payload);
        assert_eq!(payload(1_500, 20), Some(PAYLOAD_MAX));
        assert_eq!(payload(1_500, 40), Some(PAYLOAD_MAX_V6));
        assert_eq!(payload(9_000, 20), Some(8_918));
        assert_eq!(payload(65_535, 20), Some(8_918));
        assert_eq!(config.agree(0), None);
        assert_eq!(Config::default().agree(Offer::new(1_000).to_wire()), None);
    }

    #[test]
    fn the_defaults_are_within_their_ranges() {
        assert_eq!(Config::builder().build(), Ok(Config::default()));
    }

    #[test]
    fn each_setting_outside_its_range_is_named() {
        let ms = Duration::from_millis;
        let builder = Config::builder;
        let cases = [
            (builder().syn_rto(ms(9)), ConfigError::SynRto),
            (builder().syn_attempts_max(0), ConfigError::SynAttempts),
            (builder().rto(ms(5), ms(4)), ConfigError::Rto),
            (builder().retries_max(65), ConfigError::Retries),
            (builder().window_initial(33), ConfigError::WindowInitial),
            (builder().linger(Duration::from_secs(3_601)), ConfigError::Linger),
            (builder().stall(ms(1)), ConfigError::Stall),
            (builder().msg_max(0), ConfigError::MsgMax),
            (builder().messages_queued_max(0), ConfigError::MessagesQueued),
        ];
        for (wrong, error) in cases {
            assert_eq!(wrong.build(), Err(error));
        }
    }
}
