//! What a run is of: hosts, links and what is done over them, as a TOML document. `docs/simulator.md` describes every key.
//!
//! Hosts are described as the daemon's own file describes one, and checked by the daemon's code.

mod anchor;
mod fault;
mod flow;
mod host;
mod ipc;
mod link;
mod nic;
mod oracle;
mod program;
mod queue;
mod router;
mod rules;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use causeway_server::config::ConfigError;
use causeway_server::config::document::Source;
use serde::Deserialize;
use toml::Spanned;

pub use fault::{FaultSettings, HostFaults, NicRates};
pub use flow::{FlowKind, FlowSpec};
pub use host::{HostSpec, PortKind, StackKind};
pub use ipc::IpcFaults;
pub use link::{LinkEnd, LinkSpec, SwitchSpec};
pub use oracle::OracleSpec;
pub use program::{ExpectedExit, ProgramKind, ProgramOutput, ProgramSpec};
pub use router::RouterSpec;
pub use rules::RunRules;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawScenario {
    directory: Option<Spanned<String>>,
    #[serde(default)]
    host: Vec<host::RawHost>,
    #[serde(default)]
    switch: Vec<link::RawSwitch>,
    #[serde(default)]
    router: Vec<router::RawRouter>,
    #[serde(default)]
    link: Vec<link::RawLink>,
    #[serde(default)]
    flow: Vec<flow::RawFlow>,
    #[serde(default)]
    program: Vec<program::RawProgram>,
    fault: Option<fault::RawFault>,
    oracle: Option<oracle::RawOracle>,
    #[serde(default)]
    run: rules::RawRun,
}

/// A checked document.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// Hosts, in order.
    pub hosts: Vec<HostSpec>,
    /// Switches, in order.
    pub switches: Vec<SwitchSpec>,
    /// Routers, in order.
    pub routers: Vec<RouterSpec>,
    /// Links, in order.
    pub links: Vec<LinkSpec>,
    /// What is done, in order.
    pub flows: Vec<FlowSpec>,
    /// Programs of their own, in order.
    pub programs: Vec<ProgramSpec>,
    /// What may go wrong, where no plan says it.
    pub faults: FaultSettings,
    /// It has a `[fault]`: decisions about frames and counts are drawn.
    pub draws: bool,
    /// What long transfers have to reach.
    pub oracle: Option<OracleSpec>,
    /// When the run ends.
    pub rules: RunRules,
}

impl Scenario {
    /// Checks a text; `file` is the name that errors give it. Relative paths begin in the present directory.
    ///
    /// # Errors
    /// The first fault in it, with its line and key.
    pub fn parse(file: &str, text: &str) -> Result<Self, ConfigError> {
        Self::parse_in(file, text, Path::new(""))
    }

    /// Checks a text whose relative paths begin in `place`, the directory of its file.
    ///
    /// # Errors
    /// The first fault in it, with its line and key.
    pub fn parse_in(file: &str, text: &str, place: &Path) -> Result<Self, ConfigError> {
        let source = Source { file, text, simulated: true };
        let raw: RawScenario = toml::from_str(text).map_err(|e| source.error_from_toml(&e))?;
        let directory = if raw.program.is_empty() {
            PathBuf::new()
        } else {
            anchor::resolve(&source, raw.directory.as_ref(), place)?
        };
        if raw.host.is_empty() {
            let advice = "add a [[host]] with a name and an interface";
            return Err(source.error_overall("host", "there is none", advice));
        }
        let mut names = BTreeSet::new();
        let hosts = raw.host.into_iter().map(|raw| raw.build(&source, &mut names));
        let hosts = hosts.collect::<Result<Vec<_>, _>>()?;
        let switches = raw.switch.into_iter().map(|raw| raw.build(&source, &mut names));
        let switches = switches.collect::<Result<Vec<_>, _>>()?;
        let routers = raw.router.into_iter().map(|raw| raw.build(&source, &mut names));
        let routers = routers.collect::<Result<Vec<_>, _>>()?;
        let ends = link::Ends::new(&hosts, &switches, &routers);
        let links = link::build_all(&source, raw.link, ends)?;
        if let Some(beyond) = raw.flow.get(flow::FLOWS_MAX) {
            let problem = format!("{} flows are too many", raw.flow.len());
            let advice = format!("give at most {}", flow::FLOWS_MAX);
            return Err(source.error("flow", beyond.span(), problem, advice));
        }
        let flows = raw.flow.into_iter().map(|raw| raw.build(&source, &hosts));
        let flows = flows.collect::<Result<Vec<_>, _>>()?;
        if flows.is_empty() {
            program::require_work(&source, &raw.program)?;
        }
        host::have_channels(&source, &hosts, &flows)?;
        let draws = raw.fault.is_some();
        let mut faults = raw.fault.unwrap_or_default().build(&source)?;
        faults.link.path.join_within = least_mtu(&hosts, &routers);
        let oracle = raw.oracle.map(|raw| raw.build(&source, &links)).transpose()?;
        let rules = raw.run.build(&source)?;
        let programs = program::build_all(&source, raw.program, (&hosts, &directory), rules.limit)?;
        Ok(Self { hosts, switches, routers, links, flows, programs, faults, draws, oracle, rules })
    }

    /// Getter: a text without faults that lies in `place`, changed so that it means the same wherever it lies: the directory where its
    /// paths begin is written in. One without programs has no paths, and stays as it is.
    pub fn anchored(text: &str, place: &Path) -> String {
        match toml::from_str::<RawScenario>(text) {
            Ok(raw) if !raw.program.is_empty() => {
                let given = raw.directory.as_ref();
                let directory = given.map_or_else(|| place.to_owned(), |d| place.join(d.get_ref()));
                // That of a file without a directory is the present one.
                let directory = Path::new(".").join(directory);
                let directory = std::path::absolute(&directory).unwrap_or(directory);
                let directory: PathBuf = directory.components().collect();
                anchor::anchored(text, given, &directory)
            }
            _ => text.to_owned(),
        }
    }
}

/// What every link carries.
fn least_mtu(hosts: &[HostSpec], routers: &[RouterSpec]) -> u16 {
    let nodes = hosts.iter().map(|host| &host.config).chain(routers.iter().map(|r| &r.config));
    nodes.flat_map(|node| node.interfaces()).map(|interface| interface.mtu()).min().unwrap_or(0)
}

/// A name that is used once in the document.
fn unique(
    source: &Source<'_>,
    key: &str,
    name: &Spanned<String>,
    names: &mut BTreeSet<String>,
) -> Result<String, ConfigError> {
    let text = name.get_ref();
    let good = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    if text.is_empty() || text.len() > 32 || !text.chars().all(good) || text.contains("->") {
        let problem = format!("{text:?} is not a name");
        let advice = "give 1 to 32 letters, digits, - and _";
        return Err(source.error(key, name.span(), problem, advice));
    }
    if !names.insert(text.clone()) {
        let problem = format!("{text:?} is the name of something else too");
        return Err(source.error(key, name.span(), problem, "give each its own"));
    }
    Ok(text.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    const EXAMPLE: &str = r#"
[[host]]
name = "a"
interface = [{ name = "eth0", addresses = ["10.0.0.1/24", "fd00::1/64"] }]
tcp = { sack = false }

[[host]]
name = "b"
[[host.interface]]
name = "eth0"
addresses = ["10.0.0.2/24", "fd00::2/64"]

[[link]]
between = ["a", "b"]
rate_kbit_s = 10000
delay_us = 2000
queue = "drop-tail"
queue_frames = 20

[[flow]]
kind = "stream"
from = "a"
to = "b"
bytes = 30000

[fault]
loss_ppm = 10000
"#;

    #[test]
    fn the_example_is_read_as_it_says() {
        let scenario = Scenario::parse("x.toml", EXAMPLE).expect("it is right");
        assert_eq!(scenario.hosts.len(), 2);
        assert_eq!(scenario.links[0].names, ["a->b", "b->a"]);
        assert_eq!(scenario.links[0].physics[0].rate_bps, 10_000_000);
        assert_eq!(scenario.flows[0].bytes, 30_000);
        assert_eq!(scenario.faults.link.base.loss_ppm(), 10_000);
    }

    #[test]
    fn flows_have_ports_and_no_more_than_there_are() {
        let flow = "[[flow]]\nkind = \"stream\"\nfrom = \"a\"\nto = \"b\"\n";
        let (head, tail) = EXAMPLE.split_once("[fault]").expect("it has faults");
        let of = |count: usize| format!("{head}{}[fault]{tail}", flow.repeat(count));
        let most = Scenario::parse("x.toml", &of(flow::FLOWS_MAX - 1)).expect("there is room");
        let ports = most.flows.iter().zip(0..).map(|(flow, index)| flow.address(index).port());
        let ports: BTreeSet<u16> = ports.collect();
        assert_eq!((ports.len(), ports.last()), (flow::FLOWS_MAX, Some(&29_999)));
        let error = Scenario::parse("x.toml", &of(flow::FLOWS_MAX)).expect_err("one too many");
        assert!(error.to_string().contains("20001 flows are too many"), "{error}");
    }

    #[test]
    fn a_flow_goes_to_the_interface_that_it_names() {
        let second =
            "[[host.interface]]\nname = \"eth1\"\naddresses = [\"10.1.0.2/24\"]\n\n[[link]]";
        let text = EXAMPLE.replacen("[[link]]", second, 1);
        let server = |text: &str| {
            Scenario::parse("x.toml", text)
                .map(|scenario| scenario.flows[0].server.ip().to_string())
        };
        assert_eq!(server(&text).as_deref(), Ok("10.0.0.2"));
        let other = text.replace("to = \"b\"", "to = \"b\"\ninterface = \"eth1\"");
        assert_eq!(server(&other).as_deref(), Ok("10.1.0.2"));
        let v6 = other.replace("bytes = 30000", "ipv6 = true");
        let error = server(&v6).expect_err("it has none").to_string();
        let expected = "x.toml:27: flow.to: \"b\" has no IPv6 address on \"eth1\"";
        assert!(error.starts_with(expected), "{error}");
    }

    #[test]
    fn what_is_wrong_is_told_with_its_line_and_key() {
        let cases = [
            ("name = \"b\"", "name = \"a\"", "x.toml:8: host.name: \"a\" is the name of something"),
            ("\"a\", \"b\"]", "\"a\", \"c\"]", "x.toml:14: link.between: \"c\" is neither"),
            ("rate_kbit_s = 10000", "rate_kbit_s = 0", "x.toml:15: link.rate_kbit_s: 0 is out"),
            ("\"drop-tail\"", "\"lossy\"", "x.toml:17: link.queue: \"lossy\" is none of"),
            ("kind = \"stream\"", "kind = \"song\"", "x.toml:21: flow.kind: \"song\" is none of"),
            (
                "kind = \"stream\"",
                "kind = \"request\"",
                "x.toml:21: flow.reply_bytes: a request needs an answer",
            ),
            (
                "kind = \"stream\"\nfrom = \"a\"\nto = \"b\"\nbytes = 30000",
                "kind = \"datagram\"\nfrom = \"a\"\nto = \"b\"\nbytes = 0",
                "x.toml:21: flow.bytes: a flow of empty messages is none",
            ),
            (
                "name = \"b\"\n",
                "name = \"b\"\nstack = \"texbook\"\n",
                "x.toml:9: host.stack: \"texbook\" is none of",
            ),
            (
                "name = \"b\"\n[[host.interface]]\nname = \"eth0\"\naddresses = [\"10.0.0.2/24\", ",
                "name = \"b\"\nstack = \"textbook\"\n[[host.interface]]\nname = \"eth0\"\naddresses = [",
                "x.toml:9: host.stack: a textbook host has one interface, over IPv4",
            ),
            (
                "name = \"b\"\n",
                "name = \"b\"\nport = \"cable\"\n",
                "x.toml:9: host.port: \"cable\" is none of",
            ),
            (
                "name = \"b\"\n",
                "name = \"b\"\nport = \"channel\"\nchannel = { channels_max = 0 }\n",
                "x.toml:10: channel.channels_max: 0 is out",
            ),
            (
                "name = \"b\"\n",
                "name = \"b\"\nport = \"channel\"\nstack = \"textbook\"\n",
                "x.toml:9: host.port: flows on a textbook host reach",
            ),
            ("to = \"b\"", "to = \"q\"", "x.toml:23: flow.to: there is no host \"q\""),
            (
                "to = \"b\"",
                "to = \"b\"\ninterface = \"eth1\"",
                "x.toml:24: flow.interface: \"b\" has no interface \"eth1\"",
            ),
            ("loss_ppm = 10000", "loss_ppm = -1", "x.toml:27: fault.loss_ppm: -1 is out of range"),
            ("loss_ppm = 10000", "loss = 1", "x.toml:27: fault.loss: unknown key"),
            (
                "[fault]\nloss_ppm = 10000",
                "[oracle]\nbottleneck = \"b->c\"",
                "x.toml:27: oracle.bottleneck: \"b->c\" is no direction of a link",
            ),
            ("sack = false", "sock = false", "x.toml:5: host.sock: unknown key"),
            ("10.0.0.1/24", "10.0.0.0/24", "x.toml:4: interface.addresses: 10.0.0.0 cannot be"),
        ];
        for (from, to, expected) in cases {
            let text = EXAMPLE.replacen(from, to, 1);
            assert_ne!(text, EXAMPLE, "{from}");
            let error = Scenario::parse("x.toml", &text).expect_err(to).to_string();
            assert!(error.starts_with(expected), "{error}");
        }
        assert!(Scenario::parse("x.toml", "").expect_err("empty").to_string().contains("host"));
    }
}
