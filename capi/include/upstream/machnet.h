/*
 * upstream/machnet.h - the interface of the upstream Machnet project, for programs that were written for it.
 *
 * Put this directory in front of the include path, and link with -lmachnet of Causeway: such a program compiles
 * as it is, and speaks to Causeway's daemon. New programs include ../machnet.h, which can do more.
 *
 *   cc -I capi/include/upstream program.c -lmachnet
 *
 * The functions have the names and types of upstream's, and symbols of their own (machnet_upstream_*): a program
 * of either kind never calls a function of the other by mistake.
 *
 * What differs from ../machnet.h: contexts are void pointers; a flow is its four addresses; nothing waits but
 * machnet_connect(); the death of a flow is not told; and machnet_recv() drops a message that is longer than its buffer. All functions
 * set errno when they fail, with the values of ../machnet.h.
 *
 * IPv4 only, as upstream. Addresses and ports in a flow are in host byte order.
 */
#ifndef CAUSEWAY_UPSTREAM_MACHNET_H
#define CAUSEWAY_UPSTREAM_MACHNET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The longest message in bytes, unless the daemon is configured otherwise. */
#define MACHNET_MSG_MAX_LEN (8 * 1024 * 1024)

/* A channel's context. Functions take it as a void pointer. */
typedef struct MachnetChannelCtx MachnetChannelCtx_t;

/*
 * A flow by its addresses. Of a message that was received the source is the peer; to send to the peer, and after
 * machnet_connect(), the source is this side.
 */
struct MachnetFlow {
  uint32_t src_ip;
  uint32_t dst_ip;
  uint16_t src_port;
  uint16_t dst_port;
};
typedef struct MachnetFlow MachnetFlow_t;

/* A piece of a message. */
struct MachnetIovec {
  void *base;
  size_t len;
};
typedef struct MachnetIovec MachnetIovec_t;

/* A message in pieces. */
struct MachnetMsgHdr {
  uint32_t msg_size;       /* bytes of the message */
  MachnetFlow_t flow_info; /* its flow */
  MachnetIovec_t *msg_iov; /* its pieces, or room for them */
  size_t msg_iovlen;       /* how many */
  uint16_t flags;          /* none means anything */
};
typedef struct MachnetMsgHdr MachnetMsgHdr_t;

#define MACHNET_UPSTREAM_SYMBOL(name) __asm__("machnet_upstream_" #name)

/* Prepares the library. Returns 0, or -1. */
int machnet_init(void) MACHNET_UPSTREAM_SYMBOL(init);

/* A new channel to the daemon. Returns its context, or NULL. */
void *machnet_attach(void) MACHNET_UPSTREAM_SYMBOL(attach);

/* Ends a channel. */
void machnet_detach(const MachnetChannelCtx_t *ctx) MACHNET_UPSTREAM_SYMBOL(detach);

/* Listens for flows on an address of the daemon. Returns 0, or -1. */
int machnet_listen(void *channel_ctx, const char *local_ip, uint16_t port)
    MACHNET_UPSTREAM_SYMBOL(listen);

/* Opens a flow; waits for the peer's answer. Returns 0 and fills *flow, or -1. */
int machnet_connect(void *channel_ctx, const char *local_ip, const char *remote_ip,
                    uint16_t remote_port, MachnetFlow_t *flow) MACHNET_UPSTREAM_SYMBOL(connect);

/* Sends a message, without waiting. Returns 0, or -1: no such flow, or no room for it now (EAGAIN). */
int machnet_send(const void *channel_ctx, MachnetFlow_t flow, const void *buf, size_t len)
    MACHNET_UPSTREAM_SYMBOL(send);

/* Sends a message in pieces, whose lengths sum up to msg_size. Returns 0, or -1. */
int machnet_sendmsg(const void *channel_ctx, const MachnetMsgHdr_t *msghdr)
    MACHNET_UPSTREAM_SYMBOL(sendmsg);

/* Sends messages. Returns how many: those behind one that fails are not sent. */
int machnet_sendmmsg(const void *channel_ctx, const MachnetMsgHdr_t *msghdr_iovec, int vlen)
    MACHNET_UPSTREAM_SYMBOL(sendmmsg);

/*
 * Receives a message, without waiting. Returns its length in bytes, 0 when there is none, or -1: it is longer than
 * len and is lost (EMSGSIZE), or the channel cannot be used.
 */
ssize_t machnet_recv(const void *channel_ctx, void *buf, size_t len, MachnetFlow_t *flow)
    MACHNET_UPSTREAM_SYMBOL(recv);

/* As machnet_recv(), into pieces; msg_size and flow_info are set. Returns 1 when there was a message, 0, or -1. */
int machnet_recvmsg(const void *channel_ctx, MachnetMsgHdr_t *msghdr)
    MACHNET_UPSTREAM_SYMBOL(recvmsg);

#undef MACHNET_UPSTREAM_SYMBOL

#ifdef __cplusplus
}
#endif

#endif /* CAUSEWAY_UPSTREAM_MACHNET_H */
