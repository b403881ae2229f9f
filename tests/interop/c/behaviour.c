/*
 * What machnet.h promises, one case at a time, against a daemon that owns 10.0.1.5 and 10.0.1.6.
 *
 *   behaviour CASE        exit status 0: as promised; else the broken promise is on stderr
 */
#define _GNU_SOURCE
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "machnet.h"

#define SERVER "10.0.1.5"
#define CLIENT "10.0.1.6"
#define PORT 5000

static void broken(int line, const char *promise) {
  fprintf(stderr, "behaviour.c:%d: not so: %s (errno %d: %s)\n", line, promise, errno,
          machnet_strerror(errno));
  exit(1);
}

#define HOLDS(promise) ((promise) ? (void)0 : broken(__LINE__, #promise))
#define FAILS(call, error) (errno = 0, HOLDS((call) == -1), HOLDS(errno == (error)))

static MachnetChannelCtx_t *attached(void) {
  HOLDS(machnet_init() == 0);
  MachnetChannelCtx_t *ctx = machnet_attach();
  HOLDS(ctx != NULL);
  return ctx;
}

static MachnetFlow_t connected(MachnetChannelCtx_t *server, MachnetChannelCtx_t *client) {
  MachnetFlow_t flow = {0};
  HOLDS(machnet_listen(server, SERVER, PORT) == 0);
  HOLDS(machnet_connect(client, CLIENT, SERVER, PORT, &flow) == 0);
  HOLDS(flow.id != 0);
  return flow;
}

static void fill(unsigned char *bytes, size_t len, unsigned seed) {
  for (size_t i = 0; i < len; i++) bytes[i] = (unsigned char)((i * 131 + i / 251 + seed) & 0xff);
}

/* ---- lifecycle ---- */

static void attach_before_init(void) {
  errno = 0;
  HOLDS(machnet_attach() == NULL);
  HOLDS(errno == EINVAL);
}

static void init_twice(void) {
  HOLDS(machnet_init() == 0);
  HOLDS(machnet_init() == 0);
}

/* CAUSEWAY_SOCKET names nothing. */
static void attach_without_daemon(void) {
  HOLDS(machnet_init() == 0);
  errno = 0;
  HOLDS(machnet_attach() == NULL);
  HOLDS(errno == ENOENT);
}

static void channels_are_separate(void) {
  MachnetChannelCtx_t *one = attached(), *two = attached();
  HOLDS(one != two);
  MachnetFlow_t flow = connected(one, two);
  /* The flow belongs to the channel that opened it. */
  FAILS(machnet_send(one, flow, "x", 1, NULL), EBADF);
  HOLDS(machnet_send(two, flow, "x", 1, NULL) == 0);
}

static void detached_context(void) {
  MachnetChannelCtx_t *ctx = attached();
  HOLDS(machnet_detach(ctx) == 0);
  FAILS(machnet_detach(ctx), EINVAL);
  FAILS(machnet_listen(ctx, SERVER, PORT), EINVAL);
  /* What a detached channel listened on is free again. */
  ctx = attached();
  HOLDS(machnet_listen(ctx, SERVER, PORT) == 0);
  HOLDS(machnet_detach(ctx) == 0);
  ctx = attached();
  HOLDS(machnet_listen(ctx, SERVER, PORT) == 0);
}

/* What a thread did with a context last helps it no longer once another thread has detached it. */
static pthread_barrier_t turns;

static void *uses_then_finds_it_dead(void *ctx) {
  HOLDS(machnet_listen(ctx, SERVER, PORT) == 0);
  pthread_barrier_wait(&turns);
  pthread_barrier_wait(&turns);
  FAILS(machnet_listen(ctx, SERVER, PORT + 1), EINVAL);
  pthread_barrier_wait(&turns);
  pthread_barrier_wait(&turns);
  return NULL;
}

static void detached_by_another_thread(void) {
  MachnetChannelCtx_t *ctx = attached();
  pthread_t thread;
  HOLDS(pthread_barrier_init(&turns, NULL, 2) == 0);
  HOLDS(pthread_create(&thread, NULL, uses_then_finds_it_dead, ctx) == 0);
  pthread_barrier_wait(&turns);
  HOLDS(machnet_detach(ctx) == 0);
  pthread_barrier_wait(&turns);
  pthread_barrier_wait(&turns);
  /* The other thread lives, and keeps nothing of the channel. */
  ctx = attached();
  HOLDS(machnet_listen(ctx, SERVER, PORT) == 0);
  pthread_barrier_wait(&turns);
  HOLDS(pthread_join(thread, NULL) == 0);
}

static void foreign_contexts(void) {
  MachnetChannelCtx_t *ctx = attached();
  long decoy[64] = {0};
  MachnetChannelCtx_t *wrong[] = {NULL, (MachnetChannelCtx_t *)decoy, (MachnetChannelCtx_t *)1,
                                  (MachnetChannelCtx_t *)((char *)ctx + 1)};
  MachnetFlow_t flow = {1};
  char buf[8];
  for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
    FAILS(machnet_listen(wrong[i], SERVER, PORT), EINVAL);
    FAILS(machnet_connect(wrong[i], CLIENT, SERVER, PORT, &flow), EINVAL);
    FAILS(machnet_send(wrong[i], flow, "x", 1, NULL), EINVAL);
    FAILS(machnet_recv(wrong[i], buf, sizeof(buf), &flow), EINVAL);
    FAILS(machnet_peek_size(wrong[i], &flow), EINVAL);
    FAILS(machnet_flow_close(wrong[i], flow), EINVAL);
    FAILS(machnet_set_nonblocking(wrong[i], true), EINVAL);
    struct iovec piece = {buf, sizeof(buf)};
    MachnetMsg_t msg = {flow, buf, sizeof(buf), 0};
    FAILS(machnet_sendv(wrong[i], flow, &piece, 1, NULL), EINVAL);
    FAILS(machnet_recvv(wrong[i], &piece, 1, NULL), EINVAL);
    FAILS(machnet_send_batch(wrong[i], &msg, 1), EINVAL);
    FAILS(machnet_recv_batch(wrong[i], &msg, 1), EINVAL);
    FAILS(machnet_reserve(wrong[i], flow, 1, &piece, 1), EINVAL);
    FAILS(machnet_commit(wrong[i], flow, 1, NULL), EINVAL);
    FAILS(machnet_borrow(wrong[i], &piece, 1, NULL), EINVAL);
    FAILS(machnet_release(wrong[i], buf), EINVAL);
    FAILS(machnet_fd(wrong[i]), EINVAL);
    FAILS(machnet_detach(wrong[i]), EINVAL);
  }
}

/* ---- listen and connect ---- */

static void listen_arguments(void) {
  MachnetChannelCtx_t *ctx = attached();
  FAILS(machnet_listen(ctx, NULL, PORT), EINVAL);
  FAILS(machnet_listen(ctx, "10.0.1", PORT), EINVAL);
  FAILS(machnet_listen(ctx, "\xff\xfe", PORT), EINVAL);
  FAILS(machnet_listen(ctx, SERVER, 0), EINVAL);
  FAILS(machnet_listen(ctx, "192.0.2.1", PORT), EADDRNOTAVAIL);
  HOLDS(machnet_listen(ctx, SERVER, PORT) == 0);
}

static void connect_arguments(void) {
  MachnetChannelCtx_t *ctx = attached();
  MachnetFlow_t flow;
  HOLDS(machnet_listen(ctx, SERVER, PORT) == 0);
  FAILS(machnet_connect(ctx, NULL, SERVER, PORT, &flow), EINVAL);
  FAILS(machnet_connect(ctx, CLIENT, NULL, PORT, &flow), EINVAL);
  FAILS(machnet_connect(ctx, CLIENT, "nowhere", PORT, &flow), EINVAL);
  FAILS(machnet_connect(ctx, CLIENT, SERVER, 0, &flow), EINVAL);
  FAILS(machnet_connect(ctx, CLIENT, SERVER, PORT, NULL), EINVAL);
  FAILS(machnet_connect(ctx, "192.0.2.1", SERVER, PORT, &flow), EADDRNOTAVAIL);
  HOLDS(machnet_connect(ctx, CLIENT, SERVER, PORT, &flow) == 0);
}

/* The port that is listened on matters, on both sides. */
static void ports_tell_listeners_apart(void) {
  MachnetChannelCtx_t *one = attached(), *two = attached(), *client = attached();
  MachnetFlow_t flow, from;
  char buf[8];
  HOLDS(machnet_listen(one, SERVER, PORT) == 0);
  HOLDS(machnet_listen(two, SERVER, PORT + 1) == 0);
  HOLDS(machnet_connect(client, CLIENT, SERVER, PORT + 1, &flow) == 0);
  HOLDS(machnet_send(client, flow, "two", 3, NULL) == 0);
  HOLDS(machnet_recv(two, buf, sizeof(buf), &from) == 3);
  HOLDS(machnet_set_nonblocking(one, true) == 0);
  FAILS(machnet_recv(one, buf, sizeof(buf), &from), EAGAIN);
}

static void connect_to_nobody(void) {
  MachnetChannelCtx_t *ctx = attached();
  MachnetFlow_t flow;
  FAILS(machnet_connect(ctx, CLIENT, SERVER, PORT, &flow), ECONNREFUSED);
}

static void address_in_use(void) {
  MachnetChannelCtx_t *ctx = attached(), *same = attached();
  HOLDS(machnet_listen(ctx, SERVER, PORT) == 0);
  /* Another channel of this process may. */
  HOLDS(machnet_listen(same, SERVER, PORT) == 0);
  FAILS(machnet_listen(ctx, SERVER, PORT), EADDRINUSE);
  pid_t child = fork();
  HOLDS(child >= 0);
  if (child == 0) {
    MachnetChannelCtx_t *other = attached();
    FAILS(machnet_listen(other, SERVER, PORT), EADDRINUSE);
    exit(0);
  }
  int status = -1;
  HOLDS(waitpid(child, &status, 0) == child);
  HOLDS(status == 0);
}

/* ---- messages ---- */

static void messages_of_all_sizes(void) {
  static unsigned char sent[1 << 20], got[1 << 20];
  static const size_t sizes[] = {1, 2, 1000, 1460, 1461, 65535, 65536, 100000, 1 << 20};
  MachnetChannelCtx_t *server = attached(), *client = attached();
  MachnetFlow_t flow = connected(server, client);
  MachnetMsgId_t previous = 0;
  for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
    MachnetMsgId_t id = 0;
    MachnetFlow_t sender = {0};
    fill(sent, sizes[i], (unsigned)i);
    HOLDS(machnet_send(client, flow, sent, sizes[i], &id) == 0);
    HOLDS(i == 0 || id > previous);
    previous = id;
    /* The buffer is ours again at once. */
    memset(sent, 0, sizes[i]);
    HOLDS(machnet_recv(server, got, sizeof(got), &sender) == (int)sizes[i]);
    HOLDS(sender.id != 0);
    fill(sent, sizes[i], (unsigned)i);
    HOLDS(memcmp(sent, got, sizes[i]) == 0);
    /* And back, on the flow that it came on. */
    HOLDS(machnet_send(server, sender, got, sizes[i], NULL) == 0);
    memset(got, 0, sizes[i]);
    HOLDS(machnet_recv(client, got, sizeof(got), &sender) == (int)sizes[i]);
    HOLDS(sender.id == flow.id);
    HOLDS(memcmp(sent, got, sizes[i]) == 0);
  }
}

static void figures_of_a_flow(void) {
  MachnetChannelCtx_t *server = attached(), *client = attached();
  MachnetFlow_t flow = connected(server, client), none = {0};
  struct {
    MachnetFlowStats_t known;
    uint64_t later;
  } stats;
  MachnetMsgId_t id;
  char buf[8];
  HOLDS(machnet_send(client, flow, "count", 5, &id) == 0);
  HOLDS(machnet_recv(server, buf, sizeof(buf), NULL) == 5);
  do {
    HOLDS(machnet_flow_stats(client, flow, &stats.known, sizeof(stats.known)) == 0);
  } while (stats.known.msg_acked < id);
  HOLDS(stats.known.msg_acked == id);
  HOLDS(stats.known.bytes_sent >= 5 && stats.known.bytes_acked >= 5);
  /* A program of a later version has a longer struct, one of an earlier version a shorter. */
  memset(&stats, 0xee, sizeof(stats));
  HOLDS(machnet_flow_stats(client, flow, &stats.known, sizeof(stats)) == 0);
  HOLDS(stats.known.msg_acked == id && stats.later == 0);
  memset(&stats, 0xee, sizeof(stats));
  HOLDS(machnet_flow_stats(client, flow, &stats.known, sizeof(uint64_t)) == 0);
  HOLDS(stats.known.msg_acked == id && stats.known.srtt_ns == 0xeeeeeeeeeeeeeeee);
  FAILS(machnet_flow_stats(client, none, &stats.known, sizeof(stats.known)), EBADF);
  FAILS(machnet_flow_stats(client, flow, NULL, sizeof(stats.known)), EINVAL);
}

static void detach_delivers_what_was_sent(void) {
  static char buf[300000];
  MachnetChannelCtx_t *server = attached(), *client = attached();
  MachnetFlow_t flow = connected(server, client);
  for (int i = 0; i < 3; i++) HOLDS(machnet_send(client, flow, buf, sizeof(buf), NULL) == 0);
  HOLDS(machnet_detach(client) == 0);
  for (int i = 0; i < 3; i++) HOLDS(machnet_recv(server, buf, sizeof(buf), NULL) == sizeof(buf));
  FAILS(machnet_recv(server, buf, sizeof(buf), NULL), ECONNRESET);
}

static void messages_of_any_peer_in_order(void) {
  MachnetChannelCtx_t *server = attached(), *one = attached(), *two = attached();
  MachnetFlow_t first = connected(server, one), second, from, from_one = {0};
  HOLDS(machnet_connect(two, CLIENT, SERVER, PORT, &second) == 0);
  for (int i = 0; i < 20; i++) {
    HOLDS(machnet_send(one, first, &i, sizeof(i), NULL) == 0);
    HOLDS(machnet_send(two, second, &i, sizeof(i), NULL) == 0);
  }
  int next[2] = {0, 0};
  for (int i = 0; i < 40; i++) {
    int value;
    HOLDS(machnet_recv(server, &value, sizeof(value), &from) == (int)sizeof(value));
    if (i == 0) from_one = from;
    int which = from.id == from_one.id;
    HOLDS(value == next[which]);
    next[which]++;
  }
  HOLDS(next[0] == 20 && next[1] == 20);
}

static void send_arguments(void) {
  MachnetChannelCtx_t *server = attached(), *client = attached();
  MachnetFlow_t flow = connected(server, client), none = {0}, other = {flow.id + 1000};
  static char long_one[(8 << 20) + 1];
  FAILS(machnet_send(client, flow, "x", 0, NULL), EINVAL);
  FAILS(machnet_send(client, flow, NULL, 1, NULL), EINVAL);
  FAILS(machnet_send(client, none, "x", 1, NULL), EBADF);
  FAILS(machnet_send(client, other, "x", 1, NULL), EBADF);
  FAILS(machnet_send(client, flow, long_one, sizeof(long_one), NULL), EMSGSIZE);
  HOLDS(machnet_send(client, flow, "x", 1, NULL) == 0);
}

static void recv_arguments(void) {
  MachnetChannelCtx_t *server = attached(), *client = attached();
  MachnetFlow_t flow = connected(server, client), from = {0};
  char buf[16];
  HOLDS(machnet_send(client, flow, "ten bytes.", 10, NULL) == 0);
  HOLDS(machnet_peek_size(server, &from) == 10);
  HOLDS(from.id != 0);
  FAILS(machnet_recv(server, NULL, sizeof(buf), &from), EINVAL);
  FAILS(machnet_recv(server, buf, 9, &from), EMSGSIZE);
  FAILS(machnet_recv(server, NULL, 0, NULL), EMSGSIZE);
  memset(buf, '#', sizeof(buf));
  HOLDS(machnet_recv(server, buf, 10, NULL) == 10);
  HOLDS(memcmp(buf, "ten bytes.######", sizeof(buf)) == 0);
}

static void nonblocking(void) {
  MachnetChannelCtx_t *server = attached(), *client = attached();
  MachnetFlow_t flow = connected(server, client);
  static char buf[100000];
  HOLDS(machnet_set_nonblocking(server, true) == 0);
  HOLDS(machnet_set_nonblocking(client, true) == 0);
  FAILS(machnet_recv(server, buf, sizeof(buf), NULL), EAGAIN);
  FAILS(machnet_peek_size(server, NULL), EAGAIN);
  /* Nobody receives: at some time there is no room. */
  int sent = 0;
  while (machnet_send(client, flow, buf, sizeof(buf), NULL) == 0) HOLDS(++sent < 100000);
  HOLDS(errno == EAGAIN);
  HOLDS(sent > 0);
  /* All that was accepted arrives. */
  HOLDS(machnet_set_nonblocking(server, false) == 0);
  for (; sent > 0; sent--) HOLDS(machnet_recv(server, buf, sizeof(buf), NULL) == (int)sizeof(buf));
}

static void blocking_send_waits_for_room(void) {
  static char buf[1 << 20];
  MachnetChannelCtx_t *server = attached();
  HOLDS(machnet_listen(server, SERVER, PORT) == 0);
  pid_t child = fork();
  HOLDS(child >= 0);
  if (child == 0) {
    MachnetChannelCtx_t *client = attached();
    MachnetFlow_t flow;
    HOLDS(machnet_connect(client, CLIENT, SERVER, PORT, &flow) == 0);
    for (unsigned i = 0; i < 64; i++) {
      fill((unsigned char *)buf, sizeof(buf), i);
      HOLDS(machnet_send(client, flow, buf, sizeof(buf), NULL) == 0);
    }
    HOLDS(machnet_recv(client, buf, sizeof(buf), NULL) == 4);
    exit(0);
  }
  MachnetFlow_t from;
  static char expected[sizeof(buf)];
  for (unsigned i = 0; i < 64; i++) {
    HOLDS(machnet_recv(server, buf, sizeof(buf), &from) == (int)sizeof(buf));
    fill((unsigned char *)expected, sizeof(expected), i);
    HOLDS(memcmp(buf, expected, sizeof(buf)) == 0);
  }
  HOLDS(machnet_send(server, from, "done", 4, NULL) == 0);
  int status = -1;
  HOLDS(waitpid(child, &status, 0) == child);
  HOLDS(status == 0);
}

/* ---- the end of flows ---- */

static void closed_flow(void) {
  MachnetChannelCtx_t *server = attached(), *client = attached();
  MachnetFlow_t flow = connected(server, client), from = {0}, dead = {0};
  char buf[8];
  HOLDS(machnet_send(client, flow, "last", 4, NULL) == 0);
  HOLDS(machnet_flow_close(client, flow) == 0);
  FAILS(machnet_send(client, flow, "x", 1, NULL), EBADF);
  FAILS(machnet_flow_close(client, flow), EBADF);
  /* What was sent before arrives; then the end is told once. */
  HOLDS(machnet_recv(server, buf, sizeof(buf), &from) == 4);
  FAILS(machnet_recv(server, buf, sizeof(buf), &dead), ECONNRESET);
  HOLDS(dead.id == from.id);
  HOLDS(machnet_set_nonblocking(server, true) == 0);
  FAILS(machnet_recv(server, buf, sizeof(buf), &dead), EAGAIN);
}

static void peer_dies(void) {
  MachnetChannelCtx_t *server = attached();
  HOLDS(machnet_listen(server, SERVER, PORT) == 0);
  pid_t child = fork();
  HOLDS(child >= 0);
  if (child == 0) {
    MachnetChannelCtx_t *client = attached();
    MachnetFlow_t flow;
    HOLDS(machnet_connect(client, CLIENT, SERVER, PORT, &flow) == 0);
    HOLDS(machnet_send(client, flow, "alive", 5, NULL) == 0);
    pause();
    exit(1);
  }
  MachnetFlow_t from, dead = {0};
  char buf[8];
  HOLDS(machnet_recv(server, buf, sizeof(buf), &from) == 5);
  HOLDS(kill(child, SIGKILL) == 0);
  FAILS(machnet_recv(server, buf, sizeof(buf), &dead), ECONNRESET);
  HOLDS(dead.id == from.id);
}

/* The test kills the daemon when it reads "waiting". */
static void daemon_dies(void) {
  MachnetChannelCtx_t *ctx = attached();
  char buf[8];
  HOLDS(machnet_listen(ctx, SERVER, PORT) == 0);
  printf("waiting\n");
  fflush(stdout);
  FAILS(machnet_recv(ctx, buf, sizeof(buf), NULL), ENETDOWN);
  FAILS(machnet_listen(ctx, SERVER, PORT + 1), ENETDOWN);
  HOLDS(machnet_detach(ctx) == 0);
}

/* ---- processes and signals ---- */

static void after_fork(void) {
  MachnetChannelCtx_t *server = attached(), *client = attached();
  MachnetFlow_t flow = connected(server, client);
  pid_t child = fork();
  HOLDS(child >= 0);
  if (child == 0) {
    char buf[8];
    FAILS(machnet_send(client, flow, "x", 1, NULL), EINVAL);
    FAILS(machnet_recv(server, buf, sizeof(buf), NULL), EINVAL);
    FAILS(machnet_detach(client), EINVAL);
    exit(0);
  }
  int status = -1;
  HOLDS(waitpid(child, &status, 0) == child);
  HOLDS(status == 0);
  /* The parent's channel is as it was. */
  char buf[8];
  HOLDS(machnet_send(client, flow, "still", 5, NULL) == 0);
  HOLDS(machnet_recv(server, buf, sizeof(buf), NULL) == 5);
}

static volatile sig_atomic_t alarms;

static void on_alarm(int number) {
  (void)number;
  alarms++;
}

static void alarm_soon(int flags) {
  struct sigaction action;
  memset(&action, 0, sizeof(action));
  action.sa_handler = on_alarm;
  action.sa_flags = flags;
  HOLDS(sigaction(SIGALRM, &action, NULL) == 0);
  struct itimerval soon = {{0, 0}, {0, 50000}};
  HOLDS(setitimer(ITIMER_REAL, &soon, NULL) == 0);
}

static void interrupted(void) {
  MachnetChannelCtx_t *ctx = attached();
  char buf[8];
  HOLDS(machnet_listen(ctx, SERVER, PORT) == 0);
  alarm_soon(0);
  FAILS(machnet_recv(ctx, buf, sizeof(buf), NULL), EINTR);
  HOLDS(alarms == 1);
}

static void restarted(void) {
  MachnetChannelCtx_t *server = attached();
  char buf[8];
  HOLDS(machnet_listen(server, SERVER, PORT) == 0);
  pid_t child = fork();
  HOLDS(child >= 0);
  if (child == 0) {
    MachnetChannelCtx_t *client = attached();
    MachnetFlow_t flow;
    usleep(300000);
    HOLDS(machnet_connect(client, CLIENT, SERVER, PORT, &flow) == 0);
    HOLDS(machnet_send(client, flow, "late", 4, NULL) == 0);
    HOLDS(machnet_recv(client, buf, sizeof(buf), NULL) == 2);
    exit(0);
  }
  MachnetFlow_t from;
  alarm_soon(SA_RESTART);
  HOLDS(machnet_recv(server, buf, sizeof(buf), &from) == 4);
  HOLDS(alarms == 1);
  HOLDS(machnet_send(server, from, "ok", 2, NULL) == 0);
  int status = -1;
  HOLDS(waitpid(child, &status, 0) == child);
  HOLDS(status == 0);
}

static void error_texts(void) {
  HOLDS(strlen(machnet_strerror(0)) > 0);
  HOLDS(strstr(machnet_strerror(ENETDOWN), "daemon") != NULL);
  HOLDS(strlen(machnet_strerror(-12345)) > 0);
  HOLDS(machnet_strerror(EINVAL) == machnet_strerror(EINVAL));
}

#define CASE(name) {#name, name}

/* ---- several pieces, several messages, no copies ---- */

static void pieces_of_a_message(void) {
  MachnetChannelCtx_t *server = attached(), *client = attached();
  MachnetFlow_t flow = connected(server, client), from = {0};
  static unsigned char whole[70000], got[70000];
  fill(whole, sizeof(whole), 7);
  struct iovec out[40], in[40];
  MachnetMsgId_t id = 0;
  for (unsigned count = 1; count <= 40; count += 13) {
    size_t step = sizeof(whole) / count;
    for (unsigned i = 0; i < count; i++) {
      size_t len = i + 1 == count ? sizeof(whole) - i * step : step;
      out[i] = (struct iovec){whole + i * step, len};
      in[i] = (struct iovec){got + i * step, len};
    }
    memset(got, 0, sizeof(got));
    HOLDS(machnet_sendv(client, flow, out, count, &id) == 0);
    HOLDS(id != 0);
    HOLDS(machnet_recvv(server, in, count, &from) == (int)sizeof(whole));
    HOLDS(memcmp(got, whole, sizeof(whole)) == 0);
  }
  struct iovec some[3] = {{whole, 5}, {NULL, 0}, {whole + 5, 2}};
  HOLDS(machnet_sendv(client, flow, some, 3, NULL) == 0);
  struct iovec few[2] = {{got, 4}, {got + 100, 2}};
  FAILS(machnet_recvv(server, few, 2, &from), EMSGSIZE);
  few[1].iov_len = 50;
  memset(got, 0, sizeof(got));
  HOLDS(machnet_recvv(server, few, 2, &from) == 7);
  HOLDS(memcmp(got, whole, 4) == 0 && memcmp(got + 100, whole + 4, 3) == 0 && got[103] == 0);
  struct iovec nothing[2] = {{whole, 0}, {NULL, 0}}, wrong[1] = {{NULL, 5}};
  FAILS(machnet_sendv(client, flow, nothing, 2, NULL), EINVAL);
  FAILS(machnet_sendv(client, flow, wrong, 1, NULL), EINVAL);
  FAILS(machnet_sendv(client, flow, NULL, 1, NULL), EINVAL);
  for (size_t wrong_count = 0; wrong_count <= 1025; wrong_count += 1025)
    FAILS(machnet_sendv(client, flow, some, wrong_count, NULL), EINVAL);
  FAILS(machnet_recvv(server, wrong, 1, NULL), EINVAL);
  FAILS(machnet_recvv(server, NULL, 1, NULL), EINVAL);
}

static void batches(void) {
  MachnetChannelCtx_t *server = attached(), *client = attached();
  MachnetFlow_t flow = connected(server, client), none = {0};
  enum { COUNT = 100 };
  static unsigned char bytes[COUNT][64], room[COUNT][64];
  MachnetMsg_t out[COUNT], in[COUNT];
  for (unsigned i = 0; i < COUNT; i++) {
    fill(bytes[i], sizeof(bytes[i]), i);
    out[i] = (MachnetMsg_t){flow, bytes[i], 1 + i % 64, 0};
  }
  HOLDS(machnet_send_batch(client, out, COUNT) == COUNT);
  for (unsigned i = 1; i < COUNT; i++) HOLDS(out[i].msg_id == out[i - 1].msg_id + 1);
  unsigned done = 0;
  while (done < COUNT) {
    for (unsigned i = 0; i < COUNT; i++) in[i] = (MachnetMsg_t){none, room[i], sizeof(room[i]), 0};
    int got = machnet_recv_batch(server, in, COUNT);
    HOLDS(got > 0 && got <= (int)(COUNT - done));
    for (int i = 0; i < got; i++, done++) {
      HOLDS(in[i].len == 1 + done % 64);
      HOLDS(in[i].flow.id != 0 && in[i].flow.id == in[0].flow.id);
      HOLDS(memcmp(room[i], bytes[done], in[i].len) == 0);
    }
  }
  /* One that cannot be sent: those before it are, and the next call tells. */
  out[2].flow = none;
  HOLDS(machnet_send_batch(client, out, 5) == 2);
  FAILS(machnet_send_batch(client, out + 2, 3), EBADF);
  /* A message that is too long for its room ends the batch before it, and stays. */
  HOLDS(machnet_send(client, flow, bytes[3], 60, NULL) == 0);
  HOLDS(machnet_recv(server, room[0], 64, NULL) == 1);
  HOLDS(machnet_recv(server, room[0], 64, NULL) == 2);
  HOLDS(machnet_peek_size(server, NULL) == 60);
  HOLDS(machnet_send(client, flow, bytes[4], 3, NULL) == 0);
  in[0] = (MachnetMsg_t){none, room[0], 64, 0};
  in[1] = (MachnetMsg_t){none, room[1], 2, 0};
  usleep(100000);
  HOLDS(machnet_recv_batch(server, in, 2) == 1 && in[0].len == 60);
  in[0].len = 2;
  FAILS(machnet_recv_batch(server, in, 1), EMSGSIZE);
  HOLDS(in[0].flow.id != 0 && machnet_peek_size(server, NULL) == 3);
  /* Non-blocking: nothing there, and no room for all. */
  HOLDS(machnet_recv(server, room[0], 64, NULL) == 3);
  HOLDS(machnet_set_nonblocking(server, true) == 0 && machnet_set_nonblocking(client, true) == 0);
  FAILS(machnet_recv_batch(server, in, 1), EAGAIN);
  static unsigned char large[300000];
  for (unsigned i = 0; i < COUNT; i++) out[i] = (MachnetMsg_t){flow, large, sizeof(large), 0};
  int some = machnet_send_batch(client, out, COUNT);
  HOLDS(some > 0 && some < COUNT);
  FAILS(machnet_send_batch(client, out, 0), EINVAL);
}

/* Copies between bytes and pieces; how many bytes the pieces have. */
static size_t scatter(struct iovec *pieces, int count, unsigned char *bytes, bool out) {
  size_t sum = 0;
  for (int i = 0; i < count; i++) {
    if (out) memcpy(pieces[i].iov_base, bytes + sum, pieces[i].iov_len);
    else memcpy(bytes + sum, pieces[i].iov_base, pieces[i].iov_len);
    sum += pieces[i].iov_len;
  }
  return sum;
}

static void written_where_it_is_sent(void) {
  MachnetChannelCtx_t *server = attached(), *client = attached();
  MachnetFlow_t flow = connected(server, client), none = {0};
  static unsigned char bytes[200000], got[200000];
  struct iovec pieces[64];
  for (unsigned i = 1; i < 60; i++) {
    size_t room = 1 + i * 3371 % sizeof(bytes), len = i % 3 == 0 ? room : 1 + room / 2;
    MachnetMsgId_t id = 0;
    fill(bytes, room, i);
    int count = machnet_reserve(client, flow, room, pieces, 64);
    HOLDS(count >= 1 && count <= 64);
    HOLDS(scatter(pieces, count, bytes, true) == room);
    FAILS(machnet_send(client, flow, "x", 1, NULL), EBUSY);
    FAILS(machnet_reserve(client, flow, 1, pieces, 64), EBUSY);
    FAILS(machnet_commit(client, flow, room + 1, &id), EINVAL);
    HOLDS(machnet_commit(client, flow, len, &id) == 0 && id != 0);
    /* Given up: nothing is sent, and the room is there again. */
    HOLDS(machnet_reserve(client, flow, sizeof(bytes), pieces, 64) >= 1);
    HOLDS(machnet_commit(client, flow, 0, &id) == 0 && id == 0);
    FAILS(machnet_commit(client, flow, 0, &id), EINVAL);
    HOLDS(machnet_send(client, flow, bytes, 3, NULL) == 0);
    HOLDS(machnet_recv(server, got, sizeof(got), NULL) == (int)len);
    HOLDS(memcmp(got, bytes, len) == 0);
    HOLDS(machnet_recv(server, got, sizeof(got), NULL) == 3);
  }
  FAILS(machnet_reserve(client, flow, 0, pieces, 64), EINVAL);
  FAILS(machnet_reserve(client, flow, (size_t)1 << 33, pieces, 64), EMSGSIZE);
  FAILS(machnet_reserve(client, none, 1, pieces, 64), EBADF);
  FAILS(machnet_reserve(client, flow, 1, pieces, 0), EINVAL);
  /* More than a non-blocking channel has room for, over and over. */
  HOLDS(machnet_set_nonblocking(client, true) == 0);
  int sent = 0;
  while (machnet_reserve(client, flow, sizeof(bytes), pieces, 64) > 0) {
    HOLDS(machnet_commit(client, flow, sizeof(bytes), NULL) == 0);
    HOLDS(++sent < 100000);
  }
  HOLDS(errno == EAGAIN && sent > 0);
  for (; sent > 0; sent--) HOLDS(machnet_recv(server, got, sizeof(got), NULL) == (int)sizeof(got));
}

static void read_where_it_arrived(void) {
  MachnetChannelCtx_t *server = attached(), *client = attached();
  MachnetFlow_t flow = connected(server, client), from = {0};
  static unsigned char bytes[100000], got[100000];
  enum { HELD = 8 };
  struct iovec pieces[HELD][32];
  /* Borrowed in order, given back in several orders, with copies in between. */
  for (unsigned round = 0; round < 50; round++) {
    const void *first[HELD];
    for (unsigned i = 0; i < HELD; i++) {
      size_t len = 1 + (round * HELD + i) * 1999 % sizeof(bytes);
      fill(bytes, len, round + i);
      HOLDS(machnet_send(client, flow, bytes, len, NULL) == 0);
      HOLDS(machnet_send(client, flow, "copy", 4, NULL) == 0);
      int count = machnet_borrow(server, pieces[i], 32, &from);
      HOLDS(count >= 1 && count <= 32 && from.id != 0);
      first[i] = pieces[i][0].iov_base;
      HOLDS(machnet_recv(server, got, sizeof(got), NULL) == 4 && memcmp(got, "copy", 4) == 0);
      HOLDS(scatter(pieces[i], count, got, false) == len);
      HOLDS(memcmp(got, bytes, len) == 0);
    }
    for (unsigned i = 0; i < HELD; i++) {
      unsigned at = round % 3 == 0 ? i : round % 3 == 1 ? HELD - 1 - i : (i * 3 + round) % HELD;
      HOLDS(machnet_release(server, first[at]) == 0);
      FAILS(machnet_release(server, first[at]), EINVAL);
    }
  }
  /* What is borrowed is nobody else's, whatever comes behind it. */
  fill(bytes, sizeof(bytes), 99);
  HOLDS(machnet_send(client, flow, bytes, 50000, NULL) == 0);
  int count = machnet_borrow(server, pieces[0], 32, &from);
  for (unsigned i = 0; i < 20; i++) {
    HOLDS(machnet_send(client, flow, got + 50000, 50000, NULL) == 0);
    HOLDS(machnet_recv(server, got + 50000, 50000, NULL) == 50000);
  }
  HOLDS(scatter(pieces[0], count, got, false) == 50000 && memcmp(got, bytes, 50000) == 0);
  HOLDS(machnet_release(server, pieces[0][0].iov_base) == 0);
  FAILS(machnet_release(server, bytes), EINVAL);
  FAILS(machnet_release(server, NULL), EINVAL);
  /* What is borrowed stays readable when its flow has died, and the death is told. */
  HOLDS(machnet_send(client, flow, "last words", 10, NULL) == 0);
  HOLDS(machnet_borrow(server, pieces[0], 32, &from) == 1);
  HOLDS(machnet_detach(client) == 0);
  FAILS(machnet_recv(server, got, sizeof(got), NULL), ECONNRESET);
  HOLDS(memcmp(pieces[0][0].iov_base, "last words", 10) == 0);
  HOLDS(machnet_release(server, pieces[0][0].iov_base) == 0);
  /* Too few pieces: it stays queued. */
  client = attached();
  HOLDS(machnet_connect(client, CLIENT, SERVER, PORT, &flow) == 0);
  fill(bytes, sizeof(bytes), 1);
  bool cut = false;
  for (unsigned i = 0; i < 200 && !cut; i++) {
    HOLDS(machnet_send(client, flow, bytes, sizeof(bytes), NULL) == 0);
    errno = 0;
    cut = machnet_borrow(server, pieces[0], 1, &from) == -1;
    if (!cut) HOLDS(machnet_release(server, pieces[0][0].iov_base) == 0);
  }
  HOLDS(!cut || (errno == ERANGE && from.id != 0));
  HOLDS(!cut || machnet_recv(server, got, sizeof(got), NULL) == (int)sizeof(got));
}

/* Waits until the descriptor is readable; whether it is within the time. */
static bool readable(int fd, int milliseconds) {
  struct pollfd one = {fd, POLLIN, 0};
  return poll(&one, 1, milliseconds) == 1;
}

/* Whether the descriptor falls silent: that a peer connected, say, may wake it with nothing to receive, but not for ever. */
static bool falls_silent(MachnetChannelCtx_t *ctx, int fd) {
  char none[1];
  for (int i = 0; i < 10; i++) {
    if (!readable(fd, 50)) return true;
    errno = 0;
    if (machnet_recv(ctx, none, sizeof(none), NULL) != -1 || errno != EAGAIN) return false;
  }
  return false;
}

static void descriptor_to_poll(void) {
  MachnetChannelCtx_t *server = attached(), *client = attached();
  MachnetFlow_t flow = connected(server, client);
  static char buf[100000];
  int fd = machnet_fd(server), other = machnet_fd(client);
  HOLDS(fd >= 0 && other >= 0 && fd != other && machnet_fd(server) == fd);
  HOLDS(machnet_set_nonblocking(server, true) == 0);
  HOLDS(machnet_set_nonblocking(client, true) == 0);
  while (machnet_recv(server, buf, sizeof(buf), NULL) >= 0) {}
  HOLDS(errno == EAGAIN && falls_silent(server, fd));
  for (int round = 0; round < 200; round++) {
    int count = 1 + round % 5;
    for (int i = 0; i < count; i++) HOLDS(machnet_send(client, flow, "hello", 5, NULL) == 0);
    int got = 0;
    while (got < count) {
      HOLDS(readable(fd, 10000));
      /* As long as there is something it stays so, whatever was taken: one at a time. */
      int len = machnet_recv(server, buf, sizeof(buf), NULL);
      HOLDS(len == 5 || (len == -1 && errno == EAGAIN));
      got += len == 5;
    }
    FAILS(machnet_recv(server, buf, sizeof(buf), NULL), EAGAIN);
  }
  HOLDS(falls_silent(server, fd));
  /* The sender is told when there is room again. */
  int sent = 0;
  while (machnet_send(client, flow, buf, sizeof(buf), NULL) == 0) HOLDS(++sent < 100000);
  HOLDS(errno == EAGAIN);
  for (int i = 0; i < sent;) {
    HOLDS(readable(fd, 10000));
    i += machnet_recv(server, buf, sizeof(buf), NULL) == (int)sizeof(buf);
  }
  HOLDS(readable(other, 10000));
  HOLDS(machnet_send(client, flow, buf, sizeof(buf), NULL) == 0);
  /* And the end of a flow. */
  HOLDS(readable(fd, 10000));
  while (machnet_recv(server, buf, sizeof(buf), NULL) < 0) HOLDS(errno == EAGAIN);
  HOLDS(machnet_detach(client) == 0);
  do HOLDS(readable(fd, 10000));
  while (machnet_recv(server, buf, sizeof(buf), NULL) == -1 && errno == EAGAIN);
  HOLDS(errno == ECONNRESET);
  HOLDS(machnet_detach(server) == 0);
  FAILS(machnet_fd(server), EINVAL);
}

static const struct {
  const char *name;
  void (*run)(void);
} cases[] = {
    CASE(attach_before_init),    CASE(init_twice),
    CASE(attach_without_daemon), CASE(channels_are_separate),
    CASE(detached_context),      CASE(detached_by_another_thread),
    CASE(foreign_contexts),
    CASE(listen_arguments),      CASE(connect_arguments),
    CASE(ports_tell_listeners_apart), CASE(connect_to_nobody),
    CASE(address_in_use),        CASE(messages_of_all_sizes),
    CASE(figures_of_a_flow),     CASE(detach_delivers_what_was_sent),
    CASE(messages_of_any_peer_in_order), CASE(send_arguments),
    CASE(recv_arguments),        CASE(nonblocking),
    CASE(blocking_send_waits_for_room), CASE(closed_flow),
    CASE(peer_dies),             CASE(daemon_dies),
    CASE(after_fork),            CASE(interrupted),
    CASE(restarted),             CASE(error_texts),
    CASE(pieces_of_a_message),   CASE(batches),
    CASE(written_where_it_is_sent), CASE(read_where_it_arrived),
    CASE(descriptor_to_poll),
};

int main(int argc, char **argv) {
  for (size_t i = 0; argc == 2 && i < sizeof(cases) / sizeof(cases[0]); i++) {
    if (strcmp(argv[1], cases[i].name) == 0) {
      alarms = 0;
      cases[i].run();
      return 0;
    }
  }
  fprintf(stderr, "usage: behaviour CASE\n");
  return 2;
}
