//! `[[tenant]]`: who is served, and how much of it.

use std::ops::Range;

use nix::unistd::{Group, User};
use serde::Deserialize;
use toml::Spanned;

use super::check::Integer;
use super::error::{ConfigError, Source};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawTenant {
    name: Spanned<String>,
    #[serde(default)]
    users: Vec<Spanned<String>>,
    #[serde(default)]
    groups: Vec<Spanned<String>>,
    channels_max: Option<Spanned<i128>>,
}

/// Users who share what one tenant may have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TenantConfig {
    name: String,
    users: Vec<u32>,
    groups: Vec<u32>,
    everybody: bool,
    channels_max: u32,
}

impl TenantConfig {
    /// Getter: its name, for logs and figures.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Getter: the uids that belong to it.
    pub fn users(&self) -> &[u32] {
        &self.users
    }

    /// Getter: the gids whose members belong to it.
    pub fn groups(&self) -> &[u32] {
        &self.groups
    }

    /// Getter: whoever belongs to no other tenant belongs to it.
    pub fn everybody(&self) -> bool {
        self.everybody
    }

    /// Getter: most channels of all its users together.
    pub fn channels_max(&self) -> u32 {
        self.channels_max
    }
}

/// More would make finding the tenant of an application slow, and are rather users of one.
const TENANTS_MAX: usize = 256;
const NAMES_MAX: usize = 1024;
/// What stands for whoever is in no other tenant.
const EVERYBODY: &str = "*";

/// All tenants. `channels_max` is what the daemon has for all of them.
pub(super) fn build_all(
    source: &Source<'_>,
    raw: Vec<RawTenant>,
    channels_max: u32,
) -> Result<Vec<TenantConfig>, ConfigError> {
    let mut built: Vec<TenantConfig> = Vec::new();
    for raw in raw {
        let span = raw.name.span();
        if built.len() == TENANTS_MAX {
            let advice = format!("configure at most {TENANTS_MAX}");
            return Err(source.error("tenant.name", span, "too many tenants", advice));
        }
        let tenant = raw.build(source, channels_max)?;
        check_others(source, span, &tenant, &built)?;
        built.push(tenant);
    }
    Ok(built)
}

/// Nobody is in two tenants, as far as the file can tell: of groups, members may be.
fn check_others(
    source: &Source<'_>,
    span: Range<usize>,
    tenant: &TenantConfig,
    others: &[TenantConfig],
) -> Result<(), ConfigError> {
    for other in others {
        let (name, other_name) = (&tenant.name, &other.name);
        if name == other_name {
            let problem = format!("two tenants are called {name:?}");
            return Err(source.error("tenant.name", span, problem, "give each another name"));
        }
        let problem = if tenant.everybody && other.everybody {
            format!("{other_name:?} is everybody's already")
        } else if let Some(uid) = tenant.users.iter().find(|uid| other.users.contains(uid)) {
            format!("user {uid} belongs to {other_name:?} already")
        } else if let Some(gid) = tenant.groups.iter().find(|gid| other.groups.contains(gid)) {
            format!("group {gid} belongs to {other_name:?} already")
        } else {
            continue;
        };
        return Err(source.error("tenant.users", span, problem, "name each in one tenant only"));
    }
    Ok(())
}

impl RawTenant {
    fn build(self, source: &Source<'_>, channels_max: u32) -> Result<TenantConfig, ConfigError> {
        let name = self.name.get_ref();
        let fits = |c: char| c.is_ascii_alphanumeric() || "_.-".contains(c);
        if name.is_empty() || name.len() > 32 || !name.chars().all(fits) {
            let problem = format!("{name:?} is no name of a tenant");
            let advice = "give 1 to 32 of the characters a-z A-Z 0-9 _ . -";
            return Err(source.error("tenant.name", self.name.span(), problem, advice));
        }
        if self.users.is_empty() && self.groups.is_empty() {
            let problem = format!("{name:?} has neither users nor groups");
            let advice = "name some in tenant.users, or everybody by \"*\"";
            return Err(source.error("tenant.users", self.name.span(), problem, advice));
        }
        let everybody = self.users.iter().any(|user| user.get_ref() == EVERYBODY);
        let named = self.users.iter().filter(|user| user.get_ref() != EVERYBODY);
        let user = |name: &str| Some(User::from_name(name).ok()??.uid.as_raw());
        let users = ids(source, "tenant.users", "user", named, user)?;
        let group = |name: &str| Some(Group::from_name(name).ok()??.gid.as_raw());
        let groups = ids(source, "tenant.groups", "group", self.groups.iter(), group)?;
        let bound = Integer {
            key: "tenant.channels_max",
            default: channels_max.into(),
            range: 0..=channels_max.into(),
            unit: "channels, which is channel.channels_max",
        };
        let channels_max = bound.check_u32(source, self.channels_max.as_ref())?;
        Ok(TenantConfig { name: name.clone(), users, groups, everybody, channels_max })
    }
}

/// The numbers of users or groups, each given as such or by a name that `find` knows.
fn ids<'a>(
    source: &Source<'_>,
    key: &str,
    kind: &str,
    given: impl Iterator<Item = &'a Spanned<String>>,
    find: impl Fn(&str) -> Option<u32>,
) -> Result<Vec<u32>, ConfigError> {
    let mut ids = Vec::new();
    for value in given {
        let text = value.get_ref().as_str();
        let fault =
            |problem: String, advice: String| Err(source.error(key, value.span(), problem, advice));
        if ids.len() == NAMES_MAX {
            return fault(format!("too many {kind}s"), format!("name at most {NAMES_MAX}"));
        }
        // (uid_t)-1 is nobody's (chown(2)).
        let number = text.parse().ok().filter(|id| *id != u32::MAX);
        match number.or_else(|| (!text.contains('\0')).then(|| find(text)).flatten()) {
            Some(id) => ids.push(id),
            None => {
                let advice = format!("give the name of a {kind} of this machine, or its number");
                return fault(format!("there is no {kind} {text:?}"), advice);
            }
        }
    }
    Ok(ids)
}

#[cfg(test)]
mod tests {
    use crate::config::Config;

    const INTERFACE: &str =
        "[[interface]]\nname = \"a\"\nbackend = \"loopback\"\naddresses = [\"10.0.1.5/24\"]\n";

    fn parse(tenants: &str) -> Result<Config, String> {
        let text = format!("{INTERFACE}{tenants}");
        Config::parse("x.toml", &text).map_err(|error| error.to_string())
    }

    #[test]
    fn users_and_groups_are_named_or_numbered() {
        let config = parse(
            "[[tenant]]\nname = \"web\"\nusers = [\"root\", \"4711\"]\ngroups = [\"root\"]\nchannels_max = 3\n\
             [[tenant]]\nname = \"rest\"\nusers = [\"*\"]\n",
        );
        let config = config.unwrap();
        let [web, rest] = config.tenants() else { panic!("{config:?}") };
        assert_eq!((web.name(), web.users(), web.groups()), ("web", &[0, 4711][..], &[0][..]));
        assert_eq!((web.channels_max(), web.everybody()), (3, false));
        assert_eq!((rest.users(), rest.everybody()), (&[][..], true));
        assert_eq!(rest.channels_max(), config.channel().channels_max());
        assert!(parse("").unwrap().tenants().is_empty());
    }

    #[test]
    fn what_is_wrong_is_said_with_its_place() {
        let web = "[[tenant]]\nname = \"web\"\nusers = [\"root\"]\n";
        let cases = [
            (
                "[[tenant]]\nname = \"web\"\n".to_owned(),
                "x.toml:6: tenant.users: \"web\" has neither users nor groups; name some in tenant.users, or everybody by \"*\"",
            ),
            (
                "[[tenant]]\nname = \"a b\"\nusers = [\"*\"]\n".to_owned(),
                "x.toml:6: tenant.name: \"a b\" is no name of a tenant; give 1 to 32 of the characters a-z A-Z 0-9 _ . -",
            ),
            (
                "[[tenant]]\nname = \"web\"\nusers = [\"no such user\"]\n".to_owned(),
                "x.toml:7: tenant.users: there is no user \"no such user\"; give the name of a user of this machine, or its number",
            ),
            (
                "[[tenant]]\nname = \"web\"\ngroups = [\"4294967295\"]\n".to_owned(),
                "x.toml:7: tenant.groups: there is no group \"4294967295\"; give the name of a group of this machine, or its number",
            ),
            (
                format!("{web}channels_max = 257\n"),
                "x.toml:8: tenant.channels_max: 257 is out of range; give 0 to 256 channels, which is channel.channels_max",
            ),
            (
                format!("{web}{web}"),
                "x.toml:9: tenant.name: two tenants are called \"web\"; give each another name",
            ),
            (
                format!("{web}[[tenant]]\nname = \"b\"\nusers = [\"0\"]\n"),
                "x.toml:9: tenant.users: user 0 belongs to \"web\" already; name each in one tenant only",
            ),
        ];
        for (text, words) in cases {
            assert_eq!(parse(&text).unwrap_err(), words);
        }
    }
}
