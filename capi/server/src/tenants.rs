//! Whose an application is, by the user that it runs as.

use std::io;
use std::sync::Arc;

use crate::config::TenantConfig;
use crate::port::TenantId;

/// The tenants of a daemon. Without any, everybody who reaches the control socket is served, as one tenant.
#[derive(Clone, Debug)]
pub struct Tenants(Arc<[TenantConfig]>);

impl Tenants {
    /// What the configuration says.
    pub fn new(tenants: &[TenantConfig]) -> Self {
        Self(tenants.into())
    }

    /// Getter: whose an application of user `uid` and group `gid` is; `groups` tells the others that it is in, and is asked if that
    /// matters. `None`: it is not served. A user who is named comes before the groups, these in the order of the file, and
    /// both before what is everybody's.
    ///
    /// # Errors
    /// Those of `groups`.
    pub fn find(
        &self,
        uid: u32,
        gid: u32,
        groups: impl FnOnce() -> io::Result<Vec<u32>>,
    ) -> io::Result<Option<TenantId>> {
        if self.0.is_empty() {
            return Ok(Some(TenantId::default()));
        }
        let id = |place: usize| TenantId(place as u16);
        if let Some(place) = self.0.iter().position(|tenant| tenant.users().contains(&uid)) {
            return Ok(Some(id(place)));
        }
        if self.0.iter().any(|tenant| !tenant.groups().is_empty()) {
            let mut groups = groups()?;
            groups.push(gid);
            let is_in = |tenant: &TenantConfig| tenant.groups().iter().any(|g| groups.contains(g));
            if let Some(place) = self.0.iter().position(is_in) {
                return Ok(Some(id(place)));
            }
        }
        Ok(self.0.iter().position(TenantConfig::everybody).map(id))
    }

    /// Getter: most channels of each.
    pub fn channels_max(&self) -> Vec<u32> {
        self.0.iter().map(TenantConfig::channels_max).collect()
    }

    /// Getter: each tenant, what it is called, and most channels of it.
    pub fn iter(&self) -> impl Iterator<Item = (TenantId, &str, u32)> {
        let ids = (0..).map(TenantId);
        ids.zip(self.0.iter()).map(|(id, tenant)| (id, tenant.name(), tenant.channels_max()))
    }

    /// Getter: what a tenant is called; `None` where there are none.
    pub fn name(&self, tenant: TenantId) -> Option<&str> {
        self.0.get(usize::from(tenant.0)).map(TenantConfig::name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    fn tenants(text: &str) -> Tenants {
        let text = format!(
            "[[interface]]\nname = \"a\"\nbackend = \"loopback\"\naddresses = [\"10.0.1.5/24\"]\n{text}"
        );
        Tenants::new(Config::parse("x", &text).unwrap().tenants())
    }

    fn find(tenants: &Tenants, uid: u32, gid: u32, groups: &[u32]) -> Option<u16> {
        tenants.find(uid, gid, || Ok(groups.to_vec())).unwrap().map(|tenant| tenant.0)
    }

    #[test]
    fn without_tenants_everybody_is_one() {
        let none = tenants("");
        let never = || -> io::Result<Vec<u32>> { panic!("nobody needs to know") };
        assert_eq!(none.find(5, 6, never).unwrap(), Some(TenantId(0)));
        assert_eq!(none.name(TenantId(0)), None);
    }

    #[test]
    fn users_come_before_groups_and_these_before_everybody() {
        let text = "[[tenant]]\nname = \"all\"\nusers = [\"*\"]\n\
             [[tenant]]\nname = \"g\"\ngroups = [\"70\"]\n\
             [[tenant]]\nname = \"h\"\ngroups = [\"71\"]\n\
             [[tenant]]\nname = \"u\"\nusers = [\"7\"]\n";
        let some = tenants(text);
        assert_eq!(find(&some, 7, 70, &[71]), Some(3));
        assert_eq!(find(&some, 8, 70, &[]), Some(1));
        assert_eq!(find(&some, 8, 9, &[71]), Some(2));
        assert_eq!(find(&some, 8, 9, &[71, 70]), Some(1));
        assert_eq!(find(&some, 8, 9, &[10]), Some(0));
        assert_eq!(some.name(TenantId(3)), Some("u"));
        let few = tenants("[[tenant]]\nname = \"u\"\nusers = [\"7\"]\n");
        assert_eq!(find(&few, 8, 7, &[7]), None);
        let groups = tenants("[[tenant]]\nname = \"g\"\ngroups = [\"70\"]\n");
        let fails = groups.find(1, 2, || Err(io::ErrorKind::Other.into()));
        assert!(fails.is_err());
    }
}
