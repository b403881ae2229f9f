//! `causeway nc`.

mod message;
mod tcp;
mod traffic;

use std::net::{IpAddr, SocketAddr};
use std::process::ExitCode;

use crate::attach::Daemon;

/// Connect stdin and stdout to a TCP connection or a flow of messages through the daemon.
///
/// Both directions run at once. At the end of stdin the sending side is closed and receiving goes on; it ends when
/// the peer has closed too and everything was delivered.
///
/// With --message, stdin is cut into messages of --size bytes (on a terminal: one for each line), and received
/// messages are written one after the other. A client ends when everything that it sent was acknowledged and,
/// with --wait, when the peer has ended too.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    causeway nc --listen 10.0.1.5 7000 > received\n  \
    causeway nc 10.0.1.5 7000 < file\n  \
    causeway nc --message --local 10.0.1.6 10.0.1.5 7000 < file\n\n\
    Exit status: 0 if the conversation ended well, 1 if it was reset, refused or timed out.")]
pub struct Args {
    /// The peer's address; with --listen, the daemon's own address to listen on
    address: IpAddr,
    /// Port; with --listen, 0 lets the daemon choose (and prints it on stderr)
    port: u16,
    /// Wait for a peer instead of connecting
    #[arg(short, long)]
    listen: bool,
    /// Messages instead of TCP
    #[arg(short, long)]
    message: bool,
    /// Address to send from [default: chosen by the route]
    #[arg(long, value_name = "ADDR", conflicts_with = "listen")]
    local: Option<IpAddr>,
    /// With --listen: serve one peer after the other, for ever. Only the first gets stdin
    #[arg(short, long, requires = "listen")]
    keep: bool,
    /// With --listen: end after so many peers [default: 1]
    #[arg(long, value_name = "N", requires = "listen", conflicts_with = "keep",
          value_parser = clap::value_parser!(u32).range(1..))]
    max_clients: Option<u32>,
    /// With --message: bytes of a message
    #[arg(long, value_name = "BYTES", default_value_t = 65_536,
          value_parser = clap::value_parser!(u32).range(1..=64 << 20))]
    size: u32,
    /// With --message, as a client: stay after the end of stdin, until the peer ends the flow
    #[arg(short, long)]
    wait: bool,
    #[command(flatten)]
    daemon: Daemon,
}

impl Args {
    fn endpoint(&self) -> SocketAddr {
        SocketAddr::new(self.address, self.port)
    }

    /// How many peers to serve; `None` for ever.
    fn clients(&self) -> Option<u32> {
        if self.keep { None } else { Some(self.max_clients.unwrap_or(1)) }
    }
}

/// Pipes until the conversation is over.
pub fn run(args: &Args) -> anyhow::Result<ExitCode> {
    if args.port == 0 && !args.listen {
        let problem = "port 0 is nobody's: give the peer's port, 1 to 65535";
        // As wrong usage of any other kind: the usage is shown, the exit status is 2.
        crate::usage("nc", problem);
    }
    let channel = args.daemon.attach()?;
    let outcome = match (args.message, args.listen) {
        (false, false) => tcp::connect(args, &channel),
        (false, true) => tcp::listen(args, &channel),
        (true, false) => message::connect(args, &channel),
        (true, true) => message::listen(args, &channel),
    };
    traffic::TRAFFIC.clear();
    outcome.map(|()| ExitCode::SUCCESS)
}
