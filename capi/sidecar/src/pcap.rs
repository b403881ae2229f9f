//! `causeway pcap`.

use std::borrow::Cow;
use std::fs::File;
use std::io::{self, BufWriter, IsTerminal, Write};
use std::net::IpAddr;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use causeway_server::capture::{
    CaptureStart, CapturedFrame, CapturedInterface, Filter, Protocol, SNAP_BYTES_MAX,
};
use causeway_server::introspect::{Answer, Inquiry, Question};
use pcap_file::pcapng::PcapNgBlock;
use pcap_file::pcapng::blocks::enhanced_packet::{EnhancedPacketBlock, EnhancedPacketOption};
use pcap_file::pcapng::blocks::interface_description::{
    InterfaceDescriptionBlock, InterfaceDescriptionOption,
};
use pcap_file::pcapng::blocks::section_header::{SectionHeaderBlock, SectionHeaderOption};
use pcap_file::{DataLink, Endianness, pcapng::PcapNgWriter};

use crate::attach::Daemon;
use crate::{signals, usage};

/// Capture the frames of a running daemon, as pcapng.
///
/// For root and the user of the daemon. What goes between the daemon's own addresses is on the interface "loopback". Frames
/// that are sent are seen before the device cuts super-segments and completes checksums. What comes faster than it is fetched is
/// dropped and counted; no connection waits for the capture.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  \
    causeway pcap --host 10.0.1.6 --port 7000 --write c.pcapng\n  \
    causeway pcap --protocol tcp | wireshark -k -i -")]
pub struct Args {
    /// An address at either end
    #[arg(long, value_name = "ADDR")]
    host: Option<IpAddr>,
    /// A TCP or UDP port at either end
    #[arg(long, value_name = "PORT")]
    port: Option<u16>,
    /// The protocol
    #[arg(long, value_name = "NAME")]
    protocol: Option<Proto>,
    /// The interface, by its name in the configuration
    #[arg(long, short, value_name = "NAME")]
    interface: Option<String>,
    /// Bytes that are kept of each frame
    #[arg(long, short, value_name = "BYTES", default_value_t = SNAP_BYTES_MAX,
          value_parser = clap::value_parser!(u32).range(1..=i64::from(SNAP_BYTES_MAX)))]
    snap: u32,
    /// Stop after so many frames [default: when interrupted]
    #[arg(long, short, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    count: Option<u64>,
    /// Stop after so many seconds
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u32).range(1..))]
    seconds: Option<u32>,
    /// The file to write [default: stdout]
    #[arg(long, short, value_name = "FILE")]
    write: Option<PathBuf>,
    #[command(flatten)]
    daemon: Daemon,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Proto {
    Tcp,
    Udp,
    Icmp,
    Icmp6,
    Arp,
}

impl From<Proto> for Protocol {
    fn from(proto: Proto) -> Self {
        match proto {
            Proto::Tcp => Self::Tcp,
            Proto::Udp => Self::Udp,
            Proto::Icmp => Self::Icmp,
            Proto::Icmp6 => Self::Icmp6,
            Proto::Arp => Self::Arp,
        }
    }
}

/// How long it waits when there was nothing.
const PAUSE: Duration = Duration::from_millis(20);
/// Timestamps count units of 10^-9 s.
const NANOSECONDS: u8 = 9;

/// Captures until told otherwise.
pub fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let out: Box<dyn Write> = match &args.write {
        Some(path) => {
            let made = File::create(path);
            Box::new(made.with_context(|| format!("cannot write {}", path.display()))?)
        }
        None if io::stdout().is_terminal() => {
            usage("pcap", "name a file with --write, or pipe stdout")
        }
        None => Box::new(io::stdout()),
    };
    let stop = signals::stop_stream().context("cannot watch for signals")?;
    let daemon = args.daemon.inquire()?;
    let filter = Filter {
        host: args.host,
        port: args.port,
        protocol: args.protocol.map(Into::into),
        interface: args.interface.clone(),
    };
    let start = CaptureStart { filter, snap_bytes: args.snap };
    let Answer::Capturing { interfaces } = daemon.ask(&Question::Capture(start))? else {
        bail!("the daemon answers something else");
    };
    let mut file = Pcapng::new(BufWriter::new(out), &interfaces, args.snap)?;
    eprintln!("capturing");
    let (written, dropped) = capture(args, &daemon, &stop, &mut file)?;
    eprintln!("{written} frames captured, {dropped} dropped because they came too fast");
    Ok(ExitCode::SUCCESS)
}

/// Returns how many frames were written and how many were dropped.
fn capture(
    args: &Args,
    daemon: &Inquiry,
    stop: &UnixStream,
    file: &mut Pcapng,
) -> anyhow::Result<(u64, u64)> {
    let until = args.seconds.map(|s| Instant::now() + Duration::from_secs(s.into()));
    let mut written = 0;
    loop {
        // What came before the signal is still fetched.
        let over = signals::is_stopped(stop, Duration::ZERO)?
            || until.is_some_and(|until| Instant::now() >= until);
        let Answer::Captured { frames, dropped } = daemon.ask(&Question::Captured)? else {
            bail!("the daemon answers something else");
        };
        let none = frames.is_empty();
        for frame in frames {
            file.frame(frame)?;
            written += 1;
            if args.count == Some(written) {
                file.flush()?;
                return Ok((written, dropped));
            }
        }
        if none {
            file.flush()?;
            if over {
                return Ok((written, dropped));
            }
            signals::is_stopped(stop, PAUSE)?;
        }
    }
}

struct Pcapng {
    writer: PcapNgWriter<BufWriter<Box<dyn Write>>>,
}

impl Pcapng {
    fn new(
        out: BufWriter<Box<dyn Write>>,
        interfaces: &[CapturedInterface],
        snap: u32,
    ) -> anyhow::Result<Self> {
        let application = format!("causeway {}", crate::version::VERSION);
        let section = SectionHeaderBlock {
            endianness: Endianness::Little,
            options: vec![SectionHeaderOption::UserApplication(Cow::Owned(application))],
            ..SectionHeaderBlock::default()
        };
        let mut writer = PcapNgWriter::with_section_header(out, section)?;
        for CapturedInterface { name, ethernet } in interfaces {
            let block = InterfaceDescriptionBlock {
                linktype: if *ethernet { DataLink::ETHERNET } else { DataLink::RAW },
                snaplen: snap,
                options: vec![
                    InterfaceDescriptionOption::IfName(Cow::Borrowed(name)),
                    InterfaceDescriptionOption::IfTsResol(NANOSECONDS),
                ],
            };
            writer.write_block(&block.into_block())?;
        }
        Ok(Self { writer })
    }

    fn frame(&mut self, frame: CapturedFrame) -> anyhow::Result<()> {
        // epb_flags: inbound is 1, outbound 2.
        let way = if frame.outgoing { 2 } else { 1 };
        let block = EnhancedPacketBlock {
            interface_id: frame.interface.into(),
            timestamp: Duration::from_nanos(frame.at_ns),
            original_len: frame.len,
            data: Cow::Owned(frame.bytes),
            options: vec![EnhancedPacketOption::Flags(way)],
        };
        self.writer.write_block(&block.into_block())?;
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.writer.get_mut().flush()
    }
}
