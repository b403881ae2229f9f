//! The settings of a flow: private fields, checked by [`ConfigBuilder::build`].

use crate::time::Duration;
use crate::wire::machnet::{PAYLOAD_MAX, PAYLOAD_MAX_V6};

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
        })
    }

    /// The same settings for flows over IPv6, whose longer header leaves less to each packet of the same length. Upstream has
    /// no IPv6 that this could differ from.
    #[must_use]
    pub const fn over_ipv6(mut self) -> Self {
        self.payload_max = PAYLOAD_MAX_V6;
        self
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
    pub const fn gives_up_within(&self) -> Duration {
        self.rto_max.saturating_mul(self.retries_max as u64 + 1)
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
        Ok(config)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
