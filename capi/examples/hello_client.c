/*
 * The client half of hello.c: connects, sends a message and prints the reply.
 *
 *   hello_client [LOCAL_IP [REMOTE_IP [PORT]]]        default: 10.0.1.6 10.0.1.5 5000
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "machnet.h"

static int fail(const char *what) {
  fprintf(stderr, "hello_client: %s: %s\n", what, machnet_strerror(errno));
  return 1;
}

int main(int argc, char **argv) {
  const char *local_ip = argc > 1 ? argv[1] : "10.0.1.6";
  const char *remote_ip = argc > 2 ? argv[2] : "10.0.1.5";
  uint16_t port = (uint16_t)(argc > 3 ? atoi(argv[3]) : 5000);

  if (machnet_init() != 0) return fail("machnet_init");
  MachnetChannelCtx_t *ctx = machnet_attach();
  if (ctx == NULL) return fail("machnet_attach");

  MachnetFlow_t flow;
  if (machnet_connect(ctx, local_ip, remote_ip, port, &flow) != 0) return fail("machnet_connect");

  const char *msg = "Hello, Machnet!";
  MachnetMsgId_t id;
  if (machnet_send(ctx, flow, msg, strlen(msg), &id) != 0) return fail("machnet_send");

  char buf[1024];
  MachnetFlow_t sender;
  int n = machnet_recv(ctx, buf, sizeof(buf), &sender);
  if (n < 0) return fail("machnet_recv");
  printf("reply: %.*s\n", n, buf);
  if (machnet_detach(ctx) != 0) return fail("machnet_detach");
  return 0;
}
