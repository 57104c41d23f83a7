/* To which nodes that relay this node is attached: those of its own networks first, then the nearer ones.
 * The Attach, which the node there answers, is also how their silence is noticed, and a new address of ours. */
#include "peer/relayers_state.h"

#define LEFT_FOR                                                                                   \
    (300 * TL_SEC) /* one that did not answer, or was slower than others, is passed over */
#define LOOK_EVERY (600 * TL_SEC) /* whether there are better ones now */
#define LOOK_APART (250 * TL_MS)  /* however often nodes say something new of themselves */

static bool was_left(const tl_relayers *r, const tl_node_id *id, tl_time now)
{
    for (size_t i = 0; i < TL_RELAYERS_MAX; i++)
        if (now < r->left[i].until && tl_node_id_eq(&r->left[i].id, id))
            return true;
    return false;
}

/* It is no longer one to which this node is attached. */
static void leave(tl_relayers *r, tl_relayer *at, tl_time now)
{
    bool told = tl_relayer_is_attached(at);
    r->left[r->left_next].id = at->name.id;
    r->left[r->left_next].until = now + LEFT_FOR;
    r->left_next = (r->left_next + 1) % TL_RELAYERS_MAX;
    at->attach = false;
    if (told)
        r->config.on_attached(r->config.user);
    tl_relayer_tidy(r, at);
}

/* Others cannot reach us of themselves; a node that relays is public. */
static bool is_wanted(const tl_relayers *r)
{
    const tl_direct_self *self = r->config.udp->self(r->config.udp_user);
    bool open = self->facts->mapping == TL_MAPPING_NONE &&
                self->facts->filtering == TL_FILTERING_ENDPOINT_INDEPENDENT;
    return !r->relaying && (self->sock4 || self->sock6) && !open;
}

/* --- whom to try --- */

static bool is_tried(tl_relayers *r, const tl_node_id *id)
{
    for (size_t i = 0; i < TL_RELAYERS_MAX; i++)
        if (r->all[i].taken && r->all[i].attach && tl_node_id_eq(&r->all[i].name.id, id))
            return true;
    return false;
}

/* Nobody else is tried at that address: of two nodes that name it, the first counts. */
static bool may_try(tl_relayers *r, const tl_relayer_name *name)
{
    const tl_relayer *there = tl_relayer_at(r, &name->addr);
    return tl_relayer_may_ask(r, name) && (!there || tl_node_id_eq(&there->name.id, &name->id));
}

/* Where the node relays for us, if it does. */
static bool offers(tl_relayers *r, const tl_peer *p, bool fellow, tl_relayer_name *ret_name)
{
    const tl_peer_relaying *x = &p->relaying;
    if (!x->n_addrs || x->full || (x->fellows_only && !fellow))
        return false;
    for (size_t i = 0; i < x->n_addrs; i++) {
        *ret_name = (tl_relayer_name){p->id, x->addrs[i]};
        if (may_try(r, ret_name))
            return true;
    }
    return false;
}

/* One that was not tried lately: of our networks, else any; by lot, so that nodes spread over them. */
static bool pick(tl_relayers *r, tl_time now, tl_relayer_name *ret_name, bool *ret_fellow)
{
    uint64_t best = 0;
    while (r->n_remembered) {
        *ret_name = r->remembered[--r->n_remembered];
        *ret_fellow = r->config.is_fellow(r->config.user, &ret_name->id);
        if (!is_tried(r, &ret_name->id) && !was_left(r, &ret_name->id, now) && may_try(r, ret_name))
            return true;
    }
    for (const tl_peer *p = r->config.table->peers; p; p = p->hh.next) {
        tl_relayer_name name;
        if (!p->relaying.n_addrs || is_tried(r, &p->id) || was_left(r, &p->id, now))
            continue;
        bool fellow = r->config.is_fellow(r->config.user, &p->id);
        if (!offers(r, p, fellow, &name))
            continue;
        uint64_t lot = (tl_rand_u64(r->config.rand) >> 2) + 1 + (fellow ? UINT64_C(1) << 63 : 0);
        if (lot <= best)
            continue;
        best = lot;
        *ret_name = name;
        *ret_fellow = fellow;
    }
    return best;
}

static void attach(tl_relayers *r, const tl_relayer_name *name, bool fellow, tl_time now)
{
    tl_relayer *at = tl_relayer_get(r, name);
    if (!at)
        return;
    at->attach = true;
    at->fellow = fellow;
    if (at->leg.state == TL_LEG_OPEN) /* it relays a session of ours already */
        r->config.on_attached(r->config.user);
    tl_leg_want(&at->leg, now);
    tl_relayer_ask(r, at, now);
}

static bool is_worse(const tl_relayer *a, const tl_relayer *b)
{
    if (a->fellow != b->fellow)
        return !a->fellow;
    return a->leg.rtt > b->leg.rtt;
}

static size_t count(const tl_relayers *r, bool open)
{
    size_t n = 0;
    for (size_t i = 0; i < TL_RELAYERS_MAX; i++)
        if (r->all[i].taken && r->all[i].attach)
            n += !open || tl_relayer_is_attached(&r->all[i]);
    return n;
}

static void leave_the_worst(tl_relayers *r, tl_time now)
{
    tl_relayer *worst = NULL;
    for (size_t i = 0; i < TL_RELAYERS_MAX; i++)
        if (tl_relayer_is_attached(&r->all[i]) && (!worst || is_worse(&r->all[i], worst)))
            worst = &r->all[i];
    leave(r, worst, now);
}

static void leave_all(tl_relayers *r, tl_time now)
{
    for (size_t i = 0; i < TL_RELAYERS_MAX; i++)
        if (r->all[i].taken && r->all[i].attach)
            leave(r, &r->all[i], now);
}

/* Tries some where there are too few. Of those that answered, the best are kept. */
static void look(tl_relayers *r, tl_time now)
{
    tl_relayer_name name;
    bool fellow;
    r->look_at = TL_NEVER;
    r->looked_at = now;
    if (!is_wanted(r)) {
        leave_all(r, now);
        return;
    }
    tl_time trial_at = now;
    while (count(r, false) < TL_RELAYERS_TRIED) {
        size_t before = count(r, false);
        trial_at = tl_ratelimit_when(&r->trials, TL_RELAYERS_TRIAL, now);
        if (trial_at > now || !pick(r, now, &name, &fellow))
            break;
        (void)tl_ratelimit_take(&r->trials, TL_RELAYERS_TRIAL, now);
        attach(r, &name, fellow, now);
        if (count(r, false) == before) /* there is no place for it */
            break;
    }
    r->look_at = now + (count(r, false) ? LOOK_EVERY : LEFT_FOR);
    if (trial_at > now && count(r, false) < TL_RELAYERS_ATTACHED)
        r->look_at = tl_time_min(r->look_at, trial_at);
}

/* All that are tried have answered or not. */
static void settle(tl_relayers *r, tl_time now)
{
    if (count(r, false) != count(r, true))
        return;
    while (count(r, true) > TL_RELAYERS_ATTACHED)
        leave_the_worst(r, now);
}

void tl_relayers_look(tl_relayers *r)
{
    tl_time now = tl_relayers_now(r);
    if (count(r, false) >= TL_RELAYERS_ATTACHED)
        return;
    tl_time at = r->looked_at ? tl_time_max(now, r->looked_at + LOOK_APART) : now;
    r->look_at = tl_time_min(r->look_at, at);
    tl_relayers_due(r, r->look_at);
    tl_env_wake(&r->config.env);
}

void tl_relayers_set_relaying(tl_relayers *r, bool relaying)
{
    if (relaying == r->relaying)
        return;
    r->relaying = relaying;
    r->look_at = tl_relayers_now(r);
    tl_relayers_due(r, r->look_at);
    tl_env_wake(&r->config.env);
}

void tl_relayers_remember(tl_relayers *r, const tl_relayer_name *name)
{
    if (r->n_remembered < TL_RELAYERS_TRIED)
        r->remembered[r->n_remembered++] = *name;
    r->looked_at = 0; /* at a start, a quarter of a second counts */
    tl_relayers_look(r);
}

/* --- the questions --- */

void tl_relayer_ask(tl_relayers *r, tl_relayer *at, tl_time now)
{
    if (tl_leg_is_due(&at->leg, r->config.rand, now)) {
        tl_control c = {.type = TL_CONTROL_ATTACH};
        c.addr = tl_addr_normal(at->name.addr);
        memcpy(c.introducer, at->name.id.key, sizeof c.introducer);
        memcpy(c.node, r->config.identity->id.key, sizeof c.node);
        tl_attach_nonce(&at->mark, &at->leg, r->config.rand, c.nonce);
        tl_relayer_say(r, at, &c);
    }
    tl_relayers_due(r, tl_leg_expiry(&at->leg));
}

void tl_relayer_doubt(tl_relayers *r, tl_relayer *at, tl_time now)
{
    tl_leg_doubt(&at->leg, now);
    tl_relayer_ask(r, at, now);
}

void tl_relayers_on_attached(tl_relayers *r, tl_relayer *at, const tl_control *c)
{
    tl_time now = tl_relayers_now(r);
    tl_leg_news news;
    tl_stun_id id;
    bool stood = at->leg.state == TL_LEG_OPEN;
    memcpy(id.bytes, c->nonce, sizeof id.bytes);
    if (!tl_attach_is_answer(&at->mark, &at->leg, &r->config.identity->id, &at->name.id, c) ||
        !tl_leg_answered(&at->leg, &id, &c->addr, now, &news))
        return;
    if (tl_attach_answered(&at->mark, c->nonce, now))
        tl_relayer_doubt(r, at, now);
    tl_relayers_due(r, tl_leg_expiry(&at->leg));
    tl_relayer_tell_arrived(r, at);
    tl_relayers_move(r, at, now);
    if (!stood && at->attach) {
        settle(r, now);
        r->config.on_attached(r->config.user);
    }
}

/* It did not answer our Attach. It may have no place for our address, and still carry our sessions: they are
 * lost only where nothing came since the question. */
static void on_shut(tl_relayers *r, tl_relayer *at, tl_time now)
{
    bool attached = at->attach;
    at->sessions++; /* it keeps its place meanwhile */
    if (at->heard_at <= at->leg.asked_at)
        tl_relayers_lose(r, at);
    at->sessions--;
    if (attached) {
        leave(r, at, now);
        settle(r, now);
        look(r, now);
        r->config.on_attached(r->config.user);
    } else {
        tl_relayer_tidy(r, at);
    }
}

tl_time tl_relayers_attach_on_timer(tl_relayers *r, tl_time now)
{
    tl_time due = TL_NEVER;
    if (now >= r->look_at)
        look(r, now);
    for (size_t i = 0; i < TL_RELAYERS_MAX; i++) {
        tl_relayer *at = &r->all[i];
        if (!at->taken)
            continue;
        if (tl_leg_on_timer(&at->leg, now))
            on_shut(r, at, now);
        if (!at->taken)
            continue;
        if (at->asked_at && now >= at->asked_at + TL_RELAYER_QUIET) {
            at->asked_at = 0;
            tl_leg_doubt(&at->leg, now);
        }
        tl_relayer_ask(r, at, now);
        due = tl_time_min(due, tl_leg_expiry(&at->leg));
        due = tl_time_min(due, at->asked_at ? at->asked_at + TL_RELAYER_QUIET : TL_NEVER);
    }
    return tl_time_min(due, r->look_at);
}
