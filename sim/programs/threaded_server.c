/* threaded_server ADDRESS PORT WORKERS MESSAGES: one thread receives, WORKERS threads work and reply; ends after so many
 * messages. A program as it ships: it knows nothing of the simulator. */
#define _DEFAULT_SOURCE
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "content.h"
#include "machnet.h"

enum { QUEUE = 64, BYTES_MAX = 16384 };

struct job {
    MachnetFlow_t flow;
    size_t len;
    uint8_t bytes[BYTES_MAX];
};

static MachnetChannelCtx_t *ctx;
static struct job queue[QUEUE];
static int head, count, closed, failed;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t not_empty = PTHREAD_COND_INITIALIZER, not_full = PTHREAD_COND_INITIALIZER;

static int fail(const char *what)
{
    perror(what);
    pthread_mutex_lock(&lock);
    failed = 1;
    pthread_mutex_unlock(&lock);
    return 1;
}

/* Takes as long as the message says, then sends every byte back, each one larger by one. */
static void *work(void *unused)
{
    static _Thread_local struct job job;
    for (;;) {
        pthread_mutex_lock(&lock);
        while (count == 0 && !closed)
            pthread_cond_wait(&not_empty, &lock);
        if (count == 0) {
            pthread_mutex_unlock(&lock);
            return unused;
        }
        job = queue[head];
        head = (head + 1) % QUEUE;
        count--;
        pthread_cond_signal(&not_full);
        pthread_mutex_unlock(&lock);

        struct timespec span = { 0, 1000L * (20 + job.bytes[0]) };
        nanosleep(&span, NULL);
        for (size_t at = 0; at < job.len; at++)
            job.bytes[at]++;
        if (machnet_send(ctx, job.flow, job.bytes, job.len, NULL) != 0)
            fail("machnet_send");
    }
}

static int receive(int messages)
{
    static struct job job;
    for (int received = 0; received < messages; received++) {
        int len;
        do
            len = machnet_recv(ctx, job.bytes, sizeof job.bytes, &job.flow);
        while (len < 0 && errno == ECONNRESET); /* a client that is done */
        if (len < 0)
            return fail("machnet_recv");
        job.len = (size_t)len;
        pthread_mutex_lock(&lock);
        while (count == QUEUE)
            pthread_cond_wait(&not_full, &lock);
        queue[(head + count) % QUEUE] = job;
        count++;
        pthread_cond_signal(&not_empty);
        pthread_mutex_unlock(&lock);
    }
    return 0;
}

int main(int argc, char **argv)
{
    if (argc != 5) {
        fprintf(stderr, "%s: expected ADDRESS PORT WORKERS MESSAGES\n", argv[0]);
        return 1;
    }
    int workers = atoi(argv[3]);
    pthread_t *threads = calloc((size_t)workers, sizeof *threads);
    if (machnet_init() != 0 || (ctx = machnet_attach()) == NULL)
        return fail("machnet_attach");
    if (machnet_listen(ctx, argv[1], (uint16_t)atoi(argv[2])) != 0)
        return fail("machnet_listen");
    for (int index = 0; index < workers; index++)
        if (pthread_create(&threads[index], NULL, work, NULL) != 0)
            return fail("pthread_create");

    int result = receive(atoi(argv[4]));
    pthread_mutex_lock(&lock);
    closed = 1;
    pthread_cond_broadcast(&not_empty);
    pthread_mutex_unlock(&lock);
    for (int index = 0; index < workers; index++)
        pthread_join(threads[index], NULL);
    free(threads);
    return machnet_detach(ctx) != 0 || result || failed;
}
