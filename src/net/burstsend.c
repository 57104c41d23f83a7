#include "net/burstsend.h"

#define BURSTS_MAX 16 /* in one call: their pieces are on the stack, 16 KiB */

/* Sends those of the bursts from `at` on that leave by one socket. Returns how many. */
static size_t send_some(tl_udp *udp, const tl_bursts *bursts, size_t at)
{
    tl_udp_message messages[BURSTS_MAX];
    struct iovec pieces[BURSTS_MAX][TL_BURST_SEGMENTS_MAX];
    uint8_t number = bursts->items[at].way.socket;
    size_t n = 0;
    for (; n < BURSTS_MAX && at + n < bursts->n; n++) {
        const tl_burst *b = &bursts->items[at + n];
        if (b->way.socket != number)
            break;
        messages[n] = (tl_udp_message){.to = &b->way.remote,
                                       .local = &b->way.local,
                                       .pieces = pieces[n],
                                       .count = tl_bursts_gather(bursts, b, pieces[n]),
                                       .segment = b->size};
    }
    tl_udp_send_messages(udp, messages, n);
    return n;
}

uint64_t tl_burstsend(tl_udp *const *udp, size_t n_udp, const tl_bursts *bursts,
                      uint64_t *datagrams)
{
    uint64_t bytes = 0;
    for (size_t at = 0; at < bursts->n;) {
        uint8_t number = bursts->items[at].way.socket;
        tl_udp *u = number < n_udp ? udp[number] : NULL;
        size_t n = u ? send_some(u, bursts, at) : 1;
        for (size_t i = at; u && i < at + n; i++) {
            bytes += bursts->items[i].bytes;
            *datagrams += bursts->items[i].count;
        }
        at += n;
    }
    return bytes;
}
