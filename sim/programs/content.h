/* What every byte of every message has to be: a function of the flow, the message's index and the byte's offset.
 * The same function as in sim/src/content.rs; a test compares the two. */
#ifndef CAUSEWAY_CONTENT_H
#define CAUSEWAY_CONTENT_H

#include <stddef.h>
#include <stdint.h>

static inline uint64_t content_word(uint64_t flow, uint64_t index, uint64_t word)
{
    uint64_t x = index * 0xe7037ed1a0b428dbu ^ flow * 0xd1b54a32d192ed03u;
    x ^= x >> 32;
    x *= 0xa0761d6478bd642fu;
    x ^= x >> 29;
    x += word * 0x9e3779b97f4a7c15u;
    return x ^ (x >> 32);
}

static inline uint8_t content_byte(uint64_t flow, uint64_t index, uint64_t offset)
{
    return (uint8_t)(content_word(flow, index, offset / 8) >> (8 * (offset % 8)));
}

static inline void content_fill(uint64_t flow, uint64_t index, uint8_t *bytes, size_t len)
{
    for (size_t at = 0; at < len; at++)
        bytes[at] = content_byte(flow, index, at);
}

/* The offset of the first wrong byte, or len. */
static inline size_t content_check(uint64_t flow, uint64_t index, const uint8_t *bytes, size_t len)
{
    for (size_t at = 0; at < len; at++)
        if (bytes[at] != content_byte(flow, index, at))
            return at;
    return len;
}

#endif
