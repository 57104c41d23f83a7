#include "backup/fetch.h"

#include "backup/code.h"

#include <stdio.h>
#include <stdlib.h>

typedef struct {
    tl_fragment_call call; /* first: on_answer finds the piece by it */
    tl_fetch *fetch;
    tl_fetch_state state;
    unsigned tries;
    tl_time again_at; /* WAITS: not before */
    tl_buf content;   /* HAS */
    char why[96];     /* the last failure, for a person */
} piece;

/* A piece: WAITS --asked for--> ASKED --its bytes are right--> HAS
 *          ASKED --not reached, and there are tries left--> WAITS
 *          ASKED --> ALTERED, REFUSED, UNREACHABLE, BUSY, which stay                 */
struct tl_fetch {
    tl_backup_map map;
    tl_exchanges *exchanges;
    tl_env env;
    const tl_fetch_events *events;
    void *user;
    tl_time deadline, hedge_at;
    unsigned wanted; /* pieces that should be here or on their way */
    uint64_t bytes;
    piece piece[TL_FRAGMENTS_MAX];
};

static void on_answer(tl_fragment_call *c, tl_err e, const tl_talk *answer, tl_slice body,
                      const char *why);

tl_err tl_fetch_new(const tl_backup_map *map, tl_exchanges *exchanges, const tl_env *env,
                    tl_time within, const tl_fetch_events *events, void *user, tl_fetch **ret_fetch)
{
    if (!tl_backup_map_is(map))
        return TL_ERR_INVALID;
    tl_fetch *f = calloc(1, sizeof *f);
    if (!f)
        return TL_ERR_NOMEM;
    tl_time now = tl_env_now(env);
    *f = (tl_fetch){
        .map = *map, .exchanges = exchanges, .env = *env, .events = events, .user = user};
    f->deadline = now + (within ? within : TL_FETCH_LIMIT);
    f->hedge_at = now;
    for (unsigned i = 0; i < map->n; i++) {
        piece *p = &f->piece[i];
        p->fetch = f;
        p->call.on_answer = on_answer;
        p->state =
            map->fragment[i].holder == TL_FRAGMENT_NOWHERE ? TL_FETCH_NOWHERE : TL_FETCH_WAITS;
    }
    tl_env_wake(env);
    *ret_fetch = f;
    return TL_OK;
}

static unsigned count(const tl_fetch *f, tl_fetch_state state)
{
    unsigned n = 0;
    for (unsigned i = 0; i < f->map.n; i++)
        n += f->piece[i].state == state;
    return n;
}

static void stop_asking(tl_fetch *f)
{
    for (unsigned i = 0; i < f->map.n; i++)
        if (f->piece[i].state == TL_FETCH_ASKED) {
            tl_exchanges_cancel(f->exchanges, &f->piece[i].call);
            f->piece[i].state = TL_FETCH_UNREACHABLE;
        }
}

void tl_fetch_free(tl_fetch *f)
{
    if (!f)
        return;
    stop_asking(f);
    for (unsigned i = 0; i < f->map.n; i++)
        tl_buf_clear(&f->piece[i].content);
    free(f);
}

void tl_fetch_progress_of(const tl_fetch *f, tl_fetch_progress *ret_progress)
{
    *ret_progress =
        (tl_fetch_progress){.got = count(f, TL_FETCH_HAS), .needed = f->map.k, .bytes = f->bytes};
    for (unsigned i = 0; i < f->map.n; i++)
        ret_progress->state[i] = f->piece[i].state;
}

/* --- the end: each of these is the last thing that its caller does with `f` --- */

static const char *state_words(tl_fetch_state s)
{
    switch (s) {
    case TL_FETCH_ALTERED: return "sent other bytes than it was given";
    case TL_FETCH_REFUSED: return "does not give it";
    case TL_FETCH_UNREACHABLE: return "was not reached";
    case TL_FETCH_BUSY: return "was reached, but does not give it now";
    case TL_FETCH_NOWHERE: return "no node holds it";
    default: return "did not answer in time";
    }
}

static void explain(const tl_fetch *f, char *ret, size_t size)
{
    int n = snprintf(ret, size, "%u of the %u fragments that are needed were found",
                     count(f, TL_FETCH_HAS), f->map.k);
    for (unsigned i = 0; i < f->map.n && n >= 0 && (size_t)n < size; i++) {
        const piece *p = &f->piece[i];
        char hex[TL_NODE_ID_HEX + 1] = "";
        if (p->state == TL_FETCH_HAS)
            continue;
        if (p->state != TL_FETCH_NOWHERE)
            tl_node_id_write(hex, &f->map.holder[f->map.fragment[i].holder]);
        n += snprintf(ret + n, size - (size_t)n, "; %u: %s%.8s%s%s%s%s%s", i + 1,
                      hex[0] ? "node " : "", hex, hex[0] ? " " : "", state_words(p->state),
                      p->why[0] ? " (" : "", p->why, p->why[0] ? ")" : "");
    }
}

static void fail(tl_fetch *f, tl_err e)
{
    char why[2048];
    explain(f, why, sizeof why);
    stop_asking(f);
    f->deadline = f->hedge_at = TL_NEVER;
    f->events->on_done(f->user, e, tl_slice_of(NULL, 0), why);
}

static void put_together(tl_fetch *f)
{
    tl_slice fragment[TL_FRAGMENTS_MAX];
    uint8_t index[TL_FRAGMENTS_MAX];
    unsigned n = 0;
    tl_buf blob = {0};
    tl_fragment_id id;
    for (unsigned i = 0; i < f->map.n && n < f->map.k; i++)
        if (f->piece[i].state == TL_FETCH_HAS) {
            fragment[n] = tl_buf_slice(&f->piece[i].content);
            index[n++] = (uint8_t)i;
        }
    stop_asking(f);
    f->deadline = f->hedge_at = TL_NEVER;
    tl_err e = tl_code_join(fragment, index, f->map.k, f->map.n, f->map.size, &blob);
    const char *why = "the fragments do not make the backup that their list names";
    if (e == TL_ERR_NOMEM)
        why = "out of memory";
    else if (!e)
        tl_fragment_id_of(tl_buf_slice(&blob), &id);
    if (e != TL_ERR_NOMEM && (e || !tl_fragment_id_eq(&id, &f->map.blob)))
        e = TL_ERR_AUTH;
    f->events->on_done(f->user, e, e ? tl_slice_of(NULL, 0) : tl_buf_slice(&blob), e ? why : "");
    tl_buf_clear(&blob);
}

/* --- asking --- */

static void lose(piece *p, tl_fetch_state state, const char *why)
{
    p->state = state;
    snprintf(p->why, sizeof p->why, "%s", why);
}

/* `then`: what it is where there are no tries left. */
static void try_again(piece *p, tl_fetch_state then, const char *why)
{
    bool again = p->tries < TL_FETCH_TRIES;
    lose(p, again ? TL_FETCH_WAITS : then, why);
    p->again_at = tl_env_now(&p->fetch->env) + TL_FETCH_AGAIN;
}

static void ask(tl_fetch *f, unsigned i)
{
    piece *p = &f->piece[i];
    tl_talk m = {.type = TL_TALK_GET};
    memcpy(m.u.get, f->map.fragment[i].tag, sizeof m.u.get);
    p->tries++;
    p->state = TL_FETCH_ASKED;
    tl_err e = tl_exchanges_ask(f->exchanges, &p->call, &f->map.holder[f->map.fragment[i].holder],
                                &m, tl_slice_of(NULL, 0));
    if (e)
        try_again(p, TL_FETCH_UNREACHABLE, tl_err_name(e));
}

static unsigned under_way(const tl_fetch *f)
{
    return count(f, TL_FETCH_HAS) + count(f, TL_FETCH_ASKED);
}

/* Asks for as many as are wanted: those first that were tried least. */
static void ask_for_more(tl_fetch *f, tl_time now)
{
    for (unsigned tries = 0; tries < TL_FETCH_TRIES; tries++)
        for (unsigned i = 0; i < f->map.n && under_way(f) < f->wanted; i++) {
            const piece *p = &f->piece[i];
            if (p->state == TL_FETCH_WAITS && p->tries == tries && p->again_at <= now)
                ask(f, i);
        }
}

/* Goes on where it can. The fetch may be over, and freed, after this. */
static void go_on(tl_fetch *f)
{
    tl_time now = tl_env_now(&f->env);
    if (count(f, TL_FETCH_HAS) >= f->map.k) {
        put_together(f);
        return;
    }
    if (now >= f->hedge_at) {
        unsigned missing = f->map.k - count(f, TL_FETCH_HAS);
        f->wanted = f->wanted + missing < f->map.n ? f->wanted + missing : f->map.n;
        f->hedge_at = now + TL_FETCH_HEDGE;
    }
    ask_for_more(f, now);
    if (under_way(f) + count(f, TL_FETCH_WAITS) < f->map.k)
        fail(f, TL_ERR_NOT_FOUND);
    else if (now >= f->deadline)
        fail(f, TL_ERR_TIMEOUT);
}

static void take(piece *p, unsigned i, const tl_talk *answer, tl_slice body)
{
    tl_fetch *f = p->fetch;
    tl_fragment_id id;
    f->bytes += body.n;
    tl_fragment_id_of(body, &id);
    if (answer->type != TL_TALK_CONTENT || body.n != tl_code_fragment_size(f->map.size, f->map.k) ||
        memcmp(id.bytes, f->map.fragment[i].tag, TL_FRAGMENT_TAG) != 0)
        lose(p, TL_FETCH_ALTERED, "");
    else if (tl_buf_append(&p->content, body))
        try_again(p, TL_FETCH_UNREACHABLE, "out of memory");
    else
        p->state = TL_FETCH_HAS;
}

static void on_answer(tl_fragment_call *c, tl_err e, const tl_talk *answer, tl_slice body,
                      const char *why)
{
    piece *p = (piece *)c;
    tl_fetch *f = p->fetch;
    if (!e)
        take(p, (unsigned)(p - f->piece), answer, body);
    else if (e == TL_ERR_NOT_FOUND || e == TL_ERR_FORBIDDEN)
        lose(p, TL_FETCH_REFUSED, why);
    else
        try_again(p, e == TL_ERR_AGAIN ? TL_FETCH_BUSY : TL_FETCH_UNREACHABLE, why);
    if (f->events->on_progress) {
        tl_fetch_progress progress;
        tl_fetch_progress_of(f, &progress);
        f->events->on_progress(f->user, &progress);
    }
    go_on(f);
}

void tl_fetch_on_timer(tl_fetch *f)
{
    if (tl_env_now(&f->env) >= tl_fetch_expiry(f))
        go_on(f);
}

tl_time tl_fetch_expiry(const tl_fetch *f)
{
    tl_time at = tl_time_min(f->deadline, f->hedge_at);
    if (f->deadline == TL_NEVER)
        return TL_NEVER;
    for (unsigned i = 0; i < f->map.n && under_way(f) < f->wanted; i++)
        if (f->piece[i].state == TL_FETCH_WAITS)
            at = tl_time_min(at, f->piece[i].again_at);
    return at;
}
