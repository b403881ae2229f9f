//! The contract, and what a device does beyond it: its addresses, tags, odd sizes, bursts, going down and away.

use std::os::fd::AsRawFd;

use causeway_backends::contract::{Rig, check, test_frame};
use causeway_backends::packet::{Packet, PacketConfig, PacketError};
use causeway_backends::{AnyNic, Losses};
use causeway_core::nic::{Frame, MacAddr, Nic, RxChecksum, WaitSource};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::thread::{CapabilitySet, capabilities, set_capabilities};

use crate::netns::{KernelPeer, RawSocket, in_own_namespace, ip};
use crate::{cable, config, frames, open, received, rig, rig_with, wait_for_link};

#[test]
fn a_packet_socket_keeps_the_contract_with_the_kernel_as_peer() {
    in_own_namespace(|| {
        let mut made = false;
        check(|| {
            // The one before is gone with its rig; its cable is not.
            if std::mem::replace(&mut made, true) {
                ip("link del v0");
            }
            rig()
        });
    });
}

#[test]
fn any_nic_keeps_the_contract_over_a_packet_socket_without_offloads_past_the_discipline() {
    in_own_namespace(|| {
        let mut made = false;
        check(|| {
            if std::mem::replace(&mut made, true) {
                ip("link del v0");
            }
            cable();
            let config = PacketConfig { offload: false, qdisc_bypass: true, ..config() };
            KernelPeer { nic: AnyNic::from(open(&config)), socket: RawSocket::on("v1") }
        });
    });
}

#[test]
fn it_has_the_mtu_and_the_address_of_the_device() {
    in_own_namespace(|| {
        cable();
        ip("link set v0 mtu 4000 address 02:11:22:33:44:55");
        let nic = open(&config());
        assert_eq!(nic.caps().mtu, 4_000);
        assert_eq!(nic.caps().mac, MacAddr([2, 0x11, 0x22, 0x33, 0x44, 0x55]));
        assert_eq!((nic.caps().tx_checksum, nic.caps().tso_bytes_max), (true, 65_535));
        let WaitSource::Fd(fd) = nic.wait_source() else { panic!("a descriptor to sleep on") };
        let nic = AnyNic::from(nic);
        assert_eq!(nic.wait_fd().map(|borrowed| borrowed.as_raw_fd()), Some(fd));

        let mac = MacAddr([2, 0, 0, 0, 0, 9]);
        let other = PacketConfig { mac: Some(mac), mtu: Some(1_400), ..config() };
        let other = open(&other);
        assert_eq!((other.caps().mac, other.caps().mtu), (mac, 1_400));
        assert!(ip("maddress show dev v0").contains("link"), "multicast");
        let bypass = open(&PacketConfig { qdisc_bypass: true, ..config() });
        assert_eq!((bypass.caps().tx_checksum, bypass.caps().tso_bytes_max), (true, 0));
        let plain = open(&PacketConfig { offload: false, ..config() });
        assert_eq!((plain.caps().tx_checksum, plain.caps().tso_bytes_max), (false, 0));
    });
}

#[test]
fn the_device_listens_to_everybody_only_where_that_is_asked_for_and_only_as_long() {
    in_own_namespace(|| {
        cable();
        let shown = |what: &str| ip("-details link show v0").contains(what);
        let nic = open(&config());
        assert!(shown("promiscuity 0") && shown("allmulti 1"));
        drop(nic);
        let nic = open(&PacketConfig { promiscuous: true, ..config() });
        assert!(shown("promiscuity 1"));
        drop(nic);
        assert!(shown("promiscuity 0") && shown("allmulti 0"));
    });
}

/// What `ip link` cannot show: the error with which opening fails.
fn refusal(config: &PacketConfig) -> String {
    Packet::open(config).map(drop).expect_err("it cannot be had").to_string()
}

#[test]
fn what_cannot_be_had_is_refused_with_advice() {
    in_own_namespace(|| {
        cable();
        let named = |name: &str| PacketConfig { name: name.to_owned(), ..config() };
        assert!(refusal(&named("sixteen-letters-")).contains("1 to 15 of the characters"));
        assert!(refusal(&named("v9")).contains("there is no network device v9: `ip link`"));
        assert!(refusal(&named("lo")).contains("lo is no Ethernet device"));
        let ring = |ring_bytes| refusal(&PacketConfig { ring_bytes, ..config() });
        assert!(ring((1 << 20) - 1).contains("choose 1048576 to 1073741824"));
        assert!(ring((1 << 30) + 1).contains("choose 1048576 to 1073741824"));
        let group = Some(MacAddr([1, 0, 0x5e, 0, 0, 1]));
        let group = refusal(&PacketConfig { mac: group, ..config() });
        assert!(group.contains("choose a unicast address"), "{group}");
        let mtu = refusal(&PacketConfig { mtu: Some(1_501), ..config() });
        assert!(mtu.contains("ip link set v0 mtu 1501"), "{mtu}");
        let small =
            Packet::open(&PacketConfig { mtu: Some(67), ..config() }).expect_err("too small");
        assert!(matches!(small, PacketError::Mtu { mtu: 67, .. }), "{small}");

        // Without the privilege, which this thread gives away.
        let mut sets = capabilities(None).expect("capabilities");
        sets.effective.remove(CapabilitySet::NET_RAW);
        set_capabilities(None, sets).expect("fewer are always granted");
        let denied = Packet::open(&config()).expect_err("no privilege");
        assert!(matches!(denied, PacketError::NotPermitted { .. }), "{denied}");
    });
}

#[test]
fn nothing_that_leaves_by_the_device_comes_back() {
    in_own_namespace(|| {
        let mut rig = rig();
        let sent: Vec<_> = (0..10).map(|n| test_frame(n, 100)).collect();
        let mut burst = frames(&mut rig.nic, &sent);
        assert_eq!(rig.nic.tx_burst(&mut burst), 10);
        // The kernel's own frames leave by it as well.
        RawSocket::on("v0").send(&test_frame(99, 100));
        assert_eq!(rig.peer_received().len(), 11, "they did leave");
        assert_eq!(received(&mut rig.nic), Vec::<Vec<u8>>::new());
        rig.peer_send(&test_frame(5, 60));
        assert_eq!(received(&mut rig.nic), [test_frame(5, 60)]);
    });
}

#[test]
fn vlan_tags_that_the_kernel_takes_out_are_put_back() {
    in_own_namespace(|| {
        let mut rig = rig();
        let tagged = |number, tag: &[u8]| {
            let mut frame = test_frame(number, 100);
            frame.splice(12..12, tag.iter().copied());
            frame
        };
        let sent = [
            tagged(1, &[0x81, 0x00, 0x00, 0x05]),
            // Of a provider's bridge, with a priority, and another tag behind it.
            tagged(2, &[0x88, 0xa8, 0x60, 0x07, 0x81, 0x00, 0x00, 0x05]),
            // A priority without a VLAN.
            tagged(3, &[0x81, 0x00, 0xe0, 0x00]),
            test_frame(4, 100),
        ];
        sent.iter().for_each(|frame| rig.peer_send(frame));
        assert_eq!(received(&mut rig.nic), sent);

        // Those that we write are tags to the kernel of the far end, which takes them out, and are put back there.
        let mut far = open(&PacketConfig { name: "v1".to_owned(), ..config() });
        let mut longest = test_frame(5, 1_514);
        longest.splice(12..12, [0x81, 0x00, 0x00, 0x05]);
        let sent = [sent.to_vec(), vec![longest]].concat();
        let mut burst = frames(&mut rig.nic, &sent);
        assert_eq!(rig.nic.tx_burst(&mut burst), 5);
        let lengths: Vec<_> = rig.peer_received().iter().map(Vec::len).collect();
        assert_eq!(lengths, [100, 104, 100, 100, 1_514], "one tag less");
        assert_eq!(received(&mut far), sent);
        assert_eq!((rig.nic.stats(), far.stats()), Default::default());
    });
}

#[test]
fn runts_and_giants_are_told_apart_from_frames() {
    in_own_namespace(|| {
        let mut rig = rig();
        // A header and nothing behind it is a frame.
        for len in [14, 15, 59] {
            rig.peer_send(&test_frame(1, len));
            assert_eq!(received(&mut rig.nic), [test_frame(1, len)]);
        }
        // Less than a header, and more than the link carries, is none: the rest of the burst goes on.
        let lengths = [60, 1, 13, 1_518, 14, 61];
        let contents: Vec<_> = lengths.iter().map(|&len| test_frame(2, len)).collect();
        let mut burst = frames(&mut rig.nic, &contents);
        assert_eq!(rig.nic.tx_burst(&mut burst), 6);
        assert!(burst.is_empty());
        let arrived: Vec<_> = rig.peer_received().iter().map(Vec::len).collect();
        assert_eq!(arrived, [60, 14, 61]);
        assert_eq!(rig.nic.stats().tx_dropped, 3);
    });
}

#[test]
fn a_frame_longer_than_the_mtu_at_opening_is_dropped_and_counted_not_cut() {
    in_own_namespace(|| {
        let mut rig = rig();
        ip("link set v0 mtu 4000");
        ip("link set v1 mtu 4000");
        rig.peer_send(&test_frame(1, 3_000));
        rig.peer_send(&test_frame(2, 1_518));
        rig.peer_send(&test_frame(3, 1_519));
        rig.peer_send(&test_frame(4, 100));
        assert_eq!(received(&mut rig.nic), [test_frame(2, 1_518), test_frame(4, 100)]);
        assert_eq!(rig.nic.stats().rx_too_long, 2);
    });
}

#[test]
fn what_finds_no_room_in_the_ring_is_counted_and_the_rest_arrives_in_order() {
    in_own_namespace(|| {
        // One block: 15 frames.
        let mut rig = rig_with(&PacketConfig { ring_bytes: 1 << 20, ..config() });
        for round in 1..=3 {
            for n in 0..40 {
                rig.peer_send(&test_frame(n, 60));
            }
            let first: Vec<_> = (0..15).map(|n| test_frame(n, 60)).collect();
            assert_eq!(received(&mut rig.nic), first);
            assert_eq!(rig.nic.stats().rx_overruns, round * 25);
        }
        rig.peer_send(&test_frame(7, 60));
        assert_eq!(received(&mut rig.nic), [test_frame(7, 60)], "it goes on");
        let losses = AnyNic::from(rig.nic).losses();
        assert_eq!(losses, Losses { rx: 75, tx: 0 });
    });
}

#[test]
fn bursts_of_more_than_the_ring_holds_pass_when_they_are_taken_in_time() {
    in_own_namespace(|| {
        let mut rig = rig_with(&PacketConfig { ring_bytes: 1 << 20, ..config() });
        let mut count = 0_usize;
        for burst in 0..200_usize {
            let sizes = (0..15).map(|n| 60 + (burst * 97 + n * 131) % 1_455);
            let sent: Vec<_> = sizes.map(|len| test_frame(burst as u8, len)).collect();
            sent.iter().for_each(|frame| rig.peer_send(frame));
            let mut out = Vec::new();
            // Two at a time: the ring is never empty in between.
            while rig.nic.rx_burst(&mut out, 2) > 0 {}
            assert_eq!(out.iter().map(|f| f.bytes().to_vec()).collect::<Vec<_>>(), sent);
            count += out.len();
        }
        assert_eq!((count, rig.nic.stats().rx_overruns), (3_000, 0));
    });
}

/// Whether a sleeper would wake at once.
fn is_ready(nic: &Packet) -> bool {
    let fd = nic.wait_fd().expect("a descriptor to sleep on");
    let mut fds = [PollFd::from_borrowed_fd(fd, PollFlags::IN)];
    let now = Timespec { tv_sec: 0, tv_nsec: 0 };
    poll(&mut fds, Some(&now)).expect("poll") > 0
}

#[test]
fn a_link_taken_down_and_up_again_is_survived() {
    in_own_namespace(|| {
        let mut rig = rig();
        for round in 0..3 {
            ip("link set v0 down");
            assert!(!rig.nic.link_up());
            assert_eq!(received(&mut rig.nic), Vec::<Vec<u8>>::new());
            assert!(!is_ready(&rig.nic), "the news is told once, and does not wake for ever");
            let lost = frames(&mut rig.nic, &vec![test_frame(1, 60); 3]);
            let mut burst = lost;
            assert_eq!(rig.nic.tx_burst(&mut burst), 3, "lost, not kept");
            assert_eq!(rig.nic.stats().tx_dropped, 3 * (round + 1));
            ip("link set v0 up");
            wait_for_link(&rig.nic, true);
            rig.peer_received();
            // The first frame after that gets through: an old error is not its own.
            let mut burst = frames(&mut rig.nic, &[test_frame(2, 60)]);
            assert_eq!(rig.nic.tx_burst(&mut burst), 1);
            assert_eq!(rig.peer_received(), [test_frame(2, 60)]);
            rig.peer_send(&test_frame(3, 60));
            assert_eq!(received(&mut rig.nic), [test_frame(3, 60)]);
            assert_eq!(rig.nic.stats().tx_dropped, 3 * (round + 1));
        }
    });
}

#[test]
fn the_first_frame_after_an_interruption_that_nobody_noticed_gets_through() {
    in_own_namespace(|| {
        let mut rig = rig();
        ip("link set v0 down");
        ip("link set v0 up");
        wait_for_link(&rig.nic, true);
        rig.peer_received();
        let mut burst = frames(&mut rig.nic, &[test_frame(2, 60), test_frame(3, 60)]);
        assert_eq!(rig.nic.tx_burst(&mut burst), 2);
        assert_eq!(rig.peer_received(), [test_frame(2, 60), test_frame(3, 60)]);
        assert_eq!(rig.nic.stats().tx_dropped, 0);
    });
}

#[test]
fn a_far_end_that_is_down_loses_what_is_sent_and_blocks_nothing() {
    in_own_namespace(|| {
        let mut rig = rig();
        ip("link set v1 down");
        wait_for_link(&rig.nic, false);
        let mut burst = frames(&mut rig.nic, &vec![test_frame(1, 60); 5]);
        // The kernel does not say of each that it is lost.
        assert_eq!(rig.nic.tx_burst(&mut burst), 5, "lost, not kept");
        ip("link set v1 up");
        wait_for_link(&rig.nic, true);
        rig.socket = RawSocket::on("v1");
        let mut burst = frames(&mut rig.nic, &[test_frame(2, 60)]);
        assert_eq!(rig.nic.tx_burst(&mut burst), 1);
        assert_eq!(rig.peer_received(), [test_frame(2, 60)]);
    });
}

#[test]
fn a_device_that_is_renamed_is_still_the_same_and_one_that_is_deleted_is_gone() {
    in_own_namespace(|| {
        let mut rig = rig();
        ip("link set v0 name other");
        assert!(rig.nic.link_up());
        rig.peer_send(&test_frame(1, 60));
        assert_eq!(received(&mut rig.nic), [test_frame(1, 60)]);

        ip("link del other");
        // Another device of the same name is not ours.
        cable();
        assert_eq!(received(&mut rig.nic), Vec::<Vec<u8>>::new());
        assert_eq!(rig.nic.wait_source(), WaitSource::Driver);
        assert!(!rig.nic.link_up());
        let mut burst = frames(&mut rig.nic, &[test_frame(2, 60)]);
        assert_eq!(rig.nic.tx_burst(&mut burst), 1, "lost, not kept");
        assert_eq!(rig.nic.stats().tx_dropped, 1);
        assert!(AnyNic::from(rig.nic).wait_fd().is_none());
    });
}

#[test]
fn a_frame_that_nobody_has_summed_is_left_to_the_stack() {
    in_own_namespace(|| {
        let mut rig = rig();
        rig.peer_send(&test_frame(1, 60));
        let mut out = Vec::new();
        rig.nic.rx_burst(&mut out, 8);
        assert_eq!(out[0].meta().rx_checksum, RxChecksum::Unknown);
    });
}
