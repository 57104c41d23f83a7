#include "ask/meet.h"

#include "peer/claims.h"

#include <assert.h>
#include <stdlib.h>
#include <utlist.h>

/*  QUEUED --there is room--> DIALLING --connected--> AWAITING --its certificate--> forgotten
 *  DIALLING --no connection--> OVER     AWAITING --it took too long--> OVER
 *  OVER --asked for, or listed, and it was long ago--> QUEUED */
typedef enum {
    QUEUED,   /* it comes next */
    DIALLING, /* a connection is wished for */
    AWAITING, /* it stands; the certificate has not come */
    OVER,     /* it showed none: it is left alone for a while */
} meeting_state;

typedef struct meeting {
    tl_peer_wish wish; /* first: its calls give this back */
    tl_meet *meet;
    meeting_state state;
    bool asked; /* a question waits for it */
    tl_time at; /* AWAITING: until when. OVER: since when */
    UT_hash_handle hh;
} meeting;

struct tl_meet {
    tl_env env;
    const tl_access *access;
    tl_peer_table *table;
    tl_peers *peers;
    void (*on_over)(void *user);
    void *user;
    meeting *all; /* the one that came longest ago first */
    size_t under_way;
    tl_time due; /* may be too early */
};

tl_err tl_meet_new(const tl_env *env, const tl_access *access, tl_peer_table *table,
                   tl_peers *peers, void (*on_over)(void *user), void *user, tl_meet **ret_meet)
{
    tl_meet *m = calloc(1, sizeof *m);
    if (!m)
        return TL_ERR_NOMEM;
    *m = (tl_meet){.env = *env,
                   .access = access,
                   .table = table,
                   .peers = peers,
                   .on_over = on_over,
                   .user = user,
                   .due = TL_NEVER};
    *ret_meet = m;
    return TL_OK;
}

static bool is_under_way(meeting_state s)
{
    return s == DIALLING || s == AWAITING;
}

static void set_state(meeting *g, meeting_state to)
{
    static const unsigned from[] = {[QUEUED] = 1u << OVER,
                                    [DIALLING] = 1u << QUEUED,
                                    [AWAITING] = 1u << DIALLING,
                                    [OVER] = 1u << QUEUED | 1u << DIALLING | 1u << AWAITING};
    tl_meet *m = g->meet;
    assert(from[to] & 1u << g->state);
    m->under_way += is_under_way(to);
    m->under_way -= is_under_way(g->state);
    g->state = to;
    g->at = tl_env_now(&m->env) + (to == AWAITING ? TL_MEET_SHOW_WITHIN : 0);
    if (to == AWAITING)
        m->due = tl_time_min(m->due, g->at);
    if (to == OVER)
        g->asked = false;
}

static void forget(meeting *g)
{
    tl_meet *m = g->meet;
    if (g->state == DIALLING)
        tl_peers_unwish(m->peers, &g->wish);
    m->under_way -= is_under_way(g->state);
    HASH_DEL(m->all, g);
    free(g);
}

void tl_meet_free(tl_meet *m)
{
    if (!m)
        return;
    meeting *g, *next;
    HASH_ITER (hh, m->all, g, next)
        forget(g);
    free(m);
}

/* --- who is met --- */

static meeting *find(const tl_meet *m, const tl_node_id *id)
{
    meeting *g;
    HASH_FIND(hh, m->all, id, sizeof *id, g);
    return g;
}

/* Forgets one that is over. */
static bool make_room(tl_meet *m)
{
    meeting *g, *next;
    HASH_ITER (hh, m->all, g, next)
        if (g->state == OVER) {
            forget(g);
            return true;
        }
    return false;
}

static void on_connected(tl_peer_wish *w, tl_quic_stream *s);
static void on_no_connection(tl_peer_wish *w, tl_err e, const char *why);

static meeting *add(tl_meet *m, const tl_node_id *peer)
{
    if (HASH_COUNT(m->all) >= TL_MEET_MAX && !make_room(m))
        return NULL;
    meeting *g = calloc(1, sizeof *g);
    if (!g)
        return NULL;
    *g = (meeting){.wish = {.peer = *peer,
                            .connection_only = true,
                            .on_stream = on_connected,
                            .on_failed = on_no_connection},
                   .meet = m};
    if (TL_TABLE_ADD(hh, m->all, wish.peer, sizeof g->wish.peer, g))
        return g;
    free(g);
    return NULL;
}

/* The next one that waits: first those for which a question waits. */
static meeting *next_queued(const tl_meet *m)
{
    meeting *g, *next, *idle = NULL;
    HASH_ITER (hh, m->all, g, next) {
        if (g->state == QUEUED && g->asked)
            return g;
        if (g->state == QUEUED && !idle)
            idle = g;
    }
    return m->under_way < TL_MEET_IDLE ? idle : NULL;
}

static void begin_more(tl_meet *m)
{
    meeting *g;
    while (m->under_way < TL_MEET_AT_ONCE && (g = next_queued(m))) {
        set_state(g, DIALLING);
        if (tl_peers_wish(m->peers, &g->wish)) {
            set_state(g, OVER);
            m->due = 0; /* on_over, from the timer: not from inside tl_meet_begin */
            tl_env_wake(&m->env);
        }
    }
}

/* True: it is QUEUED or under way. */
static bool want(tl_meet *m, const tl_node_id *peer, bool asked)
{
    meeting *g = find(m, peer);
    tl_time again = asked ? TL_MEET_AGAIN_ASKED : TL_MEET_AGAIN;
    if (g && g->state == OVER && tl_env_now(&m->env) - g->at < again)
        return false;
    if (!g && !(g = add(m, peer)))
        return false;
    if (g->state == OVER)
        set_state(g, QUEUED);
    g->asked |= asked;
    return true;
}

/* Has it shown a certificate of each network that it claims, whatever that is worth now? */
static bool is_met(const tl_meet *m, tl_peer *p)
{
    const tl_networks *book = m->access->book;
    tl_unix now = m->env.wall(m->env.user);
    for (size_t i = 0; i < tl_networks_count(book); i++) {
        const tl_membership *n = tl_networks_at(book, i);
        if (tl_claims_has(book, p, &n->id, now) && !tl_networks_are_we(book, &n->id, now) &&
            !tl_networks_cert_of(book, n, &p->id))
            return false;
    }
    return true;
}

/* There is nothing more to wait for, whatever what it has shown is worth now. */
static bool is_done(const tl_meet *m, const tl_node_id *id)
{
    tl_peer *p = tl_peer_table_find(m->table, id);
    bool claims = p && tl_claims_has(m->access->book, p, NULL, m->env.wall(m->env.user));
    return claims ? is_met(m, p) : tl_access_is_member(m->access, id);
}

bool tl_meet_begin(tl_meet *m, const tl_node_id *peer)
{
    if (is_done(m, peer) || !want(m, peer, true))
        return false;
    begin_more(m);
    return true;
}

void tl_meet_look(tl_meet *m)
{
    const tl_networks *book = m->access->book;
    tl_peer *p, *next;
    if (!book || !tl_access_in_network(m->access))
        return;
    HASH_ITER (hh, m->table->peers, p, next)
        if (p->n_models && p->n_ptns && !p->in_clear && !is_met(m, p))
            (void)want(m, &p->id, false);
    begin_more(m);
}

/* --- what becomes of it --- */

static void on_connected(tl_peer_wish *w, tl_quic_stream *s)
{
    (void)s; /* none was wished for */
    meeting *g = (meeting *)w;
    set_state(g, AWAITING);
    tl_env_wake(&g->meet->env);
    tl_meet_on_book(g->meet);
}

static void on_no_connection(tl_peer_wish *w, tl_err e, const char *why)
{
    (void)e, (void)why;
    meeting *g = (meeting *)w;
    tl_meet *m = g->meet;
    set_state(g, OVER);
    begin_more(m);
    m->on_over(m->user);
}

void tl_meet_on_book(tl_meet *m)
{
    meeting *g, *next;
    bool any = false;
    if (!m->access->book)
        return;
    HASH_ITER (hh, m->all, g, next) {
        if (g->state == OVER || !is_done(m, &g->wish.peer))
            continue;
        forget(g);
        any = true;
    }
    if (!any)
        return;
    begin_more(m);
    m->on_over(m->user);
}

void tl_meet_on_timer(tl_meet *m)
{
    tl_time now = tl_env_now(&m->env);
    meeting *g, *next;
    if (now < m->due)
        return;
    m->due = TL_NEVER;
    HASH_ITER (hh, m->all, g, next)
        if (g->state == AWAITING && now >= g->at)
            set_state(g, OVER);
        else if (g->state == AWAITING)
            m->due = tl_time_min(m->due, g->at);
    begin_more(m);
    m->on_over(m->user);
}

tl_time tl_meet_expiry(const tl_meet *m)
{
    return m->due;
}
