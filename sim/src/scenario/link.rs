//! `[[link]]` and `[[switch]]`: what connects hosts.

use std::collections::{BTreeMap, BTreeSet};

use causeway_core::time::Duration;
use causeway_server::config::ConfigError;
use causeway_server::config::document::{Integer, Source};
use serde::Deserialize;
use toml::Spanned;

use super::host::HostSpec;
use super::queue::{RawCoDel, RawQueue, RawRed};
use super::router::RouterSpec;
use super::unique;
use crate::link::LinkConfig;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawSwitch {
    name: Spanned<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawLink {
    between: Spanned<Vec<Spanned<String>>>,
    rate_kbit_s: Option<Spanned<i128>>,
    delay_us: Option<Spanned<i128>>,
    queue: Option<Spanned<String>>,
    queue_frames: Option<Spanned<i128>>,
    red: Option<Spanned<RawRed>>,
    codel: Option<Spanned<RawCoDel>>,
}

/// A switch: it learns where everybody is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SwitchSpec {
    /// Its name.
    pub name: String,
}

/// One end of a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LinkEnd {
    /// A host's interface, by their positions.
    Host(usize, usize),
    /// A switch, by its position.
    Switch(usize),
    /// A router's interface, by their positions.
    Router(usize, usize),
}

impl LinkEnd {
    /// Getter: what frames can go between: a router passes packets on, so that all of its interfaces are one; a host does not.
    pub const fn whole(self) -> Self {
        match self {
            Self::Router(router, _) => Self::Router(router, 0),
            Self::Host(..) | Self::Switch(_) => self,
        }
    }
}

/// A link.
#[derive(Clone, Debug)]
pub struct LinkSpec {
    /// Its ends.
    pub ends: [LinkEnd; 2],
    /// The names of its directions: from the first end, and from the second.
    pub names: [String; 2],
    /// Their physics.
    pub physics: [LinkConfig; 2],
}

const RATE_KBIT_S: Integer = Integer {
    key: "link.rate_kbit_s",
    default: 1_000_000,
    range: 1..=1_000_000_000,
    unit: "kbit/s",
};
const DELAY_US: Integer =
    Integer { key: "link.delay_us", default: 50, range: 0..=60_000_000, unit: "microseconds" };

impl RawSwitch {
    pub(super) fn build(
        self,
        source: &Source<'_>,
        names: &mut BTreeSet<String>,
    ) -> Result<SwitchSpec, ConfigError> {
        Ok(SwitchSpec { name: unique(source, "switch.name", &self.name, names)? })
    }
}

/// What links can end at.
pub(super) struct Ends<'a> {
    hosts: &'a [HostSpec],
    switches: &'a [SwitchSpec],
    routers: &'a [RouterSpec],
    taken: BTreeSet<(bool, usize, usize)>,
}

impl<'a> Ends<'a> {
    pub(super) const fn new(
        hosts: &'a [HostSpec],
        switches: &'a [SwitchSpec],
        routers: &'a [RouterSpec],
    ) -> Self {
        Self { hosts, switches, routers, taken: BTreeSet::new() }
    }

    /// `a` (a host's or router's first free interface), `a.eth1`, or a switch; and its name in directions.
    fn find(&mut self, text: &str) -> Option<(LinkEnd, String)> {
        if let Some(at) = self.switches.iter().position(|switch| switch.name == text) {
            return Some((LinkEnd::Switch(at), text.to_owned()));
        }
        let (name, nic) = text.split_once('.').map_or((text, None), |(a, b)| (a, Some(b)));
        let host = self.hosts.iter().position(|host| host.name == name);
        let router = self.routers.iter().position(|router| router.name == name);
        let (node, interfaces) = match (host, router) {
            (Some(host), _) => (host, self.hosts[host].config.interfaces()),
            (None, Some(router)) => (router, self.routers[router].config.interfaces()),
            (None, None) => return None,
        };
        let is_router = host.is_none();
        let is_it = |at: usize| match nic {
            Some(nic) => interfaces[at].name() == nic,
            None => !self.taken.contains(&(is_router, node, at)),
        };
        let at = (0..interfaces.len()).find(|at| is_it(*at))?;
        let end = if is_router { LinkEnd::Router(node, at) } else { LinkEnd::Host(node, at) };
        self.taken.insert((is_router, node, at)).then(|| (end, text.to_owned()))
    }
}

pub(super) fn build_all(
    source: &Source<'_>,
    raw: Vec<RawLink>,
    mut ends: Ends<'_>,
) -> Result<Vec<LinkSpec>, ConfigError> {
    let mut used: BTreeMap<String, u32> = BTreeMap::new();
    let mut built = Vec::with_capacity(raw.len());
    for raw in raw {
        let mut link = raw.build(source, &mut ends)?;
        for name in &mut link.names {
            // Several links between the same two are numbered.
            let count = used.entry(name.clone()).or_default();
            *count += 1;
            if *count > 1 {
                *name = format!("{name}#{count}");
            }
        }
        built.push(link);
    }
    Ok(built)
}

impl RawLink {
    fn build(self, source: &Source<'_>, ends: &mut Ends<'_>) -> Result<LinkSpec, ConfigError> {
        const KEY: &str = "link.between";
        let [first, second] = self.between.get_ref().as_slice() else {
            let problem = format!("{} ends are listed", self.between.get_ref().len());
            return Err(source.error(KEY, self.between.span(), problem, "list two"));
        };
        let mut find = |text: &Spanned<String>| {
            ends.find(text.get_ref()).ok_or_else(|| {
                let problem =
                    format!("{:?} is neither a switch nor a free interface", text.get_ref());
                let advice =
                    "name a host or router, an interface of one like \"a.eth0\", or a switch";
                source.error(KEY, text.span(), problem, advice)
            })
        };
        let ((a, a_name), (b, b_name)) = (find(first)?, find(second)?);
        let rate_bps = RATE_KBIT_S.check_u64(source, self.rate_kbit_s.as_ref())? * 1_000;
        let delay = Duration::from_micros(DELAY_US.check_u64(source, self.delay_us.as_ref())?);
        let Self { queue, queue_frames, red, codel, .. } = self;
        let [host, other] = RawQueue { queue, queue_frames, red, codel }.build(source)?;
        let of = |end: LinkEnd| match end {
            LinkEnd::Host(..) => LinkConfig { rate_bps, delay, queue: host },
            LinkEnd::Switch(_) | LinkEnd::Router(..) => {
                LinkConfig { rate_bps, delay, queue: other }
            }
        };
        Ok(LinkSpec {
            names: [format!("{a_name}->{b_name}"), format!("{b_name}->{a_name}")],
            physics: [of(a), of(b)],
            ends: [a, b],
        })
    }
}
