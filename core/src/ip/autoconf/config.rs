//! How IPv6 is configured on an interface.

/// Most solicitations of duplicate address detection.
pub const DAD_TRANSMITS_MAX: u8 = 10;

/// Where addresses and routes come from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Ipv6Mode {
    /// There is no IPv6 on the interface.
    #[default]
    Off,
    /// From the configuration only; what routers say is not listened to.
    Static,
    /// Also from routers (RFC 4861 §6.3, RFC 4862 §5.5).
    Auto,
}

/// What an interface needs to know for it.
#[derive(Clone, Copy, Debug)]
pub struct Ipv6Config {
    /// Where addresses and routes come from.
    pub mode: Ipv6Mode,
    /// How often an address is asked for before it is used (RFC 4862 §5.1 DupAddrDetectTransmits): at most
    /// [`DAD_TRANSMITS_MAX`]; 0: used at once.
    pub dad_transmits: u8,
    /// The key of interface identifiers (RFC 7217 §5): the same at every start, so that addresses stay, and nobody else's.
    pub secret: [u8; 16],
}
