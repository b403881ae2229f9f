//! The exact words of each complaint.

use super::Config;

const INTERFACE: &str = "[[interface]]
name = \"lo0\"
backend = \"loopback\"
addresses = [\"10.0.1.5/24\"]
";

fn complaint(text: &str) -> String {
    Config::parse("c.toml", text).expect_err("the text has a fault").to_string()
}

#[track_caller]
fn assert_complaint(text: &str, expected: &str) {
    assert_eq!(complaint(text), expected, "about:\n{text}");
}

/// A good interface (lines 1 to 4) followed by `rest`, which begins on line 5.
#[track_caller]
fn assert_after_interface(rest: &str, expected: &str) {
    assert_complaint(&format!("{INTERFACE}{rest}"), expected);
}

#[test]
fn the_smallest_configuration_is_one_interface() {
    let config = Config::parse("c.toml", INTERFACE).unwrap();
    let interface = &config.interfaces()[0];
    assert_eq!(interface.device(), "lo0");
    assert_eq!(interface.mac().to_string(), "02:00:0a:00:01:05");
    assert_eq!(interface.mtu(), 1500);
    assert_eq!(config.daemon().spin_us(), 50);
}

#[test]
fn an_unknown_key_is_named_with_the_known_ones() {
    assert_after_interface(
        "[daemon]\nspin_ms = 4\n",
        "c.toml:6: daemon.spin_ms: unknown key; the keys here are socket, socket_mode, \
         socket_owner, busy_poll, spin_us, log, user, sandbox, lock_memory, log_format",
    );
    assert_after_interface(
        "[interface.fault]\nlos_ppm = 4\n",
        "c.toml:6: interface.fault.los_ppm: unknown key; the keys here are seed, loss_ppm, \
         duplicate_ppm, reorder_ppm, reorder_frames_max, corrupt_ppm",
    );
}

#[test]
fn an_unknown_table_is_named() {
    assert_after_interface(
        "[daemons]\n",
        "c.toml:5: daemons: unknown key; the keys here are daemon, interface, route, tcp, \
         machnet, channel, tenant, metrics",
    );
}

#[test]
fn a_missing_key_is_named_with_its_table() {
    assert_complaint(
        "[[interface]]\nname = \"a\"\nbackend = \"tap\"\n",
        "c.toml:1: interface.addresses: is missing; add it; docs/configuration.md says how",
    );
}

#[test]
fn a_value_of_the_wrong_type_names_its_key() {
    assert_after_interface(
        "mtu = \"big\"\n",
        "c.toml:5: interface.mtu: invalid type: string \"big\", expected an integer; \
         docs/configuration.md has an example",
    );
}

#[test]
fn a_number_out_of_range_gets_the_range() {
    assert_after_interface(
        "mtu = 70000\n",
        "c.toml:5: interface.mtu: 70000 is out of range; give 576 to 9000 bytes",
    );
    assert_after_interface(
        "[daemon]\nspin_us = -1\n",
        "c.toml:6: daemon.spin_us: -1 is out of range; give 0 to 1000000 microseconds",
    );
}

#[test]
fn a_wrong_word_gets_the_choices() {
    assert_after_interface(
        "[daemon]\nbusy_poll = \"sometimes\"\n",
        "c.toml:6: daemon.busy_poll: \"sometimes\" is none of the choices; \
         give \"always\" or \"adaptive\" or \"never\"",
    );
}

#[test]
fn addresses_are_checked_one_by_one() {
    let with = |list: &str| {
        format!("[[interface]]\nname = \"a\"\nbackend = \"tap\"\naddresses = [\n{list}]\n")
    };
    assert_complaint(
        &with("  \"10.0.1.5/24\",\n  \"10.0.1.6\",\n"),
        "c.toml:6: interface.addresses: \"10.0.1.6\" is not an address with a prefix length; \
         write it like \"10.0.1.5/24\"",
    );
    assert_complaint(
        &with("  \"10.0.1.5/24\",\n  \"10.0.1.5/16\",\n"),
        "c.toml:6: interface.addresses: 10.0.1.5 is listed twice; list it once",
    );
    assert_complaint(
        &with("  \"224.0.0.1/24\",\n"),
        "c.toml:5: interface.addresses: 224.0.0.1 cannot be one host's in a /24; \
         give a unicast address",
    );
    assert_complaint(
        &with("  \"10.0.1.255/24\",\n"),
        "c.toml:5: interface.addresses: 10.0.1.255 cannot be one host's in a /24; \
         give a unicast address",
    );
    assert_complaint(
        &with(""),
        "c.toml:4: interface.addresses: 0 addresses are listed; list 1 to 64",
    );
}

#[test]
fn two_interfaces_share_neither_name_nor_address() {
    assert_after_interface(
        INTERFACE,
        "c.toml:6: interface.name: \"lo0\" is the name of another interface too; \
         give each its own",
    );
    assert_after_interface(
        &INTERFACE.replace("lo0", "lo1"),
        "c.toml:8: interface.addresses: 10.0.1.5 is an address of \"lo0\" too; list it once",
    );
}

#[test]
fn a_mac_must_be_a_hosts() {
    assert_after_interface(
        "mac = \"02:00:00:00:00:01\"\n",
        "c.toml:5: interface.mac: a loopback has no address of its own; \
         remove it, or use the backend \"tap\" or \"packet\"",
    );
    let assert_after_interface = |rest: &str, expected: &str| {
        assert_complaint(&format!("{}{rest}", INTERFACE.replace("loopback", "tap")), expected);
    };
    assert_after_interface(
        "mac = \"01:00:5e:00:00:01\"\n",
        "c.toml:5: interface.mac: \"01:00:5e:00:00:01\" is not a host's Ethernet address; \
         write a unicast address like \"02:00:0a:00:01:05\"",
    );
    assert_after_interface(
        "mac = \"02-00-0a-00-01-05\"\n",
        "c.toml:5: interface.mac: \"02-00-0a-00-01-05\" is not an Ethernet address; \
         write a unicast address like \"02:00:0a:00:01:05\"",
    );
}

#[test]
fn a_route_needs_a_way() {
    assert_after_interface(
        "[[route]]\ndestination = \"0.0.0.0/0\"\n",
        "c.toml:6: route.interface: is missing, and so is a gateway; give one of them or both",
    );
    assert_after_interface(
        "[[route]]\ndestination = \"0.0.0.0/0\"\ngateway = \"10.9.9.9\"\n",
        "c.toml:7: route.gateway: 10.9.9.9 is in no interface's network; \
         correct it, or name the interface",
    );
    assert_after_interface(
        "[[route]]\ndestination = \"0.0.0.0/0\"\ninterface = \"eth7\"\n",
        "c.toml:7: route.interface: there is no interface \"eth7\"; give \"lo0\"",
    );
    assert_after_interface(
        "[[route]]\ndestination = \"10.0.2.1/24\"\ninterface = \"lo0\"\n",
        "c.toml:6: route.destination: 10.0.2.1/24 has bits beyond its prefix; \
         write the network, like 10.0.2.0/24",
    );
}

#[test]
fn no_interface_at_all_is_said() {
    assert_complaint(
        "",
        "c.toml: interface: there is none; \
         add an [[interface]] with name, backend and addresses",
    );
}

#[test]
fn broken_syntax_names_the_line() {
    let said = complaint(&format!("{INTERFACE}mtu = = 3\n"));
    assert!(said.starts_with("c.toml:5: not valid TOML: "), "{said}");
    assert_eq!(said.lines().count(), 1, "{said}");
}

#[test]
fn an_unreadable_file_is_one_sentence() {
    let error = Config::load(std::path::Path::new("/nonexistent/c.toml")).unwrap_err();
    assert_eq!(
        error.to_string(),
        "/nonexistent/c.toml: cannot be read: No such file or directory (os error 2); \
         give the path of a TOML file as in docs/configuration.md"
    );
}

#[test]
fn ipv6_is_taken_where_it_makes_sense_and_refused_by_its_reason_elsewhere() {
    assert_complaint(
        &INTERFACE.replace("10.0.1.5/24", "::ffff:10.0.1.5/120"),
        "c.toml:4: interface.addresses: ::ffff:10.0.1.5 is an IPv4 address; write it as 10.0.1.5",
    );
    assert_after_interface(
        "[[route]]\ndestination = \"0.0.0.0/0\"\ngateway = \"fe80::1\"\ninterface = \"lo0\"\n",
        "c.toml:7: route.gateway: fe80::1 is of another family than the destination; give a \
         router of the same",
    );
    assert_complaint(
        &format!("{}ipv6 = \"off\"\n", INTERFACE.replace("10.0.1.5/24", "2001:db8::5/64")),
        "c.toml:5: interface.ipv6: there is an IPv6 address among the interface's addresses; \
         remove it, or write \"static\" or \"auto\"",
    );
    assert_complaint(
        &format!("{}mtu = 1279\n", INTERFACE.replace("10.0.1.5/24", "2001:db8::5/64")),
        "c.toml:5: interface.mtu: 1279 bytes are too few for IPv6; give 1280 or more, or no IPv6 \
         address",
    );
    let text = format!(
        "{}ipv6 = \"auto\"\n\n[[route]]\ndestination = \"::/0\"\ngateway = \"fe80::1\"\n\
         interface = \"lo0\"\n",
        INTERFACE.replace("10.0.1.5/24", "2001:db8::5/64")
    );
    let config = Config::parse("c.toml", &text).unwrap();
    assert_eq!(config.interfaces()[0].ipv6(), causeway_core::ip::Ipv6Mode::Auto);
}

#[test]
fn addresses_of_ipv4_are_probed_only_where_the_configuration_says_so() {
    for (line, probes) in [("", false), ("probe_addresses = true\n", true)] {
        let config = Config::parse("c.toml", &format!("{INTERFACE}{line}")).unwrap();
        assert_eq!(config.interfaces()[0].probe_addresses(), probes);
    }
}

#[test]
fn a_route_to_an_interfaces_own_network_is_superfluous() {
    assert_after_interface(
        "[[route]]\ndestination = \"10.0.1.0/24\"\ninterface = \"lo0\"\n",
        "c.toml:6: route.destination: 10.0.1.0/24 is the network of \"lo0\", which is reached \
         without a route; remove this route",
    );
    // A part of it may lie elsewhere.
    let part = "[[route]]\ndestination = \"10.0.1.128/25\"\ngateway = \"10.0.1.1\"\n";
    assert!(Config::parse("c.toml", &format!("{INTERFACE}{part}")).is_ok());
}

#[test]
fn a_gateway_is_another_host() {
    let assert_gateway = |gateway: &str, expected: &str| {
        let route = "[[route]]\ndestination = \"0.0.0.0/0\"\ninterface = \"lo0\"\n";
        assert_after_interface(
            &format!("{route}gateway = \"{gateway}\"\n"),
            &format!("c.toml:8: route.gateway: {gateway} {expected}"),
        );
    };
    assert_gateway("10.0.1.5", "is our own address; give the router's");
    for no_host in
        ["224.0.0.1", "255.255.255.255", "127.0.0.1", "0.0.0.0", "10.0.1.255", "10.0.1.0"]
    {
        assert_gateway(no_host, "cannot be one host's; give the router's address");
    }
}

#[test]
fn a_route_leads_to_hosts() {
    for nobody in ["224.0.0.0/4", "239.1.0.0/16", "240.0.0.0/4", "127.0.0.0/8"] {
        assert_after_interface(
            &format!("[[route]]\ndestination = \"{nobody}\"\ninterface = \"lo0\"\n"),
            &format!(
                "c.toml:6: route.destination: {nobody} holds no address that a route can lead to; \
                 give a network of unicast addresses"
            ),
        );
    }
}

#[test]
fn a_device_of_the_kernel_has_keys_of_its_own() {
    let packet = |rest: &str| INTERFACE.replace("loopback", "packet") + rest;
    let options = |rest: &str| {
        let config = Config::parse("c.toml", &packet(rest)).unwrap();
        *config.interfaces()[0].packet().unwrap()
    };
    let plain = options("");
    assert_eq!((plain.mac(), plain.mtu()), (None, None), "the device's own");
    assert_eq!((plain.promiscuous(), plain.offload(), plain.qdisc_bypass()), (false, true, false));
    assert_eq!(plain.ring_bytes(), 32 << 20);
    let chosen = options(
        "mac = \"02:00:00:00:00:01\"\nmtu = 1400\npromiscuous = true\noffload = false\n\
         qdisc_bypass = true\nring_bytes = 1048576\n",
    );
    assert_eq!(chosen.mac().unwrap().to_string(), "02:00:00:00:00:01");
    assert_eq!(chosen.mtu(), Some(1_400));
    assert_eq!(
        (chosen.promiscuous(), chosen.offload(), chosen.qdisc_bypass()),
        (true, false, true)
    );
    assert_eq!(chosen.ring_bytes(), 1 << 20);
    assert!(!options("[interface.fault]\n").offload(), "faults strike frames one by one");

    assert_complaint(
        &packet("offload = true\n[interface.fault]\n"),
        "c.toml:5: interface.offload: faults strike frames, not what a card makes into frames later; \
         remove it, or the [interface.fault]",
    );
    assert_complaint(
        &packet("ring_bytes = 1000\n"),
        "c.toml:5: interface.ring_bytes: 1000 is out of range; give 1048576 to 1073741824 bytes",
    );
    for given in
        ["promiscuous = false", "offload = true", "qdisc_bypass = true", "ring_bytes = 1048576"]
    {
        let key = given.split(' ').next().unwrap();
        assert_after_interface(
            &format!("{given}\n"),
            &format!(
                "c.toml:5: interface.{key}: only a device of the kernel has it; \
                 remove it, or use the backend \"packet\""
            ),
        );
    }
}

#[test]
fn two_interfaces_share_no_device() {
    let tap = |name: &str, address: &str, rest: &str| {
        format!(
            "[[interface]]\nname = \"{name}\"\nbackend = \"tap\"\naddresses = [\"{address}/24\"]\n{rest}"
        )
    };
    let other = |rest| tap("a", "10.0.1.5", "") + &tap("b", "10.0.2.5", rest);
    assert_complaint(
        &other("device = \"a\"\n"),
        "c.toml:9: interface.device: \"a\" is the device of \"a\" too; give each its own",
    );
    assert!(Config::parse("c.toml", &other("")).is_ok());
    // Nor is one a TAP of one and the packet device of the other.
    let packet = tap("b", "10.0.2.5", "device = \"a\"\n").replace("\"tap\"", "\"packet\"");
    assert_complaint(
        &(tap("a", "10.0.1.5", "") + &packet),
        "c.toml:9: interface.device: \"a\" is the device of \"a\" too; give each its own",
    );
    // The name of a loopback is no device.
    let loopback = INTERFACE.replace("lo0", "c") + &tap("d", "10.0.2.5", "device = \"c\"\n");
    assert!(Config::parse("c.toml", &loopback).is_ok());
}

#[test]
fn a_first_timeout_is_not_below_the_least_one() {
    assert_after_interface(
        "[tcp]\nrto_ms_initial = 100\n",
        "c.toml:6: tcp.rto_ms_initial: an rto_ms_initial of 100 is below an rto_ms_min of 200; \
         give 200 or more as rto_ms_initial, or lower rto_ms_min",
    );
    let both = "[tcp]\nrto_ms_min = 100\nrto_ms_initial = 100\n";
    assert!(Config::parse("c.toml", &format!("{INTERFACE}{both}")).is_ok());
}

#[test]
fn a_first_timeout_is_not_above_the_greatest_one() {
    assert_after_interface(
        "[tcp]\nrto_ms_max = 60000\nrto_ms_initial = 60001\n",
        "c.toml:7: tcp.rto_ms_initial: an rto_ms_initial of 60001 is above an rto_ms_max of 60000; \
         give 60000 or less as rto_ms_initial, or raise rto_ms_max",
    );
    for ends in ["rto_ms_initial = 120000", "rto_ms_initial = 60000\nrto_ms_max = 60000"] {
        assert!(Config::parse("c.toml", &format!("{INTERFACE}[tcp]\n{ends}\n")).is_ok());
    }
}

#[test]
fn settings_of_a_channel_that_do_not_fit_each_other_are_named() {
    let assert_channel = |rest: &str, expected: &str| {
        assert_after_interface(
            &format!("[channel]\n{rest}\n"),
            &format!("c.toml:6: channel.{expected}"),
        );
    };
    assert_channel(
        "tx_bytes = 1048576",
        "tx_bytes: with a chunk_bytes of 16384 and a machnet.msg_max of 8388608, tx_bytes must be \
         8404992 or more; raise tx_bytes, or lower machnet.msg_max or chunk_bytes",
    );
    assert_channel(
        "rx_bytes = 8437759",
        "rx_bytes: with a chunk_bytes of 16384 and a machnet.msg_max of 8388608, rx_bytes must be \
         8437760 or more; raise rx_bytes, or lower machnet.msg_max or chunk_bytes",
    );
    assert_channel(
        "rx_bytes = 17179869184\nchunk_bytes = 4096",
        "rx_bytes: with a chunk_bytes of 4096, rx_bytes can be 4294967296 at most; \
         lower it, or raise chunk_bytes",
    );
    assert_channel(
        "rx_window_bytes = 1073725440\nchunk_bytes = 4096",
        "rx_window_bytes: with a chunk_bytes of 4096, rx_window_bytes can be 268431360 at most; \
         lower it, or raise chunk_bytes",
    );
    assert_channel(
        "streams_max = 65536\nrx_window_bytes = 1073725440\ntx_bytes = 17179869184\nrx_bytes = 17179869184",
        "streams_max: the channel would be larger than 64 GiB; \
         lower streams_max, rx_window_bytes, rx_bytes or tx_bytes, or raise chunk_bytes",
    );
    // The bounds themselves are good.
    for good in [
        "tx_bytes = 8404992\nrx_bytes = 8437760",
        "rx_bytes = 4294967296\nchunk_bytes = 4096",
        "rx_window_bytes = 268431360\nchunk_bytes = 4096\nstreams_max = 1024",
    ] {
        let text = format!("{INTERFACE}[channel]\n{good}\n");
        assert_eq!(Config::parse("c.toml", &text).map(|_| ()), Ok(()), "{good}");
    }
}

#[test]
fn a_longest_message_is_up_to_64_mib_and_lies_in_both_pools() {
    let given = |machnet: &str, channel: &str| {
        format!("{INTERFACE}[machnet]\nmsg_max = {machnet}\n[channel]\n{channel}\n")
    };
    assert_complaint(
        &given("67108864", ""),
        "c.toml:6: machnet.msg_max: with a chunk_bytes of 16384 and a machnet.msg_max of 67108864, \
         tx_bytes must be 67125248 or more; raise tx_bytes, or lower machnet.msg_max or chunk_bytes",
    );
    assert_complaint(
        &given("67108864", "tx_bytes = 67125248"),
        "c.toml:6: machnet.msg_max: with a chunk_bytes of 16384 and a machnet.msg_max of 67108864, \
         rx_bytes must be 67158016 or more; raise rx_bytes, or lower machnet.msg_max or chunk_bytes",
    );
    assert_complaint(
        &given("67108865", ""),
        "c.toml:6: machnet.msg_max: 67108865 is out of range; give 1 to 67108864 bytes",
    );
    let good = given("67108864", "tx_bytes = 67125248\nrx_bytes = 67158016");
    assert_eq!(Config::parse("c.toml", &good).unwrap().machnet().msg_max(), 64 << 20);
    assert_eq!(Config::parse("c.toml", INTERFACE).unwrap().machnet().msg_max(), 8 << 20);
}

#[test]
fn the_extended_profile_is_switched_and_its_settings_have_ranges() {
    let with = |line: &str| format!("{INTERFACE}[machnet]\n{line}\n");
    let parsed = |line: &str| *Config::parse("c.toml", &with(line)).unwrap().machnet();
    assert!(parsed("").extended());
    assert!(parsed("extended = true").extended());
    assert!(!parsed("extended = false").extended());
    let default = parsed("");
    for (key, least, most, unit) in [
        ("ack_delay_us", 0, 100_000, "microseconds"),
        ("keepalive_ms", 100, 3_600_000, "milliseconds"),
        ("target_us", 1, 1_000_000, "microseconds"),
        ("hop_us", 0, 1_000_000, "microseconds"),
        ("flows_us", 0, 1_000_000, "microseconds"),
    ] {
        for bound in [least, most] {
            assert_ne!(parsed(&format!("{key} = {bound}")), default, "{key} = {bound} is heard");
        }
        for beyond in [least - 1, most + 1] {
            assert_complaint(
                &with(&format!("{key} = {beyond}")),
                &format!(
                    "c.toml:6: machnet.{key}: {beyond} is out of range; give {least} to {most} {unit}"
                ),
            );
        }
    }
    let same =
        "ack_delay_us = 500\nkeepalive_ms = 30000\ntarget_us = 300\nhop_us = 10\nflows_us = 200";
    assert_eq!(parsed(same), default);
}

#[test]
fn peers_with_bad_checksums_are_hosts_and_listed_once() {
    let text = format!("{INTERFACE}[machnet]\naccept_bad_udp_checksum = [\"10.0.1.9\"]\n");
    let config = Config::parse("c.toml", &text).unwrap();
    assert_eq!(config.accept_bad_udp_checksum(), [std::net::Ipv4Addr::new(10, 0, 1, 9)]);
    assert!(Config::parse("c.toml", INTERFACE).unwrap().accept_bad_udp_checksum().is_empty());
    let assert_list = |list: &str, expected: &str| {
        assert_after_interface(
            &format!("[machnet]\naccept_bad_udp_checksum = {list}\n"),
            &format!("c.toml:6: machnet.accept_bad_udp_checksum: {expected}"),
        );
    };
    assert_list("[\"nobody\"]", "\"nobody\" is not an IP address; write it like \"10.0.1.1\"");
    assert_list("[\"224.0.0.1\"]", "224.0.0.1 cannot be one host's; give the peer's address");
    assert_list("[\"10.0.1.9\", \"10.0.1.9\"]", "10.0.1.9 is listed twice; list it once");
    let many: Vec<String> = (0..65).map(|i| format!("10.0.2.{i}")).collect();
    assert_list(&format!("{many:?}"), "65 peers are listed; list at most 64");
}

#[test]
fn the_whole_window_can_be_advertised() {
    let with = |window: u64| {
        let text = format!("{INTERFACE}[channel]\nrx_window_bytes = {window}\n");
        *Config::parse("c.toml", &text).unwrap().tcp()
    };
    // What is promised before there are rings is what every connection is sure of: two chunks.
    let scaled = |shift, buffer_max| {
        let tcp = causeway_core::tcp::Config::builder().rcv_wnd_initial(2 * 16_384);
        tcp.window_scale(shift).tcp_rmem(4_096, 131_072, buffer_max).build().unwrap()
    };
    assert_eq!(with(64 << 20), scaled(11, 128 << 20));
    assert_eq!(with(1_073_725_440), scaled(14, 2_147_450_880));
    assert_after_interface(
        "[channel]\nrx_window_bytes = 1073741824\n",
        "c.toml:6: channel.rx_window_bytes: 1073741824 is out of range; \
         give 65536 to 1073725440 bytes",
    );
}

#[test]
fn a_congestion_control_that_is_not_built_in_and_a_mode_of_ecn_that_is_none_are_refused() {
    assert_after_interface(
        "[tcp]\ncongestion = \"vegas\"\n",
        "c.toml:6: tcp.congestion: \"vegas\" is not known; give one of cubic, reno, dctcp, bbr",
    );
    assert_after_interface("[tcp]\necn = 3\n", "c.toml:6: tcp.ecn: 3 is out of range; give 0 to 2");
    for name in ["cubic", "reno", "dctcp", "bbr"] {
        let text = format!("{INTERFACE}[tcp]\ncongestion = {name:?}\necn = 1\npacing = true\n");
        assert!(Config::parse("c.toml", &text).is_ok(), "{name}");
    }
}

#[test]
fn a_number_beyond_all_integers_gets_the_range_too() {
    for number in ["99999999999999999999999", "-9223372036854775809", "256"] {
        assert_after_interface(
            &format!("[tcp]\nretries_max = {number}\n"),
            &format!(
                "c.toml:6: tcp.retries_max: {number} is out of range; \
                 give 1 to 255 retransmissions"
            ),
        );
    }
    let said = complaint(&format!("{INTERFACE}[tcp]\nretries_max = {}\n", "9".repeat(60)));
    assert_eq!(
        said,
        "c.toml:6: tcp.retries_max: the number is out of every range; \
         docs/configuration.md has the range"
    );
}

#[test]
fn a_name_that_no_device_can_have_is_refused_where_it_stands() {
    for name in ["tap%d", "tap/0", "tap 0", ".", "sixteen-letters-"] {
        let text = INTERFACE.replace("loopback", "tap");
        assert_complaint(
            &format!("{text}device = \"{name}\"\n"),
            &format!(
                "c.toml:5: interface.device: \"{name}\" is not a name for an interface; \
                 give 1 to 15 of the characters a-z A-Z 0-9 _ . -"
            ),
        );
    }
}

#[test]
fn two_interfaces_share_no_network_and_one_may_have_many_addresses_of_it() {
    let with = |name: &str, list: &str| {
        format!("[[interface]]\nname = \"{name}\"\nbackend = \"tap\"\naddresses = [\n{list}]\n")
    };
    let two = |first: &str, second: &str| with("a", first) + &with("b", second);
    assert_complaint(
        &two("\"10.7.1.5/24\"\n", "\"10.8.1.5/24\",\n\"10.7.1.6/24\"\n"),
        "c.toml:12: interface.addresses: 10.7.1.0/24 is the network of \"a\" too; give each \
         interface networks of its own, or one interface both addresses",
    );
    assert_complaint(
        &two("\"fd00::5/64\"\n", "\"fd00::6/64\"\n"),
        "c.toml:11: interface.addresses: fd00::/64 is the network of \"a\" too; give each \
         interface networks of its own, or one interface both addresses",
    );
    for good in [
        two("\"10.7.1.5/24\", \"10.7.1.6/24\"\n", "\"10.7.0.5/16\"\n"),
        two("\"fe80::5/64\"\n", "\"fe80::6/64\"\n"),
    ] {
        assert!(Config::parse("c.toml", &good).is_ok(), "{good}");
    }
}

#[test]
fn the_metrics_endpoint_is_for_this_machine_only() {
    let advice = "give one like \"127.0.0.1:9464\" or \"/run/causeway/metrics.sock\"";
    for (listen, problem) in [
        ("0.0.0.0:9464", "is no loopback address"),
        ("10.0.1.5:9464", "is no loopback address"),
        ("127.0.0.1:0", "has no port"),
        ("127.0.0.1", "is neither an address with a port nor an absolute path"),
        ("metrics.sock", "is neither an address with a port nor an absolute path"),
    ] {
        assert_after_interface(
            &format!("[metrics]\nlisten = {listen:?}\n"),
            &format!("c.toml:6: metrics.listen: {listen:?} {problem}; {advice}"),
        );
    }
    for listen in ["127.0.0.1:9464", "[::1]:9464", "/run/causeway/metrics.sock"] {
        let text = format!("{INTERFACE}[metrics]\nlisten = {listen:?}\n");
        let config = Config::parse("c.toml", &text).unwrap();
        assert_eq!(config.metrics().listen().unwrap().to_string(), listen);
    }
    assert_eq!(Config::parse("c.toml", INTERFACE).unwrap().metrics().listen(), None);
}
