//! What polled hosts do in a campaign: flows whose every byte is known, and what became of them.

mod caller;
mod ledger;
mod parcel;
mod request;
mod stream;

pub use ledger::{
    Excuse, Excuses, FlowState, Ledger, SharedLedger, Side, Violation, foreign_signature,
};

use std::net::SocketAddr;

use causeway_core::error::CommandError;
use causeway_core::time::{Duration, Instant};

use crate::polled::{Net, Program, Sock, State};
use crate::scenario::{FlowKind, FlowSpec};

/// Where the program of one end of a flow stands.
#[derive(Clone, Debug)]
pub(crate) struct Part {
    /// Which flow of the scenario.
    pub(crate) flow: usize,
    pub(crate) spec: FlowSpec,
    /// The address that is called.
    pub(crate) server: SocketAddr,
    pub(crate) ledger: SharedLedger,
}

/// Getter: the programs of the `index`-th flow of a run with `seed`: who begins, and who answers.
pub fn programs(
    index: usize,
    spec: &FlowSpec,
    seed: u64,
    ledger: &SharedLedger,
) -> [Box<dyn Program>; 2] {
    let part = || Part::new(index, spec, ledger);
    match spec.kind {
        FlowKind::Stream => [
            Box::new(stream::Stream::new(part(), Side::Client)),
            Box::new(stream::Stream::new(part(), Side::Server)),
        ],
        FlowKind::Request => {
            [Box::new(request::Asker::new(part())), Box::new(request::Answerer::new(part()))]
        }
        FlowKind::Message | FlowKind::Datagram => {
            [Box::new(parcel::Asker::new(part())), Box::new(parcel::Answerer::new(part()))]
        }
        FlowKind::Calls => [
            Box::new(caller::Caller::new(part(), Side::Client, seed)),
            Box::new(caller::Caller::new(part(), Side::Server, seed)),
        ],
    }
}

/// Between two attempts of a program to open a socket on a host that has no address yet.
const RETRY: Duration = Duration::from_millis(200);

/// The time at which to try again, where a host that has no address yet refused to open `sock`: the handle is gone then.
fn retry_at(net: &mut Net<'_>, sock: &mut Option<Sock>) -> Option<Instant> {
    let again = [CommandError::NoRoute, CommandError::AddressNotAvailable];
    let Some(State::Failed(error)) = net.state((*sock)?) else { return None };
    if !again.contains(&error) {
        return None;
    }
    let _ = net.close(sock.take()?);
    Some(net.now() + RETRY)
}

/// A socket that waits for peers goes with its daemon: the next one is asked for another.
fn wait_again(net: &mut Net<'_>, waiting: &mut Option<Sock>) {
    if let Some(sock) = *waiting
        && net.state(sock) == Some(State::HungUp)
    {
        let _ = net.close(sock);
        *waiting = None;
    }
}

impl Part {
    pub(crate) fn new(flow: usize, spec: &FlowSpec, ledger: &SharedLedger) -> Self {
        let server = spec.address(flow);
        Self { flow, spec: spec.clone(), server, ledger: SharedLedger::clone(ledger) }
    }
}
