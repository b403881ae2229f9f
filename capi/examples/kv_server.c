/*
 * A store of numbers by key. It answers for ever.
 *
 *   kv_server [LOCAL_IP [PORT]]        default: 10.0.0.2 7000
 *
 * Built without KV_REMEMBERS it has a bug that no test on a good network shows: a client that waited too long for its
 * reply sends the request again, and what was only late is added twice. Built with KV_REMEMBERS (kv_server_fixed) it
 * knows the last request of each client, and answers it again without doing it again.
 */
#include "kv.h"

static long values[KV_KEYS];

#ifdef KV_REMEMBERS
static struct {
  unsigned long sequence;
  long value;
} last[KV_CLIENTS];
#endif

static int parse(const char *text, struct kv_request *request) {
  int found = sscanf(text, "%u %lu %3s %u %ld", &request->client, &request->sequence, request->verb, &request->key,
                     &request->amount);
  return found == 5 && request->client < KV_CLIENTS && request->key < KV_KEYS;
}

static long perform(const struct kv_request *request) {
#ifdef KV_REMEMBERS
  if (last[request->client].sequence == request->sequence) return last[request->client].value;
#endif
  if (strcmp(request->verb, "add") == 0) values[request->key] += request->amount;
#ifdef KV_REMEMBERS
  last[request->client].sequence = request->sequence;
  last[request->client].value = values[request->key];
#endif
  return values[request->key];
}

int main(int argc, char **argv) {
  const char *local_ip = argc > 1 ? argv[1] : "10.0.0.2";
  uint16_t port = (uint16_t)(argc > 2 ? atoi(argv[2]) : 7000);

  if (machnet_init() != 0) return kv_fail(argv[0], "machnet_init");
  MachnetChannelCtx_t *ctx = machnet_attach();
  if (ctx == NULL) return kv_fail(argv[0], "machnet_attach");
  if (machnet_listen(ctx, local_ip, port) != 0) return kv_fail(argv[0], "machnet_listen");

  for (;;) {
    char text[KV_TEXT];
    MachnetFlow_t flow;
    int len = machnet_recv(ctx, text, sizeof text, &flow);
    if (len < 0 && (errno == ECONNRESET || errno == ETIMEDOUT)) continue; /* a client that is gone */
    if (len < 0) return kv_fail(argv[0], "machnet_recv");
    struct kv_request request;
    if (text[len - 1] != '\0' || !parse(text, &request)) {
      fprintf(stderr, "%s: a request that is none\n", argv[0]);
      continue;
    }
    len = snprintf(text, sizeof text, "%lu %ld", request.sequence, perform(&request)) + 1;
    if (machnet_send(ctx, flow, text, (size_t)len, NULL) != 0) kv_fail(argv[0], "machnet_send");
  }
}
