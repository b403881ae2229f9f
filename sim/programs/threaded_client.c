/* threaded_client LOCAL REMOTE PORT THREADS MESSAGES: each thread sends MESSAGES messages of random lengths on a channel of
 * its own and checks every byte of every reply. A program as it ships: it knows nothing of the simulator. */
#define _DEFAULT_SOURCE
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#include "content.h"
#include "machnet.h"

enum { BYTES_MAX = 16384, THREADS_MAX = 64 };

static const char *local, *remote;
static uint16_t port;
static int messages;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static long total_us, replies;

static void *fail(const char *what)
{
    perror(what);
    return (void *)what;
}

static long now_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000000L + now.tv_nsec / 1000;
}

static int answered(const uint8_t *sent, const uint8_t *got, size_t len)
{
    for (size_t at = 0; at < len; at++)
        if (got[at] != (uint8_t)(sent[at] + 1))
            return 0;
    return 1;
}

static void *talk(void *name)
{
    static _Thread_local uint8_t sent[BYTES_MAX], got[BYTES_MAX];
    MachnetChannelCtx_t *ctx = machnet_attach();
    MachnetFlow_t flow, from;
    if (ctx == NULL)
        return fail("machnet_attach");
    while (machnet_connect(ctx, local, remote, port, &flow) != 0) {
        if (errno != ECONNREFUSED)
            return fail("machnet_connect");
        usleep(1000); /* the server is not there yet */
    }
    for (int index = 0; index < messages; index++) {
        uint16_t random[2];
        if (getrandom(random, sizeof random, 0) != (ssize_t)sizeof random)
            return fail("getrandom");
        size_t len = 1 + random[0] % BYTES_MAX;
        content_fill((uint64_t)(uintptr_t)name, (uint64_t)index, sent, len);
        long start = now_us();
        if (machnet_send(ctx, flow, sent, len, NULL) != 0)
            return fail("machnet_send");
        int received = machnet_recv(ctx, got, sizeof got, &from);
        if (received != (int)len || from.id != flow.id || !answered(sent, got, len))
            return fail("machnet_recv");
        pthread_mutex_lock(&lock);
        total_us += now_us() - start;
        replies++;
        pthread_mutex_unlock(&lock);
        usleep(random[1] % 500);
    }
    if (machnet_detach(ctx) != 0)
        return fail("machnet_detach");
    return NULL;
}

int main(int argc, char **argv)
{
    if (argc != 6 || atoi(argv[4]) < 1 || atoi(argv[4]) > THREADS_MAX) {
        fprintf(stderr, "%s: expected LOCAL REMOTE PORT THREADS MESSAGES\n", argv[0]);
        return 1;
    }
    local = argv[1], remote = argv[2], port = (uint16_t)atoi(argv[3]), messages = atoi(argv[5]);
    int count = atoi(argv[4]), failed = machnet_init() != 0;
    pthread_t threads[THREADS_MAX];
    for (int index = 0; index < count; index++)
        if (pthread_create(&threads[index], NULL, talk, (void *)(uintptr_t)(index + 1)) != 0)
            return 1;
    for (int index = 0; index < count; index++) {
        void *why;
        pthread_join(threads[index], &why);
        failed |= why != NULL;
    }
    printf("%ld replies, %ld us each\n", replies, replies > 0 ? total_us / replies : 0);
    return failed;
}
