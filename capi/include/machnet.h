/*
 * machnet.h - reliable messages between hosts, through the Causeway daemon.
 *
 * An application attaches to the daemon (`causeway serve`) that runs on the same host and gets a channel:
 * shared memory through which it sends and receives messages. A flow is a reliable, ordered connection
 * between two hosts that carries messages of 1 byte up to the daemon's limit (8 MiB unless configured).
 *
 * Errors. Functions that return int return -1 on failure, machnet_attach() returns NULL; errno then says
 * why, and machnet_strerror() puts it into words. These values mean the same for every function:
 *
 *   EINVAL           an argument is NULL or outside its range; a context that was never attached,
 *                    is detached already, or was attached by the parent of this process (after fork)
 *   EINTR            a signal arrived while the call was waiting, and its handler was installed
 *                    without SA_RESTART
 *   ENETDOWN         the daemon is gone; detach, and attach again once it is back
 *   ENOTRECOVERABLE  a defect in this library was caught; the context can only be detached
 *
 * Threads. Give each thread a channel of its own. Sharing one is safe: calls on it take turns, and a call
 * that waits lets the others go on.
 *
 * Processes. A channel belongs to the process that attached it and ends with that process, however it ends
 * and whatever children it leaves. A child after fork cannot use it (EINVAL): it attaches a channel of
 * its own. A program that becomes a daemon attaches after its last fork.
 *
 * Signals. No function may be called from a signal handler.
 *
 * Link with -lmachnet. The library's symbols are versioned (MACHNET_0, soname libmachnet.so.0).
 */
#ifndef CAUSEWAY_MACHNET_H
#define CAUSEWAY_MACHNET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#ifdef __cplusplus
extern "C" {
#endif

/* One channel to the daemon. Opaque: only its address means something, and only to this library. */
typedef struct MachnetChannelCtx MachnetChannelCtx_t;

/*
 * A flow, as a handle. Copy it freely. A handle belongs to the channel that it came from and is never
 * used again for another flow of that channel. One that is all zero is no flow.
 */
typedef struct MachnetFlow {
  uint64_t id;
} MachnetFlow_t;

/* The number of a message: unique among those sent on a channel, for the life of the channel. */
typedef uint64_t MachnetMsgId_t;

/* Figures of a flow, see machnet_flow_stats(). Later versions add members at the end only. */
typedef struct MachnetFlowStats {
  uint64_t msg_acked;      /* highest message number that the peer has acknowledged; 0: none */
  uint64_t srtt_ns;        /* smoothed round-trip time in nanoseconds; 0 before the first sample */
  uint64_t rttvar_ns;      /* round-trip time variation in nanoseconds */
  uint64_t cwnd_bytes;     /* congestion window in bytes */
  uint64_t retransmits;    /* packets that were sent again */
  uint64_t bytes_sent;     /* payload bytes sent, repetitions included */
  uint64_t bytes_acked;    /* payload bytes that the peer has acknowledged */
  uint64_t bytes_received; /* payload bytes received in order */
} MachnetFlowStats_t;

/* ---- Lifecycle ---------------------------------------------------------------------------------- */

/*
 * Prepares the library. To be called once, before any other function; calling it again does no harm.
 *
 * Returns 0, or -1 on failure.
 */
int machnet_init(void);

/*
 * Creates a channel to the daemon, which listens on the unix socket that the environment
 * variable CAUSEWAY_SOCKET names, or on its usual path.
 *
 * Returns the channel's context, or NULL on failure:
 *   EINVAL         machnet_init() has not been called
 *   ENOENT         there is no daemon: the socket does not exist
 *   ECONNREFUSED   the socket exists, but no daemon listens on it
 *   EACCES         this user may not open the socket
 *   EPROTO         the daemon speaks another version of the protocol, or something else
 *   ENOMEM, EMFILE, ENFILE, ENOBUFS   a limit of this process or of the daemon was reached
 */
MachnetChannelCtx_t *machnet_attach(void);

/*
 * Ends a channel: its listeners and flows are closed and its memory returned. Messages already
 * handed to machnet_send() are still delivered. The context must not be used again.
 *
 * Returns 0, or -1 on failure (EINVAL).
 */
int machnet_detach(MachnetChannelCtx_t *ctx);

/*
 * Chooses what calls on a channel do when they would have to wait: wait (false, the state after attach), or
 * return -1 with EAGAIN at once (true). Concerns machnet_send(), machnet_recv() and machnet_peek_size().
 *
 * Returns 0, or -1 on failure (EINVAL).
 */
int machnet_set_nonblocking(MachnetChannelCtx_t *ctx, bool nonblocking);

/* ---- Connection management ---------------------------------------------------------------------- */

/*
 * Listens for flows. Those that arrive are accepted without further calls; their messages come out of
 * machnet_recv().
 *
 *   ctx       the channel's context
 *   local_ip  an address of the daemon's network interfaces, as text ("10.0.1.5")
 *   port      the port to listen on, 1 to 65535
 *
 * Several channels of one process may listen on one address; incoming flows are spread over them.
 *
 * Returns 0, or -1 on failure:
 *   EADDRINUSE     another process listens there, or this channel does
 *   EADDRNOTAVAIL  local_ip is not an address of the daemon
 *   EMSGSIZE       the link's MTU is below 1500: the transport's packets do not fit
 *   ENOBUFS        the daemon's limit of sockets is reached
 */
int machnet_listen(MachnetChannelCtx_t *ctx, const char *local_ip, uint16_t port);

/*
 * Opens a flow. Waits until the peer has answered, also on a non-blocking channel.
 *
 *   ctx          the channel's context
 *   local_ip     the address to send from: one of the daemon's network interfaces
 *   remote_ip    the peer's address, as text
 *   remote_port  the port on which the peer listens, 1 to 65535
 *   flow         receives the new flow
 *
 * Returns 0, or -1 on failure:
 *   ECONNREFUSED   the peer refused the flow
 *   ETIMEDOUT      the peer does not answer; a peer on which nobody listens there may stay silent
 *   EHOSTUNREACH   the next hop does not answer address resolution
 *   ENETUNREACH    there is no route to remote_ip
 *   EADDRNOTAVAIL  local_ip is not an address of the daemon, or no local port is free
 *   EMSGSIZE       the link's MTU is below 1500: the transport's packets do not fit
 *   ENOBUFS        the daemon's limit of sockets is reached
 */
int machnet_connect(MachnetChannelCtx_t *ctx, const char *local_ip, const char *remote_ip,
                    uint16_t remote_port, MachnetFlow_t *flow);

/*
 * Closes a flow: messages already handed to machnet_send() are delivered first; messages of the flow that
 * were not received yet are dropped.
 *
 * Returns 0, or -1 on failure (EBADF: no such flow on this channel; ENETDOWN).
 */
int machnet_flow_close(MachnetChannelCtx_t *ctx, MachnetFlow_t flow);

/*
 * Tells the figures of a flow. `size` is sizeof(*stats): a program and a library of different versions
 * understand each other; what the library does not know is set to 0.
 *
 * Returns 0, or -1 on failure (EBADF: no such flow on this channel, or it has ended; EINVAL; ENETDOWN).
 */
int machnet_flow_stats(MachnetChannelCtx_t *ctx, MachnetFlow_t flow, MachnetFlowStats_t *stats,
                       size_t size);

/* ---- Messaging ---------------------------------------------------------------------------------- */

/*
 * Sends a message. The bytes are copied: the buffer is the caller's again when the call returns.
 * Waits while the channel or the peer has no room for it.
 *
 *   ctx     the channel's context
 *   flow    the flow, from machnet_connect() or machnet_recv()
 *   buf     the message
 *   len     its length in bytes, at least 1
 *   msg_id  receives the message's number; may be NULL
 *
 * Returns 0 when the message is queued for delivery, or -1 on failure:
 *   EINVAL      len is 0
 *   EMSGSIZE    len is more than a message may have
 *   EBADF       no such flow on this channel
 *   EAGAIN      the channel is non-blocking and there is no room
 *   ECONNRESET, ETIMEDOUT   the flow has come to its end
 */
int machnet_send(MachnetChannelCtx_t *ctx, MachnetFlow_t flow, const void *buf, size_t len,
                 MachnetMsgId_t *msg_id);

/*
 * Receives a message from any flow of the channel. Waits until there is one. Messages of one flow come in
 * the order in which they were sent.
 *
 *   ctx       the channel's context
 *   buf       receives the message
 *   buf_size  bytes that buf has room for
 *   flow      receives the flow that the message came on; may be NULL
 *
 * When a flow dies, what had arrived is delivered first; then one call returns -1 with the reason
 * and *flow says which flow it was. A flow that the peer closed counts as dead too (ECONNRESET).
 *
 * Returns the length of the message in bytes, or -1 on failure:
 *   EMSGSIZE    the message is longer than buf_size; it stays queued, machnet_peek_size() tells its length
 *   EAGAIN      the channel is non-blocking and there is no message
 *   ECONNRESET, ETIMEDOUT   the flow *flow has died
 */
int machnet_recv(MachnetChannelCtx_t *ctx, void *buf, size_t buf_size, MachnetFlow_t *flow);

/*
 * Tells the length of the message that the next machnet_recv() would return, without taking it. Waits
 * like machnet_recv(). `flow` receives the flow of that message and may be NULL.
 *
 * Returns the length in bytes, at least 1, or -1 on failure, as machnet_recv() does.
 */
int machnet_peek_size(MachnetChannelCtx_t *ctx, MachnetFlow_t *flow);

/* ---- Errors ------------------------------------------------------------------------------------- */

/*
 * A value of errno in words, as this library means it. The text is constant and lives for ever.
 */
const char *machnet_strerror(int error);

#ifdef __cplusplus
}
#endif

#endif /* CAUSEWAY_MACHNET_H */
