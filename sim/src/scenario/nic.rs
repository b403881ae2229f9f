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
