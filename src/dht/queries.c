#include "dht/queries.h"

#include "base/table.h"

#include <assert.h>
#include <stdlib.h>

#define FIRST_CAP 16

void tl_queries_init(tl_queries *q)
{
    *q = (tl_queries){0};
}

void tl_queries_clear(tl_queries *q)
{
    free(q->all);
    *q = (tl_queries){0};
}

static tl_time soft_time(const tl_queries *q)
{
    if (q->srtt == 0)
        return TL_QUERIES_SOFT_FIRST;
    return tl_time_min(tl_time_max(q->srtt + 4 * q->rttvar, TL_QUERIES_SOFT_MIN),
                       TL_QUERIES_SOFT_MAX);
}

static tl_err grow(tl_queries *q)
{
    size_t cap = q->cap ? q->cap * 2 : FIRST_CAP;
    tl_query *all = realloc(q->all, cap * sizeof *all);
    if (!all)
        return TL_ERR_NOMEM;
    memset(all + q->cap, 0, (cap - q->cap) * sizeof *all);
    q->all = all;
    q->cap = cap;
    return TL_OK;
}

tl_err tl_queries_add(tl_queries *q, const tl_addr *to, const tl_query_for *what, tl_rand *rand,
                      tl_time now, uint8_t ret_tid[TL_QUERIES_TID])
{
    if (q->n == TL_QUERIES_MAX)
        return TL_ERR_BUSY;
    if (q->n == q->cap) {
        tl_err e = grow(q);
        if (e)
            return e;
    }
    uint32_t at = 0;
    while (q->all[at].tid != 0)
        at++;
    uint32_t random;
    do
        random = (uint32_t)tl_rand_u64(rand) & ~UINT32_C(0xFF);
    while (random == 0);
    q->all[at] = (tl_query){.tid = random | at,
                            .to = *to,
                            .sent = now,
                            .soft = now + soft_time(q),
                            .hard = now + TL_QUERIES_HARD,
                            .what = *what};
    q->n++;
    for (unsigned i = 0; i < TL_QUERIES_TID; i++)
        ret_tid[i] = (uint8_t)(q->all[at].tid >> (24 - 8 * i));
    return TL_OK;
}

bool tl_queries_asks(const tl_queries *q, const tl_addr *to)
{
    for (size_t i = 0; i < q->cap; i++)
        if (q->all[i].tid != 0 && tl_addr_eq(&q->all[i].to, to))
            return true;
    return false;
}

static void end(tl_queries *q, tl_query *query)
{
    query->tid = 0;
    q->n--;
}

/* --- who was silent --- */

static uint64_t hash_of(const tl_addr *addr, bool port)
{
    struct {
        uint8_t bytes[16];
        uint16_t family, port;
    } key = {.family = (uint16_t)addr->family, .port = port ? addr->port : 0};
    memcpy(key.bytes, addr->bytes, sizeof key.bytes);
    return tl_table_hash64(&key, sizeof key);
}

uint64_t tl_queries_host(const tl_addr *addr)
{
    return hash_of(addr, tl_dht_addr_is_local(addr)); /* several nodes of a test share an IP */
}

static uint64_t place_of(const tl_addr *addr)
{
    return hash_of(addr, true);
}

static tl_query_silent *silent_of(tl_queries *q, uint64_t place)
{
    for (unsigned i = 0; i < TL_QUERIES_SILENT_MAX; i++)
        if (q->silent[i].place == place)
            return &q->silent[i];
    return NULL;
}

static void was_silent(tl_queries *q, const tl_addr *addr, tl_time now)
{
    uint64_t place = place_of(addr);
    tl_query_silent *s = silent_of(q, place);
    if (s) {
        s->until = now + TL_QUERIES_SILENT_FOR;
        return;
    }
    q->silent[q->next_silent] = (tl_query_silent){.place = place};
    q->next_silent = (q->next_silent + 1) % TL_QUERIES_SILENT_MAX;
}

bool tl_queries_is_silent(const tl_queries *q, const tl_addr *addr, tl_time now)
{
    uint64_t place = place_of(addr);
    for (unsigned i = 0; i < TL_QUERIES_SILENT_MAX; i++)
        if (q->silent[i].place == place)
            return now < q->silent[i].until;
    return false;
}

bool tl_queries_may_ping(tl_queries *q, const tl_addr *addr, tl_time now)
{
    uint64_t network = tl_dht_addr_network(addr);
    tl_query_pinged *p = &q->pinged[tl_table_hash64(&network, sizeof network) % TL_QUERIES_PINGED];
    unsigned unit = (unsigned)(now / TL_QUERIES_PINGS_UNIT) & 0x3FFF;
    unsigned age = (unit - p->since) & 0x3FFF;
    if (p->n == 0 || age > TL_QUERIES_PINGS_FOR / TL_QUERIES_PINGS_UNIT)
        *p = (tl_query_pinged){.since = unit & 0x3FFF};
    if (p->n == TL_QUERIES_PINGS)
        return false;
    p->n++;
    return true;
}

/* --- how queries end --- */

static void learn_rtt(tl_queries *q, tl_time rtt)
{
    if (q->srtt == 0) {
        q->srtt = rtt > 0 ? rtt : 1;
        q->rttvar = rtt / 2;
        return;
    }
    tl_time off = rtt > q->srtt ? rtt - q->srtt : q->srtt - rtt;
    q->rttvar = q->rttvar - q->rttvar / 4 + off / 4;
    q->srtt = q->srtt - q->srtt / 8 + rtt / 8;
}

bool tl_queries_answer(tl_queries *q, const tl_addr *from, tl_slice tid, tl_time now,
                       tl_query *ret_query)
{
    if (tid.n != TL_QUERIES_TID)
        return false;
    uint32_t name = 0;
    for (unsigned i = 0; i < TL_QUERIES_TID; i++)
        name = name << 8 | tid.p[i];
    size_t at = name & 0xFF;
    if (at >= q->cap || name == 0 || q->all[at].tid != name || !tl_addr_eq(&q->all[at].to, from))
        return false;
    *ret_query = q->all[at];
    end(q, &q->all[at]);
    q->answered = now;
    learn_rtt(q, now - ret_query->sent);
    tl_query_silent *s = silent_of(q, place_of(from));
    if (s)
        *s = (tl_query_silent){0};
    return true;
}

bool tl_queries_next_event(tl_queries *q, tl_time now, tl_query_event *ret_event,
                           tl_query *ret_query)
{
    if (q->n == 0)
        return false;
    for (size_t i = 0; i < q->cap; i++) {
        tl_query *query = &q->all[i];
        if (query->tid == 0)
            continue;
        if (now >= query->hard) {
            if (tl_queries_tells(q, query))
                was_silent(q, &query->to, now);
            *ret_event = TL_QUERY_SILENT;
            *ret_query = *query;
            end(q, query);
            return true;
        }
        if (!query->is_late && now >= query->soft) {
            query->is_late = true;
            *ret_event = TL_QUERY_LATE;
            *ret_query = *query;
            return true;
        }
    }
    return false;
}

tl_time tl_queries_expiry(const tl_queries *q)
{
    tl_time first = TL_NEVER;
    for (size_t i = 0; q->n > 0 && i < q->cap; i++)
        if (q->all[i].tid != 0)
            first = tl_time_min(first, q->all[i].is_late ? q->all[i].hard : q->all[i].soft);
    return first;
}

void tl_queries_drop(tl_queries *q)
{
    for (size_t i = 0; i < q->cap; i++)
        q->all[i].tid = 0;
    q->n = 0;
}
