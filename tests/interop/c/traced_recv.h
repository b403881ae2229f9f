/*
 * Put in front of an unchanged program (cc -include): its calls of machnet_recv print what they returned.
 */
#include <stdio.h>

#include "machnet.h"

static int traced_recv(MachnetChannelCtx_t *ctx, void *buf, size_t buf_size, MachnetFlow_t *flow) {
  int n = machnet_recv(ctx, buf, buf_size, flow);
  printf("n = %d\n", n);
  return n;
}

#define machnet_recv traced_recv
