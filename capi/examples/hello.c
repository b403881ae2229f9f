#include "machnet.h"

int main() {
// 1. Initialize
machnet_init();
MachnetChannelCtx_t *ctx = machnet_attach();

// 2. Server: listen for connections
machnet_listen(ctx, "10.0.1.5", 5000);

// 3. Client: connect to server
MachnetFlow_t flow;
machnet_connect(ctx, "10.0.1.6", "10.0.1.5", 5000, &flow);

// 4. Send a message
const char *msg = "Hello, Machnet!";
MachnetMsgId_t id;
machnet_send(ctx, flow, msg, strlen(msg), &id);

// 5. Receive a reply
char buf[1024];
MachnetFlow_t sender;
int n = machnet_recv(ctx, buf, sizeof(buf), &sender);

return 0;
}
