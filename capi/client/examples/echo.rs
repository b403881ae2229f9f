//! An echo server, or a client that sends one line and prints what comes back.
//!
//! ```text
//! cargo run -p causeway-client --example echo -- serve 10.0.1.5:7
//! cargo run -p causeway-client --example echo -- send 10.0.1.5:7 "hello"
//! ```
//!
//! Both need a daemon (`causeway serve`); `CAUSEWAY_SOCKET` names its socket.

use std::error::Error;
use std::net::SocketAddr;

use causeway_client::{Channel, TcpListener, TcpStream, Wait};

fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    match args[..] {
        ["serve", address] => serve(address.parse()?),
        ["send", address, text] => send(address.parse()?, text),
        _ => Err("usage: echo serve ADDRESS:PORT | echo send ADDRESS:PORT TEXT".into()),
    }
}

/// One connection after the other.
fn serve(address: SocketAddr) -> Result<(), Box<dyn Error>> {
    let channel = Channel::attach()?;
    let listener = TcpListener::bind(&channel, address, 16)?;
    println!("listening on {}", listener.local_addr());
    loop {
        let stream = listener.accept(Wait::Forever)?;
        println!("{} connected", stream.remote_addr());
        if let Err(error) = echo(&stream) {
            println!("{}: {error}", stream.remote_addr());
        }
    }
}

fn echo(stream: &TcpStream) -> Result<(), Box<dyn Error>> {
    let mut buffer = vec![0; 64 << 10];
    loop {
        match stream.read(&mut buffer, Wait::Forever)? {
            0 => return Ok(()),
            n => stream.write_all(&buffer[..n], Wait::Forever)?,
        }
    }
}

fn send(address: SocketAddr, text: &str) -> Result<(), Box<dyn Error>> {
    let channel = Channel::attach()?;
    let stream = TcpStream::connect(&channel, None, address, Wait::Forever)?;
    stream.write_all(text.as_bytes(), Wait::Forever)?;
    stream.shutdown_write()?;
    let mut reply = Vec::new();
    let mut buffer = [0; 4096];
    while let n @ 1.. = stream.read(&mut buffer, Wait::Forever)? {
        reply.extend_from_slice(&buffer[..n]);
    }
    println!("{}", String::from_utf8_lossy(&reply));
    Ok(())
}
