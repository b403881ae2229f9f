//! The TAP backend against the contract, on real devices, each test in a network namespace of its own.

mod netns;

use std::os::fd::AsRawFd;

use causeway_backends::AnyNic;
use causeway_backends::contract::{Rig, check, test_frame};
use causeway_backends::fault::FaultProfile;
use causeway_backends::tap::{Tap, TapConfig, TapError};
use causeway_core::nic::{Frame, Nic, WaitSource};
use netns::{KernelPeer, RawSocket, in_own_namespace, ip};

/// A TAP with a packet socket on the kernel's side of it.
fn rig(nic: Tap) -> KernelPeer<Tap> {
    let socket = RawSocket::on(nic.name());
    KernelPeer { nic, socket }
}

fn tap(name: &str) -> Tap {
    Tap::open(&TapConfig::new(name)).unwrap_or_else(|e| panic!("{e}"))
}

#[test]
fn a_tap_keeps_the_contract_with_the_kernel_as_peer() {
    in_own_namespace(|| check(|| rig(tap("tap0"))));
}

#[test]
fn a_tap_has_the_mtu_of_the_kernel_and_an_address_of_its_own() {
    in_own_namespace(|| {
        let config = TapConfig { mtu: Some(9_000), ..TapConfig::new("tap0") };
        let nic = Tap::open(&config).expect("a TAP");
        assert_eq!(nic.caps().mtu, 9_000);
        let shown = ip("-o link show tap0");
        assert!(shown.contains("mtu 9000"), "{shown}");
        assert!(
            !shown.contains(&nic.caps().mac.to_string()),
            "the kernel's end has another: {shown}"
        );
        assert_eq!(nic.caps().tso_bytes_max, 0);
        let WaitSource::Fd(fd) = nic.wait_source() else { panic!("a descriptor to sleep on") };
        let faulty = AnyNic::from(nic).with_faults(
            1,
            FaultProfile::builder().loss_ppm(1).build().expect("a possible rate"),
            FaultProfile::NONE,
        );
        assert_eq!(faulty.wait_fd().map(|borrowed| borrowed.as_raw_fd()), Some(fd));
    });
}

#[test]
fn a_tap_in_use_and_a_device_of_another_kind_are_refused_with_advice() {
    in_own_namespace(|| {
        let _held = tap("tap0");
        let busy = Tap::open(&TapConfig::new("tap0")).expect_err("taken");
        assert!(matches!(busy, TapError::Busy { .. }), "{busy}");
        let wrong = Tap::open(&TapConfig::new("lo")).expect_err("no tap");
        assert!(matches!(wrong, TapError::NotTap { .. }), "{wrong}");
    });
}

#[test]
fn a_link_taken_down_and_up_again_is_noticed() {
    in_own_namespace(|| {
        let mut nic = tap("tap0");
        assert!(nic.link_up());
        ip("link set tap0 down");
        let frame = |nic: &mut Tap| {
            let mut frame = nic.alloc(60).expect("memory");
            frame.segment_mut(0).copy_from_slice(&test_frame(1, 60));
            [frame].into()
        };
        let mut frames = frame(&mut nic);
        assert_eq!(
            nic.tx_burst(&mut frames),
            1,
            "a frame for a link that is down is lost, not kept"
        );
        assert_eq!(nic.stats().tx_dropped, 1);
        assert!(!nic.link_up());
        ip("link set tap0 up");
        assert!(nic.link_up());
        let mut frames = frame(&mut nic);
        assert_eq!(nic.tx_burst(&mut frames), 1);
        assert_eq!(nic.stats().tx_dropped, 1);
    });
}

#[test]
fn a_deleted_device_goes_down_and_is_not_waited_for() {
    in_own_namespace(|| {
        let mut nic = tap("tap0");
        ip("link del tap0");
        let mut out = Vec::new();
        assert_eq!(nic.rx_burst(&mut out, 8), 0);
        assert!(!nic.link_up());
        assert_eq!(nic.wait_source(), WaitSource::Driver);
        assert!(AnyNic::from(nic).wait_fd().is_none());
    });
}

#[test]
fn a_frame_longer_than_the_mtu_at_opening_is_dropped_and_counted_not_cut() {
    in_own_namespace(|| {
        let mut rig = rig(tap("tap0"));
        ip("link set tap0 mtu 4000");
        rig.peer_send(&test_frame(1, 3_000));
        rig.peer_send(&test_frame(2, 100));
        let mut out = Vec::new();
        rig.nic.rx_burst(&mut out, 8);
        assert_eq!(
            out.iter().map(|f| f.segment(0).to_vec()).collect::<Vec<_>>(),
            [test_frame(2, 100)]
        );
        assert_eq!(rig.nic.stats().rx_too_long, 1);
    });
}
