//! Bugs below TCP: IP, ICMP, neighbours, UDP, frames.

macro_rules! network {
    ($next:ident $($rest:ident)* [$($bugs:tt)*]) => {
        $next! { $($rest)* [ $($bugs)*
            /// The queue of accepted connections has no end.
            EndlessBacklog "endless-backlog",
            /// The bytes of a datagram that is refused stay in the ring.
            RefusedDatagramsKept "refused-datagrams-kept",
            /// The checksum of UDP is not looked at (gVisor issue 2943).
            UdpSumUnchecked "udp-sum-unchecked",
            /// What came by link-layer broadcast is taken like anything else (RFC 1122 §3.3.6).
            BroadcastForUs "broadcast-for-us",
            /// Neighbour discovery in fragments is believed (RFC 6980).
            NdpInPieces "ndp-in-pieces",
            /// Redirects to a router that is gone are followed (RFC 4861 §7.3.3).
            RedirectedForEver "redirected-for-ever",
            /// Questions about strangers push neighbours in use out (RFC 6583).
            StrangersFirst "strangers-first",
            /// What has to be cut below 552 bytes has DF (RFC 791).
            NeverCut "never-cut",
            /// A path may carry as little as a router says (RFC 1191 §3).
            PmtuWithoutFloor "pmtu-without-floor",
            /// The checksum of the IPv4 header is not looked at (gVisor issue 4484).
            IpSumUnchecked "ip-sum-unchecked",
            /// Source routes are options like others (RFC 7126 §4.3).
            SourceRoutes "source-routes",
            /// Any source is believed (RFC 1122 §3.2.1.3).
            Martians "martians",
            /// Every datagram has the same identification (RFC 6864).
            OneIdentification "one-identification",
            /// A routing header is passed over (RFC 5095).
            RoutingHeaders "routing-headers",
            /// An echo reply lacks the request's last byte (RFC 1122 §3.2.2.6).
            EchoCutShort "echo-cut-short",
            /// UDP without a checksum is taken over IPv6 (RFC 8200 §8.1).
            ZeroSumInV6 "zero-sum-in-v6",
            /// What is overheard makes an entry (RFC 826 merges only; smoltcp pull request 544).
            LearnsFromAnybody "learns-from-anybody",
            /// Fragments may overlap (CVE-1999-0015, teardrop).
            OverlapsTaken "overlaps-taken",
            /// One sender may fill the memory for fragments (CVE-2018-5391).
            OneSenderTakesAll "one-sender-takes-all",
            /// The chain of headers may be spread over fragments (RFC 7112 §5).
            ChainInPieces "chain-in-pieces",
            /// Pieces have any length (RFC 791 §3.2 wants multiples of 8; smoltcp issue 1104).
            OddPieces "odd-pieces",
            /// ICMP errors are sent at any rate (RFC 1812 §4.3.2.8).
            EndlessErrors "endless-errors",
            /// What was learned of a path is never forgotten (RFC 1191 §6.3).
            PmtuForEver "pmtu-for-ever",
            /// What a connection learns of a path is lost with it.
            PmtuOfNobody "pmtu-of-nobody",
            /// What no socket sends is as long as the link allows, whatever is known of the path (RFC 8201 §4).
            RepliesOfAnySize "replies-of-any-size",
            /// An address comes into use without a word (RFC 5227 §2.3).
            UnannouncedAddress "unannounced-address",
            /// An IPv4 address is used at once, though everybody was to be asked first (RFC 5227 §2.1).
            Ipv4Unprobed "ipv4-unprobed",
            /// An IPv4 address is used though somebody else has it (RFC 5227 §2.1.1).
            Ipv4DuplicateUsed "ipv4-duplicate-used",
            /// An address is not defended (RFC 5227 §2.4).
            UndefendedAddress "undefended-address",
            /// Every claim is answered: two that defend flood the link (RFC 5227 §2.4 c).
            EndlessDefence "endless-defence",
            /// An answer counts only in the states that wait for one (RFC 4861 §7.2.5).
            AnswersDoubted "answers-doubted",
            /// Fragments that cannot be are dropped without a word (RFC 8200 §4.5).
            BadFragmentsUntold "bad-fragments-untold",
            /// What is said to all changes no entry (RFC 826 merges).
            GratuitousIgnored "gratuitous-ignored",
            /// Neighbour discovery is believed from beyond the link (RFC 4861 §6.1, §7.1).
            NdpThroughRouters "ndp-through-routers",
            /// An option of length zero is taken for the last one (RFC 4861 §4.6).
            EmptyNdpOption "empty-ndp-option",
            /// The checksum of ICMPv6 is not looked at (RFC 4443 §2.3).
            Icmpv6SumUnchecked "icmpv6-sum-unchecked",
            /// Any advertisement replaces what is known (RFC 4861 §7.2.5: with the override flag).
            EveryAdvertOverrides "every-advert-overrides",
            /// A neighbour that was reached once is never asked again (RFC 4861 §7.3).
            NeverUnreachable "never-unreachable",
            /// Any router may redirect (RFC 4861 §8.1: the one in use).
            RedirectsFromAnybody "redirects-from-anybody",
            /// Any address may advertise a router (RFC 4861 §6.1.2: link-local ones).
            RoutersFromAfar "routers-from-afar",
            /// A neighbour is asked for by all stations, not by its solicited-node group (RFC 4861 §7.2.2).
            AsksEverybody "asks-everybody",
            /// An address is used without asking who has it (RFC 4862 §5.4).
            NoDad "no-dad",
            /// An address that somebody has is used all the same (RFC 4862 §5.4.5).
            DuplicateUsed "duplicate-used",
            /// A router may end an address at once (RFC 4862 §5.5.3 e: not below two hours).
            LifetimesCut "lifetimes-cut",
            /// No address is ever deprecated (RFC 4862 §5.5.4).
            PreferredForEver "preferred-for-ever",
            /// The interface identifier is the same on every network (RFC 7217 is there against it).
            SameIdentifier "same-identifier",
            /// Routers are asked for once (RFC 4861 §6.3.7: three times).
            AsksOnce "asks-once",
            /// A router that is silent stays in use (RFC 4861 §6.3.6).
            OneRouter "one-router",
            /// A router may name any MTU (RFC 8200 §5: 1280 at least; RFC 4861 §6.3.4).
            AnyMtu "any-mtu",
            /// Every prefix is on the link (RFC 4861 §6.3.4: with the L flag).
            PrefixOnLink "prefix-on-link",
            /// Name servers are not told to anybody (RFC 8106 §6.1).
            NoResolvers "no-resolvers",
            /// No router learns which groups are listened to (RFC 3810 §6.1).
            UnreportedGroups "unreported-groups",
            /// Packets are sent from the first address (RFC 6724 §5).
            FirstSource "first-source",
            /// The flow label stays when the path seems dead (RFC 6437 §3).
            OneLabel "one-label",
            /// What the NIC knows of checksums is not used.
            NicUnheard "nic-unheard",
            /// Frames of any VLAN are taken (IEEE 802.1Q §6.9).
            AnyVlan "any-vlan",
            /// No segment is longer than an ordinary frame holds, whatever the link carries.
            ShortFrames "short-frames",
            /// Nobody listens where a connection is in TIME-WAIT, SO_REUSEADDR or not.
            ReuseIgnored "reuse-ignored",
            /// Any number of connections is half-open (CERT CA-1996-21).
            EndlessHalfOpen "endless-half-open",
            /// Any number of connections takes data from a SYN (RFC 7413 §5.1).
            EndlessFastOpens "endless-fast-opens",
            /// The checksum of ICMP is not looked at (RFC 1122 §3.2.2).
            IcmpSumUnchecked "icmp-sum-unchecked",
            /// What seems to come from ourselves is taken (CVE-1999-0016, LAND).
            LandTaken "land-taken",
            /// The figures of a connection are gone once it has ended.
            FiguresForgotten "figures-forgotten",
            /// TCP may be fragmented on the way (RFC 1191 §3; gVisor issue 5919).
            DfNotSet "df-not-set",
            /// A router may say that a path has grown (RFC 8201 §4).
            PmtuGrows "pmtu-grows",
            /// What was too big is cut anew segment by segment, not burst by burst.
            TooBigOneByOne "too-big-one-by-one",
            /// An IPv6 path may carry less than 1280 bytes (RFC 8201 §4).
            PmtuBelow1280 "pmtu-below-1280",
            /// A link that carries less than 1280 bytes has IPv6 (RFC 8200 §5).
            NarrowLinkSpeaksIpv6 "narrow-link-speaks-ipv6",
            /// A segment that is longer than its frame leaves, with what the frame held before.
            OldBytesLeave "old-bytes-leave",
            /// A datagram may be longer than its frame (CVE-2020-11896 and its like).
            AnyTotalLength "any-total-length",
            /// What stands behind a datagram is its end (RFC 894).
            PaddingIsPayload "padding-is-payload",
            /// What is for another host is taken (RFC 1122 §3.2.1.3).
            ForAnybody "for-anybody",
            /// Fragments have to come in their order.
            OnlyInOrder "only-in-order",
            /// What stays incomplete is kept for an hour (RFC 1122 §3.3.2: a minute or two).
            FragmentsForEver "fragments-for-ever",
            /// Fragments may end beyond 65,535 (CVE-1999-0128, the ping of death).
            DatagramsWithoutEnd "datagrams-without-end",
            /// A first fragment may cut the TCP header (RFC 1858 §3).
            TinyFragments "tiny-fragments",
            /// An atomic fragment waits for others (RFC 6946 §4).
            AtomicFragmentsWait "atomic-fragments-wait",
            /// One extension header is passed over, and no more.
            OneExtension "one-extension",
            /// An option that is not known is passed over, whatever its bits say (RFC 8200 §4.2).
            ActionBitsIgnored "action-bits-ignored",
            /// A header has any number of options (RFC 8504 §5.3).
            EndlessChains "endless-chains",
            /// An error quotes all of the packet (RFC 1812 §4.3.2.3, RFC 4443 §2.4 c; smoltcp pull request 807).
            QuotesEverything "quotes-everything",
            /// A header that is not known is dropped in silence (RFC 8200 §4).
            UnknownHeaderUntold "unknown-header-untold",
            /// A group that is pinged answers (RFC 1122 §3.2.2.6: it may be silent; smurf).
            EchoesForGroups "echoes-for-groups",
            /// A datagram for a closed port is dropped in silence (RFC 1122 §4.1.3.1).
            ClosedPortsAreSilent "closed-ports-are-silent",
            /// What ICMP says of a datagram its socket does not learn (RFC 1122 §4.1.3.3).
            RefusalsUntold "refusals-untold",
            /// Nobody is told our station (RFC 826).
            UnansweredRequests "unanswered-requests",
            /// A reply whose neighbour is not known is lost (RFC 1122 §2.3.2.2).
            NothingWaits "nothing-waits",
            /// Each packet asks for its neighbour (RFC 1122 §2.3.2.1: once a second; smoltcp issue 68).
            AsksEachTime "asks-each-time",
            /// What has expired is asked for by broadcast (RFC 1122 §2.3.2.1: its station first).
            AsksAllAgain "asks-all-again",
            /// The table of neighbours has no end.
            EndlessNeighbours "endless-neighbours",
            /// A frame with a hash counts as judged by the NIC.
            HashIsBelieved "hash-is-believed",
            /// Checksums of TCP are left to any NIC, whatever it can do (machnet pull request 56).
            SumsLeftToAnyNic "sums-left-to-any-nic",
        ] }
    };
}
