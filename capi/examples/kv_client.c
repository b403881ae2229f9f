/*
 * Adds 1 to a key of its own, COUNT times, and then looks whether the value is COUNT.
 *
 *   kv_client [LOCAL_IP [REMOTE_IP [PORT [CLIENT [COUNT]]]]]        default: 10.0.0.1 10.0.0.2 7000 1 40
 *
 * A reply that does not come within TIMEOUT_MS is not waited for any longer: the request is sent again.
 */
#define _DEFAULT_SOURCE
#include <time.h>
#include <unistd.h>

#include "kv.h"

enum { TIMEOUT_MS = 250, TRIES = 40, PAUSE_MS = 20 };

static MachnetChannelCtx_t *ctx;
static MachnetFlow_t flow;
static unsigned client;
static unsigned long sequence;

static long now_ms(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * 1000L + now.tv_nsec / 1000000L;
}

/* Waits for the reply to the present request. 1: it is there, 0: it is not, -1: the flow is at its end. */
static int await_reply(long *value) {
  long deadline = now_ms() + TIMEOUT_MS;
  while (now_ms() < deadline) {
    char text[KV_TEXT];
    unsigned long answered;
    int len = machnet_recv(ctx, text, sizeof text, NULL);
    if (len < 0 && errno != EAGAIN) return -1;
    if (len < 0)
      usleep(200);
    else if (sscanf(text, "%lu %ld", &answered, value) == 2 && answered == sequence)
      return 1; /* others are replies to what was sent again */
  }
  return 0;
}

/* 0 with the value of the key, or -1. */
static int request(const char *verb, long amount, long *value) {
  char text[KV_TEXT];
  int len = snprintf(text, sizeof text, "%u %lu %s %u %ld", client, ++sequence, verb, client, amount) + 1;
  for (int attempt = 0; attempt < TRIES; attempt++) {
    while (machnet_send(ctx, flow, text, (size_t)len, NULL) != 0) {
      if (errno != EAGAIN) return -1;
      usleep(200);
    }
    int answered = await_reply(value);
    if (answered != 0) return answered > 0 ? 0 : -1;
  }
  errno = ETIMEDOUT;
  return -1;
}

int main(int argc, char **argv) {
  const char *local_ip = argc > 1 ? argv[1] : "10.0.0.1";
  const char *remote_ip = argc > 2 ? argv[2] : "10.0.0.2";
  uint16_t port = (uint16_t)(argc > 3 ? atoi(argv[3]) : 7000);
  client = (unsigned)(argc > 4 ? atoi(argv[4]) : 1);
  long count = argc > 5 ? atol(argv[5]) : 40, value = 0;

  if (machnet_init() != 0) return kv_fail(argv[0], "machnet_init");
  ctx = machnet_attach();
  if (ctx == NULL) return kv_fail(argv[0], "machnet_attach");
  while (machnet_connect(ctx, local_ip, remote_ip, port, &flow) != 0) {
    /* The server may not be there yet. */
    if (errno != ETIMEDOUT && errno != EHOSTUNREACH && errno != ECONNREFUSED)
      return kv_fail(argv[0], "machnet_connect");
    usleep(100000);
  }
  if (machnet_set_nonblocking(ctx, true) != 0) return kv_fail(argv[0], "machnet_set_nonblocking");
  for (long done = 0; done < count; done++) {
    if (request("add", 1, &value) != 0) return kv_fail(argv[0], "add");
    usleep(1000 * PAUSE_MS);
  }
  if (request("get", 0, &value) != 0) return kv_fail(argv[0], "get");
  printf("%ld added, the value is %ld\n", count, value);
  if (value != count) {
    fprintf(stderr, "causeway: violation wrong-sum: key %u is %ld after %ld times 1\n", client, value, count);
    return 3;
  }
  return machnet_detach(ctx) != 0;
}
