/*
 * The server half of hello.c: listens, prints the message that arrives, sends a reply, and waits until the
 * client has hung up.
 *
 *   hello_server [LOCAL_IP [PORT]]        default: 10.0.1.5 5000
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "machnet.h"

static int fail(const char *what) {
  fprintf(stderr, "hello_server: %s: %s\n", what, machnet_strerror(errno));
  return 1;
}

int main(int argc, char **argv) {
  const char *local_ip = argc > 1 ? argv[1] : "10.0.1.5";
  uint16_t port = (uint16_t)(argc > 2 ? atoi(argv[2]) : 5000);

  if (machnet_init() != 0) return fail("machnet_init");
  MachnetChannelCtx_t *ctx = machnet_attach();
  if (ctx == NULL) return fail("machnet_attach");
  if (machnet_listen(ctx, local_ip, port) != 0) return fail("machnet_listen");
  printf("listening on %s port %u\n", local_ip, (unsigned)port);
  fflush(stdout);

  char buf[1024];
  MachnetFlow_t sender;
  int n = machnet_recv(ctx, buf, sizeof(buf), &sender);
  if (n < 0) return fail("machnet_recv");
  printf("received: %.*s\n", n, buf);
  fflush(stdout);

  const char *reply = "Hello, client!";
  if (machnet_send(ctx, sender, reply, strlen(reply), NULL) != 0) return fail("machnet_send");
  while (machnet_recv(ctx, buf, sizeof(buf), &sender) >= 0) {
  }
  if (errno != ECONNRESET) return fail("machnet_recv");
  if (machnet_detach(ctx) != 0) return fail("machnet_detach");
  return 0;
}
