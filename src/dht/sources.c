#include "dht/sources.h"

#include "base/table.h"

#include <stdlib.h>
#include <utlist.h>

typedef struct tl_dht_source {
    tl_origin origin;
    tl_ratelimit queries, bytes;
    tl_time used;
    struct tl_dht_source *prev, *next;
    UT_hash_handle hh;
} source;

void tl_dht_sources_init(tl_dht_sources *s, tl_time now)
{
    static const unsigned eighths[] = {
        [TL_DHT_SENDER_ANY] = 3, [TL_DHT_SENDER_PING] = 1, [TL_DHT_SENDER_PROVEN] = 4};
    *s = (tl_dht_sources){0};
    for (unsigned i = 0; i < 3; i++)
        s->sum[i] = tl_ratelimit_make(TL_DHT_SUM_RATE / 8 * eighths[i],
                                      TL_DHT_SUM_BURST / 8 * eighths[i], now);
}

static void forget(tl_dht_sources *s, source *one)
{
    /* NOLINTNEXTLINE(clang-analyzer-core.NullDereference): it is in the table */
    HASH_DELETE(hh, s->table, one);
    DL_DELETE(s->order, one);
    s->n--;
    free(one);
}

void tl_dht_sources_clear(tl_dht_sources *s)
{
    while (s->order)
        forget(s, s->order);
}

/* --- which are remembered --- */

/* Forgets at most `max` of those that are as new ones. */
static void prune(tl_dht_sources *s, size_t max, tl_time now)
{
    while (max-- > 0 && s->order && now - s->order->used >= TL_DHT_SOURCE_KEPT)
        forget(s, s->order);
}

void tl_dht_sources_prune(tl_dht_sources *s, tl_time now)
{
    prune(s, SIZE_MAX, now);
}

/* A flood of forged addresses makes the oldest ones forgotten sooner, and these may then have a new
 * burst. It takes as many forged queries as the table holds, which are more bytes than the burst. The
 * other choice, to refuse sources for which there is no room, would let the flood deny the service
 * to everyone. */
static source *add(tl_dht_sources *s, tl_origin origin, unsigned factor, tl_time now)
{
    prune(s, 2, now);
    if (s->n == TL_DHT_SOURCES_MAX)
        forget(s, s->order);
    source *one = calloc(1, sizeof *one);
    if (!one)
        return NULL;
    one->origin = origin;
    one->queries =
        tl_ratelimit_make(factor * TL_DHT_QUERIES_RATE, factor * TL_DHT_QUERIES_BURST, now);
    one->bytes = tl_ratelimit_make(TL_DHT_BYTES_RATE, TL_DHT_BYTES_BURST, now);
    if (!TL_TABLE_ADD(hh, s->table, origin, sizeof one->origin, one)) {
        free(one);
        return NULL;
    }
    DL_APPEND(s->order, one);
    s->n++;
    return one;
}

static source *find(tl_dht_sources *s, tl_origin origin, unsigned factor, tl_time now)
{
    source *one;
    HASH_FIND(hh, s->table, &origin, sizeof origin, one);
    if (one) {
        DL_DELETE(s->order, one);
        DL_APPEND(s->order, one);
    } else if (!(one = add(s, origin, factor, now))) {
        return NULL;
    }
    one->used = now;
    return one;
}

/* The address first, then the network, which therefore is not the oldest when it is added. */
static bool find_both(tl_dht_sources *s, const tl_addr *a, tl_time now, source **ret_address,
                      source **ret_network)
{
    *ret_address = find(s, tl_origin_address(a), 1, now);
    *ret_network = find(s, tl_origin_network(a), TL_DHT_QUERIES_NET_FACTOR, now);
    return *ret_address && *ret_network;
}

/* --- what they may --- */

/* Takes `n` of both or of none. */
static bool take_both(tl_ratelimit *a, tl_ratelimit *b, uint64_t n, tl_time now)
{
    if (tl_ratelimit_when(a, n, now) != now || tl_ratelimit_when(b, n, now) != now)
        return false;
    return tl_ratelimit_take(a, n, now) && tl_ratelimit_take(b, n, now);
}

tl_dht_verdict tl_dht_sources_on_query(tl_dht_sources *s, const tl_addr *from, tl_time now)
{
    source *address, *network;
    if (!find_both(s, from, now, &address, &network))
        return TL_DHT_SOURCE_NOMEM;
    if (!take_both(&address->queries, &network->queries, 1, now))
        return TL_DHT_SOURCE_OVER;
    return TL_DHT_SOURCE_OK;
}

/* The part of the sum from which `n` bytes are taken; NULL: no part has so many. */
static tl_ratelimit *part_of(tl_dht_sources *s, tl_dht_sender sender, size_t n, tl_time now)
{
    if (tl_ratelimit_when(&s->sum[sender], n, now) == now)
        return &s->sum[sender];
    tl_ratelimit *any = &s->sum[TL_DHT_SENDER_ANY];
    return tl_ratelimit_when(any, n, now) == now ? any : NULL;
}

bool tl_dht_sources_has_room(tl_dht_sources *s, tl_dht_sender sender, size_t n, tl_time now)
{
    return part_of(s, sender, n, now) != NULL;
}

tl_dht_verdict tl_dht_sources_send(tl_dht_sources *s, const tl_addr *to, tl_dht_sender sender,
                                   size_t n, tl_time now)
{
    source *address, *network;
    if (!find_both(s, to, now, &address, &network))
        return TL_DHT_SOURCE_NOMEM;
    tl_ratelimit *part = part_of(s, sender, n, now);
    if (!part)
        return TL_DHT_SOURCE_SUM;
    if (!take_both(&address->bytes, &network->bytes, n, now))
        return TL_DHT_SOURCE_OVER;
    (void)tl_ratelimit_take(part, n, now);
    return TL_DHT_SOURCE_OK;
}
