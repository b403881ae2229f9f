//! packetdrill's script language: text to events.
//!
//! [`parse`] gives a [`Script`] or one [`SyntaxError`] that names the line. Nothing is evaluated here: names stay
//! names ([`symbols`] knows their numbers), times stay as written.

mod ast;
mod cursor;
mod error;
mod expr;
mod lexer;
mod options;
mod packet;
mod parser;
pub mod symbols;

pub use ast::{
    Action, Direction, Echoed, EcnCheck, Event, Expr, Flags, IcmpSpec, IpSpec, IpVersion, Micros,
    Options, PacketSpec, Quoted, Script, SyscallSpec, TcpOption, TcpSpec, Time, TransportSpec,
    UdpSpec,
};
pub use error::SyntaxError;
pub use parser::parse;
