/* client LOCAL REMOTE PORT FLOW MESSAGES AHEAD: sends requests, at most AHEAD without their reply, and checks every byte of
 * every reply. */
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
    if (argc != 7)
        return fail(argv[0], "expected LOCAL REMOTE PORT FLOW MESSAGES AHEAD", 0);
    uint64_t flow_number = strtoull(argv[4], NULL, 10);
    int messages = atoi(argv[5]), ahead = atoi(argv[6]);

    if (machnet_init() != 0)
        return fail(argv[0], "machnet_init", 0);
    MachnetChannelCtx_t *ctx = machnet_attach();
    if (ctx == NULL)
        return fail(argv[0], "machnet_attach", 0);
    MachnetFlow_t flow;
    if (machnet_connect(ctx, argv[1], argv[2], (uint16_t)atoi(argv[3]), &flow) != 0)
        return fail(argv[0], "machnet_connect", 0);

    int sent = 0;
    for (int index = 0; index < messages; index++) {
        for (; sent < messages && sent < index + ahead; sent++) {
            size_t len = request_size(sent);
            content_fill(flow_number, (uint64_t)sent, message, len);
            MachnetMsgId_t id;
            if (machnet_send(ctx, flow, message, len, &id) != 0)
                return fail(argv[0], "machnet_send", sent);
        }
        MachnetFlow_t from;
        int received = machnet_recv(ctx, message, sizeof message, &from);
        if (received < 0)
            return fail(argv[0], "machnet_recv", index);
        if ((size_t)received != reply_size(index))
            return fail(argv[0], "wrong length", index);
        if (content_check(flow_number + 1, (uint64_t)index, message, (size_t)received) != (size_t)received)
            return fail(argv[0], "wrong byte", index);
    }
    return 0;
}
