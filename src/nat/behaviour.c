#include "nat/behaviour_state.h"

#include <assert.h>
#include <stdlib.h>

static void tell(tl_behaviour *b)
{
    bool due = b->tell;
    b->tell = false;
    if (due && b->events.on_facts)
        b->events.on_facts(b->user);
}

void tl_behaviour_look(tl_behaviour *b, tl_time now)
{
    if (b->round || tl_behaviour_ask_runs(b, KIND(ASK_LOOK)))
        return;
    size_t first = SIZE_MAX, second = SIZE_MAX;
    for (size_t i = 0; i < b->n_servers; i++) {
        const server *s = &b->servers[i];
        if (!s->answered || tl_round_outvoted(b, s))
            continue;
        if (first == SIZE_MAX || s->rtt < b->servers[first].rtt) {
            second = first;
            first = i;
        } else if (second == SIZE_MAX || s->rtt < b->servers[second].rtt)
            second = i;
    }
    if (first == SIZE_MAX) {
        tl_behaviour_begin(b, now);
        return;
    }
    (void)tl_behaviour_ask_start(b, ASK_LOOK, first, &b->servers[first].info.addr, now);
    if (second != SIZE_MAX)
        (void)tl_behaviour_ask_start(b, ASK_LOOK, second, &b->servers[second].info.addr, now);
}

/* --- freshness --- */

static void begin_fresh(tl_behaviour *b, tl_time now)
{
    size_t best = SIZE_MAX;
    b->fresh_at = TL_NEVER;
    for (size_t i = 0; i < b->n_servers; i++) {
        const server *s = &b->servers[i];
        /* IPv4's mapping is the one to keep open */
        bool v4 = s->info.addr.family == TL_ADDR_V4;
        if (s->answered && !tl_round_outvoted(b, s) &&
            (best == SIZE_MAX || (v4 && b->servers[best].info.addr.family != TL_ADDR_V4) ||
             (v4 == (b->servers[best].info.addr.family == TL_ADDR_V4) &&
              s->rtt < b->servers[best].rtt)))
            best = i;
    }
    if (best == SIZE_MAX && b->n_servers)
        best = b->next_blind++ % b->n_servers;
    if (best == SIZE_MAX ||
        !tl_behaviour_ask_start(b, ASK_FRESH, best, &b->servers[best].info.addr, now))
        b->fresh_at = now + b->keepalive;
}

/* The mapping did not live from one question to the next: ask twice as often. */
static void mapping_died(tl_behaviour *b)
{
    b->keepalive = b->keepalive / 2 < KEEPALIVE_MIN ? KEEPALIVE_MIN : b->keepalive / 2;
}

static void on_look_answer(tl_behaviour *b, ask *a, const tl_addr *mapped, tl_time now)
{
    server *s = &b->servers[a->server];
    bool fresh = a->kind == ASK_FRESH, known = s->mapped.family != TL_ADDR_NONE;
    bool unchanged = known && tl_addr_eq(&s->mapped, mapped) && s->answered;
    if (fresh && s->answered && known && !unchanged && tl_addr_same_ip(&s->mapped, mapped))
        mapping_died(b);
    b->heard = true;
    if (!unchanged) {
        tl_behaviour_begin(b, now);
        return;
    }
    for (size_t i = 0; i < ASKS_MAX; i++)
        if (b->asks[i].used && (KIND(b->asks[i].kind) & LOOK_KINDS))
            tl_behaviour_ask_end(b, &b->asks[i]);
    b->fresh_at = now + b->keepalive;
}

/* Nobody answered a look: UDP counts as blocked until a round says otherwise. */
static void on_look_failed(tl_behaviour *b, ask_kind kind, tl_time now)
{
    if (tl_behaviour_ask_runs(b, LOOK_KINDS))
        return; /* another server may still answer */
    bool blind = true;
    for (size_t i = 0; i < b->n_servers; i++)
        blind &= !b->servers[i].answered;
    if (kind == ASK_LOOK && !b->facts.udp_blocked) {
        b->facts.udp_blocked = true;
        b->tell = true;
    }
    if (!blind) {
        tl_behaviour_begin(b, now);
        return;
    }
    b->blind = tl_time_min(b->blind * 2, b->keepalive);
    b->fresh_at = now + b->blind;
}

/* --- answers --- */

static void add_voice(tl_behaviour *b, const tl_addr *to, const tl_addr *mapped)
{
    bool v4 = to->family == TL_ADDR_V4;
    size_t *n = v4 ? &b->n4 : &b->n6;
    if (*n < VOICES_MAX)
        (v4 ? b->voice4 : b->voice6)[(*n)++] = (tl_voice){.to = *to, .mapped = *mapped};
}

static void on_server_answer(tl_behaviour *b, size_t i, const tl_stun *stun, tl_time rtt,
                             tl_time now)
{
    server *s = &b->servers[i];
    b->facts.answered += !s->answered;
    s->answered = true;
    s->rtt = rtt;
    s->mapped = stun->mapped;
    if (tl_round_may_be_other(s, &stun->other))
        s->other = stun->other;
    add_voice(b, &s->info.addr, &stun->mapped);
    if (b->settle_at == TL_NEVER && !b->settled) {
        tl_time wait = 2 * rtt < SETTLE_MIN ? SETTLE_MIN : 2 * rtt;
        b->settle_at = now + (wait > SETTLE_MAX ? SETTLE_MAX : wait);
    }
    tl_round_test_filter(b, i, now);
}

/* A transaction ended without an answer that counts. */
static void on_failed(tl_behaviour *b, ask_kind kind, size_t i, tl_time now)
{
    server *s = &b->servers[i];
    if (kind == ASK_BOTH)
        s->both = TEST_SILENT;
    else if (kind == ASK_PORT)
        s->port = TEST_SILENT;
    else if (kind == ASK_HAIRPIN) {
        b->tell |= b->facts.hairpin != TL_HAIRPIN_NO;
        b->facts.hairpin = TL_HAIRPIN_NO;
    } else
        b->counters.failures++;
    if (kind == ASK_LOOK || kind == ASK_FRESH)
        on_look_failed(b, kind, now);
}

static void on_answer(tl_behaviour *b, const ask *a, const tl_stun *stun, tl_time now)
{
    server *s = &b->servers[a->server];
    ask over = *a;
    tl_behaviour_ask_end(b, (ask *)(uintptr_t)a);
    b->counters.answers++;
    switch (over.kind) {
    case ASK_SERVER: on_server_answer(b, over.server, stun, now - over.first_at, now); break;
    case ASK_BOTH: s->both = TEST_PASSED; break;
    case ASK_PORT: s->port = TEST_PASSED; break;
    case ASK_MAP_ADDRESS:
    case ASK_MAP_OTHER:
    case ASK_MAP_PORT: add_voice(b, &over.to, &stun->mapped); break;
    case ASK_LOOK:
    case ASK_FRESH: on_look_answer(b, &over, &stun->mapped, now); break;
    case ASK_HAIRPIN: break; /* here a request comes back, not an answer */
    }
}

/* Where the answer to `a` must come from. */
static tl_addr expected_from(const tl_behaviour *b, const ask *a)
{
    tl_addr from = a->to;
    if (a->kind == ASK_BOTH)
        from = b->servers[a->server].other;
    else if (a->kind == ASK_PORT)
        from.port = b->servers[a->server].other.port;
    return from;
}

/* It answered a test from the address that was asked: it does not know CHANGE-REQUEST. */
static void on_deaf(tl_behaviour *b, size_t i)
{
    b->servers[i].deaf = true;
    b->servers[i].both = b->servers[i].port = TEST_NOT;
    for (size_t k = 0; k < ASKS_MAX; k++)
        if (b->asks[k].used && b->asks[k].server == i && (KIND(b->asks[k].kind) & FILTER_KINDS))
            tl_behaviour_ask_end(b, &b->asks[k]);
}

static void on_reply(tl_behaviour *b, ask *a, const tl_addr *from, const tl_stun *stun, tl_time now)
{
    tl_addr due = expected_from(b, a);
    bool is_test = KIND(a->kind) & FILTER_KINDS;
    if (a->kind == ASK_HAIRPIN || !(tl_addr_eq(from, &due) || tl_addr_eq(from, &a->to))) {
        b->counters.strays++;
        return;
    }
    b->heard = true;
    if (is_test && !tl_addr_eq(from, &due)) {
        on_deaf(b, a->server);
    } else if (stun->class == TL_STUN_SUCCESS &&
               tl_round_may_see(&b->servers[a->server], &stun->mapped)) {
        on_answer(b, a, stun, now);
    } else {
        ask over = *a;
        b->counters.refused += stun->class == TL_STUN_SUCCESS;
        tl_behaviour_ask_end(b, a);
        on_failed(b, over.kind, over.server, now);
    }
}

/* Our own question came back through the NAT: from the NAT's outside, or, if the NAT forgets to
 * translate the source, from an address of ours. */
static bool on_own_request(tl_behaviour *b, ask *a, const tl_addr *from)
{
    if (a->kind != ASK_HAIRPIN || !(tl_addr_same_ip(from, &a->to) || tl_round_is_own(b, from)))
        return false;
    b->tell |= b->facts.hairpin != TL_HAIRPIN_YES;
    b->facts.hairpin = TL_HAIRPIN_YES;
    tl_behaviour_ask_end(b, a);
    return true;
}

bool tl_behaviour_on_stun(tl_behaviour *b, tl_sock sock, const tl_addr *from, tl_slice datagram,
                          const tl_stun *stun, tl_time now)
{
    (void)datagram;
    ask *a = tl_behaviour_ask_find(b, &stun->id);
    bool is_reply = stun->class == TL_STUN_SUCCESS || stun->class == TL_STUN_ERROR;
    if (!a || a->sock != sock) {
        bool ours = is_reply && (a || tl_behaviour_ask_is_past(b, &stun->id));
        b->counters.strays += ours; /* late, twice, or at another socket than the one that asked */
        return ours;
    }
    if (is_reply)
        on_reply(b, a, from, stun, now);
    else if (stun->class != TL_STUN_REQUEST || !on_own_request(b, a, from))
        return false;
    tl_round_advance(b, now);
    tell(b);
    return true;
}

/* --- time --- */

void tl_behaviour_on_unsent(tl_behaviour *b, const tl_stun_output *output, tl_time now)
{
    for (size_t i = 0; i < ASKS_MAX; i++) {
        ask *a = &b->asks[i];
        if (a->used && a->sent && tl_addr_eq(&a->to, &output->to)) {
            a->sent = a->tries;
            a->next_at = now;
        }
    }
}

void tl_behaviour_on_timer(tl_behaviour *b, tl_time now)
{
    for (size_t i = 0; i < ASKS_MAX; i++) {
        ask *a = &b->asks[i];
        if (!a->used || a->sent < a->tries || a->next_at > now)
            continue;
        ask over = *a;
        tl_behaviour_ask_end(b, a);
        on_failed(b, over.kind, over.server, now);
    }
    if (!b->round && b->retest_at <= now)
        tl_behaviour_begin(b, now);
    else if (!b->round && b->fresh_at <= now)
        begin_fresh(b, now);
    tl_round_advance(b, now);
    tell(b);
}

tl_time tl_behaviour_expiry(const tl_behaviour *b)
{
    tl_time at = b->round ? b->settle_at : tl_time_min(b->fresh_at, b->retest_at);
    for (size_t i = 0; i < ASKS_MAX; i++)
        if (b->asks[i].used)
            at = tl_time_min(at, b->asks[i].next_at);
    assert(!b->round || at != TL_NEVER); /* such a round would never end */
    return at;
}

/* --- life --- */

tl_err tl_behaviour_new(tl_rand *rand, const tl_behaviour_events *events, void *user,
                        tl_behaviour **ret_behaviour)
{
    tl_behaviour *b = calloc(1, sizeof *b);
    if (!b)
        return TL_ERR_NOMEM;
    b->rand = rand;
    b->events = *events;
    b->user = user;
    b->settle_at = b->fresh_at = b->retest_at = TL_NEVER;
    b->keepalive = TL_BEHAVIOUR_FRESH;
    b->blind = BLIND_FIRST;
    *ret_behaviour = b;
    return TL_OK;
}

void tl_behaviour_free(tl_behaviour *b)
{
    free(b);
}

/* Are we on another network, as far as we can tell, whose NAT has seen nothing of us? Without any
 * address we are nowhere, and may come back to where we were. IPv6 addresses come and go, and have
 * no NAT. */
static bool is_elsewhere(tl_behaviour *b)
{
    tl_addr now[TL_INTERFACES_MAX];
    size_t n = 0;
    for (size_t i = 0; i < b->n_own; i++)
        if (b->own[i].addr.family == TL_ADDR_V4)
            now[n++] = b->own[i].addr;
    bool same = n == b->n_was4;
    for (size_t i = 0; same && i < n; i++)
        same = tl_addr_same_ip(&now[i], &b->was4[i]);
    if (n == 0 || same)
        return false;
    b->n_was4 = n;
    memcpy(b->was4, now, n * sizeof *now);
    return true;
}

void tl_behaviour_set_sockets(tl_behaviour *b, tl_sock sock4, tl_sock sock6, uint16_t port4,
                              uint16_t port6, const tl_interface *own, size_t n_own)
{
    n_own = n_own < TL_INTERFACES_MAX ? n_own : TL_INTERFACES_MAX;
    bool other_port = b->port4 != port4 && port4;
    b->sock4 = sock4;
    b->sock6 = sock6;
    b->port4 = port4;
    b->port6 = port6;
    b->n_own = n_own;
    if (n_own)
        memcpy(b->own, own, n_own * sizeof *own);
    if (is_elsewhere(b) || other_port) {
        memset(b->traces, 0, sizeof b->traces);
        b->arrived_at = 0;
        b->keepalive = TL_BEHAVIOUR_FRESH;
    }
    for (size_t i = 0; i < ASKS_MAX; i++)
        if (b->asks[i].used && b->asks[i].sock != sock4 && b->asks[i].sock != sock6)
            tl_behaviour_ask_end(b, &b->asks[i]);
    if (b->round && !tl_behaviour_ask_runs(b, ROUND_KINDS))
        b->settle_at = 0; /* nobody can answer: the timer ends the round at once */
}

static const server *known_server(const tl_behaviour *b, const tl_addr *a)
{
    for (size_t i = 0; i < b->n_servers; i++)
        if (tl_addr_eq(&b->servers[i].info.addr, a))
            return &b->servers[i];
    return NULL;
}

void tl_behaviour_set_servers(tl_behaviour *b, const tl_stun_server *servers, size_t n)
{
    server fresh[TL_STUN_SERVERS_MAX];
    size_t count = 0;
    for (size_t i = 0; i < n && count < TL_STUN_SERVERS_MAX; i++) {
        bool twice = servers[i].addr.family == TL_ADDR_NONE;
        for (size_t k = 0; k < count; k++)
            twice |= tl_addr_eq(&fresh[k].info.addr, &servers[i].addr);
        if (twice)
            continue;
        const server *was = known_server(b, &servers[i].addr);
        fresh[count++] = (server){.info = servers[i],
                                  .rtt = was ? was->rtt : 0,
                                  .mapped = was ? was->mapped : (tl_addr){.family = TL_ADDR_NONE}};
    }
    tl_behaviour_ask_end_all(b); /* they name servers by their places in the list */
    b->round = false;
    b->n_servers = count;
    if (count)
        memcpy(b->servers, fresh, count * sizeof *fresh);
}

/* --- asked --- */

bool tl_behaviour_busy(const tl_behaviour *b)
{
    return b->round;
}

const tl_nat_facts *tl_behaviour_facts(const tl_behaviour *b)
{
    return &b->facts;
}

size_t tl_behaviour_reports(const tl_behaviour *b, tl_stun_report ret[TL_STUN_SERVERS_MAX])
{
    for (size_t i = 0; i < b->n_servers; i++) {
        const server *s = &b->servers[i];
        ret[i] = (tl_stun_report){.server = s->info,
                                  .answered = s->answered,
                                  .sent = s->sent,
                                  .rtt = s->answered ? s->rtt : 0,
                                  .behaviour = s->other.family != TL_ADDR_NONE && !s->deaf,
                                  .outvoted = !b->round && tl_round_outvoted(b, s)};
        if (s->answered)
            ret[i].mapped = s->mapped;
    }
    return b->n_servers;
}

tl_time tl_behaviour_keepalive(const tl_behaviour *b)
{
    return b->keepalive;
}

const tl_behaviour_counters *tl_behaviour_counters_of(const tl_behaviour *b)
{
    return &b->counters;
}
