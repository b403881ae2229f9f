//! Where the control socket is when nobody says.

use std::env;
use std::path::PathBuf;

/// Getter: `CAUSEWAY_SOCKET`, else `$XDG_RUNTIME_DIR/causeway/causeway.sock`, else
/// `/run/causeway/causeway.sock`. The client library looks in the same places.
pub fn default_socket_path() -> PathBuf {
    let set = |name| env::var_os(name).filter(|value| !value.is_empty());
    if let Some(path) = set("CAUSEWAY_SOCKET") {
        return path.into();
    }
    match set("XDG_RUNTIME_DIR") {
        Some(directory) => PathBuf::from(directory).join("causeway/causeway.sock"),
        None => PathBuf::from("/run/causeway/causeway.sock"),
    }
}
