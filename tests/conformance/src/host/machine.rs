//! The engine, its wire and its clock.

use std::collections::VecDeque;
use std::net::IpAddr;
use std::ops::RangeInclusive;

use causeway_core::engine::Engine;
use causeway_core::ip::{InterfaceAddress, Route};
use causeway_core::nic::{IfIndex, MacAddr, Medium};
use causeway_core::port::Completion;
use causeway_core::socket::EphemeralPorts;
use causeway_core::stack::StackConfig;
use causeway_core::testing::{FramePool, MemFrame, MemNic, default_caps};
use causeway_core::time::{Duration, Instant};

use super::port::HostPort;
use super::sysctl::Sysctl;

/// The time at which a host begins: far enough from zero that nothing depends on it.
pub const START: Instant = Instant::from_nanos(1_000_000_000_000);

/// Steps at one moment after which the stack is taken to be in a loop.
const STEPS_MAX: u32 = 100_000;

/// A datagram that the stack sent, from its IP header on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Datagram {
    /// When.
    pub at: Instant,
    /// Its bytes.
    pub bytes: Vec<u8>,
}

#[derive(Debug)]
pub(super) struct Machine {
    pub(super) engine: Engine<MemNic, HostPort>,
    pub(super) now: Instant,
    next: Option<Instant>,
    pub(super) sent: VecDeque<Datagram>,
}

impl Machine {
    /// A machine with these addresses and a default route by its one interface of bare IP.
    pub(super) fn new(
        addresses: &[InterfaceAddress],
        mtu: u16,
        tcp: causeway_core::tcp::Config,
        port: HostPort,
    ) -> Self {
        let mut config = StackConfig::builder(7, [7; 16]).interface(addresses).tcp(tcp);
        for any in [IpAddr::from([0; 4]), IpAddr::from([0u8; 16])] {
            if addresses.iter().any(|own| own.addr().is_ipv4() == any.is_ipv4()) {
                config = config.route(Route {
                    destination: any,
                    prefix_len: 0,
                    gateway: None,
                    interface: IfIndex(1),
                    source: None,
                });
            }
        }
        let config = config.build().expect("one interface with checked addresses");
        let mut caps = default_caps(MacAddr::default());
        caps.medium = Medium::Ip;
        caps.mtu = mtu;
        let nic = MemNic::new(caps, FramePool::default());
        let engine = Engine::new(config, vec![nic], port).expect("one interface, one NIC");
        let mut machine = Self { engine, now: START, next: None, sent: VecDeque::new() };
        machine.settle();
        machine
    }

    /// Command: what is opened from now on has these settings.
    pub(super) fn follow(&mut self, sysctl: &Sysctl) {
        let port = self.engine.port_mut();
        (port.tx_limit, port.window) = (sysctl.tx_limit(), sysctl.rx_window());
        self.limit_ports(sysctl.local_ports(), sysctl.time_wait_reuse());
        let stack = self.engine.stack_mut();
        stack.set_tcp_config(sysctl.tcp());
        stack.set_syn_cookies(sysctl.syn_cookies());
        stack.set_challenges_per_second(sysctl.challenges());
    }

    /// Command: what the ports of sockets are chosen from, and after how long from those in TIME-WAIT. An empty range says nothing.
    pub(super) fn limit_ports(&mut self, ports: RangeInclusive<u16>, reuse: Option<Duration>) {
        let stack = self.engine.stack_mut();
        if let Ok(ports) = EphemeralPorts::new(ports) {
            stack.set_ephemeral_ports(ports);
        }
        stack.set_time_wait_reuse(reuse);
    }

    fn nic(&mut self) -> &mut MemNic {
        self.engine.nic_mut(IfIndex(1)).expect("interface 1 exists")
    }

    /// Lets everything happen that happens at this moment.
    pub(super) fn settle(&mut self) {
        for _ in 0..STEPS_MAX {
            let progress = self.engine.step(self.now);
            let at = self.now;
            let frames: Vec<MemFrame> = self.nic().outbound.drain(..).collect();
            let sent = !frames.is_empty();
            self.sent
                .extend(frames.iter().map(|frame| Datagram { at, bytes: frame.bytes().to_vec() }));
            self.next = progress.next.map(|(at, _)| at);
            if progress.work == 0 && !sent && self.next.is_none_or(|next| next > self.now) {
                return;
            }
        }
        panic!("the stack does not come to rest at {}", self.now);
    }

    pub(super) fn inject(&mut self, bytes: &[u8]) {
        self.nic().inject(bytes);
        self.settle();
    }

    pub(super) fn poll_completion(&mut self) -> Option<Completion> {
        self.engine.port_mut().poll_completion()
    }

    /// Getter: when the stack wants to be asked again.
    pub(super) const fn next(&self) -> Option<Instant> {
        self.next
    }

    /// Getter: a moment `span` from now.
    pub(super) fn after(&self, span: Duration) -> Instant {
        self.now + span
    }
}
