//! `host.nic`: what the NICs of a host are like.

use causeway_core::nic::{MacAddr, SUPER_FRAME_MAX};
use causeway_server::config::ConfigError;
use causeway_server::config::document::{Integer, Source};
use serde::Deserialize;
use toml::Spanned;

use super::host::StackKind;
use crate::nic::{NicConfig, Offloads};

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawNic {
    rx_ring: Option<Spanned<i128>>,
    tx_ring: Option<Spanned<i128>>,
    burst: Option<Spanned<i128>>,
    frames: Option<Spanned<i128>>,
    tx_checksum: Option<Spanned<bool>>,
    rx_checksum: Option<Spanned<bool>>,
    tso_bytes_max: Option<Spanned<i128>>,
    tx_segments: Option<Spanned<i128>>,
    lro: Option<Spanned<bool>>,
    vlan: Option<Spanned<bool>>,
    rx_buffer: Option<Spanned<i128>>,
}

const RX_RING: Integer = Integer::new("host.nic.rx_ring", 1_024, 1, 65_536, "frames");
const TX_RING: Integer = Integer::new("host.nic.tx_ring", 1_024, 1, 65_536, "frames");
const BURST: Integer = Integer::new("host.nic.burst", 32, 1, 64, "frames");
const FRAMES: Integer = Integer::new("host.nic.frames", 16_384, 16, 1 << 20, "frames");
const SUPER_MAX: i64 = SUPER_FRAME_MAX as i64;
const TSO_BYTES_MAX: Integer = Integer::new("host.nic.tso_bytes_max", 0, 0, SUPER_MAX, "bytes");
const TX_SEGMENTS: Integer = Integer::new("host.nic.tx_segments", 1, 1, 20, "segments");
const RX_BUFFER: Integer = Integer::new("host.nic.rx_buffer", SUPER_MAX, 128, SUPER_MAX, "bytes");

/// Whether a key that is a switch is on, and where it stands.
type Switch = Option<Spanned<bool>>;

fn is_on(switch: &Switch) -> bool {
    switch.as_ref().is_some_and(|on| *on.get_ref())
}

impl RawNic {
    /// One without an address, for a host that runs `stack`.
    pub(super) fn build(
        &self,
        source: &Source<'_>,
        stack: StackKind,
    ) -> Result<NicConfig, ConfigError> {
        let number = |setting: &Integer, value: &Option<Spanned<i128>>| {
            setting.check_u32(source, value.as_ref()).map(|n| n as usize)
        };
        let offloads = Offloads {
            tx_checksum: is_on(&self.tx_checksum),
            rx_checksum: is_on(&self.rx_checksum),
            tso_bytes_max: TSO_BYTES_MAX.check_u32(source, self.tso_bytes_max.as_ref())?,
            tx_segments: TX_SEGMENTS.check_u16(source, self.tx_segments.as_ref())? as u8,
            lro: is_on(&self.lro),
            vlan: is_on(&self.vlan),
            rx_buffer: number(&RX_BUFFER, &self.rx_buffer)?,
        };
        self.check(source, &offloads, stack)?;
        Ok(NicConfig {
            rx_ring: number(&RX_RING, &self.rx_ring)?,
            tx_ring: number(&TX_RING, &self.tx_ring)?,
            burst: BURST.check_u16(source, self.burst.as_ref())?,
            frames_max: number(&FRAMES, &self.frames)?,
            offloads,
            ..NicConfig::new(MacAddr::default())
        })
    }

    /// What a NIC does needs something else that it does, and a stack that knows of it.
    fn check(
        &self,
        source: &Source<'_>,
        offloads: &Offloads,
        stack: StackKind,
    ) -> Result<(), ConfigError> {
        if let Some(given) = &self.tso_bytes_max
            && offloads.tso_bytes_max > 0
            && !offloads.tx_checksum
        {
            let problem = "who cuts segments completes their checksums".to_owned();
            let advice = "add tx_checksum = true";
            return Err(source.error("host.nic.tso_bytes_max", given.span(), problem, advice));
        }
        if let Some(given) = self.lro.as_ref().filter(|on| *on.get_ref() && !offloads.rx_checksum) {
            let problem = "who joins segments knows that their checksums are right".to_owned();
            return Err(source.error(
                "host.nic.lro",
                given.span(),
                problem,
                "add rx_checksum = true",
            ));
        }
        let switches = [
            ("host.nic.tx_checksum", &self.tx_checksum),
            ("host.nic.rx_checksum", &self.rx_checksum),
            ("host.nic.vlan", &self.vlan),
        ];
        let numbers =
            [("host.nic.tx_segments", &self.tx_segments), ("host.nic.rx_buffer", &self.rx_buffer)];
        let on = switches.into_iter().filter(|(_, switch)| is_on(switch));
        let on = on.filter_map(|(key, switch)| Some((key, switch.as_ref()?.span())));
        let given = numbers.into_iter().filter_map(|(key, n)| Some((key, n.as_ref()?.span())));
        match on.chain(given).next().filter(|_| stack != StackKind::Causeway) {
            Some((key, span)) => {
                let problem = "only Causeway knows of what NICs do".to_owned();
                Err(source.error(key, span, problem, "remove it, or give the host another stack"))
            }
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::scenario::Scenario;

    /// Host b has the NIC that is asked for, on the third line.
    fn text(nic: &str) -> String {
        format!(
            "host = [\n\
             {{ name = \"a\", interface = [{{ name = \"eth0\", addresses = [\"10.0.0.1/24\"] }}] }},\n\
             {{ name = \"b\", interface = [{{ name = \"eth0\", addresses = [\"10.0.0.2/24\"] }}], nic = {{ {nic} }} }},\n\
             ]\nlink = [{{ between = [\"a\", \"b\"] }}]\n\
             flow = [{{ kind = \"stream\", from = \"a\", to = \"b\" }}]\n"
        )
    }

    fn error(text: &str) -> String {
        Scenario::parse("x.toml", text).expect_err(text).to_string()
    }

    #[test]
    fn what_no_nic_is_like_is_told_with_its_line_and_key() {
        let able = "tx_checksum = true, rx_checksum = true";
        for (nic, expected) in [
            ("rx_ring = 0", "rx_ring: 0 is out of range"),
            ("rx_ring = 65537", "rx_ring: 65537 is out of range"),
            ("tx_ring = 0", "tx_ring: 0 is out of range"),
            ("tx_ring = 70000", "tx_ring: 70000 is out of range"),
            ("burst = 0", "burst: 0 is out of range"),
            ("burst = 65", "burst: 65 is out of range"),
            ("frames = 15", "frames: 15 is out of range"),
            ("frames = 1048577", "frames: 1048577 is out of range"),
            ("tx_segments = 0", "tx_segments: 0 is out of range"),
            ("tx_segments = 21", "tx_segments: 21 is out of range"),
            ("rx_buffer = 127", "rx_buffer: 127 is out of range"),
            ("rx_buffer = 65554", "rx_buffer: 65554 is out of range"),
            ("tso_bytes_max = -1", "tso_bytes_max: -1 is out of range"),
            ("tso_bytes_max = 65554, tx_checksum = true", "tso_bytes_max: 65554 is out of range"),
            ("tso_bytes_max = 9000", "tso_bytes_max: who cuts segments completes their checksums"),
            ("lro = true", "lro: who joins segments knows that their checksums are right"),
            ("lro = true, tx_checksum = true", "lro: who joins segments knows"),
        ] {
            let told = error(&text(nic));
            assert!(told.starts_with(&format!("x.toml:3: host.nic.{expected}")), "{nic}: {told}");
        }
        for fine in ["tso_bytes_max = 0", "lro = false", able] {
            assert!(Scenario::parse("x.toml", &text(fine)).is_ok(), "{fine}");
        }
        let most = format!(
            "rx_ring = 65536, tx_ring = 1, burst = 64, frames = 16, tso_bytes_max = 65553, lro = true, \
             tx_segments = 20, rx_buffer = 128, vlan = true, {able}"
        );
        assert!(Scenario::parse("x.toml", &text(&most)).is_ok());
    }

    #[test]
    fn a_key_or_a_value_of_another_kind_is_told_with_its_line() {
        for (nic, expected) in [
            ("rx_rings = 5", "rx_rings: unknown key"),
            ("vlan = 5", "invalid type: integer `5`, expected a boolean"),
            ("tx_checksum = \"yes\"", "invalid type: string \"yes\", expected a boolean"),
            ("burst = \"many\"", "invalid type: string \"many\", expected an integer"),
            ("rx_buffer = 1.5", "invalid type: floating point `1.5`, expected an integer"),
        ] {
            let told = error(&text(nic));
            assert!(told.starts_with("x.toml:3: ") && told.contains(expected), "{nic}: {told}");
        }
    }

    #[test]
    fn another_stack_knows_of_nothing_that_a_nic_does() {
        for (nic, key) in [
            ("tx_checksum = true", "tx_checksum"),
            ("rx_checksum = true", "rx_checksum"),
            ("vlan = true", "vlan"),
            ("tx_segments = 2", "tx_segments"),
            ("rx_buffer = 2048", "rx_buffer"),
        ] {
            for stack in ["textbook", "smoltcp"] {
                let other =
                    text(nic).replacen("\"b\",", &format!("\"b\", stack = \"{stack}\","), 1);
                let expected =
                    format!("x.toml:3: host.nic.{key}: only Causeway knows of what NICs do");
                let told = error(&other);
                assert!(told.starts_with(&expected), "{nic}: {told}");
            }
        }
        let rings = text("rx_ring = 64, tx_ring = 64, burst = 8");
        let other = rings.replacen("\"b\",", "\"b\", stack = \"textbook\",", 1);
        assert!(Scenario::parse("x.toml", &other).is_ok(), "its rings are the NIC's alone");
    }
}
