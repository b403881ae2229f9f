/* server ADDRESS PORT FLOW MESSAGES: takes each request, checks every byte, and sends the reply of the same index. */
#include <stdio.h>
#include <stdlib.h>

#include "content.h"
#include "machnet.h"
#include "sizes.h"

static uint8_t message[MESSAGE_MAX];

static int fail(const char *program, const char *what, int index)
{
    fprintf(stderr, "%s: %s at message %d\n", program, what, index);
    return 1;
}

int main(int argc, char **argv)
{
    if (argc != 5)
        return fail(argv[0], "expected ADDRESS PORT FLOW MESSAGES", 0);
    uint64_t flow_number = strtoull(argv[3], NULL, 10);
    int messages = atoi(argv[4]);

    if (machnet_init() != 0)
        return fail(argv[0], "machnet_init", 0);
    MachnetChannelCtx_t *ctx = machnet_attach();
    if (ctx == NULL)
        return fail(argv[0], "machnet_attach", 0);
    if (machnet_listen(ctx, argv[1], (uint16_t)atoi(argv[2])) != 0)
        return fail(argv[0], "machnet_listen", 0);

    MachnetFlow_t flow = { 0 };
    MachnetMsgId_t id = 0;
    for (int index = 0; index < messages; index++) {
        int received = machnet_recv(ctx, message, sizeof message, &flow);
        if (received < 0)
            return fail(argv[0], "machnet_recv", index);
        if ((size_t)received != request_size(index))
            return fail(argv[0], "wrong length", index);
        if (content_check(flow_number, (uint64_t)index, message, (size_t)received) != (size_t)received)
            return fail(argv[0], "wrong byte", index);

        size_t len = reply_size(index);
        content_fill(flow_number + 1, (uint64_t)index, message, len);
        if (machnet_send(ctx, flow, message, len, &id) != 0)
            return fail(argv[0], "machnet_send", index);
    }

    /* This side may go once its last reply is delivered: acknowledged, or the client is gone, which it is only with
     * every reply. */
    MachnetFlowStats_t stats;
    while (machnet_flow_stats(ctx, flow, &stats, sizeof stats) == 0 && stats.msg_acked < id)
        continue;
    return 0;
}
