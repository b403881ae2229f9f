//! The list of rules.

/// A rule that frames can break.
#[derive(Debug, PartialEq, Eq)]
pub struct Rule {
    /// What a failure is known by, as `O4.tcp.right-edge`.
    pub id: &'static str,
    /// Where the rule stands.
    pub clause: &'static str,
    /// The rule, in a sentence.
    pub words: &'static str,
}

/// A place in [`RULES`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct RuleId(usize);

impl RuleId {
    pub(super) fn rule(self) -> &'static Rule {
        &RULES[self.0]
    }
}

macro_rules! rules {
    ($($name:ident $id:literal $clause:literal $words:literal;)*) => {
        /// All rules, in the order of their protocols.
        pub static RULES: &[Rule] = &[$(Rule { id: $id, clause: $clause, words: $words }),*];

        #[allow(non_camel_case_types, clippy::upper_case_acronyms)]
        #[derive(Clone, Copy)]
        enum Place { $($name),* }

        $(pub(super) const $name: RuleId = RuleId(Place::$name as usize);)*
    };
}

rules! {
    FRAME_MALFORMED "O4.frame.malformed" "RFC 1122 2.3.3" "A frame that is sent can be read: lengths fit, headers are whole.";
    IP_CHECKSUM "O4.ip.checksum" "RFC 791 3.1" "The checksum of an IPv4 header is right.";
    IP_HEADER "O4.ip.header" "RFC 791 3.1, RFC 1122 3.2.1.7" "The reserved flag is clear and the time to live is not zero.";
    IP_SOURCE "O4.ip.source" "RFC 1122 3.2.1.3" "The source address is one of the host's.";
    IP_MTU "O4.ip.mtu" "RFC 894, RFC 8200 5" "No packet is longer than the link's MTU.";
    IP_FRAGMENT "O4.ip.fragment" "RFC 791 3.2, RFC 8200 4.5" "All fragments but the last are multiples of 8 bytes, and none ends beyond 65,535.";
    IP_IDENTIFICATION "O4.ip.identification" "RFC 6864 4.3" "Datagrams that may be cut have identifications that differ.";
    TCP_DONT_FRAGMENT "O4.tcp.dont-fragment" "RFC 1191 3" "A long TCP packet over IPv4 has DF.";
    TCP_FRAGMENT "O4.tcp.fragment" "RFC 9293 3.7.1" "TCP is segmented, and never sent in fragments.";
    TCP_CHECKSUM "O4.tcp.checksum" "RFC 9293 3.1 (MUST-2)" "The checksum of a TCP segment is right.";
    UDP_CHECKSUM "O4.udp.checksum" "RFC 768, RFC 1122 4.1.3.4, RFC 8200 8.1" "The checksum of a UDP datagram is there, and right.";
    ICMP_CHECKSUM "O4.icmp.checksum" "RFC 792, RFC 4443 2.3" "The checksum of an ICMP message is right.";

    TCP_RESERVED "O4.tcp.reserved" "RFC 9293 3.1" "Reserved bits are zero.";
    TCP_FLAGS "O4.tcp.flags" "RFC 9293 3.1, 3.10.7.4" "SYN comes without FIN and RST, and nothing but SYN and RST comes without ACK.";
    TCP_OPTIONS "O4.tcp.options" "RFC 9293 3.1, 3.2" "Options have their lengths, and none comes twice.";
    TCP_SYN_OPTIONS "O4.tcp.syn-options" "RFC 9293 3.2, RFC 7323 2.2, RFC 2018 2" "MSS, window scale and SACK-permitted are options of SYN.";
    TCP_SCALE "O4.tcp.window-scale" "RFC 7323 2.3" "No window scale is above 14.";
    TCP_MSS_OPTION "O4.tcp.mss-option" "RFC 9293 3.7.1 (MUST-14, MUST-67), RFC 6691 2" "The MSS of a SYN is the MTU less the fixed headers, whatever options there are.";
    TCP_SYN_AGAIN "O4.tcp.syn-again" "RFC 9293 3.8.1, RFC 7323 2.2" "A SYN that is sent again offers what it offered.";
    TCP_SYN_ACK_OFFER "O4.tcp.syn-ack-offer" "RFC 7323 2.2, 3.2, RFC 2018 2" "A SYN,ACK has no option that the SYN did not offer.";
    TCP_SYN_DATA "O4.tcp.syn-data" "RFC 7413 4.1.3" "A SYN carries data with Fast Open only.";
    TCP_STAMPED "O4.tcp.timestamps" "RFC 7323 3.2" "Every segment but RST has timestamps once both SYNs had them, and none otherwise.";
    TCP_TSVAL "O4.tcp.tsval" "RFC 7323 5.4" "TSval never goes back.";
    TCP_TSECR "O4.tcp.tsecr" "RFC 7323 3.2, 4.3" "TSecr is a TSval that came with a segment at or before what is acknowledged.";
    TCP_MSS "O4.tcp.mss" "RFC 9293 3.7.1 (MUST-16), RFC 6691 2" "No segment is longer, with its options, than the peer's MSS.";
    TCP_PATH_MTU "O4.tcp.path-mtu" "RFC 1191 3, 6.3, 6.4, RFC 8201 4" "For five minutes after a credible \"too big\" packets of the connection are as long as it says at most.";
    TCP_SACK_AGREED "O4.tcp.sack-agreed" "RFC 2018 2" "SACK blocks are sent to a peer that permits them only.";

    TCP_NO_CONNECTION "O4.tcp.no-connection" "RFC 9293 3.10.7.1" "Where no connection was begun, nothing but RST is sent.";
    TCP_ACK_UNRECEIVED "O4.tcp.ack-unreceived" "RFC 9293 3.4, 3.10.7.4" "Nothing is acknowledged that was not received.";
    TCP_ACK_BACK "O4.tcp.ack-back" "RFC 9293 3.4" "Acknowledgements never go back.";
    TCP_SEQ_BEYOND "O4.tcp.sequence" "RFC 9293 3.4" "A segment begins no further than the next number that was not sent yet.";
    TCP_SAME_BYTES "O4.tcp.same-bytes" "RFC 9293 3.7, 3.8.1" "A sequence number is the same byte whenever it is sent.";
    TCP_FIN "O4.tcp.fin" "RFC 9293 3.5, 3.10.4" "FIN has one place, and nothing is sent beyond it.";
    TCP_AFTER_RST "O4.tcp.after-reset" "RFC 9293 3.10.5, 3.10.7.4" "After a RST of a connection nothing of it is sent.";
    TCP_RESENT_ACKED "O4.tcp.resent-acked" "RFC 9293 3.8.1" "What was acknowledged is not sent again.";

    TCP_RIGHT_EDGE "O4.tcp.right-edge" "RFC 9293 3.8.6 (SHLD-14), RFC 7323 2.4" "The right edge of the window is not taken back, but for the rounding of the scale.";
    TCP_BEYOND_WINDOW "O4.tcp.beyond-window" "RFC 9293 3.8.6" "No new data lies beyond the greatest right edge that the peer told.";
    TCP_SILLY_WINDOW "O4.tcp.silly-window" "RFC 9293 3.8.6.2.2 (MUST-39)" "A window opens by a segment, or half of the buffer, at least.";

    TCP_SACK_TRUTH "O4.tcp.sack-truth" "RFC 2018 3, 4" "A SACK block tells of what was received, and lies beyond what is acknowledged.";
    TCP_SACK_FIRST "O4.tcp.sack-first" "RFC 2018 4" "The first SACK block is that of the segment that came last.";
    TCP_DSACK "O4.tcp.dsack" "RFC 2883 4" "A block at or below what is acknowledged, or inside of the next block, tells of what came twice.";
    TCP_SACK_KEPT "O4.tcp.sack-kept" "RFC 2018 4, 8" "What was told by SACK is told until it is acknowledged.";

    TCP_SYN_RTO "O4.tcp.syn-rto" "RFC 6298 2.1, 5.5" "SYN and SYN,ACK are sent again after the initial timeout, then after twice as long.";
    TCP_RTO "O4.tcp.rto" "RFC 6298 2.4, 5.5" "In silence the lowest byte is sent again after the least timeout, then after twice as long.";
    TCP_RTO_BURST "O4.tcp.rto-burst" "RFC 5681 3.1" "After a timeout one segment is sent again until something is heard.";
    TCP_PROBE_PACE "O4.tcp.probe-pace" "RFC 9293 3.8.6.1 (SHLD-30)" "Probes of a closed window come later each time.";
    TCP_INITIAL_WINDOW "O4.tcp.initial-window" "RFC 6928 2" "Before the first acknowledgement ten segments are under way at most.";
    TCP_FLIGHT "O4.tcp.flight" "RFC 5681 3.1, RFC 3465 2.2" "A window grows by what is acknowledged and no more.";

    TCP_ACK_DELAY "O4.tcp.ack-delay" "RFC 9293 3.8.6.3 (MUST-40)" "Data in order is acknowledged within half a second.";
    TCP_ACK_AT_ONCE "O4.tcp.ack-at-once" "RFC 5681 4.2, RFC 9293 3.8.6.3 (SHLD-19)" "Two full segments, what is out of order and what fills a gap are acknowledged at once.";
    TCP_ACK_LOOP "O4.tcp.ack-loop" "RFC 9293 3.10.7.4, RFC 5681 4.2" "An acknowledgement that says nothing new answers something that asked for it.";
    TCP_CHALLENGES "O4.tcp.challenges" "RFC 5961 7, 10" "Acknowledgements that answer empty segments, SYN and RST are few.";
    TCP_RST_SEQ "O4.tcp.reset-sequence" "RFC 9293 3.5.2, 3.10.7.1" "A RST is at the next sequence number, or where the segment that it answers says.";
    TCP_RST_UNASKED "O4.tcp.reset-unasked" "RFC 9293 3.10.7.1" "Without a connection one RST is sent for one segment, and none for a RST.";
    TCP_TIME_WAIT "O4.tcp.time-wait" "RFC 9293 3.6.1, RFC 6191 2" "In TIME-WAIT a SYN begins anew only beyond the old numbers, or with a newer timestamp.";

    ECN_UNAGREED "O4.ecn.unagreed" "RFC 3168 6.1.1" "ECT, ECE and CWR are used by connections that agreed on them.";
    ECN_FIELD "O4.ecn.field" "RFC 3168 6.1.1, 6.1.4, 6.1.5" "New data alone is ECN-capable, and no host sends CE.";
    ECN_SYN_ACK "O4.ecn.syn-ack" "RFC 3168 6.1.1" "A SYN,ACK grants with ECE alone what a SYN asked with ECE and CWR.";
    ECN_ECHO "O4.ecn.echo" "RFC 3168 6.1.3" "ECE follows a mark, and stays until CWR comes.";

    ICMP_ABOUT "O4.icmp.about" "RFC 1122 3.2.2, RFC 4443 2.4" "No ICMP error is about an error, a later fragment, a group or a broadcast.";
    ICMP_QUOTE "O4.icmp.quote" "RFC 1812 4.3.2.3, RFC 4443 2.4" "An error quotes the header and 8 bytes at least, and no more than 576 or 1280 bytes in all.";
    ICMP_RATE "O4.icmp.rate" "RFC 1812 4.3.2.8, RFC 4443 2.4" "Errors are sent at the configured rate at most.";
    ICMP_ECHO "O4.icmp.echo" "RFC 1122 3.2.2.6, RFC 4443 4.2" "An echo reply gives back a request that came.";
    ARP_REPLY "O4.arp.reply" "RFC 826" "An ARP reply is about the host's own address and station.";
    ARP_PACE "O4.arp.pace" "RFC 1122 2.3.2.1" "An address is asked for once a second at most.";
    ND_FORM "O4.nd.form" "RFC 4861 4, 7.1" "Neighbour discovery has hop limit 255 and code 0.";
    ND_REPLY "O4.nd.reply" "RFC 4861 7.2.4" "An advertisement is about the host's own address.";
    ND_PACE "O4.nd.pace" "RFC 4861 7.2.2" "An address is solicited once a second at most.";

    MACHNET_FORM "O4.machnet.form" "Machnet: packet" "Kind, flags, lengths and counts of a packet fit together.";
    MACHNET_ORDER "O4.machnet.order" "Machnet: numbers" "Numbers are used in their order, and messages follow each other whole.";
    MACHNET_SAME "O4.machnet.same" "Machnet: retransmission" "A number is the same packet whenever it is sent.";
    MACHNET_ACK "O4.machnet.ack" "Machnet: acknowledgement" "Nothing is acknowledged that was not received, by number or by bitmap.";
    MACHNET_ACK_BACK "O4.machnet.ack-back" "Machnet: acknowledgement" "Acknowledgements never go back.";
    MACHNET_SAME_ACKS "O4.machnet.same-acks" "Machnet: what crashes upstream" "An acknowledgement is repeated once while the peer may have nothing under way, and again after a second.";
    MACHNET_WINDOW "O4.machnet.window" "Machnet: window" "32 packets are under way at most, 256 in the extended profile.";
    MACHNET_ROOM "O4.machnet.room" "Machnet: docs/machnet.md, flow control" "No bytes of messages are sent beyond the window that the peer has said.";
    MACHNET_TIMEOUT "O4.machnet.timeout" "Machnet: retransmission" "In silence a packet is sent again after the least timeout, then after twice as long.";
    MACHNET_SYN "O4.machnet.handshake" "Machnet: handshake" "SYN-ACK answers a SYN, data follows the handshake.";
    MACHNET_RST "O4.machnet.reset" "Machnet: end" "RST is at a number that the peer may expect, and nothing follows it.";

    CALM_CHECKSUM "O10.checksum" "RFC 1071 1" "What a network that changes nothing brings has right checksums.";
    CALM_ERROR "O10.icmp.error" "RFC 1122 3.2.2, RFC 4443 3" "Where every packet can be delivered, no error is reported, but for a port that was closed.";
    CALM_RESET "O10.tcp.reset" "RFC 9293 3.5.2" "A connection of which no frame suffers is not reset, unless its program asks for that.";
    CALM_SACK "O10.tcp.sack" "RFC 2018 4" "Where all that comes is in order, no SACK is sent.";
    CALM_RETRANSMISSION "O10.tcp.retransmission" "RFC 6298 2.4, RFC 8985 7.2, RFC 9293 3.8.6.3" "What was not lost is sent again when a timer may be over, and its peer may still wait, only.";
    CALM_TAKEN_TWICE "O10.tcp.taken-twice" "RFC 2883 4" "Who receives a copy of what had arrived says so: it had been taken.";
    CALM_MACHNET_RST "O10.machnet.reset" "Machnet: handshake" "A flow of which no packet suffers is not refused.";
    CALM_MACHNET_SACK "O10.machnet.sack" "Machnet: acknowledgement" "Where all that comes is in order, a number follows at once on each bit of the bitmap.";
    CALM_MACHNET_AGAIN "O10.machnet.retransmission" "Machnet: retransmission" "What was not lost is sent again when a timer may be over, and its acknowledgement under way, only.";

    AMPLIFICATION "O11" "RFC 9293 3.10.7, RFC 4987 3" "Whoever has not proved its address is sent three times what it sent, and a little, at most.";
}
