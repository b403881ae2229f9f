//! The table of functions that packetdrill asks for.

use std::ffi::CStr;

use libc::{
    c_char, c_int, c_long, c_longlong, c_uint, c_ulong, c_void, size_t, sockaddr, socklen_t,
    ssize_t,
};

use crate::{calls, netdev, state};

type Data = *mut c_void;

/// `struct packetdrill_interface`: what each function is given first, then 32 functions in this order.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
#[allow(missing_docs, reason = "each is the C library's function of that name")]
pub struct Interface {
    pub userdata: Data,
    pub free: unsafe extern "C" fn(Data),
    pub socket: unsafe extern "C" fn(Data, c_int, c_int, c_int) -> c_int,
    pub bind: unsafe extern "C" fn(Data, c_int, *const sockaddr, socklen_t) -> c_int,
    pub listen: unsafe extern "C" fn(Data, c_int, c_int) -> c_int,
    pub accept: unsafe extern "C" fn(Data, c_int, *mut sockaddr, *mut socklen_t) -> c_int,
    pub connect: unsafe extern "C" fn(Data, c_int, *const sockaddr, socklen_t) -> c_int,
    pub read: unsafe extern "C" fn(Data, c_int, *mut c_void, size_t) -> ssize_t,
    pub readv: unsafe extern "C" fn(Data, c_int, *const libc::iovec, c_int) -> ssize_t,
    pub recv: unsafe extern "C" fn(Data, c_int, *mut c_void, size_t, c_int) -> ssize_t,
    pub recvfrom: unsafe extern "C" fn(
        Data,
        c_int,
        *mut c_void,
        size_t,
        c_int,
        *mut sockaddr,
        *mut socklen_t,
    ) -> ssize_t,
    pub recvmsg: unsafe extern "C" fn(Data, c_int, *mut libc::msghdr, c_int) -> ssize_t,
    pub write: unsafe extern "C" fn(Data, c_int, *const c_void, size_t) -> ssize_t,
    pub writev: unsafe extern "C" fn(Data, c_int, *const libc::iovec, c_int) -> ssize_t,
    pub send: unsafe extern "C" fn(Data, c_int, *const c_void, size_t, c_int) -> ssize_t,
    pub sendto: unsafe extern "C" fn(
        Data,
        c_int,
        *const c_void,
        size_t,
        c_int,
        *const sockaddr,
        socklen_t,
    ) -> ssize_t,
    pub sendmsg: unsafe extern "C" fn(Data, c_int, *const libc::msghdr, c_int) -> ssize_t,
    pub fcntl: unsafe extern "C" fn(Data, c_int, c_int, c_long) -> c_int,
    pub ioctl: unsafe extern "C" fn(Data, c_int, c_ulong, *mut c_int) -> c_int,
    pub close: unsafe extern "C" fn(Data, c_int) -> c_int,
    pub shutdown: unsafe extern "C" fn(Data, c_int, c_int) -> c_int,
    pub getsockopt:
        unsafe extern "C" fn(Data, c_int, c_int, c_int, *mut c_void, *mut socklen_t) -> c_int,
    pub setsockopt:
        unsafe extern "C" fn(Data, c_int, c_int, c_int, *const c_void, socklen_t) -> c_int,
    pub poll: unsafe extern "C" fn(Data, *mut libc::pollfd, libc::nfds_t, c_int) -> c_int,
    pub netdev_send: unsafe extern "C" fn(Data, *const c_void, size_t) -> c_int,
    pub netdev_receive:
        unsafe extern "C" fn(Data, *mut c_void, *mut size_t, *mut c_longlong) -> c_int,
    pub usleep: unsafe extern "C" fn(Data, libc::useconds_t) -> c_int,
    pub gettimeofday: unsafe extern "C" fn(Data, *mut libc::timeval, *mut c_void) -> c_int,
    pub epoll_create: unsafe extern "C" fn(Data, c_int) -> c_int,
    pub epoll_ctl:
        unsafe extern "C" fn(Data, c_int, c_int, c_int, *const libc::epoll_event) -> c_int,
    pub epoll_wait:
        unsafe extern "C" fn(Data, c_int, *mut libc::epoll_event, c_int, c_int) -> c_int,
    pub pipe: unsafe extern "C" fn(Data, *mut c_int) -> c_int,
    pub splice: unsafe extern "C" fn(
        Data,
        c_int,
        *mut libc::loff_t,
        c_int,
        *mut libc::loff_t,
        size_t,
        c_uint,
    ) -> ssize_t,
}

const TABLE: Interface = Interface {
    userdata: std::ptr::null_mut(),
    free,
    socket: calls::socket,
    bind: calls::bind,
    listen: calls::listen,
    accept: calls::accept,
    connect: calls::connect,
    read: calls::read,
    readv: calls::readv,
    recv: calls::recv,
    recvfrom: calls::recvfrom,
    recvmsg: calls::recvmsg,
    write: calls::write,
    writev: calls::writev,
    send: calls::send,
    sendto: calls::sendto,
    sendmsg: calls::sendmsg,
    fcntl: calls::fcntl,
    ioctl: calls::ioctl,
    close: calls::close,
    shutdown: calls::shutdown,
    getsockopt: calls::getsockopt_hook,
    setsockopt: calls::setsockopt,
    poll: calls::poll,
    netdev_send: netdev::netdev_send,
    netdev_receive: netdev::netdev_receive,
    usleep: netdev::usleep,
    gettimeofday: netdev::gettimeofday,
    epoll_create: calls::epoll_create,
    epoll_ctl: calls::epoll_ctl,
    epoll_wait: calls::epoll_wait,
    pipe: calls::pipe,
    splice: calls::splice,
};

unsafe extern "C" fn free(_: Data) {
    state::end();
}

/// What packetdrill calls after it has loaded the library: a new host, and its functions.
///
/// # Safety
/// `flags` is null or a string; `interface` points to room for an [`Interface`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn packetdrill_interface_init(
    flags: *const c_char,
    interface: *mut Interface,
) {
    let flags = if flags.is_null() {
        String::new()
    } else {
        // SAFETY: not null: a string that ends in zero.
        unsafe { CStr::from_ptr(flags) }.to_string_lossy().into_owned()
    };
    state::begin(&flags);
    if !interface.is_null() {
        // SAFETY: not null: room for the table.
        unsafe { interface.write(TABLE) };
    }
}
