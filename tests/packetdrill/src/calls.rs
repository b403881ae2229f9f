//! The system calls, with the C library's arguments.

use causeway_conformance::host::{
    Call, CallResult, DescriptorKind, Destination, EpollEvent, Errno, Payload, PollFd, Received,
    Reply,
};
use libc::{c_int, c_long, c_void, size_t, sockaddr, socklen_t, ssize_t};

use crate::address::{self, SIN6_LEN_RFC2133};
use crate::memory::{
    Part, control_bytes, control_messages, copy_in, copy_out, gather, is_writable, read_u32,
    scatter, vector,
};
use crate::netdev::learn_address;
use crate::state::{Locked, lock};

/// An error as the C library tells it.
pub(crate) fn fail(errno: Errno) -> c_int {
    // SAFETY: the address of this thread's errno is always valid.
    unsafe { *libc::__errno_location() = errno.0 };
    -1
}

fn number(result: Result<i64, Errno>) -> ssize_t {
    match result {
        Ok(value) => value as ssize_t,
        Err(errno) => fail(errno) as ssize_t,
    }
}

fn small(result: Result<i64, Errno>) -> c_int {
    number(result) as c_int
}

fn locked() -> Result<Locked, Errno> {
    lock().ok_or(Errno::ENOSYS)
}

impl Locked {
    /// The host's descriptor behind one of the process.
    fn fd(&self, fd: c_int) -> Result<i32, Errno> {
        self.fds.get(&fd).copied().ok_or(Errno::EBADF)
    }

    /// A descriptor of the process that stands for one of the host: a real one, so that its number is nobody else's and
    /// close(2) on it is harmless.
    fn placeholder(&mut self, host_fd: i32) -> Result<c_int, Errno> {
        // SAFETY: a constant path that ends in zero.
        let fd = unsafe { libc::open(c"/dev/null".as_ptr(), libc::O_RDWR | libc::O_CLOEXEC) };
        if fd < 0 {
            return Err(Errno::EMFILE);
        }
        self.fds.insert(fd, host_fd);
        Ok(fd)
    }

    fn opened(self, call: Call) -> Result<(Self, Reply, c_int), Errno> {
        let (mut state, reply) = self.call(call)?;
        let fd = state.placeholder(reply.number() as i32)?;
        Ok((state, reply, fd))
    }
}

/// Makes a call on `fd` and returns its reply.
fn on(fd: c_int, make: impl FnOnce(i32) -> Call) -> CallResult {
    let state = locked()?;
    let host_fd = state.fd(fd)?;
    state.call(make(host_fd)).map(|(_, reply)| reply)
}

/// What `fd` stands for.
fn kind_of(fd: c_int) -> Result<DescriptorKind, Errno> {
    let mut state = locked()?;
    let host_fd = state.fd(fd)?;
    state.host().kind_of(host_fd).ok_or(Errno::EBADF)
}

/// Whether `fd` is a socket of IPv6. Calls of sockets ask for the socket before they look at anything else (sockfd_lookup).
fn socket_is_ipv6(fd: c_int) -> Result<bool, Errno> {
    match kind_of(fd)? {
        DescriptorKind::Ipv4Socket => Ok(false),
        DescriptorKind::Ipv6Socket => Ok(true),
        DescriptorKind::Pipe | DescriptorKind::Epoll => Err(Errno::ENOTSOCK),
    }
}

fn reply_number(result: CallResult) -> Result<i64, Errno> {
    result.map(|reply| reply.number())
}

pub(crate) unsafe extern "C" fn socket(
    _: *mut c_void,
    domain: c_int,
    kind: c_int,
    protocol: c_int,
) -> c_int {
    let opened = locked().and_then(|state| state.opened(Call::Socket { domain, kind, protocol }));
    small(opened.map(|(_, _, fd)| i64::from(fd)))
}

pub(crate) unsafe extern "C" fn bind(
    _: *mut c_void,
    fd: c_int,
    to: *const sockaddr,
    len: socklen_t,
) -> c_int {
    let address = socket_is_ipv6(fd)
        // SAFETY: packetdrill gives an address of `len` bytes.
        .and_then(|ipv6| unsafe { address::read_to_bind(to, len, ipv6) });
    let address = match address {
        Ok(address) => address,
        Err(errno) => return fail(errno),
    };
    if let Some(mut state) = lock() {
        learn_address(&mut state, address.ip());
    }
    small(reply_number(on(fd, |fd| Call::Bind { fd, address })))
}

pub(crate) unsafe extern "C" fn listen(_: *mut c_void, fd: c_int, backlog: c_int) -> c_int {
    small(reply_number(on(fd, |fd| Call::Listen { fd, backlog })))
}

pub(crate) unsafe extern "C" fn accept(
    _: *mut c_void,
    fd: c_int,
    from: *mut sockaddr,
    len: *mut socklen_t,
) -> c_int {
    let opened = locked().and_then(|state| {
        let fd = state.fd(fd)?;
        state.opened(Call::Accept { fd, flags: 0 })
    });
    small(opened.map(|(_, reply, fd)| {
        if let Reply::Accepted(_, remote) = reply {
            // SAFETY: packetdrill gives null, or a buffer and its length.
            unsafe { address::write(Some(remote), from, len) };
        }
        i64::from(fd)
    }))
}

pub(crate) unsafe extern "C" fn connect(
    _: *mut c_void,
    fd: c_int,
    to: *const sockaddr,
    len: socklen_t,
) -> c_int {
    let connected = socket_is_ipv6(fd).and_then(|ipv6| {
        // SAFETY: packetdrill gives an address of `len` bytes.
        let address = unsafe { address::read(to, len) }?;
        match reply_number(on(fd, |fd| Call::Connect { fd, address })) {
            // The length is looked at before the family.
            Err(Errno::EAFNOSUPPORT) if ipv6 && (len as usize) < SIN6_LEN_RFC2133 => {
                Err(Errno::EINVAL)
            }
            result => result,
        }
    });
    small(connected)
}

/// A receiving call into one buffer.
unsafe fn receive(
    fd: c_int,
    to: *mut c_void,
    len: size_t,
    flags: c_int,
) -> Result<(i64, Received), Errno> {
    let part = Part { base: to.cast::<u8>(), len };
    // SAFETY: the caller's buffer has `len` bytes.
    unsafe { receive_parts(fd, &[part], flags) }
}

/// A receiving call. Where there is no buffer what would be received stays.
unsafe fn receive_parts(fd: c_int, parts: &[Part], flags: c_int) -> Result<(i64, Received), Errno> {
    let len = parts.iter().map(|part| part.len).sum();
    // SAFETY: each part describes writable memory, or none.
    let writable = parts.iter().all(|part| unsafe { is_writable(part.base, part.len) });
    match on(fd, |fd| Call::Receive { fd, len, flags, nowhere: !writable })? {
        Reply::Received(count, received) => {
            // SAFETY: as above.
            if !unsafe { scatter(&received.bytes, parts) } {
                return Err(Errno::EFAULT);
            }
            Ok((count, received))
        }
        other => Ok((other.number(), Received::default())),
    }
}

pub(crate) unsafe extern "C" fn read(
    _: *mut c_void,
    fd: c_int,
    to: *mut c_void,
    len: size_t,
) -> ssize_t {
    // SAFETY: packetdrill gives a buffer of `len` bytes.
    number(unsafe { receive(fd, to, len, 0) }.map(|(count, _)| count))
}

pub(crate) unsafe extern "C" fn recv(
    _: *mut c_void,
    fd: c_int,
    to: *mut c_void,
    len: size_t,
    flags: c_int,
) -> ssize_t {
    // SAFETY: packetdrill gives a buffer of `len` bytes.
    let received = socket_is_ipv6(fd).and_then(|_| unsafe { receive(fd, to, len, flags) });
    number(received.map(|(count, _)| count))
}

pub(crate) unsafe extern "C" fn recvfrom(
    _: *mut c_void,
    fd: c_int,
    to: *mut c_void,
    len: size_t,
    flags: c_int,
    from: *mut sockaddr,
    from_len: *mut socklen_t,
) -> ssize_t {
    // SAFETY: packetdrill gives a buffer of `len` bytes.
    let received = socket_is_ipv6(fd).and_then(|_| unsafe { receive(fd, to, len, flags) });
    number(received.map(|(count, received)| {
        // SAFETY: packetdrill gives null, or a buffer and its length.
        unsafe { address::write(received.from, from, from_len) };
        count
    }))
}

pub(crate) unsafe extern "C" fn readv(
    _: *mut c_void,
    fd: c_int,
    parts: *const libc::iovec,
    count: c_int,
) -> ssize_t {
    // SAFETY: packetdrill gives `count` entries.
    let received = unsafe {
        vector(parts, count as size_t, Errno::EINVAL).and_then(|parts| receive_parts(fd, &parts, 0))
    };
    number(received.map(|(count, _)| count))
}

pub(crate) unsafe extern "C" fn recvmsg(
    _: *mut c_void,
    fd: c_int,
    message: *mut libc::msghdr,
    flags: c_int,
) -> ssize_t {
    if let Err(errno) = socket_is_ipv6(fd) {
        return fail(errno) as ssize_t;
    }
    // SAFETY: the kernel checks the address.
    if !unsafe { is_writable(message.cast(), size_of::<libc::msghdr>()) } {
        return fail(Errno::EFAULT) as ssize_t;
    }
    // SAFETY: it is memory of the caller's, whose fields describe more of it.
    let received = unsafe {
        vector((*message).msg_iov, (*message).msg_iovlen, Errno::EMSGSIZE)
            .and_then(|parts| receive_parts(fd, &parts, flags))
    };
    number(received.map(|(count, received)| {
        // SAFETY: as above; each copy stays within the length that the field beside the pointer says.
        unsafe {
            let message = &mut *message;
            address::write(received.from, message.msg_name.cast(), &raw mut message.msg_namelen);
            let room = if message.msg_control.is_null() { 0 } else { message.msg_controllen };
            let (control, cut) = control_bytes(&received.control, room);
            // Where that leads nowhere there is none: the call itself is done.
            let there = copy_out(&control, message.msg_control.cast::<u8>(), room);
            message.msg_controllen = if there { control.len() } else { 0 };
            message.msg_flags = received.flags | if cut { libc::MSG_CTRUNC } else { 0 };
        }
        count
    }))
}

/// Where a call sends to that was given an address.
fn destination(address: Option<std::net::SocketAddr>) -> Destination {
    address.map_or(Destination::Unspecified, Destination::To)
}

fn transmit(
    fd: c_int,
    bytes: Option<Vec<u8>>,
    flags: c_int,
    to: Destination,
    control: Vec<causeway_conformance::host::ControlMessage>,
) -> ssize_t {
    let payload = bytes.map_or(Payload::Nowhere, Payload::Bytes);
    number(reply_number(on(fd, |fd| Call::Send { fd, payload, flags, to, control })))
}

pub(crate) unsafe extern "C" fn write(
    _: *mut c_void,
    fd: c_int,
    from: *const c_void,
    len: size_t,
) -> ssize_t {
    // SAFETY: packetdrill gives a buffer of `len` bytes.
    transmit(fd, unsafe { copy_in(from.cast::<u8>(), len) }, 0, Destination::Peer, Vec::new())
}

pub(crate) unsafe extern "C" fn send(
    _: *mut c_void,
    fd: c_int,
    from: *const c_void,
    len: size_t,
    flags: c_int,
) -> ssize_t {
    if let Err(errno) = socket_is_ipv6(fd) {
        return fail(errno) as ssize_t;
    }
    // SAFETY: packetdrill gives a buffer of `len` bytes.
    transmit(fd, unsafe { copy_in(from.cast::<u8>(), len) }, flags, Destination::Peer, Vec::new())
}

pub(crate) unsafe extern "C" fn sendto(
    _: *mut c_void,
    fd: c_int,
    from: *const c_void,
    len: size_t,
    flags: c_int,
    to: *const sockaddr,
    to_len: socklen_t,
) -> ssize_t {
    if let Err(errno) = socket_is_ipv6(fd) {
        return fail(errno) as ssize_t;
    }
    let to = if to.is_null() {
        Ok(Destination::Peer)
    } else {
        // SAFETY: packetdrill gives an address of `to_len` bytes.
        unsafe { address::read(to, to_len) }.map(destination)
    };
    match to {
        // SAFETY: packetdrill gives a buffer of `len` bytes.
        Ok(to) => transmit(fd, unsafe { copy_in(from.cast::<u8>(), len) }, flags, to, Vec::new()),
        Err(errno) => fail(errno) as ssize_t,
    }
}

pub(crate) unsafe extern "C" fn writev(
    _: *mut c_void,
    fd: c_int,
    parts: *const libc::iovec,
    count: c_int,
) -> ssize_t {
    // SAFETY: packetdrill gives `count` entries, each of readable memory.
    match unsafe { vector(parts, count as size_t, Errno::EINVAL).map(|parts| gather(&parts).ok()) }
    {
        Ok(bytes) => transmit(fd, bytes, 0, Destination::Peer, Vec::new()),
        Err(errno) => fail(errno) as ssize_t,
    }
}

pub(crate) unsafe extern "C" fn sendmsg(
    _: *mut c_void,
    fd: c_int,
    message: *const libc::msghdr,
    flags: c_int,
) -> ssize_t {
    if let Err(errno) = socket_is_ipv6(fd) {
        return fail(errno) as ssize_t;
    }
    // SAFETY: the kernel checks the address.
    if unsafe { copy_in(message.cast(), size_of::<libc::msghdr>()) }.is_none() {
        return fail(Errno::EFAULT) as ssize_t;
    }
    // SAFETY: it is memory of the caller's, whose fields describe more of it.
    let gathered = unsafe {
        let message = &*message;
        let parts = vector(message.msg_iov, message.msg_iovlen, Errno::EMSGSIZE);
        let bytes = parts.map(|parts| gather(&parts).ok());
        let control = copy_in(message.msg_control.cast::<u8>(), message.msg_controllen);
        let to = if message.msg_name.is_null() || message.msg_namelen == 0 {
            Ok(Destination::Peer)
        } else {
            address::read(message.msg_name.cast(), message.msg_namelen).map(destination)
        };
        bytes.and_then(|bytes| Ok((bytes, control.unwrap_or_default(), to?)))
    };
    match gathered {
        Ok((bytes, control, to)) => transmit(fd, bytes, flags, to, control_messages(&control)),
        Err(errno) => fail(errno) as ssize_t,
    }
}

/// fcntl is variadic: a third argument that was not given is whatever the register holds, and not looked at.
pub(crate) unsafe extern "C" fn fcntl(
    _: *mut c_void,
    fd: c_int,
    command: c_int,
    argument: c_long,
) -> c_int {
    let argument = i64::from(argument as c_int);
    small(reply_number(on(fd, |fd| Call::Fcntl { fd, command, argument })))
}

pub(crate) unsafe extern "C" fn ioctl(
    _: *mut c_void,
    fd: c_int,
    request: libc::c_ulong,
    value: *mut c_int,
) -> c_int {
    match on(fd, |fd| Call::Ioctl { fd, request: u64::from(request as u32) }) {
        Ok(Reply::Ioctl(number)) => {
            // SAFETY: every request that is served takes the address of an int.
            if unsafe { copy_out(&number.to_ne_bytes(), value.cast::<u8>(), 4) } {
                0
            } else {
                fail(Errno::EFAULT)
            }
        }
        other => small(reply_number(other)),
    }
}

pub(crate) unsafe extern "C" fn close(_: *mut c_void, fd: c_int) -> c_int {
    let result = reply_number(on(fd, |fd| Call::Close { fd }));
    if result.is_ok() {
        if let Some(mut state) = lock() {
            state.fds.remove(&fd);
        }
        // SAFETY: the placeholder is ours and known to nobody else any more.
        unsafe { libc::close(fd) };
    }
    small(result)
}

pub(crate) unsafe extern "C" fn shutdown(_: *mut c_void, fd: c_int, how: c_int) -> c_int {
    small(reply_number(on(fd, |fd| Call::Shutdown { fd, how })))
}

pub(crate) unsafe extern "C" fn getsockopt_hook(
    _: *mut c_void,
    fd: c_int,
    level: c_int,
    name: c_int,
    value: *mut c_void,
    len: *mut socklen_t,
) -> c_int {
    if let Err(errno) = socket_is_ipv6(fd) {
        return fail(errno);
    }
    // SAFETY: `len` is the address of the length of `value`.
    let room = match unsafe { read_u32(len) }.map(u32::cast_signed) {
        Ok(room) => usize::try_from(room).map_err(|_| Errno::EINVAL),
        Err(errno) => Err(errno),
    };
    let room = match room {
        Ok(room) => room,
        Err(errno) => return fail(errno),
    };
    match on(fd, |fd| Call::GetOption { fd, level, name, len: room }) {
        Ok(Reply::Option(bytes)) => {
            let used = (bytes.len().min(room) as socklen_t).to_ne_bytes();
            // SAFETY: `value` has `room` bytes, and `len` is the address of a number.
            let copied = unsafe {
                copy_out(&bytes, value.cast::<u8>(), room) && copy_out(&used, len.cast::<u8>(), 4)
            };
            if copied { 0 } else { fail(Errno::EFAULT) }
        }
        other => small(reply_number(other)),
    }
}

/// The C library's getsockopt, for LD_PRELOAD: packetdrill asks for figures (`%{ assert tcpi_... }%`) past the interface.
///
/// # Safety
/// As getsockopt(2).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn getsockopt(
    fd: c_int,
    level: c_int,
    name: c_int,
    value: *mut c_void,
    len: *mut socklen_t,
) -> c_int {
    if lock().is_some_and(|state| state.fds.contains_key(&fd)) {
        // SAFETY: the caller's promise is the same.
        return unsafe { getsockopt_hook(std::ptr::null_mut(), fd, level, name, value, len) };
    }
    // SAFETY: the kernel checks what it is given.
    unsafe { libc::syscall(libc::SYS_getsockopt, fd, level, name, value, len) as c_int }
}

pub(crate) unsafe extern "C" fn setsockopt(
    _: *mut c_void,
    fd: c_int,
    level: c_int,
    name: c_int,
    value: *const c_void,
    len: socklen_t,
) -> c_int {
    if let Err(errno) = socket_is_ipv6(fd) {
        return fail(errno);
    }
    if len.cast_signed() < 0 {
        return fail(Errno::EINVAL);
    }
    // SAFETY: packetdrill gives a value of `len` bytes.
    match unsafe { copy_in(value.cast::<u8>(), len as usize) } {
        Some(value) => small(reply_number(on(fd, |fd| Call::SetOption { fd, level, name, value }))),
        None => fail(Errno::EFAULT),
    }
}

/// Most entries of poll (RLIMIT_NOFILE, as it commonly is at most), the bytes of each, and where it is told what is so.
const POLLED_MAX: usize = 1 << 20;
const POLLFD_LEN: usize = size_of::<libc::pollfd>();
const REVENTS_AT: usize = std::mem::offset_of!(libc::pollfd, revents);

/// An entry of poll, with the host's descriptor.
fn asked_of(entry: &[u8], state: &Locked) -> PollFd {
    let fd = entry.first_chunk().map_or(-1, |bytes| i32::from_ne_bytes(*bytes));
    let events = entry.get(4..).and_then(<[u8]>::first_chunk);
    let fd = match fd {
        // Passed over, as poll(2) says.
        ..0 => fd,
        fd => state.fds.get(&fd).copied().unwrap_or(i32::MAX),
    };
    PollFd { fd, events: events.map_or(0, |bytes| i16::from_ne_bytes(*bytes)), revents: 0 }
}

pub(crate) unsafe extern "C" fn poll(
    _: *mut c_void,
    fds: *mut libc::pollfd,
    count: libc::nfds_t,
    timeout_ms: c_int,
) -> c_int {
    let Some(size) = usize::try_from(count).ok().filter(|count| *count <= POLLED_MAX) else {
        return fail(Errno::EINVAL);
    };
    // SAFETY: the kernel checks the address.
    let bytes = unsafe { copy_in(fds.cast::<u8>(), size * POLLFD_LEN) };
    let Some(bytes) = bytes else { return fail(Errno::EFAULT) };
    let polled = locked().and_then(|state| {
        let asked = bytes.chunks_exact(POLLFD_LEN).map(|entry| asked_of(entry, &state)).collect();
        state.call(Call::Poll { fds: asked, timeout_ms }).map(|(_, reply)| reply)
    });
    small(polled.and_then(|reply| match reply {
        Reply::Polled(count, polled) => {
            for (index, entry) in polled.iter().enumerate() {
                // SAFETY: the entries are `count`, of which this is one; the kernel checks their addresses.
                let there = unsafe {
                    let revents = fds.cast::<u8>().wrapping_add(index * POLLFD_LEN + REVENTS_AT);
                    copy_out(&entry.revents.to_ne_bytes(), revents, 2)
                };
                if !there {
                    return Err(Errno::EFAULT);
                }
            }
            Ok(count)
        }
        other => Ok(other.number()),
    }))
}

pub(crate) unsafe extern "C" fn epoll_create(_: *mut c_void, size: c_int) -> c_int {
    if size <= 0 {
        return fail(Errno::EINVAL);
    }
    let opened = locked().and_then(|state| state.opened(Call::EpollCreate));
    small(opened.map(|(_, _, fd)| i64::from(fd)))
}

pub(crate) unsafe extern "C" fn epoll_ctl(
    _: *mut c_void,
    epfd: c_int,
    operation: c_int,
    fd: c_int,
    event: *const libc::epoll_event,
) -> c_int {
    // SAFETY: the kernel checks the address.
    let bytes = unsafe { copy_in(event.cast::<u8>(), size_of::<libc::epoll_event>()) };
    let event = match bytes {
        // SAFETY: these are the bytes of an epoll_event, packed as Linux has it.
        Some(bytes) => unsafe { bytes.as_ptr().cast::<libc::epoll_event>().read_unaligned() },
        None if operation == libc::EPOLL_CTL_DEL => libc::epoll_event { events: 0, u64: 0 },
        None => return fail(Errno::EFAULT),
    };
    let event = EpollEvent { events: event.events, data: event.u64 };
    let result = locked().and_then(|state| {
        let (epfd, fd) = (state.fd(epfd)?, state.fd(fd)?);
        state.call(Call::EpollCtl { epfd, operation, fd, event }).map(|(_, reply)| reply)
    });
    small(reply_number(result))
}

/// The bytes of an entry of epoll_wait, and the most entries (EP_MAX_EVENTS).
const EPOLL_EVENT_LEN: usize = size_of::<libc::epoll_event>();
const EPOLL_EVENTS_MAX: usize = c_int::MAX as usize / EPOLL_EVENT_LEN;

fn epoll_event(event: &EpollEvent) -> [u8; EPOLL_EVENT_LEN] {
    let mut bytes = [0; EPOLL_EVENT_LEN];
    let data_at = std::mem::offset_of!(libc::epoll_event, u64);
    bytes[..4].copy_from_slice(&event.events.to_ne_bytes());
    bytes[data_at..data_at + 8].copy_from_slice(&event.data.to_ne_bytes());
    bytes
}

pub(crate) unsafe extern "C" fn epoll_wait(
    _: *mut c_void,
    epfd: c_int,
    events: *mut libc::epoll_event,
    max: c_int,
    timeout_ms: c_int,
) -> c_int {
    let max = usize::try_from(max).unwrap_or(0);
    if !(1..=EPOLL_EVENTS_MAX).contains(&max) {
        return fail(Errno::EINVAL);
    }
    // SAFETY: the kernel checks the address.
    if !unsafe { is_writable(events.cast(), EPOLL_EVENT_LEN) } {
        return fail(Errno::EFAULT);
    }
    match on(epfd, |epfd| Call::EpollWait { epfd, max, timeout_ms }) {
        Ok(Reply::Events(ready)) => {
            let bytes: Vec<u8> = ready.iter().flat_map(epoll_event).collect();
            // SAFETY: packetdrill gives `max` entries, and the kernel checks the address.
            if !unsafe { copy_out(&bytes, events.cast(), bytes.len()) } {
                return fail(Errno::EFAULT);
            }
            ready.len() as c_int
        }
        other => small(reply_number(other)),
    }
}

pub(crate) unsafe extern "C" fn pipe(_: *mut c_void, ends: *mut c_int) -> c_int {
    // SAFETY: the kernel checks the address.
    if !unsafe { is_writable(ends.cast(), 8) } {
        return fail(Errno::EFAULT);
    }
    let made = locked().and_then(|state| {
        let (mut state, reply) = state.call(Call::Pipe { flags: 0 })?;
        let Reply::Pipe(read, write) = reply else { return Err(Errno::EIO) };
        Ok([state.placeholder(read)?, state.placeholder(write)?])
    });
    match made {
        Ok([read, write]) => {
            // SAFETY: packetdrill gives the address of two ints.
            unsafe { (*ends, *ends.add(1)) = (read, write) };
            0
        }
        Err(errno) => fail(errno),
    }
}

/// SPLICE_F_MOVE, SPLICE_F_NONBLOCK, SPLICE_F_MORE and SPLICE_F_GIFT.
const SPLICE_F_ALL: libc::c_uint = 15;

pub(crate) unsafe extern "C" fn splice(
    _: *mut c_void,
    from: c_int,
    from_offset: *mut libc::loff_t,
    to: c_int,
    to_offset: *mut libc::loff_t,
    len: size_t,
    flags: libc::c_uint,
) -> ssize_t {
    if len == 0 {
        return 0;
    }
    if flags & !SPLICE_F_ALL != 0 {
        return fail(Errno::EINVAL) as ssize_t;
    }
    let result = kind_of(from).and_then(|from_kind| {
        let ends = [(from_kind, from_offset), (kind_of(to)?, to_offset)];
        let mut with_offset = ends.iter().filter(|(_, offset)| !offset.is_null());
        if with_offset.clone().any(|(kind, _)| *kind == DescriptorKind::Pipe) {
            return Err(Errno::ESPIPE);
        }
        // Nothing else here has a position either.
        if with_offset.next().is_some() {
            return Err(Errno::EINVAL);
        }
        let state = locked()?;
        let (from, to) = (state.fd(from)?, state.fd(to)?);
        let splice = Call::Splice { from, to, len, flags: flags.cast_signed() };
        state.call(splice).map(|(_, reply)| reply)
    });
    number(reply_number(result))
}
