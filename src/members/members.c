#include "members/state.h"

#include "base/log.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

const char *tl_membership_event_name(tl_membership_event e)
{
    switch (e) {
    case TL_MEMBERSHIP_JOINED: return "joined";
    case TL_MEMBERSHIP_RENEWED: return "renewed";
    case TL_MEMBERSHIP_PROMOTED: return "promoted";
    case TL_MEMBERSHIP_WAS_REVOKED: return "revoked";
    case TL_MEMBERSHIP_HAS_EXPIRED: return "expired";
    case TL_MEMBERSHIP_HAS_LEFT: return "left";
    }
    assert(!"an event of the list");
    return "";
}

/* --- life --- */

tl_err tl_members_new(const tl_members_config *config, tl_members **ret_members)
{
    tl_members *m = calloc(1, sizeof *m);
    if (!m)
        return TL_ERR_NOMEM;
    m->config = *config;
    m->checks = tl_ratelimit_make(TL_MEMBERS_CHECKS_ALL_RATE, TL_MEMBERS_CHECKS_ALL_BURST,
                                  tl_members_now(m));
    m->tick_at = tl_members_now(m);
    m->deeds_at = TL_NEVER;
    *ret_members = m;
    return TL_OK;
}

static void free_neighbour(tl_members *m, tl_neighbour *nb)
{
    HASH_DEL(m->neighbours, nb);
    free(nb->links);
    free(nb);
}

void tl_members_free(tl_members *m)
{
    if (!m)
        return;
    assert(m->n_admitting == 0);
    tl_joining_free_all(m);
    tl_keep_free_all(m);
    tl_witness_free_all(m);
    tl_neighbour *nb, *next;
    HASH_ITER (hh, m->neighbours, nb, next)
        free_neighbour(m, nb);
    tl_dialled *d, *next_dialled;
    HASH_ITER (hh, m->dialled, d, next_dialled) {
        /* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): what was freed left its list */
        HASH_DEL(m->dialled, d);
        free(d);
    }
    while (m->tended) {
        tl_tended *t = m->tended;
        assert(!t->saving);
        LL_DELETE(m->tended, t);
        free(t);
    }
    free(m);
}

const tl_members_counters *tl_members_counters_of(const tl_members *m)
{
    return &m->counters;
}

/* --- small things --- */

tl_neighbour *tl_neighbour_find(const tl_members *m, const tl_node_id *id)
{
    tl_neighbour *nb;
    HASH_FIND(hh, m->neighbours, id, sizeof *id, nb);
    return nb;
}

tl_member_link *tl_link_find(const tl_neighbour *nb, const tl_node_id *network)
{
    for (size_t i = 0; i < nb->n_links; i++)
        if (tl_node_id_eq(&nb->links[i].network, network))
            return &nb->links[i];
    return NULL;
}

tl_member_link *tl_link_get(tl_neighbour *nb, const tl_node_id *network)
{
    tl_member_link *l = tl_link_find(nb, network);
    if (l || nb->n_links == TL_NETWORKS_MAX)
        return l;
    l = realloc(nb->links, (nb->n_links + 1) * sizeof *l);
    if (!l)
        return NULL;
    nb->links = l;
    l = &nb->links[nb->n_links++];
    *l = (tl_member_link){.network = *network};
    return l;
}

tl_tended *tl_tended_get(tl_members *m, const tl_node_id *network)
{
    tl_tended *t;
    LL_FOREACH (m->tended, t)
        if (tl_node_id_eq(&t->network, network))
            return t;
    t = calloc(1, sizeof *t);
    if (!t)
        return NULL;
    t->members = m;
    t->network = *network;
    t->save_again = t->refresh_at = t->renew_at = t->renew_deadline = TL_NEVER;
    LL_PREPEND(m->tended, t);
    return t;
}

/* Nodes whose certificate is known have their own bound alone: strangers cannot use up theirs. */
bool tl_members_may_check(tl_members *m, tl_neighbour *nb, uint64_t n)
{
    tl_time now = tl_members_now(m);
    bool known = tl_networks_is_member(m->config.book, &nb->id, tl_members_wall(m));
    if (tl_ratelimit_take(&nb->checks, n, now) &&
        (known || tl_ratelimit_take(&m->checks, n, now))) {
        m->counters.checks += n;
        return true;
    }
    m->counters.refused_rate++;
    return false;
}

bool tl_members_tell(tl_members *m, const tl_node_id *peer, const char *name, json_t *payload)
{
    if (!payload)
        return false;
    tl_err e = m->config.world->tell(m->config.user, peer, name, payload);
    json_decref(payload);
    if (e)
        tl_log(TL_LOG_DEBUG, "network: %s was not sent: %s", name, tl_err_name(e));
    return !e;
}

bool tl_members_holds(const tl_members *m, const tl_node_id *peer, const tl_membership *n)
{
    const tl_cert *cert = tl_networks_cert_of(m->config.book, n, peer);
    return cert && !tl_ptn_judge(n->ptn, cert, peer, tl_members_wall(m));
}

bool tl_members_is_admin(const tl_members *m, const tl_node_id *peer, const tl_membership *n)
{
    return tl_members_holds(m, peer, n) &&
           tl_role_may_invite(tl_networks_cert_of(m->config.book, n, peer)->role);
}

tl_membership *tl_members_network_of(const tl_members *m, const json_t *payload)
{
    tl_node_id id;
    const char *hex = tl_json_string(payload, "ptnID", "");
    if (tl_hex_parse(tl_slice_str(hex), false, id.key, sizeof id.key))
        return NULL;
    tl_membership *n = tl_networks_by_id(m->config.book, &id);
    return n && !n->left ? n : NULL;
}

/* --- operations --- */

void tl_op_begin(tl_members *m, tl_members_op *op, int kind, const tl_node_id *network)
{
    op->members = m;
    op->kind = kind;
    op->refusal = TL_REFUSAL_NONE;
    op->words[0] = 0;
    if (network)
        op->network = *network;
}

void tl_op_end_with(tl_members_op *op, tl_refusal r, const char *words)
{
    snprintf(op->words, sizeof op->words, "%s", words);
    op->refusal = r;
    json_decref(op->certificate);
    op->certificate = NULL;
    op->on_done(op);
}

void tl_op_end(tl_members_op *op, tl_refusal r)
{
    tl_op_end_with(op, r, "");
}

tl_refusal tl_refusal_of_store(tl_err e)
{
    switch (e) {
    case TL_OK: return TL_REFUSAL_NONE;
    case TL_ERR_BUSY: return TL_REFUSAL_BUSY;
    case TL_ERR_NOMEM: return TL_REFUSAL_INTERNAL;
    default: return TL_REFUSAL_STORE;
    }
}

/* --- connections --- */

static void forget_dialled(tl_members *m)
{
    tl_dialled *d = m->dialled; /* the oldest */
    while (d && d->pending)
        d = d->hh.next;
    if (d) {
        HASH_DEL(m->dialled, d);
        free(d);
    }
}

static tl_dialled *dialled_get(tl_members *m, const tl_node_id *peer)
{
    tl_dialled *d;
    HASH_FIND(hh, m->dialled, peer, sizeof *peer, d);
    if (d)
        return d;
    if (HASH_COUNT(m->dialled) >= TL_MEMBERS_DIALLED_MAX)
        forget_dialled(m);
    d = calloc(1, sizeof *d);
    if (!d)
        return NULL;
    d->id = *peer;
    /* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): what was freed left its list */
    if (!TL_TABLE_ADD(hh, m->dialled, id, sizeof d->id, d)) {
        free(d);
        return NULL;
    }
    return d;
}

void tl_members_connect(tl_members *m, const tl_node_id *peer)
{
    tl_dialled *d = tl_neighbour_find(m, peer) ? NULL : dialled_get(m, peer);
    if (!d || d->pending)
        return;
    d->pending = true;
    d->at = tl_members_now(m);
    m->n_dialling++;
    m->config.world->connect(m->config.user, peer);
}

static void dial_ended(tl_members *m, const tl_node_id *peer)
{
    tl_dialled *d;
    HASH_FIND(hh, m->dialled, peer, sizeof *peer, d);
    if (!d || !d->pending)
        return;
    d->pending = false;
    d->at = tl_members_now(m);
    m->n_dialling--;
}

void tl_members_on_hello(tl_members *m, const tl_node_id *peer)
{
    tl_neighbour *nb = tl_neighbour_find(m, peer);
    dial_ended(m, peer);
    if (!nb && (nb = calloc(1, sizeof *nb))) {
        nb->id = *peer;
        nb->checks =
            tl_ratelimit_make(TL_MEMBERS_CHECKS_RATE, TL_MEMBERS_CHECKS_BURST, tl_members_now(m));
        nb->roll =
            tl_ratelimit_make(TL_MEMBERS_ROLL_RATE, TL_MEMBERS_ROLL_BURST, tl_members_now(m));
        nb->asks =
            tl_ratelimit_make(TL_MEMBERS_DEEDS_RATE, TL_MEMBERS_DEEDS_BURST, tl_members_now(m));
        if (!TL_TABLE_ADD(hh, m->neighbours, id, sizeof nb->id, nb)) {
            free(nb);
            nb = NULL;
        }
    }
    if (!nb)
        return; /* out of memory: as if the peer were of no network */
    tl_networks_set_connected(m->config.book, peer, true);
    for (size_t i = 0; i < nb->n_links; i++) /* a new connection: nothing was said on it */
        nb->links[i] = (tl_member_link){.network = nb->links[i].network};
    nb->asked_deeds = false;
    tl_hello_say(m, nb);
    tl_joining_on_hello(m, peer);
    tl_members_rearm(m, tl_members_now(m));
}

static void keep_seen(tl_members *m, const tl_neighbour *nb)
{
    for (size_t i = 0; i < nb->n_links; i++) {
        const tl_membership *n = tl_networks_by_id(m->config.book, &nb->links[i].network);
        if (n && nb->links[i].heard && tl_networks_cert_of(m->config.book, n, &nb->id))
            m->config.world->save_seen(m->config.user, &n->id, &nb->id, tl_members_wall(m));
    }
}

void tl_members_on_left(tl_members *m, const tl_node_id *peer)
{
    tl_neighbour *nb = tl_neighbour_find(m, peer);
    dial_ended(m, peer); /* it may have ended before a hello came */
    if (nb) {
        keep_seen(m, nb);
        tl_networks_set_connected(m->config.book, peer, false);
        free_neighbour(m, nb);
    }
    tl_joining_on_left(m, peer, "the connection to the inviter was lost");
}

void tl_members_on_unreachable(tl_members *m, const tl_node_id *peer, const char *why)
{
    dial_ended(m, peer);
    tl_joining_on_left(m, peer, why);
    tl_members_rearm(m, tl_members_now(m));
}

void tl_members_on_present(tl_members *m)
{
    tl_tended *t;
    LL_FOREACH (m->tended, t) {
        t->look_at = 0;
        /* a revocation of a moment ago is told to those, too, who were not known to be there */
        t->spread |= t->spread_since && tl_members_now(m) - t->spread_since < 10 * TL_SEC;
    }
    tl_joining_on_present(m);
    tl_members_rearm(m, tl_members_now(m));
}

bool tl_members_is_online(const tl_members *m, const tl_node_id *network, const tl_node_id *node)
{
    const tl_neighbour *nb = tl_neighbour_find(m, node);
    const tl_member_link *l = nb ? tl_link_find(nb, network) : NULL;
    return l && l->heard;
}

/* --- what comes in --- */

typedef void (*told_fn)(tl_members *m, tl_neighbour *nb, const json_t *payload);

static void on_joined(tl_members *m, tl_neighbour *nb, const json_t *payload)
{
    tl_joining_on_joined(m, &nb->id, payload);
}

static void on_refused(tl_members *m, tl_neighbour *nb, const json_t *payload)
{
    if (!tl_joining_on_refused(m, &nb->id, payload))
        tl_tend_on_refused(m, nb, payload);
}

void tl_members_on_told(tl_members *m, const tl_node_id *peer, const char *name,
                        const json_t *payload)
{
    static const struct {
        const char *name;
        told_fn handle;
    } messages[] = {{"ptnHello", tl_hello_on_hello},    {"ptnList", tl_hello_on_list},
                    {"ptnPrice", tl_hello_on_price},    {"ptnKey", tl_hello_on_key},
                    {"ptnJoin", tl_admit_on_join},      {"ptnJoined", on_joined},
                    {"ptnRefused", on_refused},         {"ptnRenew", tl_admit_on_renew},
                    {"ptnRenewed", tl_tend_on_renewed}, {"ptnLeave", tl_admit_on_leave},
                    {"ptnMembers", tl_roll_on_members}, {"ptnDeedsWanted", tl_witness_on_wanted},
                    {"ptnDeeds", tl_witness_on_deeds}};
    tl_neighbour *nb = tl_neighbour_find(m, peer);
    for (size_t i = 0; nb && i < sizeof messages / sizeof *messages; i++) {
        if (strcmp(name, messages[i].name) == 0) {
            messages[i].handle(m, nb, payload);
            return;
        }
    }
}

/* --- time --- */

void tl_members_rearm(tl_members *m, tl_time at)
{
    if (at < m->tick_at) {
        m->tick_at = at;
        tl_env_wake(&m->config.env);
    }
}

tl_time tl_members_expiry(const tl_members *m)
{
    return m->tick_at;
}

void tl_members_on_timer(tl_members *m)
{
    tl_time now = tl_members_now(m);
    if (now < m->tick_at)
        return;
    m->tick_at = TL_NEVER;
    tl_time at = tl_time_min(tl_joining_on_timer(m, now), tl_tend_on_timer(m, now));
    at = tl_time_min(at, tl_keep_on_timer(m, now));
    at = tl_time_min(at, tl_witness_on_timer(m, now));
    m->tick_at = tl_time_min(m->tick_at, at);
}
