//! Super-segments and partial checksums, from and to the kernel's own TCP and UDP.

use std::collections::VecDeque;
use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::AsRawFd;
use std::time::{Duration, Instant};

use causeway_backends::Buf;
use causeway_backends::packet::{Packet, PacketConfig};
use causeway_core::nic::{BURST_MAX, Frame, GsoType, MacAddr, Nic, Offload, RxChecksum};
use causeway_core::tcp::SeqNumber;
use causeway_core::wire::checksum::{finish, pseudo_header, sum, verify};
use causeway_core::wire::tcp::{TcpFlags, TcpHeader, TcpOptions};
use causeway_core::wire::{EtherType, EthernetHeader, IpProtocol, Ipv4Header};

use crate::netns::{RawSocket, in_own_namespace, ip};
use crate::{cable, config, open, rig};

const OURS: Ipv4Addr = Ipv4Addr::new(10, 9, 0, 2);
const KERNELS: Ipv4Addr = Ipv4Addr::new(10, 9, 0, 1);
/// Ethernet and IPv4.
const TCP_AT: usize = 34;
const PORT: u16 = 7_000;

/// A cable with the NIC at v0; at v1 the kernel has an address and knows where ours is. Returns the kernel's hardware address.
fn beside_the_kernel() -> (Packet, MacAddr) {
    cable();
    ip("link set v1 address 02:00:00:00:00:01");
    let nic = open(&config());
    ip(&format!("address add {KERNELS}/24 dev v1"));
    ip(&format!("neighbor replace {OURS} lladdr {} dev v1", nic.caps().mac));
    (nic, MacAddr([2, 0, 0, 0, 0, 1]))
}

/// A frame of ours for the kernel, with a checksum that is complete, or partial, or that and cut into `gso_size`.
fn segment(nic: &mut Packet, to: MacAddr, header: &TcpHeader, payload: &[u8], cut: u16) -> Buf {
    let header_len = TCP_AT + header.header_len();
    let mut frame = nic.alloc(header_len + payload.len()).expect("memory");
    let src = nic.caps().mac;
    let bytes = frame.bytes_mut();
    EthernetHeader { dst: to, src, ethertype: EtherType::IPV4 }.emit(bytes);
    let tcp_len = header.header_len() + payload.len();
    Ipv4Header::new(OURS, KERNELS, IpProtocol::TCP, tcp_len as u16).emit(&mut bytes[14..]);
    header.emit(&mut bytes[TCP_AT..]);
    bytes[header_len..].copy_from_slice(payload);
    let pseudo =
        pseudo_header(OURS.into(), KERNELS.into(), IpProtocol::TCP, tcp_len).expect("one family");
    bytes[TCP_AT + 16..TCP_AT + 18].copy_from_slice(&pseudo.to_be_bytes());
    frame.meta_mut().offload = Offload {
        gso_type: if cut > 0 { GsoType::TcpV4 } else { GsoType::None },
        gso_size: cut,
        hdr_len: header_len as u16,
        csum_start: TCP_AT as u16,
        csum_offset: 16,
        needs_csum: true,
    };
    frame
}

fn header(seq: u32, ack: u32, flags: TcpFlags) -> TcpHeader {
    let (seq, ack) = (SeqNumber(seq), SeqNumber(ack));
    TcpHeader {
        src_port: PORT,
        dst_port: PORT,
        seq,
        ack,
        flags,
        window: 65_535,
        ..TcpHeader::default()
    }
}

fn send(nic: &mut Packet, frame: Buf) {
    assert_eq!(nic.tx_burst(&mut VecDeque::from([frame])), 1);
    assert_eq!(nic.stats().tx_dropped, 0);
}

/// Waits until `enough` of what has arrived.
fn receive(nic: &mut Packet, mut enough: impl FnMut(&[Buf]) -> bool) -> Vec<Buf> {
    let give_up = Instant::now() + Duration::from_secs(60);
    let mut out = Vec::new();
    while !enough(&out) {
        assert!(Instant::now() < give_up, "{} frames only", out.len());
        if nic.rx_burst(&mut out, BURST_MAX) == 0 {
            std::thread::sleep(Duration::from_millis(1));
        }
    }
    out
}

/// The header and payload of a segment of the kernel's.
fn tcp(frame: &Buf) -> Option<(TcpHeader, &[u8])> {
    let (ip, at) = Ipv4Header::parse(frame.bytes().get(14..)?).ok()?;
    let end = 14 + at + usize::from(ip.payload_len);
    let body = (ip.protocol == IpProtocol::TCP).then(|| &frame.bytes()[14 + at..end])?;
    let (header, len) = TcpHeader::parse(body).ok()?;
    Some((header, &body[len..]))
}

/// The checksum as it stands in the frame is right.
fn is_whole(frame: &Buf, protocol: IpProtocol) -> bool {
    let (src, dst) = (IpAddr::V4(KERNELS), IpAddr::V4(OURS));
    verify(src, dst, protocol, &frame.bytes()[TCP_AT..]).is_ok()
}

/// Completes a partial checksum as a card would, and says whether it is right then.
fn completes(frame: &mut Buf, protocol: IpProtocol) -> bool {
    let Offload { csum_start, csum_offset, needs_csum, .. } = frame.meta().offload;
    assert!(needs_csum);
    let (start, at) = (usize::from(csum_start), usize::from(csum_start + csum_offset));
    let checksum = finish(sum(&frame.bytes()[start..]));
    frame.bytes_mut()[at..at + 2].copy_from_slice(&checksum.to_be_bytes());
    is_whole(frame, protocol)
}

/// Opens a connection from the NIC, by hand, to the kernel's TCP. Returns the kernel's end and its first sequence number.
fn connect(nic: &mut Packet, kernel: MacAddr) -> (TcpStream, u32) {
    let listener = TcpListener::bind((KERNELS, PORT)).expect("a listener");
    let options = TcpOptions { mss: Some(1_460), ..TcpOptions::default() };
    let syn = TcpHeader { options, ..header(999, 0, TcpFlags::SYN) };
    let frame = segment(nic, kernel, &syn, &[], 0);
    send(nic, frame);
    let mut frames = receive(nic, |frames| frames.iter().any(|f| tcp(f).is_some()));
    let answer = frames.iter_mut().find(|f| tcp(f).is_some()).expect("it is there");
    let (theirs, _) = tcp(answer).expect("a segment");
    assert_eq!(theirs.flags, TcpFlags::SYN.union(TcpFlags::ACK));
    assert_eq!(theirs.ack, SeqNumber(1_000));
    // It never left memory: nobody has computed its checksum, and it is not wrong.
    assert_eq!(answer.meta().rx_checksum, RxChecksum::Verified);
    assert!(!is_whole(answer, IpProtocol::TCP));
    assert!(completes(answer, IpProtocol::TCP));
    let first = theirs.seq.0.wrapping_add(1);
    let ack = segment(nic, kernel, &header(1_000, first, TcpFlags::ACK), &[], 0);
    send(nic, ack);
    let (stream, _) = listener.accept().expect("a connection");
    (stream, first)
}

fn pattern(len: usize) -> Vec<u8> {
    (0..len).map(|i| (i * 7 % 251) as u8).collect()
}

#[test]
fn super_segments_of_the_kernels_tcp_arrive_whole() {
    in_own_namespace(|| {
        let (mut nic, kernel) = beside_the_kernel();
        let (mut stream, first) = connect(&mut nic, kernel);
        // What the kernel sends before the first acknowledgement: ten segments.
        let sent = pattern(10 * 1_460);
        stream.write_all(&sent).expect("room");
        let got = |frames: &[Buf]| -> usize {
            frames.iter().filter_map(tcp).map(|(_, payload)| payload.len()).sum()
        };
        let mut frames = receive(&mut nic, |frames| got(frames) >= sent.len());
        let mut received = vec![0; sent.len()];
        let mut longest = 0;
        for frame in &mut frames {
            let Some((theirs, payload)) = tcp(frame) else { continue };
            let at = theirs.seq.0.wrapping_sub(first) as usize;
            received[at..at + payload.len()].copy_from_slice(payload);
            longest = longest.max(payload.len());
            let expected = Offload {
                gso_type: GsoType::TcpV4,
                gso_size: 1_460,
                hdr_len: 54,
                csum_start: TCP_AT as u16,
                csum_offset: 16,
                needs_csum: true,
            };
            if payload.len() > 1_460 {
                assert_eq!(frame.meta().offload, expected);
            }
            assert_eq!(frame.meta().rx_checksum, RxChecksum::Verified);
            assert!(!is_whole(frame, IpProtocol::TCP));
            assert!(completes(frame, IpProtocol::TCP));
        }
        assert!(longest > 1_460, "the kernel sends super-segments to a local peer");
        assert_eq!(received, sent);
        assert_eq!(nic.stats(), Default::default());
    });
}

/// How many segments the kernel found damaged.
fn damaged() -> u64 {
    let text = std::fs::read_to_string("/proc/self/net/snmp").expect("counters");
    let mut lines = text.lines().filter(|line| line.starts_with("Tcp:"));
    let (names, values) = (lines.next().expect("names"), lines.next().expect("values"));
    let mut columns = names.split_whitespace().zip(values.split_whitespace());
    let (_, value) = columns.find(|(name, _)| *name == "InCsumErrors").expect("the counter");
    value.parse().expect("a number")
}

#[test]
fn the_kernels_tcp_takes_super_segments_of_ours() {
    in_own_namespace(|| {
        let (mut nic, kernel) = beside_the_kernel();
        let (mut stream, first) = connect(&mut nic, kernel);
        let sent = pattern(60_000);
        // Each as long as a frame may be, and the rest.
        let mut at = 0;
        for part in [31_000, 28_000, 1_000] {
            let payload = &sent[at..at + part];
            let header = header(1_000 + at as u32, first, TcpFlags::ACK);
            let frame = segment(&mut nic, kernel, &header, payload, 1_000);
            send(&mut nic, frame);
            at += part;
        }
        let mut received = vec![0; sent.len()];
        stream.read_exact(&mut received).expect("all of it");
        assert_eq!(received, sent);
        assert_eq!(damaged(), 0);
    });
}

#[test]
fn a_device_that_cannot_cut_gets_what_the_kernel_has_cut() {
    in_own_namespace(|| {
        cable();
        let (mut nic, mut far) =
            (open(&config()), open(&PacketConfig { name: "v1".to_owned(), ..config() }));
        // No super-segment is short enough for this device.
        ip("link set v0 gso_max_size 1000");
        let payload = pattern(10 * 1_400 + 7);
        let header = header(1, 2, TcpFlags::ACK);
        let frame = segment(&mut nic, far.caps().mac, &header, &payload, 1_400);
        send(&mut nic, frame);
        let mut joined = Vec::new();
        for frame in &mut receive(&mut far, |frames| frames.len() >= 11) {
            assert!(frame.bytes().len() <= 1_454);
            assert_eq!(frame.meta().offload.gso_type, GsoType::None);
            let (theirs, part) = tcp(frame).expect("a segment");
            assert_eq!(theirs.seq, SeqNumber(1 + joined.len() as u32));
            joined.extend_from_slice(part);
            assert!(completes(frame, IpProtocol::TCP));
        }
        assert_eq!(joined, payload);
    });
}

#[test]
fn tagged_super_segments_pass_with_all_that_is_known_of_them() {
    in_own_namespace(|| {
        let mut rig = rig();
        let mut far = open(&PacketConfig { name: "v1".to_owned(), ..config() });
        let payload = pattern(40_000);
        let plain = header(1, 2, TcpFlags::ACK);
        let frame = segment(&mut rig.nic, far.caps().mac, &plain, &payload, 1_400);
        // The same with a tag.
        let mut tagged = rig.nic.alloc(frame.bytes().len() + 4).expect("memory");
        let bytes = [&frame.bytes()[..12], &[0x81, 0, 0, 5], &frame.bytes()[12..]].concat();
        tagged.bytes_mut().copy_from_slice(&bytes);
        let Offload { hdr_len, csum_start, .. } = frame.meta().offload;
        let offload =
            Offload { hdr_len: hdr_len + 4, csum_start: csum_start + 4, ..frame.meta().offload };
        tagged.meta_mut().offload = offload;
        send(&mut rig.nic, tagged);
        let got = receive(&mut far, |frames| !frames.is_empty());
        assert_eq!(got[0].bytes(), bytes);
        assert_eq!(got[0].meta().offload, offload);
        assert_eq!(got[0].meta().vlan_tci, None);
    });
}

/// The kernel's UDP sends many datagrams with one call (`UDP_SEGMENT`).
fn send_datagrams(payload: &[u8], size: u16) {
    const UDP_SEGMENT: libc::c_int = 103;
    let socket = UdpSocket::bind((KERNELS, PORT)).expect("a socket");
    let size = libc::c_int::from(size);
    // SAFETY: the value is an int, as the option wants it, and lives across the call.
    let set = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::SOL_UDP,
            UDP_SEGMENT,
            (&raw const size).cast(),
            size_of::<libc::c_int>() as libc::socklen_t,
        )
    };
    assert_eq!(set, 0, "UDP_SEGMENT: {}", std::io::Error::last_os_error());
    assert_eq!(socket.send_to(payload, (OURS, PORT)).expect("sent"), payload.len());
}

#[test]
fn datagrams_that_the_kernel_joined_are_taken_apart() {
    in_own_namespace(|| {
        let (mut nic, _) = beside_the_kernel();
        // The wire has them in one frame.
        let wire = RawSocket::on("v0");
        for (len, count) in [(2_500, 3), (3_000, 3), (60_000, 60), (999, 1)] {
            let sent = pattern(len);
            send_datagrams(&sent, 1_000);
            let on_the_wire: Vec<_> = wire.received().iter().map(Vec::len).collect();
            assert_eq!(on_the_wire, [42 + len]);
            // One at a time: a joined frame stays in the ring until its last datagram is taken.
            let (mut frames, mut out) = (Vec::new(), Vec::new());
            while nic.rx_burst(&mut out, 1) > 0 {
                assert_eq!(out.len(), 1);
                frames.append(&mut out);
            }
            assert_eq!(frames.len(), count);
            let mut payload = Vec::new();
            for frame in &mut frames {
                assert_eq!(frame.meta().rx_checksum, RxChecksum::Verified);
                assert_eq!(frame.meta().offload.gso_type, GsoType::None);
                let (ip, _) = Ipv4Header::parse(&frame.bytes()[14..]).expect("a right header");
                assert_eq!(14 + 20 + usize::from(ip.payload_len), frame.bytes().len());
                assert!(completes(frame, IpProtocol::UDP));
                payload.extend_from_slice(&frame.bytes()[TCP_AT + 8..]);
            }
            assert_eq!(payload, sent);
        }
        assert_eq!(nic.stats(), Default::default());
    });
}

/// Sends a frame of 100,000 bytes by v1, which is a super-segment longer than any that IP can say.
fn send_giant() {
    let wire = RawSocket::on("v1");
    let one: libc::c_int = 1;
    // SAFETY: the value is an int, as the option wants it, and lives across the call.
    let set = unsafe {
        libc::setsockopt(
            std::os::fd::AsFd::as_fd(&wire).as_raw_fd(),
            libc::SOL_PACKET,
            libc::PACKET_VNET_HDR,
            (&raw const one).cast(),
            size_of::<libc::c_int>() as libc::socklen_t,
        )
    };
    assert_eq!(set, 0, "PACKET_VNET_HDR: {}", std::io::Error::last_os_error());
    let mut frame = vec![0; 100_000];
    EthernetHeader { dst: MacAddr([2; 6]), src: MacAddr([2; 6]), ethertype: EtherType::IPV6 }
        .emit(&mut frame);
    // Version, next header TCP; the length is in no field.
    (frame[14], frame[20], frame[21]) = (0x60, 6, 64);
    let tcp_at = 14 + 40;
    header(1, 1, TcpFlags::ACK).emit(&mut frame[tcp_at..]);
    let fields = [74, 1_400, tcp_at as u16, 16];
    let mut bytes = vec![1, 4];
    bytes.extend(fields.iter().flat_map(|field| field.to_ne_bytes()));
    bytes.extend(frame);
    wire.send(&bytes);
}

#[test]
fn a_frame_that_does_not_fit_a_slot_is_dropped_and_counted() {
    in_own_namespace(|| {
        let mut rig = rig();
        for device in ["v0", "v1"] {
            ip(&format!("link set {device} gso_max_size 200000"));
        }
        rig.socket.send(&[2; 60]);
        send_giant();
        rig.socket.send(&[4; 60]);
        assert_eq!(crate::received(&mut rig.nic), [[2; 60], [4; 60]]);
        assert_eq!(rig.nic.stats().rx_truncated, 1);
    });
}
