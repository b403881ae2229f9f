/*
 * What kv_client and kv_server say to each other. Each message is a text that ends with its NUL:
 *
 *   request   CLIENT SEQUENCE add KEY AMOUNT     adds to the value of a key
 *             CLIENT SEQUENCE get KEY 0          asks for it
 *   reply     SEQUENCE VALUE                     the value of the key, when that is done
 *
 * A client numbers its requests from 1, and has one of them under way at a time.
 */
#ifndef KV_H
#define KV_H

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "machnet.h"

enum { KV_TEXT = 128, KV_KEYS = 64, KV_CLIENTS = 16 };

struct kv_request {
  unsigned client;
  unsigned long sequence;
  char verb[4];
  unsigned key;
  long amount;
};

static inline int kv_fail(const char *program, const char *what) {
  fprintf(stderr, "%s: %s: %s\n", program, what, machnet_strerror(errno));
  return 1;
}

#endif
