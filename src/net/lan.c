#include "net/lan.h"

#include <stdlib.h>

#define PORT_MIN 1024 /* as net/portfile: no node listens below */

struct tl_lan {
    tl_node_id us;
    tl_rand *rand;
    tl_ratelimit strangers; /* that are new */
    tl_lan_counters counters;
    size_t n;
    tl_lan_node nodes[TL_LAN_NODES_MAX];
};

tl_err tl_lan_new(const tl_node_id *us, tl_rand *rand, tl_time now, tl_lan **ret_lan)
{
    tl_lan *l = calloc(1, sizeof *l);
    if (!l)
        return TL_ERR_NOMEM;
    l->us = *us;
    l->rand = rand;
    l->strangers = tl_ratelimit_make(TL_LAN_NEW_PER_SEC, TL_LAN_NEW_BURST, now);
    *ret_lan = l;
    return TL_OK;
}

void tl_lan_free(tl_lan *l)
{
    free(l);
}

/* --- addresses --- */

static bool is_our_own(const tl_addr *a, const tl_interface *own, size_t n_own, uint16_t own_port)
{
    for (size_t i = 0; i < n_own && a->port == own_port; i++)
        if (tl_addr_same_ip(a, &own[i].addr))
            return true;
    return false;
}

/* `heard`: the interface by which it came. */
static bool allowed(const tl_addr *a, uint32_t heard, const tl_interface *own, size_t n_own,
                    uint16_t own_port)
{
    return a->port >= PORT_MIN && tl_addr_on_link_of(a, heard, own, n_own) &&
           tl_addr_is_near(a, own, n_own, own_port);
}

/* Link-local addresses last: the others also serve when an interface is another one tomorrow. */
static void put_address(tl_lan_node *n, const tl_addr *a)
{
    for (size_t i = 0; i < n->n_addrs; i++)
        if (tl_addr_eq(&n->addrs[i], a))
            return;
    size_t at = n->n_addrs;
    while (at > 0 && !tl_addr_is_link_local(a) && tl_addr_is_link_local(&n->addrs[at - 1]))
        at--;
    if (at == TL_LAN_ADDRS_MAX)
        return;
    n->n_addrs += n->n_addrs < TL_LAN_ADDRS_MAX;
    memmove(&n->addrs[at + 1], &n->addrs[at], (n->n_addrs - at - 1) * sizeof n->addrs[0]);
    n->addrs[at] = *a;
}

/* --- the table --- */

static tl_lan_node *find(tl_lan *l, const tl_node_id *id)
{
    for (size_t i = 0; i < l->n; i++)
        if (tl_node_id_eq(&l->nodes[i].id, id))
            return &l->nodes[i];
    return NULL;
}

static size_t strangers(const tl_lan *l)
{
    size_t n = 0;
    for (size_t i = 0; i < l->n; i++)
        n += !l->nodes[i].known;
    return n;
}

bool tl_lan_has_room(const tl_lan *l)
{
    return l->n < TL_LAN_NODES_MAX && strangers(l) < TL_LAN_STRANGERS_MAX;
}

static void drop(tl_lan *l, tl_lan_node *n)
{
    *n = l->nodes[--l->n];
    l->counters.gone++;
}

/* One of the strangers, by lot, makes room for a node that we know. Whoever forged them cannot choose which. */
static bool make_room(tl_lan *l)
{
    size_t n = strangers(l);
    if (n == 0)
        return false;
    size_t chosen = tl_rand_below(l->rand, n);
    for (size_t i = 0; i < l->n; i++)
        if (!l->nodes[i].known && chosen-- == 0) {
            drop(l, &l->nodes[i]);
            return true;
        }
    return false;
}

static tl_lan_node *add(tl_lan *l, const tl_node_id *id, bool known, tl_time now)
{
    bool room = known ? l->n < TL_LAN_NODES_MAX || make_room(l)
                      : tl_lan_has_room(l) && tl_ratelimit_take(&l->strangers, 1, now);
    if (!room) {
        l->counters.refused++;
        return NULL;
    }
    tl_lan_node *n = &l->nodes[l->n++];
    *n = (tl_lan_node){.id = *id, .known = known, .since = now};
    l->counters.found++;
    return n;
}

/* False: one that is known no more, and there is no room for one more stranger; it is gone. */
static bool set_known(tl_lan *l, tl_lan_node *n, bool known)
{
    bool room = known || !n->known || strangers(l) < TL_LAN_STRANGERS_MAX;
    n->known = known;
    if (!room)
        drop(l, n);
    return room;
}

static bool same_addresses(const tl_lan_node *a, const tl_lan_node *b)
{
    if (a->n_addrs != b->n_addrs)
        return false;
    for (size_t i = 0; i < a->n_addrs; i++)
        if (!tl_addr_eq(&a->addrs[i], &b->addrs[i]))
            return false;
    return true;
}

static bool is_at(const tl_lan_node *n, const tl_addr *a)
{
    for (size_t i = 0; i < n->n_addrs; i++)
        if (tl_addr_eq(&n->addrs[i], a))
            return true;
    return false;
}

/* Do so many other strangers claim to be there that one more has us knock there in vain once more? */
static bool is_crowded(const tl_lan *l, const tl_node_id *node, const tl_addr *a)
{
    size_t others = 0;
    for (size_t i = 0; i < l->n; i++)
        others +=
            !l->nodes[i].known && !tl_node_id_eq(&l->nodes[i].id, node) && is_at(&l->nodes[i], a);
    return others >= TL_LAN_STRANGERS_AT;
}

/* The node as it is announced, with the addresses that are allowed alone. */
static tl_lan_node judge(tl_lan *l, const tl_node_id *node, bool known, const tl_addr *addrs,
                         size_t n_addrs, const tl_interface *own, size_t n_own, uint16_t own_port)
{
    tl_lan_node n = {.id = *node};
    for (size_t i = 0; i < n_addrs; i++) {
        tl_addr a = tl_addr_normal(addrs[i]);
        uint32_t heard = addrs[i].scope;
        if (!tl_addr_is_link_local(&a))
            a.scope = 0; /* it says nothing there, and would make equal addresses differ */
        if (is_our_own(&a, own, n_own, own_port))
            l->counters.own++;
        else if (!allowed(&a, heard, own, n_own, own_port))
            l->counters.off_link++;
        else if (!known && is_crowded(l, node, &a))
            l->counters.refused++;
        else
            put_address(&n, &a);
    }
    return n;
}

bool tl_lan_on_found(tl_lan *l, const tl_node_id *node, bool known, const tl_addr *addrs,
                     size_t n_addrs, const tl_interface *own, size_t n_own, uint16_t own_port,
                     tl_time now)
{
    if (tl_node_id_eq(node, &l->us)) {
        l->counters.own++;
        return false;
    }
    tl_lan_node told = judge(l, node, known, addrs, n_addrs, own, n_own, own_port);
    tl_lan_node *n = find(l, node);
    if (told.n_addrs == 0) {
        if (n)
            drop(l, n);
        return n;
    }
    bool is_new = !n;
    if (is_new)
        n = add(l, node, known, now);
    if (!n)
        return false;
    bool was_known = n->known;
    if (!set_known(l, n, known))
        return true;
    bool changed = is_new || was_known != known || !same_addresses(n, &told);
    n->n_addrs = told.n_addrs;
    memcpy(n->addrs, told.addrs, sizeof n->addrs);
    return changed;
}

void tl_lan_set_known(tl_lan *l, const tl_node_id *node, bool known)
{
    tl_lan_node *n = find(l, node);
    if (n)
        (void)set_known(l, n, known);
}

void tl_lan_forget_all(tl_lan *l)
{
    l->counters.gone += l->n;
    l->n = 0;
}

const tl_lan_node *tl_lan_find(const tl_lan *l, const tl_node_id *node)
{
    for (size_t i = 0; i < l->n; i++)
        if (tl_node_id_eq(&l->nodes[i].id, node))
            return &l->nodes[i];
    return NULL;
}

bool tl_lan_knows_at(const tl_lan *l, const tl_addr *addr)
{
    tl_addr a = tl_addr_normal(*addr);
    for (size_t i = 0; i < l->n; i++)
        for (size_t k = 0; l->nodes[i].known && k < l->nodes[i].n_addrs; k++)
            if (tl_addr_same_ip(&l->nodes[i].addrs[k], &a))
                return true;
    return false;
}

const tl_lan_node *tl_lan_at(const tl_lan *l, size_t i)
{
    return &l->nodes[i];
}

size_t tl_lan_count(const tl_lan *l)
{
    return l->n;
}

const tl_lan_counters *tl_lan_counted(const tl_lan *l)
{
    return &l->counters;
}
