#include "peer/neighbours.h"

#include "base/ratelimit.h"

#include <assert.h>
#include <stdlib.h>

typedef enum { IDLE, DUE, TRYING, MET, THERE } state;

typedef struct {
    tl_node_id id;
    state state;
    bool strange; /* as it was when it was looked at last */
    tl_time at;   /* DUE: when it is tried; IDLE: not before; MET: its hello comes by then */
    tl_time pause;
} neighbour;

struct tl_neighbours {
    tl_neighbours_world world;
    void *user;
    tl_time wanted_until; /* strangers; 0: nobody wants them */
    bool looking;         /* on_over is owed */
    tl_ratelimit news;    /* strangers that are tried */
    tl_time due;
    tl_neighbours_counters counters;
    size_t n;
    neighbour all[TL_NEIGHBOURS_MAX];
};

tl_err tl_neighbours_new(const tl_neighbours_world *world, void *user,
                         tl_neighbours **ret_neighbours)
{
    tl_neighbours *n = calloc(1, sizeof *n);
    if (!n)
        return TL_ERR_NOMEM;
    n->world = *world;
    n->user = user;
    n->due = TL_NEVER;
    n->news = tl_ratelimit_make(TL_NEIGHBOURS_NEW_PER_SEC, TL_NEIGHBOURS_NEW_BURST, 0);
    *ret_neighbours = n;
    return TL_OK;
}

void tl_neighbours_free(tl_neighbours *n)
{
    free(n);
}

static neighbour *find(tl_neighbours *n, const tl_node_id *id)
{
    for (size_t i = 0; i < n->n; i++)
        if (tl_node_id_eq(&n->all[i].id, id))
            return &n->all[i];
    return NULL;
}

static void due(tl_neighbours *n, tl_time at)
{
    n->due = tl_time_min(n->due, at);
}

/* --- states --- */

static bool is_pending(const neighbour *b)
{
    return b->state == TRYING || b->state == MET;
}

static size_t trying(const tl_neighbours *n, bool strange)
{
    size_t count = 0;
    for (size_t i = 0; i < n->n; i++)
        count += is_pending(&n->all[i]) && n->all[i].strange == strange;
    return count;
}

static void set_due(tl_neighbours *n, neighbour *b, tl_time at)
{
    b->state = DUE;
    b->at = at;
    due(n, at);
}

static void set_idle(neighbour *b, tl_time not_before)
{
    b->state = IDLE;
    b->at = not_before;
}

/* Is it to be tried, or is it there already? */
static void look_at(tl_neighbours *n, neighbour *b, tl_time now)
{
    b->strange = !n->world.is_known(n->user, &b->id);
    if (is_pending(b))
        return;
    if (n->world.is_connected(n->user, &b->id)) {
        b->state = THERE;
        return;
    }
    bool wanted = n->wanted_until > now;
    if (!b->strange)
        set_due(n, b, b->state == DUE ? b->at : now);
    else if (!wanted)
        set_idle(b, b->state == IDLE ? b->at : now);
    else if (b->state != DUE && (b->state == THERE || now >= b->at))
        set_due(n, b, now);
}

/* Whatever strangers there are has said what it serves, or will not. */
static void judge(tl_neighbours *n)
{
    bool any = false;
    for (size_t i = 0; i < n->n; i++)
        any |= is_pending(&n->all[i]) || (n->all[i].state == DUE && n->all[i].strange);
    if (any || !n->looking)
        return;
    n->looking = false;
    n->world.on_over(n->user);
}

/* --- told --- */

void tl_neighbours_found(tl_neighbours *n, const tl_node_id *peer, tl_time now)
{
    neighbour *b = find(n, peer);
    if (!b) {
        if (n->n == TL_NEIGHBOURS_MAX)
            return;
        b = &n->all[n->n++];
        *b = (neighbour){.id = *peer, .at = now};
    }
    b->pause = TL_NEIGHBOURS_PAUSE;
    if (b->state == IDLE || b->state == DUE)
        set_idle(b, now);
    look_at(n, b, now);
}

void tl_neighbours_gone(tl_neighbours *n, const tl_node_id *peer)
{
    neighbour *b = find(n, peer);
    if (!b)
        return;
    *b = n->all[--n->n];
    judge(n);
}

void tl_neighbours_look(tl_neighbours *n, tl_time now)
{
    for (size_t i = 0; i < n->n; i++) {
        n->all[i].pause = TL_NEIGHBOURS_PAUSE;
        if (n->all[i].state == DUE)
            set_idle(&n->all[i], now);
        look_at(n, &n->all[i], now);
    }
}

bool tl_neighbours_want(tl_neighbours *n, tl_time now)
{
    n->wanted_until = now + TL_NEIGHBOURS_WANTED;
    bool any = false;
    for (size_t i = 0; i < n->n; i++) {
        look_at(n, &n->all[i], now);
        any |= is_pending(&n->all[i]) || n->all[i].state == DUE;
    }
    n->looking |= any;
    if (any)
        due(n, n->wanted_until);
    return any;
}

void tl_neighbours_on_connected(tl_neighbours *n, const tl_node_id *peer, tl_time now)
{
    neighbour *b = find(n, peer);
    if (!b)
        return;
    n->counters.met += b->state == TRYING;
    b->state = MET;
    b->pause = TL_NEIGHBOURS_PAUSE;
    b->at = now + TL_NEIGHBOURS_HELLO;
    due(n, b->at);
}

void tl_neighbours_on_hello(tl_neighbours *n, const tl_node_id *peer)
{
    neighbour *b = find(n, peer);
    if (!b)
        return;
    b->state = THERE;
    judge(n);
}

void tl_neighbours_on_failed(tl_neighbours *n, const tl_node_id *peer, tl_time now)
{
    neighbour *b = find(n, peer);
    if (!b || b->state != TRYING)
        return;
    n->counters.failed++;
    if (b->strange)
        set_idle(b, now + TL_NEIGHBOURS_STRANGE);
    else
        set_due(n, b, now + b->pause);
    b->pause = tl_time_min(2 * b->pause, TL_NEIGHBOURS_PAUSE_MAX);
    judge(n);
}

void tl_neighbours_on_left(tl_neighbours *n, const tl_node_id *peer, tl_time now)
{
    neighbour *b = find(n, peer);
    if (!b || b->state == TRYING)
        return;
    b->strange = !n->world.is_known(n->user, peer);
    if (b->strange)
        set_idle(b, now + TL_NEIGHBOURS_STRANGE);
    else
        set_due(n, b, now + TL_NEIGHBOURS_BACK);
    judge(n);
}

/* --- time --- */

static bool may_try(const tl_neighbours *n, const neighbour *b)
{
    if (b->strange)
        return trying(n, true) < TL_NEIGHBOURS_STRANGERS;
    return trying(n, false) < TL_NEIGHBOURS_AT_ONCE && n->world.has_room(n->user);
}

static void try_it(tl_neighbours *n, neighbour *b, tl_time now)
{
    if (n->world.is_connected(n->user, &b->id)) {
        b->state = THERE;
        return;
    }
    if (!may_try(n, b)) { /* somebody is tried, and makes room */
        set_due(n, b, now + TL_SEC);
        return;
    }
    if (b->strange && !tl_ratelimit_take(&n->news, 1, now)) {
        set_idle(b, now); /* nobody waits for it: whoever forges many would make all wait */
        return;
    }
    n->counters.tried++;
    n->counters.strangers += b->strange;
    b->state = TRYING;
    if (n->world.connect(n->user, &b->id))
        return;
    n->counters.failed++;
    set_due(n, b, now + b->pause);
    b->pause = tl_time_min(2 * b->pause, TL_NEIGHBOURS_PAUSE_MAX);
}

void tl_neighbours_on_timer(tl_neighbours *n, tl_time now)
{
    if (now < n->due)
        return;
    n->due = TL_NEVER;
    bool wanted = n->wanted_until > now;
    for (size_t i = 0; i < n->n; i++) {
        neighbour *b = &n->all[i];
        if (b->state == DUE && b->strange && !wanted)
            set_idle(b, now);
        else if (b->state == DUE && now >= b->at)
            try_it(n, b, now);
        else if (b->state == MET && now >= b->at)
            b->state = THERE;
        if (b->state == DUE || b->state == MET)
            due(n, b->at);
    }
    if (wanted && n->looking)
        due(n, n->wanted_until);
    judge(n);
}

tl_time tl_neighbours_expiry(const tl_neighbours *n)
{
    return n->due;
}

const tl_neighbours_counters *tl_neighbours_counters_of(const tl_neighbours *n)
{
    return &n->counters;
}
