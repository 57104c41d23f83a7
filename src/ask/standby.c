#include "ask/standby.h"

#include "base/ratelimit.h"

#include <assert.h>
#include <stdlib.h>

typedef struct {
    tl_node_id id;
    tl_time until; /* it is left alone */
    unsigned failed;
} tried;

/*  RESTING --look--> PAUSING --the pause is over, somebody is missing--> DIALLING --> PAUSING
 *                    PAUSING --nobody is--> RESTING                                              */
typedef enum {
    RESTING,  /* nobody is missing, as far as is known */
    PAUSING,  /* at `due` somebody is chosen */
    DIALLING, /* the wish waits for its connection */
} standby_state;

struct tl_standby {
    tl_peer_wish wish; /* first: its calls give this back */
    tl_env env;
    tl_node_id own;
    unsigned drawn; /* random numbers so far */
    const tl_access *access;
    const tl_merits *merits;
    tl_peer_table *table;
    tl_peers *peers;
    standby_state state;
    tl_time due;                       /* PAUSING: the end of the pause; else TL_NEVER */
    tried tried[TL_STANDBY_TRIED_MAX]; /* in the order of the rings' place */
    size_t n_tried;
    size_t start,
        left; /* nodes of the table: with which the next choice begins; not looked at yet */
    tl_ratelimit wants;
    tl_peer_wish wanted; /* of tl_standby_want; waits while `contact` is set */
};

static void on_connected(tl_peer_wish *w, tl_quic_stream *stream);
static void on_no_connection(tl_peer_wish *w, tl_err e, const char *why);

static void on_wanted(tl_peer_wish *w, tl_quic_stream *stream)
{
    (void)w, (void)stream; /* the connection is all that was wanted */
}

static void on_wanted_failed(tl_peer_wish *w, tl_err e, const char *why)
{
    (void)w, (void)e, (void)why; /* the question, when it comes, finds out by itself */
}

tl_err tl_standby_new(const tl_node_id *own, const tl_env *env, const tl_access *access,
                      const tl_merits *merits, tl_peer_table *table, tl_peers *peers,
                      tl_standby **ret_standby)
{
    tl_standby *s = calloc(1, sizeof *s);
    if (!s)
        return TL_ERR_NOMEM;
    *s = (tl_standby){
        .wish = {.connection_only = true, .on_stream = on_connected, .on_failed = on_no_connection},
        .wanted = {.connection_only = true, .on_stream = on_wanted, .on_failed = on_wanted_failed},
        .env = *env,
        .own = *own,
        .access = access,
        .merits = merits,
        .table = table,
        .peers = peers,
        .due = TL_NEVER,
        .wants = tl_ratelimit_make(1, TL_STANDBY_WANTS, tl_env_now(env))};
    *ret_standby = s;
    return TL_OK;
}

void tl_standby_free(tl_standby *s)
{
    if (!s)
        return;
    if (s->state == DIALLING)
        tl_peers_unwish(s->peers, &s->wish);
    if (s->wanted.contact)
        tl_peers_unwish(s->peers, &s->wanted);
    free(s);
}

static void set_state(tl_standby *s, standby_state to, tl_time due)
{
    static const unsigned from[] = {[RESTING] = 1u << PAUSING,
                                    [PAUSING] = 1u << RESTING | 1u << DIALLING,
                                    [DIALLING] = 1u << PAUSING};
    assert(from[to] & 1u << s->state);
    s->state = to;
    s->due = due;
}

/* 16 bits that no two nodes have alike: of the own public key, which is as good as random. Nothing
 * secret depends on them. */
static unsigned draw(tl_standby *s)
{
    size_t at = s->drawn++ % (sizeof s->own.key / 2);
    return (unsigned)s->own.key[2 * at] << 8 | s->own.key[2 * at + 1];
}

static void pause_then_choose(tl_standby *s)
{
    tl_time spread = TL_STANDBY_SPREAD + tl_peer_table_count(s->table) * TL_STANDBY_SPREAD_NODE;
    set_state(s, PAUSING, tl_env_now(&s->env) + (spread >> 16) * draw(s));
    tl_env_wake(&s->env);
}

/* --- who --- */

static tried *find_tried(tl_standby *s, const tl_node_id *id)
{
    for (size_t i = 0; i < s->n_tried && i < TL_STANDBY_TRIED_MAX; i++)
        if (tl_node_id_eq(&s->tried[i].id, id))
            return &s->tried[i];
    return NULL;
}

/* The oldest makes room. */
static void note_tried(tl_standby *s, const tl_node_id *id, bool failed)
{
    tried *t = find_tried(s, id);
    if (!t) {
        t = &s->tried[s->n_tried++ % TL_STANDBY_TRIED_MAX];
        *t = (tried){.id = *id};
    }
    t->failed = failed ? t->failed + 1 : 0;
    unsigned twice = t->failed < TL_STANDBY_DOUBLINGS ? t->failed : TL_STANDBY_DOUBLINGS;
    t->until = tl_env_now(&s->env) + (TL_STANDBY_AGAIN << twice);
}

/* 0: it is no candidate. Members that served us, members, others that served us. */
static unsigned worth(tl_standby *s, const tl_peer *p)
{
    tl_time now = tl_env_now(&s->env);
    if ((!p->n_ptns && !p->proven) || !p->listed || !p->n_models || !p->available || p->in_clear ||
        now < p->unusable_until || p->contact)
        return 0;
    unsigned worth = 2u * tl_access_is_member(s->access, &p->id);
    worth += tl_merits_served(s->merits, &p->id);
    if (!worth || !tl_access_may_try(s->access, &p->id))
        return 0;
    const tried *t = find_tried(s, &p->id);
    return t && now < t->until ? 0 : worth;
}

/* The best of the next TL_STANDBY_LOOK nodes, and of equals the first. NULL: none of them is missing. The
 * first look begins at a place that is drawn: in a large network every provider has its share of
 * those that stand by. */
static const tl_peer *choose(tl_standby *s)
{
    const tl_peer *best = NULL, *p = s->table->peers;
    size_t count = tl_peer_table_count(s->table), n = s->left < count ? s->left : count;
    unsigned most = 0;
    n = n < TL_STANDBY_LOOK ? n : TL_STANDBY_LOOK;
    s->start = count ? s->start % count : 0;
    for (size_t skip = s->start; skip; skip--)
        p = p->hh.next;
    for (size_t i = 0; i < n; i++, p = p->hh.next ? p->hh.next : s->table->peers) {
        unsigned w = worth(s, p);
        if (w > most) {
            best = p;
            most = w;
        }
    }
    if (!best) {
        s->start += n;
        s->left -= n;
    }
    return best;
}

static void dial_one(tl_standby *s)
{
    bool full = tl_peers_warm(s->peers) >= TL_STANDBY_MAX;
    const tl_peer *p = full ? NULL : choose(s);
    if (p) {
        set_state(s, DIALLING, TL_NEVER);
        s->wish.peer = p->id;
        if (tl_peers_wish(s->peers, &s->wish))
            on_no_connection(&s->wish, TL_ERR_BUSY, "");
    } else if (full || !s->left || !tl_peer_table_count(s->table)) {
        set_state(s, RESTING, TL_NEVER);
    } else {
        s->due = tl_env_now(&s->env); /* the others in the next turn of the loop */
        tl_env_wake(&s->env);
    }
}

static void on_connected(tl_peer_wish *w, tl_quic_stream *stream)
{
    tl_standby *s = (tl_standby *)w;
    (void)stream; /* none was wished for */
    note_tried(s, &w->peer, false);
    pause_then_choose(s);
}

static void on_no_connection(tl_peer_wish *w, tl_err e, const char *why)
{
    tl_standby *s = (tl_standby *)w;
    (void)e, (void)why;
    note_tried(s, &w->peer, true);
    pause_then_choose(s);
}

/* --- driving --- */

void tl_standby_look(tl_standby *s)
{
    s->left = tl_peer_table_count(s->table);
    if (s->state != RESTING)
        return;
    s->start = draw(s);
    pause_then_choose(s);
}

void tl_standby_want(tl_standby *s, const tl_node_id *peer)
{
    tl_time now = tl_env_now(&s->env);
    const tl_peer *p = tl_peer_table_find(s->table, peer);
    if (s->wanted.contact || !p || p->contact || !tl_ratelimit_take(&s->wants, 1, now))
        return;
    s->wanted.peer = *peer;
    (void)!tl_peers_wish(s->peers, &s->wanted); /* no room: the question will tell */
}

void tl_standby_on_timer(tl_standby *s)
{
    if (tl_env_now(&s->env) >= s->due)
        dial_one(s);
}

tl_time tl_standby_expiry(const tl_standby *s)
{
    return s->due;
}
