#include "dht/freshness.h"

static size_t place_of(const tl_freshness *f, const tl_node_id *peer)
{
    size_t oldest = 0;
    for (size_t i = 0; i < f->n; i++) {
        if (tl_node_id_eq(&f->seen[i].peer, peer))
            return i;
        if (f->seen[i].used < f->seen[oldest].used)
            oldest = i;
    }
    return f->n < TL_FRESHNESS_PEERS ? f->n : oldest;
}

tl_freshness_verdict tl_freshness_of(tl_freshness *f, const tl_node_id *peer, int64_t seq,
                                     tl_unix wall)
{
    size_t i = place_of(f, peer);
    bool known = i < f->n && tl_node_id_eq(&f->seen[i].peer, peer);
    if (seq < wall - TL_DHT_RECORD_AGE_MAX)
        return TL_FRESH_OLD;
    if (known && seq < f->seen[i].seq)
        return TL_FRESH_ROLLED_BACK;
    if (i == f->n)
        f->n++;
    f->seen[i].peer = *peer;
    f->seen[i].seq = seq;
    f->seen[i].used = ++f->turn;
    return TL_FRESH;
}
