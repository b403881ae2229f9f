//! The functions of `machnet.h`, kept in the binary.

use std::hint::black_box;

use machnet::{abi, upstream};

/// Names every function of the C ABI, so that the linker takes it out of its library and keeps it; `build.rs`
/// has it exported. Nothing in this binary calls them: the C programs of `causeway demo` do.
pub fn keep() {
    macro_rules! keep {
        ($module:ident: $($function:ident)*) => { $(black_box($module::$function as *const ());)* };
    }
    keep! { upstream:
        machnet_upstream_init machnet_upstream_attach machnet_upstream_detach
        machnet_upstream_listen machnet_upstream_connect machnet_upstream_send
        machnet_upstream_sendmsg machnet_upstream_sendmmsg
        machnet_upstream_recv machnet_upstream_recvmsg
    }
    keep! { abi:
        machnet_attach machnet_borrow machnet_commit machnet_connect machnet_detach
        machnet_fd machnet_flow_close machnet_flow_stats machnet_init machnet_listen
        machnet_peek_size machnet_recv machnet_recv_batch machnet_recvv machnet_release
        machnet_reserve machnet_send machnet_send_batch machnet_sendv
        machnet_set_nonblocking machnet_strerror
    }
}
