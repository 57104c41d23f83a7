/* keep.c - signs for the members of an admin that was revoked, in its place, where a person asks for
 * that: for those that this node has met, and a few at each turn. Never signs for a node of which the
 * revoked admin alone has told. */
#include "members/state.h"

#include "base/log.h"

#include <stdlib.h>

/* Signatures in one turn: 0.2 ms each with what is stored, and a network has up to 4096 members. */
#define AT_ONCE 16

/* Members that are still to be signed for. */
struct tl_keeping {
    tl_node_id network, issuer;
    size_t n; /* the last is the next */
    tl_keeping *next;
    tl_node_id ids[];
};

typedef struct {
    const tl_members *members;
    const tl_membership *network;
    tl_keeping *to;
    bool connected;   /* in this round: those that are, or those that are not */
    size_t n_unknown; /* of all who fall: nobody here has met them */
} collecting;

static void collect(void *user, const tl_cert *cert)
{
    collecting *c = user;
    if (!tl_networks_rests_on(c->network, cert, &c->to->issuer, tl_members_wall(c->members)) ||
        tl_ptn_is_revoked(c->network->ptn, &cert->node) ||
        c->connected != (tl_neighbour_find(c->members, &cert->node) != NULL))
        return;
    if (tl_networks_has_met(c->members->config.book, c->network, &cert->node))
        c->to->ids[c->to->n++] = cert->node;
    else
        c->n_unknown++;
}

/* The next one. False: there is no room for it yet. */
static bool keep_one(tl_members *m, tl_membership *n, tl_keeping *k)
{
    const tl_cert *cert = tl_networks_cert_of(m->config.book, n, &k->ids[k->n - 1]);
    tl_refusal r = TL_REFUSAL_NONE;
    if (cert && tl_networks_rests_on(n, cert, &k->issuer, tl_members_wall(m)))
        r = tl_admit_sign_again(m, n, cert, 0);
    if (r == TL_REFUSAL_BUSY)
        return false; /* the store has much to do: at a later turn */
    if (r)
        tl_log(TL_LOG_WARN, "network %s: a member of the revoked admin is not kept: %s", n->name,
               tl_refusal_words(r));
    k->n--;
    return true;
}

static void keep_some(tl_members *m, tl_keeping *k)
{
    tl_membership *n = tl_networks_by_id(m->config.book, &k->network);
    if (!n || n->left)
        k->n = 0;
    for (size_t i = 0; i < AT_ONCE && k->n && keep_one(m, n, k); i++)
        continue;
}

static void end(tl_members *m, tl_keeping *k)
{
    LL_DELETE(m->keeping, k);
    free(k);
}

size_t tl_keep_members(tl_members *m, tl_membership *n, const tl_node_id *issuer)
{
    tl_keeping *k, *next;
    LL_FOREACH_SAFE (m->keeping, k, next)
        if (tl_node_id_eq(&k->network, &n->id) && tl_node_id_eq(&k->issuer, issuer))
            end(m, k); /* whom it has not signed for is found again */
    k = calloc(1, sizeof *k + n->n_members * sizeof *k->ids);
    if (!k) {
        tl_log(TL_LOG_WARN, "network %s: no members are kept: out of memory", n->name);
        return 0;
    }
    k->network = n->id;
    k->issuer = *issuer;
    collecting c = {.members = m, .network = n, .to = k};
    tl_networks_each(m->config.book, n, collect, &c);
    c.connected = true; /* the last are the first */
    tl_networks_each(m->config.book, n, collect, &c);
    LL_PREPEND(m->keeping, k);
    keep_some(m, k);
    tl_members_rearm(m, tl_members_now(m));
    return c.n_unknown;
}

tl_time tl_keep_on_timer(tl_members *m, tl_time now)
{
    tl_keeping *k, *next;
    LL_FOREACH_SAFE (m->keeping, k, next) {
        keep_some(m, k);
        if (!k->n)
            end(m, k);
    }
    return m->keeping ? now + TL_MS : TL_NEVER;
}

void tl_keep_free_all(tl_members *m)
{
    while (m->keeping)
        end(m, m->keeping);
}
