//! The numbers behind names.

/// Getter: the number of a constant of the system's headers.
pub fn number(name: &str) -> Option<i64> {
    let system = SYSTEM.iter().find(|(known, _)| *known == name).map(|(_, value)| *value);
    system.or_else(|| OURS.iter().find(|(known, _)| *known == name).map(|(_, value)| *value))
}

/// Getter: type and code byte of an ICMP message, `v6` for ICMPv6. No code means 0.
pub fn icmp(v6: bool, kind: &str, code: Option<&str>) -> Option<(u8, u8)> {
    let (kinds, codes) =
        if v6 { (ICMPV6_TYPES, ICMPV6_CODES) } else { (ICMPV4_TYPES, ICMPV4_CODES) };
    let kind_byte = match kind.strip_prefix("type_") {
        Some(number) => number.parse().ok()?,
        None => kinds.iter().find(|(name, _)| *name == kind)?.1,
    };
    let code_byte = match code {
        None => 0,
        Some(code) => match code.strip_prefix("code_") {
            Some(number) => number.parse().ok()?,
            None => codes.iter().find(|(of, name, _)| (*of, *name) == (kind_byte, code))?.2,
        },
    };
    Some((kind_byte, code_byte))
}

/// Getter: what an ICMP message is called.
pub fn icmp_name(v6: bool, kind: u8, code: u8) -> String {
    let (kinds, codes) =
        if v6 { (ICMPV6_TYPES, ICMPV6_CODES) } else { (ICMPV4_TYPES, ICMPV4_CODES) };
    let kind_name = kinds.iter().find(|(_, byte)| *byte == kind);
    let kind_name =
        kind_name.map_or_else(|| format!("type_{kind}"), |(name, _)| (*name).to_owned());
    let code_name = codes.iter().find(|(of, _, byte)| (*of, *byte) == (kind, code));
    match code_name {
        Some((_, name, _)) => format!("{kind_name} {name}"),
        None if code == 0 => kind_name,
        None => format!("{kind_name} code_{code}"),
    }
}

const ICMPV4_TYPES: &[(&str, u8)] = &[
    ("echo_reply", 0),
    ("unreachable", 3),
    ("source_quench", 4),
    ("redirect", 5),
    ("echo_request", 8),
    ("time_exceeded", 11),
    ("parameter_problem", 12),
    ("timestamp_request", 13),
    ("timestamp_reply", 14),
    ("information_request", 15),
    ("information_reply", 16),
    ("address_mask_request", 17),
    ("address_mask_reply", 18),
];

const ICMPV4_CODES: &[(u8, &str, u8)] = &[
    (3, "net_unreachable", 0),
    (3, "host_unreachable", 1),
    (3, "protocol_unreachable", 2),
    (3, "port_unreachable", 3),
    (3, "frag_needed", 4),
    (3, "source_route_failed", 5),
    (3, "net_unknown", 6),
    (3, "host_unknown", 7),
    (3, "source_host_isolated", 8),
    (3, "net_prohibited", 9),
    (3, "host_prohibited", 10),
    (3, "net_unreachable_for_tos", 11),
    (3, "host_unreachable_for_tos", 12),
    (3, "packet_filtered", 13),
    (3, "precedence_violation", 14),
    (3, "precedence_cutoff", 15),
];

const ICMPV6_TYPES: &[(&str, u8)] = &[
    ("unreachable", 1),
    ("packet_too_big", 2),
    ("time_exceeded", 3),
    ("parameter_problem", 4),
    ("echo_request", 128),
    ("echo_reply", 129),
];

const ICMPV6_CODES: &[(u8, &str, u8)] = &[
    (1, "no_route", 0),
    (1, "net_unreachable", 0),
    (1, "admin_prohibited", 1),
    (1, "not_neighbour", 2),
    (1, "address_unreachable", 3),
    (1, "port_unreachable", 4),
    (3, "exceeded_hop_limit", 0),
    (3, "exceeded_frag_time", 1),
    (4, "header_field", 0),
    (4, "unknown_next_header", 1),
    (4, "unknown_option", 2),
];

macro_rules! system {
    ($($name:ident)*) => {
        const SYSTEM: &[(&str, i64)] = &[$((stringify!($name), libc::$name as i64)),*];
    };
}

system! {
    AF_INET AF_INET6 AF_UNSPEC PF_INET PF_INET6
    SOCK_STREAM SOCK_DGRAM SOCK_RAW SOCK_NONBLOCK SOCK_CLOEXEC
    IPPROTO_IP IPPROTO_IPV6 IPPROTO_TCP IPPROTO_UDP IPPROTO_ICMP IPPROTO_ICMPV6
    SOL_SOCKET SOL_TCP SOL_IP SOL_IPV6 SOL_UDP
    SO_ACCEPTCONN SO_BINDTODEVICE SO_BROADCAST SO_DEBUG SO_DOMAIN SO_DONTROUTE SO_ERROR SO_KEEPALIVE SO_LINGER
    SO_MARK SO_OOBINLINE SO_PASSCRED SO_PEEK_OFF SO_PRIORITY SO_PROTOCOL SO_RCVBUF SO_RCVBUFFORCE SO_RCVLOWAT
    SO_RCVTIMEO SO_REUSEADDR SO_REUSEPORT SO_SNDBUF SO_SNDBUFFORCE SO_SNDLOWAT SO_SNDTIMEO SO_TIMESTAMP
    SO_TIMESTAMPNS SO_TIMESTAMPING SO_TYPE SO_BUSY_POLL SO_MEMINFO SO_INCOMING_CPU SO_INCOMING_NAPI_ID
    TCP_NODELAY TCP_MAXSEG TCP_CORK TCP_KEEPIDLE TCP_KEEPINTVL TCP_KEEPCNT TCP_SYNCNT TCP_LINGER2
    TCP_DEFER_ACCEPT TCP_WINDOW_CLAMP TCP_INFO TCP_QUICKACK TCP_CONGESTION TCP_MD5SIG TCP_USER_TIMEOUT
    TCP_FASTOPEN TCP_TIMESTAMP TCP_NOTSENT_LOWAT TCP_CC_INFO TCP_SAVE_SYN TCP_SAVED_SYN TCP_REPAIR TCP_QUEUE_SEQ
    TCP_ULP TCP_FASTOPEN_CONNECT TCP_FASTOPEN_KEY TCP_FASTOPEN_NO_COOKIE TCP_ZEROCOPY_RECEIVE TCP_INQ TCP_CM_INQ
    TCP_THIN_LINEAR_TIMEOUTS TCP_THIN_DUPACK
    IP_TOS IP_TTL IP_MTU_DISCOVER IP_MTU IP_RECVERR IP_RECVTOS IP_RECVTTL IP_FREEBIND IP_TRANSPARENT IP_PKTINFO
    IP_BIND_ADDRESS_NO_PORT IP_PMTUDISC_DONT IP_PMTUDISC_WANT IP_PMTUDISC_DO IP_PMTUDISC_PROBE
    IP_PMTUDISC_INTERFACE IP_PMTUDISC_OMIT
    IPV6_TCLASS IPV6_UNICAST_HOPS IPV6_MTU_DISCOVER IPV6_MTU IPV6_RECVERR IPV6_V6ONLY IPV6_RECVTCLASS IPV6_HOPLIMIT
    IPV6_RECVHOPLIMIT
    MSG_PEEK MSG_DONTWAIT MSG_WAITALL MSG_OOB MSG_MORE MSG_NOSIGNAL MSG_TRUNC MSG_CTRUNC MSG_ERRQUEUE MSG_EOR
    MSG_FASTOPEN MSG_DONTROUTE MSG_CONFIRM MSG_WAITFORONE
    SHUT_RD SHUT_WR SHUT_RDWR
    F_GETFL F_SETFL F_GETFD F_SETFD F_DUPFD O_RDONLY O_WRONLY O_RDWR O_APPEND O_NONBLOCK O_NDELAY O_CLOEXEC FD_CLOEXEC
    FIONREAD
    POLLIN POLLPRI POLLOUT POLLERR POLLHUP POLLNVAL POLLRDNORM POLLRDBAND POLLWRNORM POLLWRBAND POLLRDHUP
    EPOLLIN EPOLLPRI EPOLLOUT EPOLLERR EPOLLHUP EPOLLRDNORM EPOLLRDBAND EPOLLWRNORM EPOLLWRBAND EPOLLMSG
    EPOLLRDHUP EPOLLONESHOT EPOLLET EPOLLEXCLUSIVE EPOLL_CTL_ADD EPOLL_CTL_MOD EPOLL_CTL_DEL EPOLL_CLOEXEC
    SPLICE_F_MOVE SPLICE_F_NONBLOCK SPLICE_F_MORE
    SCM_TIMESTAMPING SCM_TIMESTAMPNS SCM_RIGHTS
}

/// Names that the C library's headers leave to the kernel's.
const OURS: &[(&str, i64)] = &[
    ("SIOCINQ", 0x541b),
    ("SIOCOUTQ", 0x5411),
    ("SIOCATMARK", 0x8905),
    ("SIOCOUTQNSD", 0x894b),
    ("SO_MAX_PACING_RATE", 47),
    ("SO_ZEROCOPY", 60),
    ("SO_TXTIME", 61),
    ("MSG_ZEROCOPY", 0x400_0000),
    ("TCP_TX_DELAY", 37),
    ("IP_LOCAL_PORT_RANGE", 51),
    ("TCP_REPAIR_OPTIONS", 22),
    ("TCP_REPAIR_QUEUE", 20),
    ("SO_EE_ORIGIN_NONE", 0),
    ("SO_EE_ORIGIN_LOCAL", 1),
    ("SO_EE_ORIGIN_ICMP", 2),
    ("SO_EE_ORIGIN_ICMP6", 3),
    ("SO_EE_ORIGIN_TIMESTAMPING", 4),
    ("SO_EE_ORIGIN_ZEROCOPY", 5),
    ("SO_EE_CODE_ZEROCOPY_COPIED", 1),
    ("SCM_TSTAMP_SND", 0),
    ("SCM_TSTAMP_SCHED", 1),
    ("SCM_TSTAMP_ACK", 2),
    ("SOF_TIMESTAMPING_TX_HARDWARE", 1),
    ("SOF_TIMESTAMPING_TX_SOFTWARE", 2),
    ("SOF_TIMESTAMPING_RX_HARDWARE", 4),
    ("SOF_TIMESTAMPING_RX_SOFTWARE", 8),
    ("SOF_TIMESTAMPING_SOFTWARE", 16),
    ("SOF_TIMESTAMPING_SYS_HARDWARE", 32),
    ("SOF_TIMESTAMPING_RAW_HARDWARE", 64),
    ("SOF_TIMESTAMPING_OPT_ID", 128),
    ("SOF_TIMESTAMPING_TX_SCHED", 256),
    ("SOF_TIMESTAMPING_TX_ACK", 512),
    ("SOF_TIMESTAMPING_OPT_CMSG", 1024),
    ("SOF_TIMESTAMPING_OPT_TSONLY", 2048),
    ("TCP_ESTABLISHED", 1),
    ("TCP_SYN_SENT", 2),
    ("TCP_SYN_RECV", 3),
    ("TCP_FIN_WAIT1", 4),
    ("TCP_FIN_WAIT2", 5),
    ("TCP_TIME_WAIT", 6),
    ("TCP_CLOSE", 7),
    ("TCP_CLOSE_WAIT", 8),
    ("TCP_LAST_ACK", 9),
    ("TCP_LISTEN", 10),
    ("TCP_CLOSING", 11),
    ("TCP_CA_Open", 0),
    ("TCP_CA_Disorder", 1),
    ("TCP_CA_CWR", 2),
    ("TCP_CA_Recovery", 3),
    ("TCP_CA_Loss", 4),
    ("TCPI_OPT_TIMESTAMPS", 1),
    ("TCPI_OPT_SACK", 2),
    ("TCPI_OPT_WSCALE", 4),
    ("TCPI_OPT_ECN", 8),
    ("TCPI_OPT_ECN_SEEN", 16),
    ("TCPI_OPT_SYN_DATA", 32),
    ("NULL", 0),
];
