//! Socket options: what they change in the settings, and what follows for a connection that is there already.

use super::config::Config;
use super::connection::Connection;
use super::shared_config::SharedConfig;
use super::timer::TimerReason;
use crate::error::CommandError;
use crate::port::SocketOption;
use crate::time::Instant;

impl Config {
    /// ECN is not the application's to set: the two low bits of IP_TOS and IPV6_TCLASS (RFC 3168 §5).
    const ECN_MASK: u8 = 0b11;

    fn set(&mut self, option: SocketOption) {
        let ms = |seconds: u32| seconds.saturating_mul(1_000);
        match option {
            SocketOption::NoDelay(on) => self.nodelay = on,
            SocketOption::Cork(on) => self.cork = on,
            SocketOption::MaxSegment(bytes) => self.max_segment = bytes,
            SocketOption::KeepAlive(on) => self.keepalive = on,
            SocketOption::KeepIdle(s) => self.keepalive_idle_ms = ms(s),
            SocketOption::KeepInterval(s) => self.keepalive_interval_ms = ms(s),
            SocketOption::KeepCount(n) => self.keepalive_probes = n,
            SocketOption::UserTimeout(timeout_ms) => self.user_timeout_ms = timeout_ms,
            SocketOption::SynCount(n) => self.syn_retries_max = n,
            SocketOption::Linger2(s) => self.fin_wait2_ms = fin_wait2_ms(s),
            SocketOption::Linger(s) => self.linger_s = s,
            SocketOption::Congestion(algorithm) => self.congestion = algorithm,
            SocketOption::NotSentLowWater(bytes) => self.notsent_lowat = bytes,
            SocketOption::WindowClamp(bytes) => self.window_clamp = bytes,
            SocketOption::DeferAccept(s) => self.defer_accept_s = s,
            SocketOption::ReceiveBuffer(bytes) => self.rcv_buffer = bytes,
            SocketOption::SendBuffer(bytes) => self.snd_buffer = bytes,
            SocketOption::MaxPacingRate(rate) => self.max_pacing_rate = rate,
            SocketOption::FastOpen(n) => self.fast_open_queue = n,
            SocketOption::FastOpenConnect(on) => self.fast_open_connect = on,
            SocketOption::FastOpenNoCookie(on) => self.set_fast_open_without_cookie(on),
            SocketOption::OobInline(on) => self.oob_inline = on,
            SocketOption::Ipv4Tos(class) | SocketOption::Ipv6TrafficClass(class) => {
                self.traffic_class = class & !Self::ECN_MASK;
            }
            SocketOption::Ipv4Ttl(hops) | SocketOption::Ipv6UnicastHops(hops) => self.hops = hops,
            SocketOption::MtuDiscover(how) => self.mtu_discover = how,
            // The first two are wishes of the moment; the others concern the binding of ports.
            SocketOption::QuickAck(_)
            | SocketOption::More(_)
            | SocketOption::ReuseAddress(_)
            | SocketOption::ReusePort(_) => {}
        }
    }
}

/// TCP_LINGER2: 0 is the default; below zero FIN-WAIT-2 is not waited out; more than two minutes are two minutes.
fn fin_wait2_ms(seconds: i32) -> u32 {
    match u32::try_from(seconds) {
        Err(_) => 0,
        Ok(0) => Config::default().fin_wait2_ms,
        Ok(s) => s.min(120) * 1_000,
    }
}

impl SharedConfig {
    /// Command: sets `option` for whoever is opened with these settings.
    ///
    /// # Errors
    /// [`CommandError::InvalidArgument`] for a value outside its range.
    pub fn set(&mut self, option: SocketOption) -> Result<(), CommandError> {
        option.check()?;
        self.own().set(option);
        Ok(())
    }

    /// Command: the keys of a listener's Fast Open cookies (TCP_FASTOPEN_KEY) in place of the host's.
    pub(crate) fn set_fast_open_keys(&mut self, keys: [Option<[u8; 16]>; 2]) {
        self.own().fast_open_keys = keys;
    }
}

impl Connection {
    /// Command: sets an option of a connection. Ask `poll_transmit` afterwards: it may let go of what waits.
    ///
    /// # Errors
    /// [`CommandError::InvalidArgument`] for a value outside its range.
    pub fn set_option(&mut self, now: Instant, option: SocketOption) -> Result<(), CommandError> {
        self.config.set(option)?;
        match option {
            SocketOption::KeepAlive(false) => self.timers.stop(TimerReason::Keepalive),
            SocketOption::KeepAlive(true) | SocketOption::KeepIdle(_)
                if self.config.keepalive && self.state.is_synchronized() =>
            {
                self.start_keepalive(now);
            }
            SocketOption::Congestion(_) => self.follow_congestion_setting(),
            SocketOption::MaxPacingRate(_) => self.follow_pacing_setting(),
            SocketOption::ReceiveBuffer(_) | SocketOption::WindowClamp(_) => {
                self.follow_receive_setting();
            }
            SocketOption::More(on) => self.announce_more(on),
            // What is read decides as well: `set_quick_ack`.
            SocketOption::QuickAck(_)
            // The setting is all: it is read where it counts.
            | SocketOption::KeepAlive(true)
            | SocketOption::KeepIdle(_)
            | SocketOption::KeepInterval(_)
            | SocketOption::KeepCount(_)
            | SocketOption::NoDelay(_)
            | SocketOption::Cork(_)
            | SocketOption::MaxSegment(_)
            | SocketOption::UserTimeout(_)
            | SocketOption::SynCount(_)
            | SocketOption::Linger2(_)
            | SocketOption::Linger(_)
            | SocketOption::NotSentLowWater(_)
            | SocketOption::DeferAccept(_)
            | SocketOption::SendBuffer(_)
            | SocketOption::FastOpen(_)
            | SocketOption::FastOpenConnect(_)
            | SocketOption::FastOpenNoCookie(_)
            | SocketOption::OobInline(_)
            | SocketOption::ReuseAddress(_)
            | SocketOption::ReusePort(_)
            | SocketOption::Ipv4Tos(_)
            | SocketOption::Ipv4Ttl(_)
            | SocketOption::Ipv6TrafficClass(_)
            | SocketOption::Ipv6UnicastHops(_)
            | SocketOption::MtuDiscover(_) => {}
        }
        Ok(())
    }
}
