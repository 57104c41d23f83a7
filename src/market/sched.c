#include "market/sched.h"

#include "base/table.h"

#include <assert.h>
#include <stdlib.h>
#include <utlist.h>

/* v counts units times SCALE over the weight: 2^64 is enough for 10^12 units at weight 1. */
#define SCALE       (UINT64_C(1) << 24)
#define TOOK_FIRST  (10 * TL_SEC)
#define SMOOTH      64 /* an average follows about so many answers */
#define SMOOTH_TIME 16

/* Questions that wait, the next one first. */
typedef struct {
    tl_job *first, *last;
} line;

/* A class, a network, or a member of one. */
typedef struct flow {
    struct flow *parent;                /* NULL: the root */
    struct flow *children;              /* networks of the private class, members of a network */
    struct flow *waiters;               /* those of them that wait: a choice looks at no other */
    struct flow *prev_wait, *next_wait; /* among the parent's waiters */
    tl_node_id id;
    uint32_t weight;
    uint64_t v;
    uint64_t floor;            /* the least v of its children that waited at the last choice */
    unsigned waiting, running; /* questions, those of children included */
    line line;                 /* of a member */
    UT_hash_handle hh;
} flow;

/* A peer of the public with questions that wait. */
typedef struct asker {
    tl_node_id id;
    line line; /* the highest bid first, then the oldest */
    unsigned waiting;
    unsigned passed;           /* so many of its questions went before its oldest one */
    struct asker *prev, *next; /* by turn */
    UT_hash_handle hh;
} asker;

struct tl_job {
    tl_sched *sched;
    tl_job_wish wish;
    flow *flow;       /* a member, or the public class */
    asker *asker;     /* of the public, while it waits */
    uint64_t arrived; /* counts questions */
    tl_job *prev, *next;
    tl_time since; /* it waits, or runs */
    uint64_t charged_prompt, charged_generated;
    bool running;
};

struct tl_sched {
    tl_sched_config config;
    flow root, classes[TL_SCHED_CLASSES];
    asker *askers, *turns; /* the same ones, by key, and by whose turn comes first */
    unsigned passed;       /* so many slots went past the first of `turns` */
    uint64_t arrived;
    uint64_t served[TL_SCHED_CLASSES];
    unsigned seen;                   /* answers, up to SMOOTH */
    double units_mean, squares_mean; /* of an answer's units, and of their squares */
    uint64_t typical;                /* T of the header, from these */
    tl_time took_mean;               /* of a slot */
    unsigned debtors;                /* flows below the classes that do not wait */
    bool paused;
};

static const uint32_t weights[TL_SCHED_CLASSES] = {TL_SCHED_PRIVATE_WEIGHT, TL_SCHED_PUBLIC_WEIGHT};

tl_err tl_sched_new(const tl_sched_config *config, tl_sched **ret_sched)
{
    tl_sched *s = calloc(1, sizeof *s);
    if (!s)
        return TL_ERR_NOMEM;
    s->config = *config;
    s->took_mean = TOOK_FIRST;
    s->typical = TL_SCHED_FIRST;
    s->seen = 1;
    s->units_mean = TL_SCHED_FIRST;
    s->squares_mean = (double)TL_SCHED_FIRST * TL_SCHED_FIRST;
    for (int c = 0; c < TL_SCHED_CLASSES; c++) {
        s->classes[c].parent = &s->root;
        s->classes[c].weight = weights[c];
    }
    *ret_sched = s;
    return TL_OK;
}

void tl_sched_set_config(tl_sched *s, const tl_sched_config *config)
{
    s->config = *config;
}

void tl_sched_pause(tl_sched *s, bool paused)
{
    s->paused = paused;
}

/* --- flows --- */

static bool is_active(const flow *f)
{
    return f->waiting || f->running;
}

static uint64_t scaled(const flow *f, uint64_t units)
{
    return units * (SCALE / f->weight);
}

/* What is compared when a slot is given away: the least gets it. */
static uint64_t key_of(const tl_sched *s, const flow *f)
{
    return f->v + scaled(f, f->running * s->typical);
}

static void forget(tl_sched *s, flow *f)
{
    assert(!is_active(f) && !f->children);
    HASH_DEL(f->parent->children, f);
    free(f);
    s->debtors--;
}

/* Of a flow and below it: those that owe nothing tell nothing. */
static void sweep(tl_sched *s, flow *parent)
{
    flow *f, *next;
    HASH_ITER (hh, parent->children, f, next) {
        sweep(s, f);
        if (!is_active(f) && !f->children && f->v <= parent->floor)
            forget(s, f);
    }
}

static flow *least_debtor(flow *parent, flow *best)
{
    flow *f, *next;
    /* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): what was freed left the table */
    HASH_ITER (hh, parent->children, f, next) {
        best = least_debtor(f, best);
        if (!is_active(f) && !f->children &&
            (!best || f->v - f->parent->floor < best->v - best->parent->floor))
            best = f;
    }
    return best;
}

static void make_room(tl_sched *s)
{
    if (s->debtors < TL_SCHED_DEBTORS_MAX)
        return;
    sweep(s, &s->classes[TL_SCHED_PRIVATE]);
    flow *f = s->debtors < TL_SCHED_DEBTORS_MAX ? NULL
                                                : least_debtor(&s->classes[TL_SCHED_PRIVATE], NULL);
    if (f)
        forget(s, f);
}

static flow *child_get(tl_sched *s, flow *parent, const tl_node_id *id)
{
    flow *f;
    HASH_FIND(hh, parent->children, id, sizeof *id, f);
    if (f)
        return f;
    f = calloc(1, sizeof *f);
    if (!f)
        return NULL;
    *f = (flow){.parent = parent, .id = *id, .weight = 1, .v = parent->floor};
    if (!TL_TABLE_ADD(hh, parent->children, id, sizeof f->id, f)) {
        free(f);
        return NULL;
    }
    s->debtors++; /* until it waits */
    return f;
}

static flow *flow_of(tl_sched *s, const tl_job_wish *w)
{
    if (w->class == TL_SCHED_PUBLIC)
        return &s->classes[TL_SCHED_PUBLIC];
    make_room(s);
    flow *network = child_get(s, &s->classes[TL_SCHED_PRIVATE], &w->network);
    return network ? child_get(s, network, &w->member) : NULL;
}

static bool counts_as_debtor(const tl_sched *s, const flow *f)
{
    return f->parent && f->parent != &s->root;
}

/* +1 or -1 question that waits or runs, here and above. */
static void count(tl_sched *s, flow *f, int waiting, int running)
{
    for (; f; f = f->parent) {
        bool waited = f->waiting, was = is_active(f);
        f->waiting += (unsigned)waiting;
        f->running += (unsigned)running;
        /* a flow that begins to wait has no more credit than those that do already */
        if (!waited && f->waiting && f->parent && f->v < f->parent->floor)
            f->v = f->parent->floor;
        if (counts_as_debtor(s, f)) {
            if (was != is_active(f))
                s->debtors = was ? s->debtors + 1 : s->debtors - 1;
            if (!waited && f->waiting)
                DL_APPEND2(f->parent->waiters, f, prev_wait, next_wait);
            else if (waited && !f->waiting)
                DL_DELETE2(f->parent->waiters, f, prev_wait, next_wait);
        }
    }
}

/* --- questions that wait --- */

/* The public: the highest bid first, then the oldest. A member: the oldest. */
static bool comes_before(const tl_job *a, const tl_job *b)
{
    return a->wish.class == TL_SCHED_PUBLIC && a->wish.bid > b->wish.bid;
}

static line *line_of(tl_job *job)
{
    return job->asker ? &job->asker->line : &job->flow->line;
}

/* NULL: out of memory. */
static asker *asker_get(tl_sched *s, const tl_node_id *id)
{
    asker *a;
    HASH_FIND(hh, s->askers, id, sizeof *id, a);
    if (a || !(a = calloc(1, sizeof *a)))
        return a;
    a->id = *id;
    if (!TL_TABLE_ADD(hh, s->askers, id, sizeof a->id, a)) {
        free(a);
        return NULL;
    }
    DL_APPEND(s->turns, a);
    return a;
}

static void enqueue(tl_job *job)
{
    line *l = line_of(job);
    tl_job *after = l->last;
    while (after && comes_before(job, after))
        after = after->prev;
    job->prev = after;
    job->next = after ? after->next : l->first;
    *(job->next ? &job->next->prev : &l->last) = job;
    *(after ? &after->next : &l->first) = job;
    if (job->asker)
        job->asker->waiting++;
}

static void dequeue(tl_job *job)
{
    tl_sched *s = job->sched;
    line *l = line_of(job);
    asker *a = job->asker;
    *(job->prev ? &job->prev->next : &l->first) = job->next;
    *(job->next ? &job->next->prev : &l->last) = job->prev;
    job->prev = job->next = NULL;
    job->asker = NULL;
    if (a && --a->waiting == 0) {
        DL_DELETE(s->turns, a);
        HASH_DEL(s->askers, a);
        free(a);
    }
}

tl_err tl_sched_add(tl_sched *s, const tl_job_wish *wish, tl_time now, tl_job **ret_job)
{
    if (s->classes[wish->class].waiting >= s->config.queue_max)
        return TL_ERR_BUSY;
    tl_job *job = calloc(1, sizeof *job);
    flow *f = job ? flow_of(s, wish) : NULL;
    bool public = wish->class == TL_SCHED_PUBLIC;
    asker *a = f && public ? asker_get(s, &wish->member) : NULL;
    if (!f || (public && !a)) {
        free(job);
        return TL_ERR_NOMEM;
    }
    *job = (tl_job){
        .sched = s, .wish = *wish, .flow = f, .asker = a, .arrived = s->arrived++, .since = now};
    enqueue(job);
    count(s, f, 1, 0);
    *ret_job = job;
    return TL_OK;
}

static flow *with_most(const flow *parent)
{
    flow *most = NULL;
    for (flow *f = parent->waiters; f; f = f->next_wait)
        if (!most || f->waiting > most->waiting)
            most = f;
    return most;
}

static unsigned waiting_of(const flow *parent, const tl_node_id *id)
{
    const flow *f;
    if (!parent)
        return 0;
    HASH_FIND(hh, parent->children, id, sizeof *id, f);
    return f ? f->waiting : 0;
}

static tl_job *public_yields(const tl_sched *s, const tl_job_wish *w)
{
    asker *own, *most = NULL, *a, *next;
    HASH_FIND(hh, s->askers, &w->member, sizeof w->member, own);
    HASH_ITER (hh, s->askers, a, next)
        most = most && most->waiting >= a->waiting ? most : a;
    if (most && most->waiting >= (own ? own->waiting : 0) + 2)
        return most->line.last;
    tl_job *worst = NULL; /* of the lowest bid below this one, and not of whose turn is first */
    for (a = s->turns ? s->turns->next : NULL; a; a = a->next)
        if (a->line.last->wish.bid < (worst ? worst->wish.bid + 1 : w->bid))
            worst = a->line.last;
    return worst;
}

static tl_job *private_yields(const tl_sched *s, const tl_job_wish *w)
{
    const flow *class = &s->classes[TL_SCHED_PRIVATE], *own;
    flow *network = with_most(class);
    HASH_FIND(hh, class->children, &w->network, sizeof w->network, own);
    if (!network)
        return NULL;
    if (network != own && network->waiting >= (own ? own->waiting : 0) + 2)
        return with_most(network)->line.last;
    flow *member = own ? with_most(own) : NULL;
    if (!member || member->waiting < waiting_of(own, &w->member) + 2)
        return NULL;
    return member->line.last;
}

tl_job *tl_sched_yields(const tl_sched *s, const tl_job_wish *wish)
{
    return wish->class == TL_SCHED_PUBLIC ? public_yields(s, wish) : private_yields(s, wish);
}

/* --- the choice --- */

/* The child with questions that wait and the least key; the floor follows the least v. */
static flow *least(const tl_sched *s, flow *parent)
{
    flow *best = NULL, *f;
    uint64_t floor = UINT64_MAX;
    for (f = parent->waiters; f; f = f->next_wait) {
        if (f->v < floor)
            floor = f->v;
        if (!best || key_of(s, f) < key_of(s, best))
            best = f;
    }
    if (floor != UINT64_MAX && floor > parent->floor)
        parent->floor = floor;
    return best;
}

static flow *least_class(tl_sched *s)
{
    flow *best = NULL;
    uint64_t floor = UINT64_MAX;
    for (int c = 0; c < TL_SCHED_CLASSES; c++) {
        flow *f = &s->classes[c];
        if (f->waiting && f->v < floor)
            floor = f->v;
        if (f->waiting && (!best || key_of(s, f) < key_of(s, best)))
            best = f;
    }
    if (floor != UINT64_MAX && floor > s->root.floor)
        s->root.floor = floor;
    return best;
}

static tl_job *oldest_of(const asker *a)
{
    tl_job *oldest = a->line.first;
    for (tl_job *j = oldest; j; j = j->next)
        if (j->arrived < oldest->arrived)
            oldest = j;
    return oldest;
}

/* The highest bid; of those that bid alike, the first by turn. But who stands first by turn, and the
 * oldest question of a peer, are passed by TL_SCHED_PASSED_MAX times and no more. */
static tl_job *next_public(tl_sched *s)
{
    asker *best = s->turns, *a;
    bool turn = s->passed == TL_SCHED_PASSED_MAX;
    DL_FOREACH (s->turns, a)
        if (!turn && a->line.first->wish.bid > best->line.first->wish.bid)
            best = a;
    s->passed = best == s->turns ? 0 : s->passed + 1;
    tl_job *oldest = oldest_of(best);
    tl_job *job = turn || best->passed == TL_SCHED_PASSED_MAX ? oldest : best->line.first;
    best->passed = job == oldest ? 0 : best->passed + 1;
    DL_DELETE(s->turns, best);
    DL_APPEND(s->turns, best);
    return job;
}

tl_job *tl_sched_next(tl_sched *s, tl_time now)
{
    if (s->paused || s->root.running >= s->config.slots)
        return NULL;
    flow *f = least_class(s);
    while (f && f->children)
        f = least(s, f);
    if (!f)
        return NULL;
    tl_job *job = f == &s->classes[TL_SCHED_PUBLIC] ? next_public(s) : f->line.first;
    assert(job && !job->running);
    dequeue(job);
    count(s, f, 0, 1);
    count(s, f, -1, 0);
    job->running = true;
    job->since = now;
    return job;
}

static uint64_t units_of(const tl_job *job)
{
    return job->charged_prompt * TL_SCHED_PROMPT + job->charged_generated * TL_SCHED_GENERATED;
}

void tl_sched_charge(tl_job *job, uint64_t prompt, uint64_t generated)
{
    uint64_t units = prompt * TL_SCHED_PROMPT + generated * TL_SCHED_GENERATED;
    job->charged_prompt += prompt;
    job->charged_generated += generated;
    job->sched->served[job->wish.class] += units;
    for (flow *f = job->flow; f->parent; f = f->parent)
        f->v += scaled(f, units);
}

void tl_sched_settle(tl_job *job, uint64_t prompt, uint64_t generated)
{
    uint64_t before = units_of(job);
    job->charged_prompt = prompt;
    job->charged_generated = generated;
    uint64_t after = units_of(job);
    job->sched->served[job->wish.class] += after - before; /* modulo 2^64, also where it is less */
    for (flow *f = job->flow; f->parent; f = f->parent) {
        assert(f->v >= scaled(f, before));
        f->v += scaled(f, after) - scaled(f, before);
    }
}

/* What got no service tells nothing of how long one takes. */
static void learn(tl_sched *s, const tl_job *job, tl_time now)
{
    double units = (double)units_of(job);
    if (units == 0)
        return;
    s->seen += s->seen < SMOOTH; /* the first ones count for more */
    s->units_mean += (units - s->units_mean) / s->seen;
    s->squares_mean += (units * units - s->squares_mean) / s->seen;
    s->typical = (uint64_t)(s->squares_mean / s->units_mean);
    tl_time took = now > job->since ? now - job->since : 0;
    s->took_mean = (s->took_mean * (SMOOTH_TIME - 1) + took) / SMOOTH_TIME;
}

void tl_sched_done(tl_job *job, tl_time now)
{
    tl_sched *s = job->sched;
    if (job->running) {
        learn(s, job, now);
        count(s, job->flow, 0, -1);
    } else {
        dequeue(job);
        count(s, job->flow, -1, 0);
    }
    free(job);
}

static void free_children(flow *parent)
{
    flow *f, *next;
    HASH_ITER (hh, parent->children, f, next) {
        free_children(f);
        /* NOLINTNEXTLINE(clang-analyzer-core.NullDereference,clang-analyzer-unix.Malloc): still in it */
        HASH_DEL(parent->children, f);
        free(f);
    }
}

void tl_sched_free(tl_sched *s)
{
    if (!s)
        return;
    assert(!is_active(&s->root));
    free_children(&s->classes[TL_SCHED_PRIVATE]);
    free(s);
}

/* --- what is told --- */

void *tl_job_user(const tl_job *job)
{
    return job->wish.user;
}

bool tl_job_is_running(const tl_job *job)
{
    return job->running;
}

tl_time tl_job_waiting_since(const tl_job *job)
{
    return job->since;
}

static unsigned ahead_in_queue(const tl_job *job)
{
    unsigned n = 0;
    for (const tl_job *j = job->prev; j; j = j->prev)
        n++;
    return n;
}

/* Members and networks take turns: while `mine` questions of this flow come before, each of the
 * others has at most as many, and one more where it is owed one. */
static unsigned ahead_of_turn(const tl_sched *s, const flow *f, unsigned mine)
{
    unsigned n = mine;
    for (const flow *o = f->parent->waiters; o; o = o->next_wait) {
        unsigned turns = mine + (key_of(s, o) < key_of(s, f));
        if (o != f)
            n += o->waiting < turns ? o->waiting : turns;
    }
    return n;
}

static unsigned bidding(const asker *a, int64_t more_than)
{
    unsigned n = 0;
    for (const tl_job *j = a->line.first; j && j->wish.bid > more_than; j = j->next)
        n++;
    return n;
}

/* All that bid more, and of those that bid alike one of each peer in turn. */
static unsigned ahead_in_public(const tl_job *job)
{
    const asker *a;
    unsigned ahead = 0, mine = ahead_in_queue(job) - bidding(job->asker, job->wish.bid);
    unsigned turns = mine + 1; /* of those whose turn comes first */
    DL_FOREACH (job->sched->turns, a) {
        unsigned more = bidding(a, job->wish.bid), alike = bidding(a, job->wish.bid - 1) - more;
        if (a == job->asker)
            turns = alike = mine;
        ahead += more + (alike < turns ? alike : turns);
    }
    return ahead;
}

unsigned tl_job_place(const tl_job *job)
{
    if (job->running)
        return 0;
    unsigned ahead = job->asker ? ahead_in_public(job) : ahead_in_queue(job);
    if (job->wish.class == TL_SCHED_PRIVATE) {
        ahead = ahead_of_turn(job->sched, job->flow, ahead);
        ahead = ahead_of_turn(job->sched, job->flow->parent, ahead);
    }
    return ahead + 1;
}

unsigned tl_sched_wait_seconds(const tl_sched *s, tl_sched_class class, unsigned place)
{
    const flow *own = &s->classes[class], *other = &s->classes[!class];
    /* slots that come free, and the part of them that is this class's */
    double slots = s->config.slots ? s->config.slots : 1;
    double part = other->waiting ? (double)own->weight / (own->weight + other->weight) : 1;
    double seconds = (double)s->took_mean / (double)TL_SEC * place / slots / part;
    return seconds < 1 ? 1 : seconds > 3600 ? 3600 : (unsigned)(seconds + 0.5);
}

unsigned tl_sched_waiting(const tl_sched *s, tl_sched_class class)
{
    return s->classes[class].waiting;
}

unsigned tl_sched_running(const tl_sched *s)
{
    return s->root.running;
}

uint64_t tl_sched_served(const tl_sched *s, tl_sched_class class)
{
    return s->served[class];
}
