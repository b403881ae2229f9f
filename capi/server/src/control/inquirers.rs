//! Connections that ask instead of attaching.

use std::borrow::Cow;
use std::sync::mpsc::TrySendError;

use causeway_core::time::{Duration, Instant};
use rustix::net::SendFlags;

use super::server::{Connection, ControlServer, State};
use crate::introspect::{Answer, Ask, Question, Viewer};
use crate::links::Order;

/// Most of them at a time.
pub(super) const INQUIRERS_MAX: usize = 16;
/// How long one may think about its next question.
const IDLE: Duration = Duration::from_secs(10);

/// Where a connection that asks is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Inquirer {
    /// Its name for the engine.
    pub(super) token: u64,
    /// The engine has its question.
    pub(super) asked: bool,
    /// When it is hung up on, unless it waits for an answer.
    pub(super) until: Instant,
}

impl ControlServer {
    /// The first question of a connection.
    pub(super) fn admit(&mut self, now: Instant, place: usize, question: &[u8]) -> State {
        let inquirer = |c: &&Connection| matches!(c.state, State::Asking(_));
        let connection = &self.connections[place];
        let refusal = if !connection.served {
            "it does not serve this user"
        } else if self.connections.iter().filter(inquirer).count() >= INQUIRERS_MAX {
            "too many ask at the same time; try again"
        } else {
            self.inquirers += 1;
            let inquirer = Inquirer { token: self.inquirers, asked: false, until: now + IDLE };
            return self.inquire(place, inquirer, question);
        };
        self.reply(place, &Answer::Refused(Cow::Borrowed(refusal)));
        State::Over
    }

    /// Another question of a connection, or its first one: to the engine with it.
    pub(super) fn inquire(&self, place: usize, inquirer: Inquirer, question: &[u8]) -> State {
        if inquirer.asked {
            // It does not wait for the answer.
            return State::Over;
        }
        let question = match Question::decode(question) {
            Ok(question) => question,
            Err(fault) => {
                self.reply(place, &Answer::Refused(Cow::Owned(fault.to_string())));
                return State::Over;
            }
        };
        // There is one engine; with more of them each would be asked.
        let Some(engine) = self.engines.first() else { return State::Over };
        let viewer = Viewer::of(self.connections[place].peer.uid);
        let way = self.answers_way.clone();
        let ask = Ask { question, viewer, token: inquirer.token, way };
        match engine.orders.try_send(Order::Ask(Box::new(ask))) {
            Ok(()) => {
                engine.wake.wake();
                State::Asking(Inquirer { asked: true, ..inquirer })
            }
            Err(TrySendError::Full(_)) => {
                self.reply(place, &Answer::Refused(Cow::Borrowed("it is busy; try again")));
                State::Over
            }
            Err(TrySendError::Disconnected(_)) => State::Over,
        }
    }

    /// What the engine has answered goes to who asked, if it is there.
    pub(super) fn pass_answers_on(&mut self, now: Instant) {
        while let Ok((token, answer)) = self.answers.try_recv() {
            let is_asker = |c: &Connection| matches!(c.state, State::Asking(i) if i.token == token);
            let Some(place) = self.connections.iter().position(is_asker) else { continue };
            let state = match self.reply(place, &answer) {
                true => State::Asking(Inquirer { token, asked: false, until: now + IDLE }),
                false => State::Over,
            };
            self.connections[place].state = state;
        }
    }

    /// False when it does not take the packet.
    fn reply(&self, place: usize, answer: &Answer) -> bool {
        let flags = SendFlags::NOSIGNAL | SendFlags::DONTWAIT;
        rustix::net::send(&self.connections[place].fd, &answer.encode(), flags).is_ok()
    }
}
