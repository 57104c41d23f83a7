/* To which nodes that introduce this node is attached. */
#include "peer/introducers_state.h"

#include <stdlib.h>

#define PER_SEC         16
#define BURST           32
#define DOUBT_APART     (1 * TL_SEC)
#define LOOK_EVERY      (60 * TL_SEC) /* for nodes to attach to, where there are too few */
#define LEFT_FOR        (300 * TL_SEC)
#define SERVED_LEFT_FOR (30 * TL_SEC)

tl_err tl_introducers_new(const tl_introducers_config *config, tl_introducers **ret_introducers)
{
    tl_introducers *r = calloc(1, sizeof *r);
    if (!r)
        return TL_ERR_NOMEM;
    r->config = *config;
    r->limit = tl_ratelimit_make(PER_SEC, BURST, tl_introducers_now(r));
    r->trials = tl_ratelimit_make(1, TL_INTRODUCERS_TRIALS, tl_introducers_now(r));
    r->due = r->look_at = tl_introducers_now(r);
    *ret_introducers = r;
    return TL_OK;
}

void tl_introducers_free(tl_introducers *r)
{
    if (!r)
        return;
    tl_introducers_forget(r);
    free(r);
}

const tl_introducers_counters *tl_introducers_counters_of(const tl_introducers *r)
{
    return &r->counters;
}

tl_err tl_introducer_parse(tl_slice text, tl_relayer_name *ret_name)
{
    const char *at = memchr(text.p, '@', text.n);
    tl_relayer_name name;
    if (!at)
        return TL_ERR_PROTO;
    size_t n = (size_t)(at - (const char *)text.p);
    if (tl_node_id_parse(tl_slice_of(text.p, n), &name.id) ||
        tl_addr_parse(tl_slice_of(text.p + n + 1, text.n - n - 1), &name.addr) || !name.addr.port)
        return TL_ERR_PROTO;
    *ret_name = name;
    return TL_OK;
}

bool tl_introducers_same(const tl_relayer_name *a, const tl_relayer_name *b)
{
    return tl_node_id_eq(&a->id, &b->id) && tl_addr_eq(&a->addr, &b->addr);
}

/* --- out --- */

static tl_sock sock_of(const tl_introducers *r, const tl_addr *addr)
{
    const tl_direct_self *self = r->config.udp->self(r->config.udp_user);
    return addr->family == TL_ADDR_V6 ? self->sock6 : self->sock4;
}

bool tl_introducers_may_send(const tl_introducers *r, const tl_relayer_name *name)
{
    const tl_direct_self *self = r->config.udp->self(r->config.udp_user);
    return !tl_node_id_eq(&name->id, &r->config.identity->id) &&
           !r->config.is_relay(r->config.user, &name->addr) && sock_of(r, &name->addr) &&
           tl_addr_kind_of(&name->addr) == TL_ADDR_GLOBAL &&
           tl_candidate_allowed(&name->addr, self->interfaces, self->n_interfaces, self->port) &&
           !tl_addr_eq(&name->addr, &self->facts->public4) &&
           !tl_addr_eq(&name->addr, &self->facts->public6);
}

void tl_introducers_say(tl_introducers *r, const tl_addr *to, tl_control *c)
{
    uint8_t bytes[TL_CONTROL_MAX];
    tl_sock sock = sock_of(r, to);
    if (!sock || !tl_ratelimit_take(&r->limit, 1, tl_introducers_now(r))) {
        r->counters.limited++;
        return;
    }
    c->timestamp = (uint64_t)r->config.env.wall(r->config.env.user);
    if (tl_control_sign(c, r->config.identity))
        return;
    size_t n = tl_control_write(c, bytes);
    if (c->type == TL_CONTROL_ATTACH)
        r->counters.attaches++;
    else
        r->counters.intros++;
    (void)!r->config.udp->send(r->config.udp_user, sock, to, tl_slice_of(NULL, 0), bytes, n, n);
}

static void ask(tl_introducers *r, tl_introducer_place *at, tl_time now)
{
    if (tl_leg_is_due(&at->leg, r->config.rand, now)) {
        tl_control c = {.type = TL_CONTROL_ATTACH};
        c.addr = tl_addr_normal(at->name.addr);
        memcpy(c.introducer, at->name.id.key, sizeof c.introducer);
        memcpy(c.node, r->config.identity->id.key, sizeof c.node);
        tl_attach_nonce(&at->mark, &at->leg, r->config.rand, c.nonce);
        tl_introducers_say(r, &at->name.addr, &c);
    }
    tl_introducers_due(r, tl_leg_expiry(&at->leg));
}

/* --- places --- */

tl_introducer_place *tl_introducers_at(tl_introducers *r, const tl_relayer_name *name)
{
    for (size_t i = 0; i < TL_INTRODUCERS_MAX; i++)
        if (r->all[i].taken && tl_introducers_same(&r->all[i].name, name))
            return &r->all[i];
    return NULL;
}

/* Those of the setting have places of their own. */
static tl_introducer_place *place_for(tl_introducers *r, const tl_relayer_name *name, bool given)
{
    tl_introducer_place *at = tl_introducers_at(r, name);
    size_t others = 0;
    if (at)
        return at;
    if (!tl_introducers_may_send(r, name))
        return NULL;
    for (size_t i = 0; i < TL_INTRODUCERS_MAX; i++)
        others += r->all[i].taken && !r->all[i].given;
    if (!given && others >= TL_INTRODUCERS_MAX - TL_INTRODUCERS_GIVEN_MAX)
        return NULL;
    for (size_t i = 0; i < TL_INTRODUCERS_MAX; i++) {
        if (r->all[i].taken)
            continue;
        at = &r->all[i];
        *at = (tl_introducer_place){.taken = true, .name = *name, .leg = tl_leg_new(&name->addr)};
        at->leg.every = TL_RELAYER_ATTACH_EVERY;
        return at;
    }
    return NULL;
}

tl_introducer_place *tl_introducers_borrow(tl_introducers *r, const tl_relayer_name *name,
                                           tl_time until)
{
    tl_introducer_place *at = place_for(r, name, false);
    if (!at)
        return NULL;
    at->ask_until = tl_time_max(at->ask_until, until);
    tl_leg_want(&at->leg, tl_introducers_now(r));
    ask(r, at, tl_introducers_now(r));
    return at;
}

static bool is_attached(const tl_introducer_place *at)
{
    return at->taken && at->kept && at->leg.state == TL_LEG_OPEN;
}

static void let_go(tl_introducers *r, tl_introducer_place *at)
{
    bool told = is_attached(at);
    *at = (tl_introducer_place){0};
    if (told)
        r->config.on_changed(r->config.user);
}

/* --- whom to attach to --- */

/* Who is reached by strangers is asked itself, and needs nobody. */
static bool is_wanted(const tl_introducers *r)
{
    const tl_direct_self *self = r->config.udp->self(r->config.udp_user);
    bool open = self->facts->mapping == TL_MAPPING_NONE &&
                self->facts->filtering == TL_FILTERING_ENDPOINT_INDEPENDENT;
    return (self->sock4 || self->sock6) && !open;
}

static void keep(tl_introducers *r, const tl_relayer_name *name, bool given, tl_time now)
{
    tl_introducer_place *at = place_for(r, name, given);
    if (!at)
        return;
    bool was = is_attached(at);
    at->kept = true;
    at->given |= given;
    tl_leg_want(&at->leg, now);
    ask(r, at, now);
    if (!was && is_attached(at))
        r->config.on_changed(r->config.user);
}

static size_t count_found(const tl_introducers *r)
{
    tl_relayer_facts by[TL_RELAYERS_ATTACHED];
    size_t n = r->config.relayers ? tl_relayers_attached(r->config.relayers, by) : 0;
    for (size_t i = 0; i < TL_INTRODUCERS_MAX; i++)
        n += r->all[i].taken && r->all[i].kept && !r->all[i].given;
    return n;
}

/* One of those found is left for another, where there is a reason to. */
static void take_turn(tl_introducers *r)
{
    tl_introducer_place *at = tl_introducers_to_leave(r);
    if (!at)
        return;
    tl_found_introducer left = {.name = at->name, .stranger = at->stranger};
    let_go(r, at);
    tl_introducers_remember_last(r, &left);
}

static void look(tl_introducers *r, tl_time now)
{
    tl_found_introducer found;
    bool wanted = is_wanted(r);
    r->look_at = now + LOOK_EVERY;
    for (size_t i = 0; i < TL_INTRODUCERS_MAX; i++)
        if (r->all[i].taken && r->all[i].kept && !wanted)
            let_go(r, &r->all[i]);
    for (size_t i = 0; i < r->n_given && wanted; i++)
        keep(r, &r->given[i], true, now);
    if (wanted && count_found(r) >= TL_INTRODUCERS_FOUND)
        take_turn(r);
    size_t before = count_found(r);
    while (wanted && before < TL_INTRODUCERS_FOUND) {
        tl_time trial_at = tl_ratelimit_when(&r->trials, TL_INTRODUCERS_TRIAL, now);
        if (trial_at > now)
            r->look_at = tl_time_min(r->look_at, trial_at);
        if (trial_at > now || !tl_introducers_pick(r, &found))
            break;
        (void)tl_ratelimit_take(&r->trials, TL_INTRODUCERS_TRIAL, now);
        keep(r, &found.name, false, now);
        if (count_found(r) == before)
            break; /* there is no place for it */
        tl_introducer_place *at = tl_introducers_at(r, &found.name);
        at->served = found.served;
        at->stranger = found.stranger;
        at->since = now;
        before = count_found(r);
    }
}

static void look_now(tl_introducers *r)
{
    r->look_at = tl_introducers_now(r);
    tl_introducers_due(r, r->look_at);
    tl_env_wake(&r->config.env);
}

void tl_introducers_give(tl_introducers *r, const tl_relayer_name *names, size_t n)
{
    r->n_given = n < TL_INTRODUCERS_GIVEN_MAX ? n : TL_INTRODUCERS_GIVEN_MAX;
    for (size_t i = 0; i < r->n_given; i++)
        r->given[i] = names[i];
    for (size_t i = 0; i < TL_INTRODUCERS_MAX; i++) {
        bool still = false;
        for (size_t k = 0; k < r->n_given; k++)
            still |= tl_introducers_same(&r->all[i].name, &r->given[k]);
        if (r->all[i].taken && r->all[i].given && !still)
            let_go(r, &r->all[i]);
    }
    look_now(r);
}

void tl_introducers_found(tl_introducers *r, const tl_relayer_name *name)
{
    tl_found_introducer found = {.name = *name, .stranger = true};
    if (!r->published || tl_introducers_has(r, &name->id))
        return;
    tl_introducers_remember(r, &found);
    if (count_found(r) < TL_INTRODUCERS_FOUND || tl_introducers_to_leave(r))
        look_now(r);
}

bool tl_introducers_wants(const tl_introducers *r)
{
    return r->published && is_wanted(r) &&
           (count_found(r) < TL_INTRODUCERS_FOUND || tl_introducers_has_idle(r));
}

void tl_introducers_worked(tl_introducers *r, const tl_addr *from)
{
    for (size_t i = 0; i < TL_INTRODUCERS_MAX; i++)
        if (is_attached(&r->all[i]) && tl_addr_eq(&r->all[i].name.addr, from))
            r->all[i].since = tl_introducers_now(r);
}

void tl_introducers_set_published(tl_introducers *r, bool published)
{
    if (published == r->published)
        return;
    r->published = published;
    for (size_t i = r->n_found; !published && i-- > 0;)
        if (r->found[i].stranger)
            tl_introducers_forget_found(r, i);
    for (size_t i = 0; !published && i < TL_INTRODUCERS_MAX; i++)
        if (r->all[i].taken && r->all[i].stranger && !r->all[i].given)
            let_go(r, &r->all[i]);
    look_now(r);
}

/* --- who they are --- */

size_t tl_introducers_attached(const tl_introducers *r, tl_introducer_facts ret[TL_INTRODUCERS_MAX])
{
    tl_relayer_facts by[TL_RELAYERS_ATTACHED];
    size_t n = 0, relaying = r->config.relayers ? tl_relayers_attached(r->config.relayers, by) : 0;
    for (size_t i = 0; i < TL_INTRODUCERS_MAX; i++)
        if (is_attached(&r->all[i]))
            ret[n++] = (tl_introducer_facts){r->all[i].name, r->all[i].leg.rtt, r->all[i].leg.seen,
                                             r->all[i].given};
    for (size_t i = 0; i < relaying && n < TL_INTRODUCERS_MAX; i++) {
        bool twice = false;
        for (size_t k = 0; k < n; k++)
            twice |= tl_introducers_same(&ret[k].name, &by[i].name);
        if (!twice)
            ret[n++] = (tl_introducer_facts){by[i].name, by[i].rtt, by[i].seen, false};
    }
    return n;
}

bool tl_introducers_is(const tl_introducers *r, const tl_node_id *node, const tl_addr *from,
                       tl_addr *ret_seen)
{
    tl_introducer_facts all[TL_INTRODUCERS_MAX];
    size_t n = tl_introducers_attached(r, all);
    for (size_t i = 0; i < n; i++)
        if (tl_node_id_eq(&all[i].name.id, node) && tl_addr_eq(&all[i].name.addr, from)) {
            *ret_seen = all[i].seen;
            return true;
        }
    return false;
}

/* --- in --- */

bool tl_introducers_on_attached(tl_introducers *r, const tl_addr *from, const tl_control *c)
{
    tl_time now = tl_introducers_now(r);
    tl_stun_id id;
    tl_leg_news news;
    memcpy(id.bytes, c->nonce, sizeof id.bytes);
    for (size_t i = 0; i < TL_INTRODUCERS_MAX; i++) {
        tl_introducer_place *at = &r->all[i];
        bool stood = is_attached(at);
        if (!at->taken || !tl_addr_eq(&at->name.addr, from) ||
            !tl_attach_is_answer(&at->mark, &at->leg, &r->config.identity->id, &at->name.id, c) ||
            !tl_leg_answered(&at->leg, &id, &c->addr, now, &news))
            continue;
        if (tl_attach_answered(&at->mark, c->nonce, now)) {
            tl_leg_doubt(&at->leg, now);
            ask(r, at, now);
        }
        tl_introducers_due(r, tl_leg_expiry(&at->leg));
        tl_introducers_ask_waiting(r, &at->name, &at->leg.seen);
        if (!stood && is_attached(at))
            r->config.on_changed(r->config.user);
        tl_env_wake(&r->config.env);
        return true;
    }
    return false;
}

/* --- time --- */

void tl_introducers_doubt(tl_introducers *r)
{
    tl_time now = tl_introducers_now(r);
    if (now < r->doubt_at)
        return;
    r->doubt_at = now + DOUBT_APART;
    for (size_t i = 0; i < TL_INTRODUCERS_MAX; i++)
        if (is_attached(&r->all[i])) {
            tl_leg_doubt(&r->all[i].leg, now);
            ask(r, &r->all[i], now);
        }
    tl_env_wake(&r->config.env);
}

void tl_introducers_on_moved(tl_introducers *r)
{
    tl_time now = tl_introducers_now(r);
    /* What was silent may have been so for want of a network. */
    memset(r->left, 0, sizeof r->left);
    r->trials = tl_ratelimit_make(1, TL_INTRODUCERS_TRIALS, now);
    for (size_t i = 0; i < TL_INTRODUCERS_MAX; i++)
        if (r->all[i].taken) {
            tl_leg_doubt(&r->all[i].leg, now);
            ask(r, &r->all[i], now);
        }
    look_now(r);
}

static void leave_alone(tl_introducers *r, const tl_relayer_name *name, tl_time span)
{
    r->left[r->left_next].name = *name;
    r->left[r->left_next].until = tl_introducers_now(r) + span;
    r->left_next = (r->left_next + 1) % TL_INTRODUCERS_LEFT;
}

/* It did not answer. One of the setting is asked again, after a pause. One that served, too: it may be our own
 * network that is down. */
static void on_shut(tl_introducers *r, tl_introducer_place *at, bool stood)
{
    if (!at->given) {
        bool served = at->served || stood;
        tl_found_introducer found = {.name = at->name, .served = true, .stranger = at->stranger};
        *at = (tl_introducer_place){0};
        if (served)
            tl_introducers_remember(r, &found);
        leave_alone(r, &found.name, served ? SERVED_LEFT_FOR : LEFT_FOR);
        r->look_at = tl_introducers_now(r);
    }
    if (stood)
        r->config.on_changed(r->config.user);
}

static void place_on_timer(tl_introducers *r, tl_introducer_place *at, tl_time now)
{
    bool stood = is_attached(at);
    if (tl_leg_on_timer(&at->leg, now)) {
        on_shut(r, at, stood);
        if (!at->taken)
            return;
    }
    if (!at->kept && now >= at->ask_until) {
        *at = (tl_introducer_place){0};
        return;
    }
    ask(r, at, now);
    if (!at->kept)
        tl_introducers_due(r, at->ask_until);
}

void tl_introducers_on_timer(tl_introducers *r)
{
    tl_time now = tl_introducers_now(r);
    if (now < r->due)
        return;
    r->due = TL_NEVER;
    for (size_t i = 0; i < TL_INTRODUCERS_MAX; i++)
        if (r->all[i].taken)
            place_on_timer(r, &r->all[i], now);
    if (now >= r->look_at)
        look(r, now);
    tl_introducers_due(r, r->look_at);
}

tl_time tl_introducers_expiry(const tl_introducers *r)
{
    return r->due;
}
