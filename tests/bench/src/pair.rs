//! What every measured stack offers: two hosts, back to back, driven by one thread.

/// Which end of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// The one that opens connections.
    Client,
    /// The one that listens.
    Server,
}

/// Two hosts of one stack joined by memory: checksums on, no device, no other thread. Time is virtual.
pub trait Pair {
    /// Opens `count` connections and returns when all are established. They are numbered from 0 in order of opening.
    fn open(&mut self, count: usize);
    /// Closes connection `index` from both ends and forgets it, TIME-WAIT excepted.
    fn close(&mut self, index: usize);
    /// One iteration of both hosts.
    fn step(&mut self);
    /// Copies from `bytes` into the send buffer; returns how many fitted.
    fn write(&mut self, index: usize, side: Side, bytes: &[u8]) -> usize;
    /// Copies received bytes out; returns how many there were.
    fn read(&mut self, index: usize, side: Side, bytes: &mut [u8]) -> usize;
    /// Frames longer than 200 bytes that the client has sent: data segments of a bulk transfer.
    fn data_frames(&self) -> u64;
}

/// Parameters of a pair.
#[derive(Clone, Copy, Debug)]
pub struct Setup {
    /// IP MTU of the link in bytes.
    pub mtu: u16,
    /// Bytes of each send and receive buffer of a connection.
    pub buffer: usize,
    /// Timestamps option on (smoltcp's default is off).
    pub timestamps: bool,
    /// Most frames that the server gets at a time. Both stacks acknowledge at the end of what they get, so two make an
    /// acknowledgement of every second segment, as RFC 5681 §4.2 has it.
    pub rx_burst: usize,
    /// Most connections that will be open.
    pub connections_max: usize,
}
