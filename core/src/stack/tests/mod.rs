//! Stories of two hosts on one wire.

mod autoconf_stories;
mod backlog_stories;
mod extended_stories;
mod fast_open_stories;
mod flood_stories;
mod fragment_stories;
mod hostile;
mod icmp_stories;
mod ip_stories;
mod ipv6_stories;
mod machnet_stories;
mod option_stories;
mod orphan_stories;
mod owner_stories;
mod receive_memory_stories;
mod run_stories;
mod scale;
mod silence_stories;
mod tcp_stories;
mod udp_stories;
mod vlan_stories;
mod way_stories;
