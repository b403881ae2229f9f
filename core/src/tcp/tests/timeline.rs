use super::pair::{CLIENT, Pair, SERVER};
use crate::tcp::{Config, State};

#[test]
fn handshake_transfer_and_close_look_like_this() {
    let mut pair = Pair::established(Config::default());
    pair.write(CLIENT, &[7; 4_000]);
    pair.run_until(|p| p.ends[SERVER].io.committed == 4_000);
    pair.write(SERVER, b"thanks");
    pair.shutdown(CLIENT);
    pair.run_until(|p| p.ends[SERVER].state() == State::CloseWait);
    pair.close(SERVER);
    pair.run_until(|p| p.states() == [State::TimeWait, State::Closed]);
    pair.run_until(|p| p.states() == [State::Closed; 2]);
    insta::assert_snapshot!(pair.log.join("\n"));
}
