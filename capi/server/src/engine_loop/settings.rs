//! What of an engine can change while it runs.

use causeway_core::time::Duration;
use causeway_core::{machnet, tcp};

use super::{EngineLoop, Waiting};
use crate::config::Config;

/// Events that the stack keeps between two looks, when somebody wants them.
const EVENTS_MAX: u32 = 4096;

/// See the module.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// When it polls and when it sleeps.
    pub waiting: Waiting,
    /// Commands of one channel per step.
    pub commands_per_step: u32,
    /// Most sockets of one channel; who has more keeps them.
    pub sockets_per_channel_max: u32,
    /// Of the sockets that are opened from then on.
    pub tcp: tcp::Config,
    /// Of the flows that are opened from then on.
    pub machnet: machnet::Config,
    /// Events that the stack keeps: some if the log wants them.
    pub events_max: u32,
}

impl Settings {
    /// Those of a configuration, and of the log as it is set now.
    pub fn of(config: &Config) -> Self {
        let (daemon, channel) = (config.daemon(), config.channel());
        let spin = Duration::from_micros(daemon.spin_us().into());
        let wanted = tracing::enabled!(target: "causeway_server", tracing::Level::DEBUG);
        Self {
            waiting: Waiting { busy_poll: daemon.busy_poll(), spin },
            commands_per_step: channel.commands_per_step(),
            sockets_per_channel_max: channel.sockets_per_channel_max(),
            tcp: *config.tcp(),
            machnet: *config.machnet(),
            events_max: if wanted { EVENTS_MAX } else { 0 },
        }
    }
}

impl EngineLoop {
    /// Goes on with other settings.
    pub(super) fn apply(&mut self, settings: &Settings) {
        self.waiting = settings.waiting;
        self.engine.port_mut().set_commands_per_step(settings.commands_per_step);
        let stack = self.engine.stack_mut();
        stack.set_sockets_per_channel_max(settings.sockets_per_channel_max);
        stack.set_tcp_config(settings.tcp);
        stack.set_machnet_config(settings.machnet);
        stack.set_events_max(settings.events_max);
    }
}
