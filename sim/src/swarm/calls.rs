//! Programs that call anything, in some of the drawn cases.

use std::fmt::Write as _;

use super::draw::Draw;

/// Of so many cases in a hundred.
const PERCENT: u64 = 15;
/// Of those, so many have hosts with a handful of ports: connections to one peer use them up.
const NARROW_PERCENT: u64 = 20;
/// Longest message.
const MESSAGE_MAX: u64 = 4_000;
/// Packets of Machnet are cut at that, whatever the path carries: its rules see whole ones only.
const MACHNET_MTU: u64 = 1_500;

/// Flows of calls of a case, and what its hosts have for them.
pub(super) struct Calls {
    draw: Draw,
    flows: u64,
    /// The ephemeral ports of each host.
    ports: Option<u64>,
}

impl Calls {
    pub(super) fn new(seed: u64) -> Self {
        let mut draw = Draw::new(seed, 50);
        let flows = if draw.chance(PERCENT) { draw.between(1, 2) } else { 0 };
        let narrow = draw.chance(NARROW_PERCENT) && flows > 0;
        let ports = narrow.then(|| draw.magnitude(1, 16));
        Self { draw, flows, ports }
    }

    /// Getter: hosts may have no port for whoever needs one of its own. Connections of other flows have one each to their peer.
    pub(super) const fn are_narrow(&self) -> bool {
        self.ports.is_some()
    }

    /// Output: the settings of a host.
    pub(super) fn host(&self) -> String {
        self.ports.map_or_else(String::new, |ports| format!(", ports_max = {ports}"))
    }

    /// Command: writes the flows, between hosts of the house. `mtu` is the least on the way.
    pub(super) fn write(mut self, text: &mut String, names: &[&str], foreign: bool, mtu: u64) {
        let ours = names.len() - usize::from(foreign);
        let draw = &mut self.draw;
        for _ in 0..self.flows {
            let from = draw.stream.below(ours as u64) as usize;
            // Now and then, or where there is one host only, over the loopback.
            let hop =
                if ours == 1 || draw.chance(10) { 0 } else { draw.between(1, ours as u64 - 1) };
            let to = (from + hop as usize) % ours;
            let (bytes, count) = (draw.magnitude(1, 100_000), draw.magnitude(4, 400));
            let message = draw.magnitude(1, MESSAGE_MAX);
            // Where ports come again at once, another flow's SYN is to the rules of Machnet the same one again.
            let message = if mtu < MACHNET_MTU || self.ports.is_some() { 0 } else { message };
            let _ = write!(
                text,
                "  {{ kind = \"calls\", from = \"{}\", to = \"{}\", bytes = {bytes}, \
                 reply_bytes = {message}, count = {count}",
                names[from], names[to]
            );
            let start = draw.between(2, 500);
            let _ = match draw.chance(30) {
                true => writeln!(text, ", ipv6 = true, start_ms = {} }},", start + 3_000),
                false => writeln!(text, ", start_ms = {start} }},"),
            };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::{FlowKind, FlowSpec, Scenario};
    use crate::swarm::draw;

    #[test]
    fn some_cases_have_programs_that_call_anything_and_some_of_these_few_ports() {
        let (mut with_calls, mut narrow) = (0, 0);
        for seed in 0..400 {
            let scenario = Scenario::parse("case", &draw(seed).scenario).expect("it is right");
            let calls = |flow: &FlowSpec| flow.kind == FlowKind::Calls;
            let has_calls = scenario.flows.iter().any(calls);
            let few = scenario.hosts.iter().any(|host| host.ports().range().len() <= 16);
            assert!(has_calls || !few, "seed {seed}");
            with_calls += usize::from(has_calls);
            narrow += usize::from(few);
        }
        assert!((30..100).contains(&with_calls), "{with_calls}");
        assert!((3..30).contains(&narrow), "{narrow}");
    }

    #[test]
    fn a_host_with_another_stack_has_none_and_narrow_paths_have_no_messages() {
        let (mut text, mut narrow) = (String::new(), String::new());
        for seed in 0..100 {
            Calls::new(seed).write(&mut text, &["a", "b"], true, 1_500);
            Calls::new(seed).write(&mut narrow, &["a", "b"], false, 1_499);
        }
        assert!(text.contains("calls") && !text.contains("\"b\""), "{text}");
        assert!(text.contains("reply_bytes = 0,") && text.contains("reply_bytes = 1"), "{text}");
        assert_eq!(narrow.matches("calls").count(), narrow.matches("reply_bytes = 0,").count());
    }
}
