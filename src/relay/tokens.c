#include "relay/tokens_state.h"

#include "base/table.h"
#include "relay/reach.h"

#include <assert.h>
#include <stdlib.h>

#define BUCKETS_MIN 64

tl_err tl_tokens_new(const tl_tokens_config *config, tl_rand *rand, tl_time now,
                     tl_relay_tokens **ret_tokens)
{
    tl_relay_tokens *t = calloc(1, sizeof *t);
    if (!t)
        return TL_ERR_NOMEM;
    t->config = *config;
    if (!t->config.loops)
        t->config.loops = 1;
    assert(t->config.loop < t->config.loops && t->config.loops <= 256);
    t->rand = rand;
    t->proofs = tl_ratelimit_make(TL_TOKENS_ALL_PROOFS_PER_SEC, TL_TOKENS_ALL_PROOFS_BURST, now);
    t->bucket_count = BUCKETS_MIN;
    t->buckets = calloc(t->bucket_count, sizeof *t->buckets);
    if (!t->buckets) {
        free(t);
        return TL_ERR_NOMEM;
    }
    *ret_tokens = t;
    return TL_OK;
}

void tl_tokens_free(tl_relay_tokens *t)
{
    if (!t)
        return;
    assert(!t->side_count);
    tl_relay_timers_clear(&t->timers);
    free(t->buckets);
    free(t);
}

const tl_tokens_counters *tl_tokens_counters_of(const tl_relay_tokens *t)
{
    return &t->counters;
}

/* --- the table --- */

/* Under the process's random key: nobody can choose tokens that share a bucket, and how long a
 * look-up takes tells nothing of the tokens that are there. */
static token_bucket *bucket_of(const tl_relay_tokens *t, const uint8_t token[TL_TOKEN_SIZE])
{
    return &t->buckets[tl_table_hash64(token, TL_TOKEN_SIZE) & (t->bucket_count - 1)];
}

static bool is_token(const uint8_t a[TL_TOKEN_SIZE], const uint8_t b[TL_TOKEN_SIZE])
{
    uint64_t x[2], y[2];
    memcpy(x, a, sizeof x);
    memcpy(y, b, sizeof y);
    return ((x[0] ^ y[0]) | (x[1] ^ y[1])) == 0;
}

tl_tokens_side *tl_tokens_find(tl_relay_tokens *t, const uint8_t token[TL_TOKEN_SIZE])
{
    if (t->recent && is_token(t->recent->token, token))
        return t->recent;
    tl_tokens_side *s = bucket_of(t, token)->first;
    while (s && !is_token(s->token, token))
        s = s->next;
    if (s)
        t->recent = s;
    return s;
}

static void put(tl_relay_tokens *t, tl_tokens_side *s)
{
    token_bucket *bucket = bucket_of(t, s->token);
    s->next = bucket->first;
    bucket->first = s;
}

static void take_out(tl_relay_tokens *t, tl_tokens_side *s)
{
    tl_tokens_side **at = &bucket_of(t, s->token)->first;
    while (*at != s)
        at = &(*at)->next;
    *at = s->next;
}

/* Twice as many buckets as sides, so that a chain is short. */
static tl_err make_room(tl_relay_tokens *t)
{
    if (t->side_count + 2 <= t->bucket_count / 2)
        return TL_OK;
    size_t old_count = t->bucket_count;
    token_bucket *old = t->buckets, *more = calloc(2 * old_count, sizeof *more);
    if (!more)
        return TL_ERR_NOMEM;
    t->buckets = more;
    t->bucket_count = 2 * old_count;
    for (size_t i = 0; i < old_count; i++) {
        tl_tokens_side *next;
        for (tl_tokens_side *s = old[i].first; s; s = next) {
            next = s->next;
            put(t, s);
        }
    }
    free(old);
    return TL_OK;
}

static void draw_token(tl_relay_tokens *t, uint8_t ret_token[TL_TOKEN_SIZE])
{
    do {
        tl_rand_bytes(t->rand, ret_token, TL_TOKEN_SIZE);
        ret_token[0] = 0x80 | (ret_token[0] & 0x3F);
    } while (ret_token[1] % t->config.loops != t->config.loop || tl_tokens_find(t, ret_token));
}

/* --- pairs --- */

tl_err tl_tokens_open(tl_relay_tokens *t, const tl_tokens_member members[2], tl_time now,
                      tl_tokens_pair *ret_pair)
{
    token_pair *pair = calloc(1, sizeof *pair);
    tl_err e = pair ? make_room(t) : TL_ERR_NOMEM;
    if (!e)
        e = tl_relay_timers_reserve(&t->timers, t->side_count + 2);
    if (e) {
        free(pair);
        return e;
    }
    pair->heard = now;
    for (int i = 0; i < 2; i++) {
        tl_tokens_side *s = &pair->side[i];
        draw_token(t, s->token);
        s->pair = pair;
        s->other = &pair->side[!i];
        s->user = members[i].user;
        s->stream = members[i].stream;
        s->node = members[i].node;
        s->limit = members[i].limit;
        s->move.proofs = tl_ratelimit_make(TL_TOKENS_PROOFS_PER_SEC, TL_TOKENS_PROOFS_BURST, now);
        put(t, s);
        ret_pair->side[i] = s;
    }
    t->side_count += 2;
    return TL_OK;
}

void tl_tokens_close(tl_relay_tokens *t, tl_tokens_pair *pair)
{
    if (!pair->side[0])
        return;
    token_pair *p = pair->side[0]->pair;
    for (int i = 0; i < 2; i++) {
        tl_tokens_side *s = &p->side[i];
        tl_tokens_stop_move(t, s);
        take_out(t, s);
        t->counters.udp_sides -= s->way.remote.family != TL_ADDR_NONE;
        if (t->recent == s)
            t->recent = NULL;
    }
    t->side_count -= 2;
    free(p);
    *pair = (tl_tokens_pair){{NULL, NULL}};
}

const uint8_t *tl_tokens_token(const tl_tokens_side *side)
{
    return side->token;
}

void *tl_tokens_user(const tl_tokens_side *side)
{
    return side->user;
}

tl_tokens_side *tl_tokens_other(const tl_tokens_side *side)
{
    return side->other;
}

const tl_burst_way *tl_tokens_way(const tl_tokens_side *side)
{
    return side->way.remote.family != TL_ADDR_NONE ? &side->way : NULL;
}

tl_time tl_tokens_heard(const tl_tokens_pair *pair)
{
    return pair->side[0]->pair->heard;
}

void tl_tokens_bind(tl_relay_tokens *t, tl_tokens_side *side, const tl_burst_way *way)
{
    t->counters.udp_sides += side->way.remote.family == TL_ADDR_NONE;
    side->way = *way;
    side->by_udp = true;
}

/* --- packets --- */

static tl_tokens_verdict drop(tl_relay_tokens *t, tl_tokens_drop why)
{
    t->counters.dropped[why]++;
    return TL_TOKENS_DONE;
}

/* The side whose token the packet bears. NULL: it is dropped. */
static tl_tokens_side *sender_of(tl_relay_tokens *t, tl_slice packet)
{
    bool is_short = packet.n < TL_TOKEN_SIZE;
    tl_tokens_side *s = is_short ? NULL : tl_tokens_find(t, packet.p);
    if (!s)
        (void)drop(t, is_short ? TL_TOKENS_DROP_SHORT : TL_TOKENS_DROP_TOKEN);
    return s;
}

/* The packet is its side's own: passes on what is behind the token. */
static tl_tokens_verdict pass(tl_relay_tokens *t, tl_tokens_side *from, tl_tokens_carrier by,
                              size_t n, tl_time now, const tl_burst_way **ret_way,
                              tl_tokens_side **ret_to)
{
    tl_tokens_side *to = from->other;
    bool udp = to->by_udp || t->config.udp_alone;
    tl_tokens_carrier on = udp ? TL_TOKENS_BY_UDP : TL_TOKENS_BY_STREAM;
    from->by_udp = by == TL_TOKENS_BY_UDP;
    from->pair->heard = now;
    if (!n)
        return TL_TOKENS_DONE;
    if (on == TL_TOKENS_BY_UDP && n > TL_TOKENS_PAYLOAD_MAX)
        return drop(t, TL_TOKENS_DROP_SIZE);
    if (from->limit && !tl_limit_take(from->limit, n, now))
        return drop(t, TL_TOKENS_DROP_RATE);
    t->counters.packets[by][on]++;
    t->counters.bytes[by][on] += n;
    *ret_to = to;
    *ret_way = &to->way;
    return to->by_udp ? TL_TOKENS_TO_UDP : TL_TOKENS_TO_STREAM;
}

tl_tokens_verdict tl_tokens_on_datagram(tl_relay_tokens *t, const tl_burst_way *way,
                                        tl_slice packet, tl_time now, const tl_burst_way **ret_way,
                                        tl_tokens_side **ret_to)
{
    tl_tokens_side *from = sender_of(t, packet);
    if (!from)
        return TL_TOKENS_DONE;
    bool is_bound = from->way.remote.family != TL_ADDR_NONE;
    if (is_bound ? !tl_addr_eq(&from->way.remote, &way->remote)
                 : !tl_reach_is_allowed(&way->remote, &way->local))
        return drop(t, TL_TOKENS_DROP_SOURCE);
    if (!is_bound)
        tl_tokens_bind(t, from, way);
    return pass(t, from, TL_TOKENS_BY_UDP, packet.n - TL_TOKEN_SIZE, now, ret_way, ret_to);
}

tl_tokens_verdict tl_tokens_on_message(tl_relay_tokens *t, const void *stream, tl_slice packet,
                                       tl_time now, const tl_burst_way **ret_way,
                                       tl_tokens_side **ret_to)
{
    tl_tokens_side *from = sender_of(t, packet);
    if (!from)
        return TL_TOKENS_DONE;
    if (from->stream != stream)
        return drop(t, TL_TOKENS_DROP_SOURCE);
    return pass(t, from, TL_TOKENS_BY_STREAM, packet.n - TL_TOKEN_SIZE, now, ret_way, ret_to);
}

tl_tokens_verdict tl_tokens_on_payload(tl_relay_tokens *t, tl_tokens_side *from, size_t n,
                                       tl_time now, const tl_burst_way **ret_way,
                                       tl_tokens_side **ret_to)
{
    return pass(t, from, TL_TOKENS_BY_STREAM, n, now, ret_way, ret_to);
}

void tl_tokens_was_dropped(tl_relay_tokens *t, tl_tokens_carrier from, tl_tokens_carrier to,
                           size_t n)
{
    t->counters.packets[from][to]--;
    t->counters.bytes[from][to] -= n;
    tl_tokens_lost(t);
}

void tl_tokens_lost(tl_relay_tokens *t)
{
    (void)drop(t, TL_TOKENS_DROP_SLOW);
}
