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
    tl_job *first, *last;      /* that wait, of a member or of the public */
    UT_hash_handle hh;
} flow;

struct tl_job {
    tl_sched *sched;
    tl_job_wish wish;
    flow *flow; /* a member, or the public class */
    tl_job *prev, *next;
    tl_time since; /* it waits, or runs */
    uint64_t charged_prompt, charged_generated;
    bool running;
};

/* A peer of the public with questions that wait. */
typedef struct {
    tl_node_id id;
    unsigned waiting;
    UT_hash_handle hh;
} asker;

struct tl_sched {
    tl_sched_config config;
    flow root, classes[TL_SCHED_CLASSES];
    asker *askers;
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

/* False: out of memory. */
static bool count_asker(tl_sched *s, const tl_job_wish *w, bool more)
{
    asker *a;
    if (w->class != TL_SCHED_PUBLIC)
        return true;
    HASH_FIND(hh, s->askers, &w->member, sizeof w->member, a);
    if (!more) {
        assert(a);
        if (--a->waiting == 0) {
            HASH_DEL(s->askers, a);
            free(a);
        }
        return true;
    }
    if (!a) {
        if (!(a = calloc(1, sizeof *a)))
            return false;
        a->id = w->member;
        if (!TL_TABLE_ADD(hh, s->askers, id, sizeof a->id, a)) {
            free(a);
            return false;
        }
    }
    a->waiting++;
    return true;
}

static void enqueue(flow *f, tl_job *job)
{
    tl_job *after = f->last;
    while (after && comes_before(job, after))
        after = after->prev;
    job->prev = after;
    job->next = after ? after->next : f->first;
    *(job->next ? &job->next->prev : &f->last) = job;
    *(after ? &after->next : &f->first) = job;
}

static void dequeue(flow *f, tl_job *job)
{
    *(job->prev ? &job->prev->next : &f->first) = job->next;
    *(job->next ? &job->next->prev : &f->last) = job->prev;
    job->prev = job->next = NULL;
}

tl_err tl_sched_add(tl_sched *s, const tl_job_wish *wish, tl_time now, tl_job **ret_job)
{
    if (s->classes[wish->class].waiting >= s->config.queue_max)
        return TL_ERR_BUSY;
    tl_job *job = calloc(1, sizeof *job);
    flow *f = job ? flow_of(s, wish) : NULL;
    if (!f || !count_asker(s, wish, true)) {
        free(job);
        return TL_ERR_NOMEM;
    }
    *job = (tl_job){.sched = s, .wish = *wish, .flow = f, .since = now};
    enqueue(f, job);
    count(s, f, 1, 0);
    *ret_job = job;
    return TL_OK;
}

/* The last one in the line, of `member` where it is given. */
static tl_job *last_of(const flow *f, const tl_node_id *member)
{
    tl_job *job = f->last;
    while (job && member && !tl_node_id_eq(&job->wish.member, member))
        job = job->prev;
    return job;
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
        if (!most || a->waiting > most->waiting)
            most = a;
    if (!most || most->waiting < (own ? own->waiting : 0) + 2)
        return NULL;
    return last_of(&s->classes[TL_SCHED_PUBLIC], &most->id);
}

static tl_job *private_yields(const tl_sched *s, const tl_job_wish *w)
{
    const flow *class = &s->classes[TL_SCHED_PRIVATE], *own;
    flow *network = with_most(class);
    HASH_FIND(hh, class->children, &w->network, sizeof w->network, own);
    if (!network)
        return NULL;
    if (network != own && network->waiting >= (own ? own->waiting : 0) + 2)
        return last_of(with_most(network), NULL);
    flow *member = own ? with_most(own) : NULL;
    if (!member || member->waiting < waiting_of(own, &w->member) + 2)
        return NULL;
    return last_of(member, NULL);
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

tl_job *tl_sched_next(tl_sched *s, tl_time now)
{
    if (s->paused || s->root.running >= s->config.slots)
        return NULL;
    flow *f = least_class(s);
    while (f && f->children)
        f = least(s, f);
    if (!f)
        return NULL;
    tl_job *job = f->first;
    assert(job && !job->running);
    dequeue(f, job);
    (void)count_asker(s, &job->wish, false);
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
        dequeue(job->flow, job);
        (void)count_asker(s, &job->wish, false);
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

unsigned tl_job_place(const tl_job *job)
{
    if (job->running)
        return 0;
    unsigned ahead = ahead_in_queue(job);
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
