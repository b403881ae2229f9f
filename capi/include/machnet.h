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
#include <sys/uio.h>

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

/* One message of a batch, see machnet_send_batch() and machnet_recv_batch(). */
typedef struct MachnetMsg {
  MachnetFlow_t flow;    /* the flow that it goes to or came on */
  void *buf;             /* its bytes, or room for them */
  size_t len;            /* its length in bytes; before machnet_recv_batch() the room */
  MachnetMsgId_t msg_id; /* its number; set by machnet_send_batch() */
} MachnetMsg_t;

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
 * return -1 with EAGAIN at once (true). Concerns all functions that send, receive, peek, reserve or borrow.
 *
 * Returns 0, or -1 on failure (EINVAL).
 */
int machnet_set_nonblocking(MachnetChannelCtx_t *ctx, bool nonblocking);

/*
 * A descriptor for poll(), select() or epoll, for programs with an event loop. It is readable when
 * machnet_recv() has something to tell, and when a call that failed with EAGAIN may succeed: try again what is
 * wanted, and wait anew if that fails with EAGAIN once more (a peer that connected wakes it too). It belongs to
 * the library: do not read from it or close it; it closes with the channel. From the first call on every other
 * call on the channel costs some system calls more. Threads that wait in a call on the same channel take what
 * the descriptor would have told.
 *
 * Returns the descriptor, the same each time, or -1 on failure (EINVAL; EMFILE, ENFILE: no descriptor is left;
 * ENOTSUP: inside the simulator's own process).
 */
int machnet_fd(MachnetChannelCtx_t *ctx);

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

/* ---- Several pieces, several messages ----------------------------------------------------------- */

/*
 * Sends a message that lies in pieces: their bytes, one behind the other. As machnet_send() in all else.
 *
 *   pieces  the pieces (struct iovec of <sys/uio.h>); any of them may be empty, all together not
 *   count   how many, 1 to 1024
 *
 * Returns 0, or -1 on failure, as machnet_send() does.
 */
int machnet_sendv(MachnetChannelCtx_t *ctx, MachnetFlow_t flow, const struct iovec *pieces,
                  size_t count, MachnetMsgId_t *msg_id);

/*
 * Receives a message into pieces, each filled before the next one; they must not overlap. As machnet_recv() in all else.
 *
 * Returns the length of the message in bytes, or -1 on failure, as machnet_recv() does.
 */
int machnet_recvv(MachnetChannelCtx_t *ctx, const struct iovec *pieces, size_t count,
                  MachnetFlow_t *flow);

/*
 * Sends messages in their order, each as machnet_send() does. Their msg_id is set.
 *
 *   msgs   the messages
 *   count  how many, 1 to 65536
 *
 * Returns how many were sent: fewer than count when the channel is non-blocking and has no room for more, or when the next one
 * cannot be sent; sending that one again tells why. Returns -1 when the first was not sent, as machnet_send() does.
 */
int machnet_send_batch(MachnetChannelCtx_t *ctx, MachnetMsg_t *msgs, size_t count);

/*
 * Receives messages: waits for the first like machnet_recv(), and takes what is there beside it.
 *
 *   msgs   room for messages: buf and len of each; flow and len are set
 *   count  how many, 1 to 65536
 *
 * Returns how many were received, or -1 on failure, as machnet_recv() does; the flow that a failure is about is in the first one.
 */
int machnet_recv_batch(MachnetChannelCtx_t *ctx, MachnetMsg_t *msgs, size_t count);

/* ---- Without copies ----------------------------------------------------------------------------- */

/*
 * Room for a message in the channel's own memory: write the message there, then call machnet_commit().
 * Until then nothing else can be sent on the flow (EBUSY). Waits for room like machnet_send().
 *
 *   len     most bytes that the message will have, at least 1
 *   pieces  receives where the room lies, in the order of the message; together they have len bytes
 *   count   pieces that there is space for. Mostly one will do; len / 4096 + 2 always does
 *
 * Returns the number of pieces, or -1 on failure:
 *   ERANGE   there are more pieces than count; nothing is reserved
 *   EBUSY    something is reserved on the flow already
 *   EINVAL, EMSGSIZE, EBADF, EAGAIN, ECONNRESET, ETIMEDOUT   as machnet_send()
 */
int machnet_reserve(MachnetChannelCtx_t *ctx, MachnetFlow_t flow, size_t len, struct iovec *pieces,
                    size_t count);

/*
 * Sends the first len bytes of what machnet_reserve() gave, as one message. With len 0 nothing is sent and the room is
 * given up. Never waits. The pieces are no longer the caller's, whatever is returned.
 *
 * Returns 0, or -1 on failure:
 *   EINVAL   nothing, or less than len, is reserved on the flow
 *   EBADF    no such flow on this channel
 *   ECONNRESET, ETIMEDOUT   the flow has come to its end
 */
int machnet_commit(MachnetChannelCtx_t *ctx, MachnetFlow_t flow, size_t len, MachnetMsgId_t *msg_id);

/*
 * Receives a message where it lies, as machnet_recv() without the copy.
 *
 *   pieces  receives where the message lies; its length is that of all pieces together
 *   count   pieces that there is space for; machnet_peek_size() / 4096 + 2 always does
 *   flow    receives the flow that the message came on; may be NULL
 *
 * The pieces are the caller's to read until machnet_release(), machnet_flow_close() or machnet_detach(). The peer can send the
 * less on this flow the more is borrowed. The bytes are shared with the daemon: a program that does not trust it
 * copies what it checks.
 *
 * Returns the number of pieces, or -1 on failure:
 *   ERANGE   the message lies in more pieces than count; it stays queued
 *   EAGAIN, ECONNRESET, ETIMEDOUT   as machnet_recv()
 */
int machnet_borrow(MachnetChannelCtx_t *ctx, struct iovec *pieces, size_t count, MachnetFlow_t *flow);

/*
 * Gives a borrowed message back. Messages may be given back in any order.
 *
 *   first  where its first piece begins: pieces[0].iov_base
 *
 * Returns 0, or -1 on failure (EINVAL: no message that is borrowed begins there).
 */
int machnet_release(MachnetChannelCtx_t *ctx, const void *first);

/* ---- Errors ------------------------------------------------------------------------------------- */

/*
 * A value of errno in words, as this library means it. The text is constant and lives for ever.
 */
const char *machnet_strerror(int error);

#ifdef __cplusplus
}
#endif

#endif /* CAUSEWAY_MACHNET_H */
