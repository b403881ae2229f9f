//! The TAP backend against the contract, on real devices, each test in a network namespace of its own.
//!
//! A test runs itself again inside `unshare -n` (as root) or `unshare -Urn` (as anybody else). Where that is
//! not possible the test fails and says so; it is never skipped.

use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::process::Command;

use causeway_backends::AnyNic;
use causeway_backends::contract::{Rig, check, test_frame};
use causeway_backends::fault::FaultProfile;
use causeway_backends::tap::{Tap, TapConfig, TapError};
use causeway_core::nic::{Frame, Nic, WaitSource};

const INSIDE: &str = "CAUSEWAY_TEST_NAMESPACE";

/// Runs `body` in a fresh network namespace: this test again, alone, in a child process.
fn in_own_namespace(body: impl FnOnce()) {
    if std::env::var_os(INSIDE).is_some() {
        // The kernel's own IPv6 chatter would mix with the frames under test.
        let _ = std::fs::write("/proc/sys/net/ipv6/conf/default/disable_ipv6", "1");
        return body();
    }
    let test = std::thread::current().name().expect("test threads are named").to_owned();
    let flags = if rustix::process::geteuid().is_root() { "-n" } else { "-Urn" };
    let output = Command::new("unshare")
        .arg(flags)
        .arg(std::env::current_exe().expect("the test's own path"))
        .args(["--exact", &test, "--nocapture", "--test-threads=1"])
        .env(INSIDE, "1")
        .output()
        .expect("`unshare` of util-linux makes the namespace");
    let (stdout, stderr) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(
        output.status.success() && stdout.contains("1 passed"),
        "unshare {flags} {test}: {}\n{stdout}\n{stderr}",
        output.status
    );
}

/// A TAP with a packet socket on the kernel's side of it.
struct KernelPeer {
    nic: Tap,
    socket: OwnedFd,
}

impl KernelPeer {
    fn new(nic: Tap) -> Self {
        let protocol = i32::from((libc::ETH_P_ALL as u16).to_be());
        // SAFETY: a plain socket(2); the result is checked before it is owned.
        let fd = unsafe {
            libc::socket(libc::AF_PACKET, libc::SOCK_RAW | libc::SOCK_NONBLOCK, protocol)
        };
        assert!(fd >= 0, "packet socket: {}", std::io::Error::last_os_error());
        // SAFETY: `fd` is a fresh descriptor that nobody else owns.
        let socket = unsafe { OwnedFd::from_raw_fd(fd) };
        // SAFETY: an all-zero sockaddr_ll is a valid value of that plain C struct.
        let mut address: libc::sockaddr_ll = unsafe { std::mem::zeroed() };
        address.sll_family = libc::AF_PACKET as u16;
        address.sll_protocol = (libc::ETH_P_ALL as u16).to_be();
        address.sll_ifindex = index_of(nic.name());
        // SAFETY: the address is a sockaddr_ll of the size given.
        let bound = unsafe {
            libc::bind(
                socket.as_raw_fd(),
                (&raw const address).cast(),
                size_of::<libc::sockaddr_ll>() as u32,
            )
        };
        assert_eq!(bound, 0, "bind: {}", std::io::Error::last_os_error());
        Self { nic, socket }
    }
}

fn index_of(name: &str) -> i32 {
    let name = std::ffi::CString::new(name).expect("no zero in a device name");
    // SAFETY: a zero-terminated string that lives across the call.
    let index = unsafe { libc::if_nametoindex(name.as_ptr()) };
    assert!(index > 0, "{name:?}: {}", std::io::Error::last_os_error());
    index as i32
}

impl Rig for KernelPeer {
    type Nic = Tap;

    fn nic(&mut self) -> &mut Tap {
        &mut self.nic
    }

    fn peer_send(&mut self, frame: &[u8]) {
        let sent = rustix::io::write(&self.socket, frame).expect("the kernel takes the frame");
        assert_eq!(sent, frame.len());
    }

    fn peer_received(&mut self) -> Vec<Vec<u8>> {
        let mut frames = Vec::new();
        let mut buffer = vec![0; 70_000];
        loop {
            // SAFETY: an all-zero sockaddr_ll is a valid value of that plain C struct.
            let mut from: libc::sockaddr_ll = unsafe { std::mem::zeroed() };
            let mut from_len = size_of::<libc::sockaddr_ll>() as u32;
            // SAFETY: buffer and address are ours, with their true sizes.
            let len = unsafe {
                libc::recvfrom(
                    self.socket.as_raw_fd(),
                    buffer.as_mut_ptr().cast(),
                    buffer.len(),
                    0,
                    (&raw mut from).cast(),
                    &raw mut from_len,
                )
            };
            let Ok(len) = usize::try_from(len) else { return frames };
            if from.sll_pkttype != libc::PACKET_OUTGOING {
                frames.push(buffer[..len].to_vec());
            }
        }
    }
}

fn tap(name: &str) -> Tap {
    Tap::open(&TapConfig::new(name)).unwrap_or_else(|e| panic!("{e}"))
}

#[test]
fn a_tap_keeps_the_contract_with_the_kernel_as_peer() {
    in_own_namespace(|| check(|| KernelPeer::new(tap("tap0"))));
}

#[test]
fn a_tap_has_the_mtu_of_the_kernel_and_an_address_of_its_own() {
    in_own_namespace(|| {
        let config = TapConfig { mtu: Some(9_000), ..TapConfig::new("tap0") };
        let nic = Tap::open(&config).expect("a TAP");
        assert_eq!(nic.caps().mtu, 9_000);
        let shown = Command::new("ip").args(["-o", "link", "show", "tap0"]).output().expect("ip");
        let shown = String::from_utf8_lossy(&shown.stdout);
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
        let set =
            |state| Command::new("ip").args(["link", "set", "tap0", state]).status().expect("ip");
        assert!(set("down").success());
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
        assert!(set("up").success());
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
        let gone = Command::new("ip").args(["link", "del", "tap0"]).status().expect("ip");
        assert!(gone.success());
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
        let mut rig = KernelPeer::new(tap("tap0"));
        let raised =
            Command::new("ip").args(["link", "set", "tap0", "mtu", "4000"]).status().expect("ip");
        assert!(raised.success());
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
