/* The sizes of the messages, by index: around every power of two from 1 B to 1 MiB and around multiples of the 1418
 * bytes that one packet carries, then down again. */
#ifndef CAUSEWAY_SIZES_H
#define CAUSEWAY_SIZES_H

#include <stddef.h>

#define MESSAGE_MAX (1u << 20)
#define PACKET_PAYLOAD 1418u

enum { LADDER = 21 * 3 + 9, MESSAGES = 2 * LADDER };

static inline size_t ladder_size(int step)
{
    if (step < 21 * 3) {
        long power = 1L << (step / 3);
        long size = power + step % 3 - 1;
        if (size < 1)
            size = 1;
        return size > (long)MESSAGE_MAX ? MESSAGE_MAX : (size_t)size;
    }
    step -= 21 * 3;
    static const unsigned packets[] = { 1, 2, 32 };
    return packets[step / 3] * PACKET_PAYLOAD + (unsigned)(step % 3) - 1;
}

static inline size_t request_size(int index)
{
    return ladder_size(index < LADDER ? index : MESSAGES - 1 - index);
}

/* The reply to a small request is large, and the other way round. */
static inline size_t reply_size(int index)
{
    return request_size((index + LADDER / 2) % MESSAGES);
}

#endif
