//! `[fault]`: how often what goes wrong, where no plan says it.

use causeway_core::time::Duration;
use causeway_server::config::ConfigError;
use causeway_server::config::document::{Integer, Source};
use serde::Deserialize;
use toml::Spanned;

use super::ipc::IpcFaults;
use crate::fault::{Bursts, FaultProfile, LinkProfile, PathProfile};

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawFault {
    loss_ppm: Option<Spanned<i128>>,
    duplicate_ppm: Option<Spanned<i128>>,
    reorder_ppm: Option<Spanned<i128>>,
    reorder_us_max: Option<Spanned<i128>>,
    corrupt_ppm: Option<Spanned<i128>>,
    burst_enter_ppm: Option<Spanned<i128>>,
    burst_leave_ppm: Option<Spanned<i128>>,
    burst_loss_ppm: Option<Spanned<i128>>,
    nth: Option<Spanned<i128>>,
    syn_loss_ppm: Option<Spanned<i128>>,
    fin_loss_ppm: Option<Spanned<i128>>,
    ack_loss_ppm: Option<Spanned<i128>>,
    retransmission_loss_ppm: Option<Spanned<i128>>,
    repaired_ppm: Option<Spanned<i128>>,
    truncate_ppm: Option<Spanned<i128>>,
    pad_ppm: Option<Spanned<i128>>,
    mark_ppm: Option<Spanned<i128>>,
    bleach_ppm: Option<Spanned<i128>>,
    strip_ppm: Option<Spanned<i128>>,
    split_ppm: Option<Spanned<i128>>,
    forge_ppm: Option<Spanned<i128>>,
    neighbor_ppm: Option<Spanned<i128>>,
    hold_ppm: Option<Spanned<i128>>,
    hold_frames_max: Option<Spanned<i128>>,
    hold_us_max: Option<Spanned<i128>>,
    header_ppm: Option<Spanned<i128>>,
    header_repaired_ppm: Option<Spanned<i128>>,
    join_ppm: Option<Spanned<i128>>,
    thin_ppm: Option<Spanned<i128>>,
    divide_ppm: Option<Spanned<i128>>,
    ack_storm_ppm: Option<Spanned<i128>>,
    late_ppm: Option<Spanned<i128>>,
    late_us_max: Option<Spanned<i128>>,
    short_burst_ppm: Option<Spanned<i128>>,
    no_buffer_ppm: Option<Spanned<i128>>,
    no_rings_ppm: Option<Spanned<i128>>,
    no_memory_ppm: Option<Spanned<i128>>,
    late_bell_ppm: Option<Spanned<i128>>,
    late_bell_us_max: Option<Spanned<i128>>,
    lost_bell_ppm: Option<Spanned<i128>>,
    no_channel_ppm: Option<Spanned<i128>>,
    dies_ppm: Option<Spanned<i128>>,
    hangs_ppm: Option<Spanned<i128>>,
    scribbles_ppm: Option<Spanned<i128>>,
    sum_unknown_ppm: Option<Spanned<i128>>,
    sum_bad_ppm: Option<Spanned<i128>>,
    sum_good_ppm: Option<Spanned<i128>>,
    odd_cut_ppm: Option<Spanned<i128>>,
    greedy_join_ppm: Option<Spanned<i128>>,
}

/// How often what a NIC does for its stack goes wrong: parts per million.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NicRates {
    /// Checksums that it knows and says nothing of.
    pub sum_unknown_ppm: u32,
    /// Right checksums that it calls wrong.
    pub sum_bad_ppm: u32,
    /// Wrong checksums that it calls right.
    pub sum_good_ppm: u32,
    /// Super-segments that it cuts in odd sizes.
    pub odd_cut_ppm: u32,
    /// Segments that it joins although they differ in what a receiver may see.
    pub greedy_join_ppm: u32,
}

impl NicRates {
    /// Getter: nothing goes wrong.
    pub fn is_clean(&self) -> bool {
        *self == Self::default()
    }
}

/// How often what goes wrong on hosts: parts per million.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HostFaults {
    /// Iterations of the loop that come late.
    pub late_ppm: u32,
    /// By how much at most.
    pub late_max: Duration,
    /// Bursts of which a NIC takes only a part.
    pub short_burst_ppm: u32,
    /// Allocations of frames that fail.
    pub no_buffer_ppm: u32,
    /// New connections for which there are no rings.
    pub no_rings_ppm: u32,
    /// Received pieces for which there is no memory.
    pub no_memory_ppm: u32,
    /// What goes wrong between programs and the engine of hosts with channels.
    pub ipc: IpcFaults,
    /// What NICs do wrong.
    pub nic: NicRates,
}

/// How often what goes wrong.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FaultSettings {
    /// On each direction of each link.
    pub link: LinkProfile,
    /// On each host.
    pub host: HostFaults,
}

const fn ppm(key: &'static str) -> Integer {
    Integer { key, default: 0, range: 0..=1_000_000, unit: "parts per million" }
}

const fn span(key: &'static str, default: i64) -> Integer {
    Integer { key, default, range: 1..=10_000_000, unit: "microseconds" }
}

const NTH: Integer = Integer { key: "fault.nth", default: 0, range: 0..=i64::MAX, unit: "" };

const HOLD_FRAMES: Integer =
    Integer { key: "fault.hold_frames_max", default: 8, range: 1..=1_000, unit: "frames" };

impl RawFault {
    /// What of it is in [`PathProfile`]; `join_within` is the scenario's to know.
    fn path(&self, source: &Source<'_>) -> Result<PathProfile, ConfigError> {
        let rate = |key, value: &Option<Spanned<i128>>| ppm(key).check_u32(source, value.as_ref());
        let hold_us =
            span("fault.hold_us_max", 10_000).check_u64(source, self.hold_us_max.as_ref())?;
        Ok(PathProfile {
            hold_ppm: rate("fault.hold_ppm", &self.hold_ppm)?,
            hold_frames_max: HOLD_FRAMES.check_u32(source, self.hold_frames_max.as_ref())?,
            hold_max: Duration::from_micros(hold_us),
            header_ppm: rate("fault.header_ppm", &self.header_ppm)?,
            header_repaired_ppm: rate("fault.header_repaired_ppm", &self.header_repaired_ppm)?,
            join_ppm: rate("fault.join_ppm", &self.join_ppm)?,
            join_within: 0,
            thin_ppm: rate("fault.thin_ppm", &self.thin_ppm)?,
            divide_ppm: rate("fault.divide_ppm", &self.divide_ppm)?,
            storm_ppm: rate("fault.ack_storm_ppm", &self.ack_storm_ppm)?,
        })
    }

    pub(super) fn build(self, source: &Source<'_>) -> Result<FaultSettings, ConfigError> {
        let rate = |key, value: &Option<Spanned<i128>>| ppm(key).check_u32(source, value.as_ref());
        let micros = |setting: Integer, value: &Option<Spanned<i128>>| {
            setting.check_u64(source, value.as_ref()).map(Duration::from_micros)
        };
        let base = FaultProfile::builder()
            .loss_ppm(rate("fault.loss_ppm", &self.loss_ppm)?)
            .duplicate_ppm(rate("fault.duplicate_ppm", &self.duplicate_ppm)?)
            .reorder_ppm(rate("fault.reorder_ppm", &self.reorder_ppm)?)
            .corrupt_ppm(rate("fault.corrupt_ppm", &self.corrupt_ppm)?)
            .reorder_delay_max(micros(span("fault.reorder_us_max", 1_000), &self.reorder_us_max)?)
            .build()
            .expect("the range of each setting is the profile's");
        let bursts = Bursts {
            enter_ppm: rate("fault.burst_enter_ppm", &self.burst_enter_ppm)?,
            leave_ppm: rate("fault.burst_leave_ppm", &self.burst_leave_ppm)?,
            loss_ppm: rate("fault.burst_loss_ppm", &self.burst_loss_ppm)?,
        };
        let kinds_ppm = [
            rate("fault.syn_loss_ppm", &self.syn_loss_ppm)?,
            rate("fault.fin_loss_ppm", &self.fin_loss_ppm)?,
            rate("fault.ack_loss_ppm", &self.ack_loss_ppm)?,
            rate("fault.retransmission_loss_ppm", &self.retransmission_loss_ppm)?,
        ];
        let link = LinkProfile {
            base,
            bursts,
            nth: NTH.check_u64(source, self.nth.as_ref())?,
            kinds_ppm,
            repaired_ppm: rate("fault.repaired_ppm", &self.repaired_ppm)?,
            truncate_ppm: rate("fault.truncate_ppm", &self.truncate_ppm)?,
            pad_ppm: rate("fault.pad_ppm", &self.pad_ppm)?,
            mark_ppm: rate("fault.mark_ppm", &self.mark_ppm)?,
            bleach_ppm: rate("fault.bleach_ppm", &self.bleach_ppm)?,
            strip_ppm: rate("fault.strip_ppm", &self.strip_ppm)?,
            split_ppm: rate("fault.split_ppm", &self.split_ppm)?,
            forge_ppm: rate("fault.forge_ppm", &self.forge_ppm)?,
            neighbor_ppm: rate("fault.neighbor_ppm", &self.neighbor_ppm)?,
            path: self.path(source)?,
        };
        let host = HostFaults {
            late_ppm: rate("fault.late_ppm", &self.late_ppm)?,
            late_max: micros(span("fault.late_us_max", 1_000), &self.late_us_max)?,
            short_burst_ppm: rate("fault.short_burst_ppm", &self.short_burst_ppm)?,
            no_buffer_ppm: rate("fault.no_buffer_ppm", &self.no_buffer_ppm)?,
            no_rings_ppm: rate("fault.no_rings_ppm", &self.no_rings_ppm)?,
            no_memory_ppm: rate("fault.no_memory_ppm", &self.no_memory_ppm)?,
            ipc: self.ipc(source)?,
            nic: NicRates {
                sum_unknown_ppm: rate("fault.sum_unknown_ppm", &self.sum_unknown_ppm)?,
                sum_bad_ppm: rate("fault.sum_bad_ppm", &self.sum_bad_ppm)?,
                sum_good_ppm: rate("fault.sum_good_ppm", &self.sum_good_ppm)?,
                odd_cut_ppm: rate("fault.odd_cut_ppm", &self.odd_cut_ppm)?,
                greedy_join_ppm: rate("fault.greedy_join_ppm", &self.greedy_join_ppm)?,
            },
        };
        Ok(FaultSettings { link, host })
    }

    fn ipc(&self, source: &Source<'_>) -> Result<IpcFaults, ConfigError> {
        let rate = |key, value: &Option<Spanned<i128>>| ppm(key).check_u32(source, value.as_ref());
        let late = span("fault.late_bell_us_max", 1_000);
        let late = late.check_u64(source, self.late_bell_us_max.as_ref())?;
        Ok(IpcFaults {
            late_bell_ppm: rate("fault.late_bell_ppm", &self.late_bell_ppm)?,
            late_bell_max: Duration::from_micros(late),
            lost_bell_ppm: rate("fault.lost_bell_ppm", &self.lost_bell_ppm)?,
            no_channel_ppm: rate("fault.no_channel_ppm", &self.no_channel_ppm)?,
            dies_ppm: rate("fault.dies_ppm", &self.dies_ppm)?,
            hangs_ppm: rate("fault.hangs_ppm", &self.hangs_ppm)?,
            scribbles_ppm: rate("fault.scribbles_ppm", &self.scribbles_ppm)?,
        })
    }
}
