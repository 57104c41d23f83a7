#include "ask/meet.h"

#include "peer/claims.h"

#include <assert.h>
#include <stdlib.h>
#include <utlist.h>

/*  QUEUED --there is room--> DIALLING --connected--> AWAITING --its certificate--> forgotten
 *  DIALLING --no connection--> OVER     AWAITING --it took too long--> OVER
 *  OVER --asked for, or listed, and it was long ago--> QUEUED, behind the others */
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
    bool asked;      /* a question waits for it */
    unsigned failed; /* how often it was OVER */
    tl_time at;      /* AWAITING: until when. OVER: since when */
    UT_hash_handle hh;
} meeting;

struct tl_meet {
    tl_env env;
    const tl_access *access;
    tl_peer_table *table;
    tl_peers *peers;
    void (*on_over)(void *user);
    void *user;
    meeting *all; /* the one that was QUEUED longest ago first */
    size_t under_way;
    size_t start; /* of the nodes of the table: with which the next look begins */
    tl_time due;  /* may be too early */
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
    if (to == OVER) {
        g->asked = false;
        g->failed++;
    }
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

/* Forgets one that is over, or else one that was and waits again without a question. */
static bool make_room(tl_meet *m)
{
    meeting *g, *next, *again = NULL;
    HASH_ITER (hh, m->all, g, next) {
        if (g->state == OVER) {
            forget(g);
            return true;
        }
        if (g->state == QUEUED && g->failed && !g->asked && !again)
            again = g;
    }
    if (again)
        forget(again);
    return again;
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

/* The next one that waits: first those for which a question waits, and of these, as of the others,
 * those that never failed. Else strangers who show nothing would be met again and again before a
 * member is met once. */
static meeting *next_queued(const tl_meet *m)
{
    meeting *g, *next, *best[2][2] = {{NULL}}; /* [asked][new] */
    HASH_ITER (hh, m->all, g, next)
        if (g->state == QUEUED && !best[g->asked][!g->failed])
            best[g->asked][!g->failed] = g;
    for (int asked = 1; asked >= (m->under_way < TL_MEET_IDLE ? 0 : 1); asked--)
        for (int is_new = 1; is_new >= 0; is_new--)
            if (best[asked][is_new])
                return best[asked][is_new];
    return NULL;
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

/* It was OVER long enough ago. */
static bool is_due(const meeting *g, bool asked)
{
    unsigned twice = g->failed - 1 < TL_MEET_DOUBLINGS ? g->failed - 1 : TL_MEET_DOUBLINGS;
    tl_time pause = (asked ? TL_MEET_AGAIN_ASKED : TL_MEET_AGAIN) << twice;
    return tl_env_now(&g->meet->env) - g->at >= pause;
}

/* Behind all others. False: out of memory, it is forgotten. */
static bool queue_again(meeting *g)
{
    tl_meet *m = g->meet;
    set_state(g, QUEUED);
    HASH_DEL(m->all, g);
    if (TL_TABLE_ADD(hh, m->all, wish.peer, sizeof g->wish.peer, g))
        return true;
    free(g);
    return false;
}

/* TL_OK: it is QUEUED or under way. TL_ERR_FORBIDDEN: it failed of late. TL_ERR_BUSY: there is no room. */
static tl_err want(tl_meet *m, const tl_node_id *peer, bool asked)
{
    meeting *g = find(m, peer);
    if (g && g->state == OVER && !is_due(g, asked))
        return TL_ERR_FORBIDDEN;
    if (!g && !(g = add(m, peer)))
        return TL_ERR_BUSY;
    if (g->state == OVER && !queue_again(g))
        return TL_ERR_BUSY;
    g->asked |= asked;
    return TL_OK;
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
    if (is_done(m, peer) || want(m, peer, true))
        return false;
    begin_more(m);
    return true;
}

static bool is_worth_it(const tl_meet *m, tl_peer *p)
{
    return p->n_models && p->n_ptns && !p->in_clear && !is_met(m, p);
}

/* Each look begins where the last found no room, so that every node of the table has its turn. */
void tl_meet_look(tl_meet *m)
{
    const tl_networks *book = m->access->book;
    size_t count = tl_peer_table_count(m->table), i = 0;
    tl_peer *p = m->table->peers;
    if (!book || !p || !tl_access_in_network(m->access))
        return;
    m->start %= count;
    for (; i < m->start; i++)
        p = p->hh.next;
    for (i = 0; i < count; i++, p = p->hh.next ? p->hh.next : m->table->peers)
        if (is_worth_it(m, p) && want(m, &p->id, false) == TL_ERR_BUSY)
            break;
    m->start = (m->start + i) % count;
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
