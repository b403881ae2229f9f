/*
 * A program as they are written for the upstream project: its header, its names, its way to poll. Against a daemon that owns
 * 10.0.1.5 and 10.0.1.6; both ends are here, each on a channel of its own.
 */
#define _DEFAULT_SOURCE
#include <machnet.h>

#include <errno.h>
#include <time.h>

#define SERVER "10.0.1.5"
#define CLIENT "10.0.1.6"
#define PORT 31580

static void broken(int line, const char *promise) {
  fprintf(stderr, "upstream.c:%d: not so: %s (errno %d)\n", line, promise, errno);
  exit(1);
}

#define HOLDS(promise) ((promise) ? (void)0 : broken(__LINE__, #promise))

/* Polls until there is a message, for ten seconds at most. */
static ssize_t polled(const void *channel, void *buf, size_t len, MachnetFlow_t *flow) {
  time_t end = time(NULL) + 10;
  ssize_t got;
  while ((got = machnet_recv(channel, buf, len, flow)) == 0) {
    HOLDS(time(NULL) < end);
    usleep(10);
  }
  return got;
}

static MachnetFlow_t swapped(MachnetFlow_t flow) {
  MachnetFlow_t other = {flow.dst_ip, flow.src_ip, flow.dst_port, flow.src_port};
  return other;
}

static void there_and_back(void *server, void *client, MachnetFlow_t flow) {
  static char out[20000], in[20000];
  MachnetFlow_t from;
  for (size_t len = 1; len < sizeof(out); len = len * 3 + 1) {
    memset(out, (int)len, len);
    HOLDS(machnet_send(client, flow, out, len) == 0);
    HOLDS(polled(server, in, sizeof(in), &from) == (ssize_t)len && memcmp(in, out, len) == 0);
    /* The source is the client; to answer, it is the server. */
    HOLDS(from.src_ip == 0x0a000106 && from.dst_ip == 0x0a000105 && from.dst_port == PORT);
    HOLDS(from.src_port == flow.src_port);
    HOLDS(machnet_send(server, swapped(from), in, len) == 0);
    HOLDS(polled(client, in, sizeof(in), &from) == (ssize_t)len);
    HOLDS(from.src_ip == 0x0a000105 && from.src_port == PORT && from.dst_port == flow.src_port);
  }
}

static void in_pieces(void *server, void *client, MachnetFlow_t flow) {
  char a[] = "abcde", b[] = "xyz", c[4], d[100];
  MachnetIovec_t out[2] = {{a, 5}, {b, 3}}, in[2] = {{c, 4}, {d, 100}};
  MachnetMsgHdr_t hdr = {8, flow, out, 2, 0}, wrong = {9, flow, out, 2, 0}, got;
  HOLDS(machnet_sendmsg(client, &hdr) == 0);
  HOLDS(machnet_sendmsg(client, &wrong) == -1);
  memset(&got, 0, sizeof(got));
  got.msg_iov = in;
  got.msg_iovlen = 2;
  int none;
  while ((none = machnet_recvmsg(server, &got)) == 0) usleep(10);
  HOLDS(none == 1 && got.msg_size == 8 && memcmp(c, "abcd", 4) == 0 && memcmp(d, "exyz", 4) == 0);
  HOLDS(got.flow_info.src_port == flow.src_port && got.flow_info.dst_port == PORT);
  HOLDS(machnet_recvmsg(server, &got) == 0);
  /* Several, up to the first that cannot be sent. */
  MachnetMsgHdr_t many[4] = {hdr, hdr, wrong, hdr};
  HOLDS(machnet_sendmmsg(client, many, 4) == 2);
  HOLDS(machnet_sendmmsg(client, many + 2, 1) == 0);
  for (int i = 0; i < 2; i++) HOLDS(polled(server, d, sizeof(d), NULL) == 8);
}

static void what_fails(void *server, void *client, MachnetFlow_t flow) {
  char buf[8];
  MachnetFlow_t nobody = {1, 2, 3, 4}, from;
  HOLDS(machnet_recv(server, buf, sizeof(buf), &from) == 0);
  HOLDS(machnet_send(client, nobody, "x", 1) == -1);
  HOLDS(machnet_send(client, swapped(flow), "x", 1) == -1);
  HOLDS(machnet_connect(client, "nowhere", SERVER, PORT, &from) == -1);
  HOLDS(machnet_connect(client, CLIENT, "fd00::1", PORT, &from) == -1);
  HOLDS(machnet_listen(server, "fd00::1", PORT) == -1);
  HOLDS(machnet_recv(NULL, buf, sizeof(buf), &from) == -1);
  /* A message that is too long is lost, and the next one is not. */
  HOLDS(machnet_send(client, flow, "much too long", 13) == 0);
  HOLDS(machnet_send(client, flow, "next", 4) == 0);
  HOLDS(polled(server, buf, sizeof(buf), &from) == -1 && errno == EMSGSIZE);
  HOLDS(polled(server, buf, sizeof(buf), &from) == 4 && memcmp(buf, "next", 4) == 0);
  /* Nothing waits: at some time there is no room. */
  static char large[1 << 20];
  int sent = 0;
  while (machnet_send(client, flow, large, sizeof(large)) == 0) HOLDS(++sent < 10000);
  HOLDS(errno == EAGAIN && sent > 0);
  for (; sent > 0; sent--) HOLDS(polled(server, large, sizeof(large), &from) == sizeof(large));
}

int main(void) {
  HOLDS(machnet_init() == 0);
  void *server = machnet_attach(), *client = machnet_attach();
  HOLDS(server != NULL && client != NULL);
  MachnetFlow_t flow, again;
  HOLDS(machnet_listen(server, SERVER, PORT) == 0);
  HOLDS(machnet_connect(client, CLIENT, SERVER, PORT, &flow) == 0);
  HOLDS(flow.src_ip == 0x0a000106 && flow.dst_ip == 0x0a000105 && flow.dst_port == PORT);
  there_and_back(server, client, flow);
  in_pieces(server, client, flow);
  what_fails(server, client, flow);
  /* A client that goes is no news, and the next one is another flow. */
  machnet_detach((const MachnetChannelCtx_t *)client);
  char buf[8];
  for (int i = 0; i < 100; i++) HOLDS(machnet_recv(server, buf, sizeof(buf), &flow) == 0);
  client = machnet_attach();
  HOLDS(machnet_connect(client, CLIENT, SERVER, PORT, &again) == 0);
  there_and_back(server, client, again);
  HOLDS(MACHNET_MSG_MAX_LEN == 8 << 20);
  return 0;
}
