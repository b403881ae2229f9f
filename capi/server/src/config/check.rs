//! The checks that several sections share.

use std::net::IpAddr;
use std::ops::{Range, RangeInclusive};

use causeway_backends::device::{DEVICE_NAME_RULE, is_device_name};
use toml::Spanned;

use super::error::{ConfigError, Source};

/// An address and the length of its network prefix, as in `10.0.1.5/24`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Prefixed {
    /// The address; host bits may be set.
    pub address: IpAddr,
    /// Leading bits that name the network: 0 to 32 (IPv4) or 128 (IPv6).
    pub prefix_len: u8,
}

/// One integer setting of a document: its name, default, range and unit.
pub struct Integer {
    /// The name, with its table.
    pub key: &'static str,
    /// What holds where the document says nothing.
    pub default: i64,
    /// What is allowed.
    pub range: RangeInclusive<i64>,
    /// In what it counts; may be empty.
    pub unit: &'static str,
}

impl Integer {
    /// A setting of `low` to `high`.
    pub const fn new(
        key: &'static str,
        default: i64,
        low: i64,
        high: i64,
        unit: &'static str,
    ) -> Self {
        Self { key, default, range: low..=high, unit }
    }

    /// The value of the setting, in the type that its range fits.
    ///
    /// # Errors
    /// The value is out of range.
    pub fn check(
        &self,
        source: &Source<'_>,
        value: Option<&Spanned<i128>>,
    ) -> Result<i64, ConfigError> {
        let Some(value) = value else { return Ok(self.default) };
        // Read as more than any setting takes, so that a number that is far too large gets the range as well.
        let number = i64::try_from(*value.get_ref()).ok();
        if let Some(number) = number.filter(|number| self.range.contains(number)) {
            return Ok(number);
        }
        let (low, high) = (self.range.start(), self.range.end());
        let unit = if self.unit.is_empty() { String::new() } else { format!(" {}", self.unit) };
        Err(source.error(
            self.key,
            value.span(),
            format!("{} is out of range", value.get_ref()),
            format!("give {low} to {high}{unit}"),
        ))
    }

    /// As [`Integer::check`], for a range that fits the type.
    ///
    /// # Errors
    /// The value is out of range.
    pub fn check_u8(
        &self,
        source: &Source<'_>,
        value: Option<&Spanned<i128>>,
    ) -> Result<u8, ConfigError> {
        Ok(u8::try_from(self.check(source, value)?).expect("the range of a u8 setting fits it"))
    }

    /// As [`Integer::check`], for a range that fits the type.
    ///
    /// # Errors
    /// The value is out of range.
    pub fn check_u16(
        &self,
        source: &Source<'_>,
        value: Option<&Spanned<i128>>,
    ) -> Result<u16, ConfigError> {
        Ok(u16::try_from(self.check(source, value)?).expect("the range of a u16 setting fits it"))
    }

    /// As [`Integer::check`], for a range that fits the type.
    ///
    /// # Errors
    /// The value is out of range.
    pub fn check_u32(
        &self,
        source: &Source<'_>,
        value: Option<&Spanned<i128>>,
    ) -> Result<u32, ConfigError> {
        Ok(u32::try_from(self.check(source, value)?).expect("the range of a u32 setting fits it"))
    }

    /// As [`Integer::check`], for a range that fits the type.
    ///
    /// # Errors
    /// The value is out of range.
    pub fn check_u64(
        &self,
        source: &Source<'_>,
        value: Option<&Spanned<i128>>,
    ) -> Result<u64, ConfigError> {
        Ok(u64::try_from(self.check(source, value)?).expect("the range of a u64 setting fits it"))
    }
}

/// One of a few words.
///
/// # Errors
/// It is none of them.
pub fn word<T: Copy>(
    source: &Source<'_>,
    key: &str,
    value: Option<&Spanned<String>>,
    default: T,
    words: &[(&str, T)],
) -> Result<T, ConfigError> {
    let Some(value) = value else { return Ok(default) };
    if let Some((_, meaning)) = words.iter().find(|(word, _)| word == value.get_ref()) {
        return Ok(*meaning);
    }
    let known: Vec<String> = words.iter().map(|(word, _)| format!("{word:?}")).collect();
    Err(source.error(
        key,
        value.span(),
        format!("{:?} is none of the choices", value.get_ref()),
        format!("give {}", known.join(" or ")),
    ))
}

/// `ADDRESS/BITS`.
pub(super) fn prefixed(
    source: &Source<'_>,
    key: &str,
    value: &Spanned<String>,
) -> Result<Prefixed, ConfigError> {
    let parsed = value.get_ref().split_once('/').and_then(|(address, bits)| {
        let address: IpAddr = address.parse().ok()?;
        let prefix_len: u8 = bits.parse().ok()?;
        let most = if address.is_ipv4() { 32 } else { 128 };
        (prefix_len <= most).then_some(Prefixed { address, prefix_len })
    });
    let parsed = parsed.ok_or_else(|| {
        source.error(
            key,
            value.span(),
            format!("{:?} is not an address with a prefix length", value.get_ref()),
            "write it like \"10.0.1.5/24\"",
        )
    })?;
    refuse_mapped(source, key, value, parsed.address)?;
    Ok(parsed)
}

/// One IP address.
pub(super) fn address(
    source: &Source<'_>,
    key: &str,
    value: &Spanned<String>,
) -> Result<IpAddr, ConfigError> {
    let parsed = value.get_ref().parse().map_err(|_| {
        source.error(
            key,
            value.span(),
            format!("{:?} is not an IP address", value.get_ref()),
            "write it like \"10.0.1.1\"",
        )
    })?;
    refuse_mapped(source, key, value, parsed)?;
    Ok(parsed)
}

/// An IPv4 address in IPv6's clothes (`::ffff:10.0.0.1`) never goes onto a link (RFC 4942 §2.2).
fn refuse_mapped(
    source: &Source<'_>,
    key: &str,
    value: &Spanned<String>,
    address: IpAddr,
) -> Result<(), ConfigError> {
    let IpAddr::V6(v6) = address else { return Ok(()) };
    let Some(v4) = v6.to_ipv4_mapped() else { return Ok(()) };
    let problem = format!("{address} is an IPv4 address");
    Err(source.error(key, value.span(), problem, format!("write it as {v4}")))
}

/// Where to complain about several settings together: the first of them that the file has, with its key.
pub(super) fn first_given(
    settings: &[(&Integer, &Option<Spanned<i128>>)],
) -> Option<(&'static str, Range<usize>)> {
    let given = |(setting, value): &(&Integer, &Option<Spanned<i128>>)| {
        value.as_ref().map(|value| (setting.key, value.span()))
    };
    settings.iter().find_map(given)
}

/// A name for an interface or a device: the rule of those who make the device.
pub(super) fn device_name(
    source: &Source<'_>,
    key: &str,
    name: &str,
    span: Range<usize>,
) -> Result<(), ConfigError> {
    if is_device_name(name) {
        return Ok(());
    }
    Err(source.error(
        key,
        span,
        format!("{name:?} is not a name for an interface"),
        format!("give {DEVICE_NAME_RULE}"),
    ))
}
