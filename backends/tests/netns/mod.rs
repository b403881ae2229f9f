//! Real devices for tests: a network namespace of a test's own, and the kernel's side of a device.
//!
//! A test runs itself again inside `unshare -n` (as root) or `unshare -Urn` (as anybody else). Where that is
//! not possible the test fails and says so; it is never skipped. Devices live and die with the namespace, the namespace with its last
//! process, and that with the test (`PR_SET_PDEATHSIG`), even if it is killed.

use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::process::Command;

use causeway_backends::contract::Rig;
use causeway_core::nic::Nic;

const INSIDE: &str = "CAUSEWAY_TEST_NAMESPACE";

/// Runs `body` in a fresh network namespace: this test again, alone, in a child process.
pub fn in_own_namespace(body: impl FnOnce()) {
    if std::env::var_os(INSIDE).is_some() {
        // The kernel's own IPv6 chatter would mix with the frames under test.
        let _ = std::fs::write("/proc/sys/net/ipv6/conf/default/disable_ipv6", "1");
        return body();
    }
    let test = std::thread::current().name().expect("test threads are named").to_owned();
    let flags = if rustix::process::geteuid().is_root() { "-n" } else { "-Urn" };
    let dies_with_us = ["--pdeathsig", "KILL", "--"];
    let output = Command::new("setpriv")
        .args(dies_with_us)
        .args(["unshare", flags])
        // Once more inside: becoming root of a user namespace may clear the signal set outside.
        .arg("setpriv")
        .args(dies_with_us)
        .arg(std::env::current_exe().expect("the test's own path"))
        .args(["--exact", &test, "--nocapture", "--test-threads=1"])
        .env(INSIDE, "1")
        .output()
        .expect("`setpriv` and `unshare` of util-linux make the namespace");
    let (stdout, stderr) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(
        output.status.success() && stdout.contains("1 passed"),
        "unshare {flags} {test}: {}\n{stdout}\n{stderr}",
        output.status
    );
}

/// Runs `ip` with these words.
pub fn ip(line: &str) -> String {
    let output = Command::new("ip").args(line.split_whitespace()).output().expect("ip");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "ip {line}: {stderr}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// A plain packet socket on a device.
pub struct RawSocket(OwnedFd);

impl RawSocket {
    pub fn on(device: &str) -> Self {
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
        address.sll_ifindex = index_of(device);
        // SAFETY: the address is a sockaddr_ll of the size given.
        let bound = unsafe {
            libc::bind(
                socket.as_raw_fd(),
                (&raw const address).cast(),
                size_of::<libc::sockaddr_ll>() as u32,
            )
        };
        assert_eq!(bound, 0, "bind: {}", std::io::Error::last_os_error());
        Self(socket)
    }

    pub fn send(&self, frame: &[u8]) {
        let sent = rustix::io::write(&self.0, frame).expect("the kernel takes the frame");
        assert_eq!(sent, frame.len());
    }

    /// What has come to the device, and not what has left by it.
    pub fn received(&self) -> Vec<Vec<u8>> {
        let mut frames = Vec::new();
        let mut buffer = vec![0; 70_000];
        loop {
            // SAFETY: an all-zero sockaddr_ll is a valid value of that plain C struct.
            let mut from: libc::sockaddr_ll = unsafe { std::mem::zeroed() };
            let mut from_len = size_of::<libc::sockaddr_ll>() as u32;
            // SAFETY: buffer and address are ours, with their true sizes.
            let len = unsafe {
                libc::recvfrom(
                    self.0.as_raw_fd(),
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

impl std::os::fd::AsFd for RawSocket {
    fn as_fd(&self) -> std::os::fd::BorrowedFd<'_> {
        self.0.as_fd()
    }
}

fn index_of(name: &str) -> i32 {
    let name = std::ffi::CString::new(name).expect("no zero in a device name");
    // SAFETY: a zero-terminated string that lives across the call.
    let index = unsafe { libc::if_nametoindex(name.as_ptr()) };
    assert!(index > 0, "{name:?}: {}", std::io::Error::last_os_error());
    index as i32
}

/// A NIC with a packet socket on the kernel's side of its wire.
pub struct KernelPeer<N> {
    pub nic: N,
    pub socket: RawSocket,
}

impl<N: Nic> Rig for KernelPeer<N> {
    type Nic = N;

    fn nic(&mut self) -> &mut N {
        &mut self.nic
    }

    fn peer_send(&mut self, frame: &[u8]) {
        self.socket.send(frame);
    }

    fn peer_received(&mut self) -> Vec<Vec<u8>> {
        self.socket.received()
    }
}
