/* Transactions: which server is asked what, how often, and to which question an answer belongs. */
#include "nat/behaviour_state.h"

/* --- where we sent --- */

static void leave_trace(tl_behaviour *b, const tl_addr *to, tl_time now)
{
    trace *oldest = &b->traces[0];
    for (size_t i = 0; i < TRACES_MAX; i++) {
        trace *t = &b->traces[i];
        if (tl_addr_eq(&t->to, to)) {
            t->at = now;
            return;
        }
        if (t->to.family == TL_ADDR_NONE ||
            (oldest->to.family != TL_ADDR_NONE && t->at < oldest->at))
            oldest = t;
    }
    *oldest = (trace){.to = *to, .at = now};
}

bool tl_trace_found(const tl_behaviour *b, const tl_addr *to, bool any_port, tl_time now)
{
    for (size_t i = 0; i < TRACES_MAX; i++) {
        const trace *t = &b->traces[i];
        if (tl_addr_same_ip(&t->to, to) && (any_port || t->to.port == to->port) &&
            now < t->at + TRACE_FADES)
            return true;
    }
    return false;
}

/* --- asking --- */

/* Plain questions count as requests. A test without an answer is nobody's failure. */
static bool is_plain(ask_kind k)
{
    return k == ASK_SERVER || k == ASK_LOOK || k == ASK_FRESH || k == ASK_MAP_ADDRESS ||
           k == ASK_MAP_OTHER || k == ASK_MAP_PORT;
}

static void set_pace(tl_behaviour *b, ask *a)
{
    tl_time rto = 2 * b->servers[a->server].rtt;
    rto = rto < TEST_RTO_MIN ? TEST_RTO_MIN : rto > TEST_RTO_MAX ? TEST_RTO_MAX : rto;
    if (a->kind == ASK_SERVER) {
        a->tries = TL_STUN_TRIES; /* 0, 0.5, 1.5, 3.5 s; over after 4.5 s */
        a->wait = TL_STUN_RTO;
        a->last_wait = 1 * TL_SEC;
    } else if (a->kind == ASK_FRESH) {
        a->tries = 3; /* 0, 0.5, 1.5 s; over after 2.5 s */
        a->wait = TL_STUN_RTO;
        a->last_wait = 1 * TL_SEC;
    } else if (a->kind == ASK_LOOK) {
        a->tries = 4; /* 0, 100, 300, 700 ms; over after 1 s */
        a->wait = 100 * TL_MS;
        a->last_wait = 300 * TL_MS;
    } else {
        a->tries = 3;
        a->wait = rto;
        a->last_wait = 2 * rto;
    }
}

bool tl_behaviour_ask_start(tl_behaviour *b, ask_kind kind, size_t i, const tl_addr *to,
                            tl_time now)
{
    tl_sock sock = to->family == TL_ADDR_V4 ? b->sock4 : b->sock6;
    for (size_t k = 0; sock && k < ASKS_MAX; k++) {
        ask *a = &b->asks[k];
        if (a->used)
            continue;
        *a = (ask){.used = true,
                   .kind = kind,
                   .server = i,
                   .sock = sock,
                   .to = *to,
                   .first_at = now,
                   .next_at = now};
        set_pace(b, a);
        tl_rand_bytes(b->rand, a->id.bytes, sizeof a->id.bytes);
        b->counters.requests += is_plain(kind);
        return true;
    }
    return false;
}

void tl_behaviour_ask_end(tl_behaviour *b, ask *a)
{
    b->past[b->next_past] = a->id;
    b->next_past = (b->next_past + 1) % PAST_MAX;
    a->used = false;
}

void tl_behaviour_ask_end_all(tl_behaviour *b)
{
    for (size_t i = 0; i < ASKS_MAX; i++)
        if (b->asks[i].used)
            tl_behaviour_ask_end(b, &b->asks[i]);
}

bool tl_behaviour_ask_runs(const tl_behaviour *b, unsigned kinds)
{
    for (size_t i = 0; i < ASKS_MAX; i++)
        if (b->asks[i].used && (KIND(b->asks[i].kind) & kinds))
            return true;
    return false;
}

static bool same_id(const tl_stun_id *a, const tl_stun_id *b)
{
    return memcmp(a->bytes, b->bytes, sizeof a->bytes) == 0;
}

ask *tl_behaviour_ask_find(tl_behaviour *b, const tl_stun_id *id)
{
    for (size_t i = 0; i < ASKS_MAX; i++)
        if (b->asks[i].used && b->asks[i].sent && same_id(&b->asks[i].id, id))
            return &b->asks[i];
    return NULL;
}

bool tl_behaviour_ask_is_past(const tl_behaviour *b, const tl_stun_id *id)
{
    static const tl_stun_id none;
    if (same_id(id, &none))
        return false; /* an empty place */
    for (size_t i = 0; i < PAST_MAX; i++)
        if (same_id(&b->past[i], id))
            return true;
    return false;
}

/* --- sending --- */

static void write_out(const ask *a, tl_stun_output *out)
{
    tl_stun_writer w;
    tl_stun_begin(&w, TL_STUN_REQUEST, &a->id);
    if (a->kind == ASK_BOTH || a->kind == ASK_PORT)
        tl_stun_put_change(&w, a->kind == ASK_BOTH, true);
    tl_stun_finish(&w);
    out->sock = a->sock;
    out->to = a->to;
    out->n = w.n;
    memcpy(out->bytes, w.bytes, w.n);
}

bool tl_behaviour_next_output(tl_behaviour *b, tl_time now, tl_stun_output *ret_output)
{
    for (size_t i = 0; i < ASKS_MAX; i++) {
        ask *a = &b->asks[i];
        if (!a->used || a->sent == a->tries || a->next_at > now)
            continue;
        write_out(a, ret_output);
        a->sent++;
        a->next_at = now + (a->sent == a->tries ? a->last_wait : a->wait);
        a->wait *= 2;
        if (a->kind == ASK_SERVER)
            b->servers[a->server].sent++;
        if (a->kind != ASK_HAIRPIN)
            b->asked_at = now;
        leave_trace(b, &a->to, now);
        return true;
    }
    return false;
}
