//! TCP_FASTOPEN_KEY.

use super::call::{CallResult, Reply};
use super::errno::Errno;
use super::file::Role;
use super::host::Host;
use super::port::CHANNEL;
use super::values::TCP;

/// One key of 16 bytes, or two.
fn keys(value: &[u8]) -> Option<[Option<[u8; 16]>; 2]> {
    let (first, rest) = value.split_first_chunk()?;
    match rest.len() {
        0 => Some([Some(*first), None]),
        _ => Some([Some(*first), Some(<[u8; 16]>::try_from(rest).ok()?)]),
    }
}

impl Host {
    /// TCP_FASTOPEN_KEY: the key of the socket's cookies, and the one before it.
    pub(super) fn set_fast_open_key(&mut self, fd: i32, value: &[u8]) -> CallResult {
        let keys = keys(value).ok_or(Errno::EINVAL)?;
        let tcp = self.tcp(fd)?;
        tcp.values.set.insert((TCP, libc::TCP_FASTOPEN_KEY), value.to_vec());
        if let Role::Listener { socket, .. } = tcp.role {
            let stack = self.machine.engine.stack_mut();
            stack.set_fast_open_keys(CHANNEL, Some(socket), keys)?;
        }
        Ok(Reply::Number(0))
    }

    /// Getter: the keys in use: the socket's, or the host's.
    pub(super) fn fast_open_key(&mut self, fd: i32) -> Result<Vec<u8>, Errno> {
        let of_all = self.sysctl.fast_open_keys();
        let own = self.tcp(fd)?.values.set.get(&(TCP, libc::TCP_FASTOPEN_KEY)).cloned();
        Ok(own.unwrap_or_else(|| of_all.into_iter().flatten().flatten().collect()))
    }

    /// The keys that were set before there was a listener go to it.
    pub(super) fn stage_fast_open_key(&mut self, fd: i32) -> Result<(), Errno> {
        let key = (TCP, libc::TCP_FASTOPEN_KEY);
        let Some(value) = self.tcp(fd)?.values.set.get(&key).cloned() else { return Ok(()) };
        let keys = keys(&value).ok_or(Errno::EINVAL)?;
        let stack = self.machine.engine.stack_mut();
        stack.set_fast_open_keys(CHANNEL, None, keys)?;
        Ok(())
    }
}
