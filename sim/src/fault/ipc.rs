//! What goes wrong between programs and the engine of a host with channels.

use super::dice::Dice;
use super::plan::Event;

/// The events of [`IpcDice`], in their order.
pub const IPC_EVENTS: [Event; 6] = [
    Event::LateBell,
    Event::LostBell,
    Event::NoChannel,
    Event::Dies,
    Event::Hangs,
    Event::Scribbles,
];

/// Ways in which an attach fails; the value of [`Event::NoChannel`] modulo their number says which.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AttachFault {
    /// The library is of another major version.
    Version,
    /// The first bytes are no hello.
    Malformed,
    /// The connection is cut within the hello.
    HelloCut,
    /// It is cut within the daemon's reply: the channel is there, and the program does not know it.
    ReplyCut,
    /// The descriptor of the memory is another's.
    StaleMemory,
}

impl AttachFault {
    const ALL: [Self; 5] =
        [Self::Version, Self::Malformed, Self::HelloCut, Self::ReplyCut, Self::StaleMemory];
    /// How many there are.
    pub const COUNT: u64 = Self::ALL.len() as u64;

    /// Getter: the fault of a value.
    pub const fn of(value: u64) -> Self {
        Self::ALL[(value % Self::COUNT) as usize]
    }
}

/// The dice of one host.
#[derive(Clone, Debug, Default)]
pub struct IpcDice([Dice; IPC_EVENTS.len()]);

impl IpcDice {
    /// Dice that `make` makes for each event.
    pub fn new(make: impl FnMut(Event) -> Dice) -> Self {
        Self(IPC_EVENTS.map(make))
    }

    /// Output: the next decision about `event`.
    pub fn roll(&mut self, event: Event) -> Option<u64> {
        let at = IPC_EVENTS.iter().position(|known| *known == event)?;
        self.0[at].roll()
    }

    /// Command: nothing goes wrong any more.
    pub fn heal(&mut self) {
        self.0.iter_mut().for_each(Dice::heal);
    }

    /// Getter: what was decided: events, each with numbers and values.
    pub fn decided(&self) -> impl Iterator<Item = (Event, &[(u64, u64)])> {
        IPC_EVENTS.into_iter().zip(self.0.iter().map(Dice::decided))
    }
}
