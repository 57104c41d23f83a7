/* Which of the nodes that introduce, and were found, this node attaches to, and which it leaves for another.
 *
 * Who is attached to by strangers' word may be hostile, and may own many addresses. So
 *   - no two are of one network, and none of our own is of the IP of another: one host never holds both places;
 *   - those whom we have a reason to trust come first, and hold their place as long as they answer;
 *   - one by whom nothing came for TL_INTRODUCERS_IDLE is left, as soon as another one is known that is trusted no
 *     less. So whoever holds a place and brings nothing does not hold it for ever.
 *
 * It is not looked at whether one brings less than the other: a hostile one may send as much as it likes, from
 * nodes that it invents, and would put the honest one out. */
#include "peer/introducers_state.h"

#include "base/origin.h"

/* The order in which they are taken. */
typedef enum {
    OURS,   /* of our networks, or where we came into the DHT */
    SERVED, /* this node was attached to it */
    PEER,   /* it said so itself, over its connection */
    STRANGER,
    NOBODY,
} class;

static bool is_ours(const tl_introducers *r, const tl_relayer_name *name)
{
    return r->config.is_ours && r->config.is_ours(r->config.user, name);
}

static class class_of(const tl_introducers *r, const tl_found_introducer *found)
{
    if (is_ours(r, &found->name))
        return OURS;
    if (found->served)
        return SERVED;
    return found->stranger ? STRANGER : PEER;
}

/* --- who may be --- */

/* Names of strangers cost nothing, at any port: for them the IP counts. It takes nothing from the others there. */
static bool was_left(const tl_introducers *r, const tl_relayer_name *name, class of)
{
    tl_time now = tl_introducers_now(r);
    for (size_t i = 0; i < TL_INTRODUCERS_LEFT; i++) {
        const tl_relayer_name *left = &r->left[i].name;
        if (now < r->left[i].until && (tl_introducers_same(left, name) ||
                                       (of > SERVED && tl_addr_same_ip(&left->addr, &name->addr))))
            return true;
    }
    return false;
}

static bool same_network(const tl_addr *a, const tl_addr *b)
{
    tl_origin x = tl_origin_network(a), y = tl_origin_network(b);
    return tl_origin_eq(&x, &y);
}

bool tl_introducers_has(const tl_introducers *r, const tl_node_id *id)
{
    for (size_t i = 0; i < r->n_given; i++)
        if (tl_node_id_eq(&r->given[i].id, id))
            return true;
    for (size_t i = 0; i < TL_INTRODUCERS_MAX; i++)
        if (r->all[i].taken && r->all[i].kept && tl_node_id_eq(&r->all[i].name.id, id))
            return true;
    return false;
}

static bool is_found(const tl_introducer_place *at)
{
    return at->taken && at->kept && !at->given;
}

/* `but`: the one that would be left for it; NULL: none. */
static bool is_beside_another(const tl_introducers *r, const tl_addr *addr, class of,
                              const tl_introducer_place *but)
{
    for (size_t i = 0; i < TL_INTRODUCERS_MAX; i++) {
        const tl_introducer_place *at = &r->all[i];
        if (is_found(at) && at != but &&
            (of == OURS ? tl_addr_same_ip(&at->name.addr, addr)
                        : same_network(&at->name.addr, addr)))
            return true;
    }
    return false;
}

/* Not attached to it yet. One that is only asked for our address may be. */
static bool is_free(const tl_introducers *r, const tl_relayer_name *name, class of,
                    const tl_introducer_place *but)
{
    return !tl_introducers_has(r, &name->id) && !is_beside_another(r, &name->addr, of, but) &&
           !was_left(r, name, of) && tl_introducers_may_send(r, name);
}

/* --- the next one --- */

typedef struct {
    class of;
    uint64_t lot;
    size_t found; /* its place among those found; TL_INTRODUCERS_NAMES: it is a peer */
    tl_found_introducer it;
} choice;

/* Of those found the last one; by lot among the peers that say that they introduce, so that nodes spread over them. */
static choice best_of(tl_introducers *r, const tl_introducer_place *but)
{
    choice best = {.of = NOBODY};
    for (size_t i = r->n_found; i-- > 0;) {
        class of = class_of(r, &r->found[i]);
        if (of < best.of && is_free(r, &r->found[i].name, of, but))
            best = (choice){.of = of, .found = i, .it = r->found[i]};
    }
    for (const tl_peer *p = r->config.table->peers; p; p = p->hh.next)
        for (size_t i = 0; i < p->introducing.n_addrs; i++) {
            choice c = {.lot = tl_rand_u64(r->config.rand),
                        .found = TL_INTRODUCERS_NAMES,
                        .it.name = {p->id, p->introducing.addrs[i]}};
            c.of = class_of(r, &c.it);
            if ((c.of < best.of || (c.of == best.of && c.lot > best.lot)) &&
                is_free(r, &c.it.name, c.of, but))
                best = c;
        }
    return best;
}

bool tl_introducers_pick(tl_introducers *r, tl_found_introducer *ret_found)
{
    choice best = best_of(r, NULL);
    if (best.of == NOBODY)
        return false;
    if (best.found < r->n_found)
        tl_introducers_forget_found(r, best.found);
    *ret_found = best.it;
    return true;
}

/* --- the one to leave --- */

/* The one by which nothing has come for longest. Ours is none. */
static tl_introducer_place *idlest(const tl_introducers *r)
{
    const tl_introducer_place *idle = NULL;
    for (size_t i = 0; i < TL_INTRODUCERS_MAX; i++) {
        const tl_introducer_place *at = &r->all[i];
        if (is_found(at) && !is_ours(r, &at->name) && (!idle || at->since < idle->since))
            idle = at;
    }
    return (tl_introducer_place *)(uintptr_t)idle;
}

static bool is_idle(const tl_introducers *r, const tl_introducer_place *at)
{
    return tl_introducers_now(r) - at->since >= TL_INTRODUCERS_IDLE;
}

bool tl_introducers_has_idle(const tl_introducers *r)
{
    const tl_introducer_place *at = idlest(r);
    return at && is_idle(r, at);
}

tl_introducer_place *tl_introducers_to_leave(tl_introducers *r)
{
    tl_introducer_place *at = idlest(r);
    if (!at)
        return NULL;
    choice best = best_of(r, at);
    bool trusted_less = !at->stranger && best.it.stranger;
    return best.of == OURS || (best.of != NOBODY && !trusted_less && is_idle(r, at)) ? at : NULL;
}

/* --- who was found --- */

void tl_introducers_forget_found(tl_introducers *r, size_t i)
{
    memmove(&r->found[i], &r->found[i + 1], (--r->n_found - i) * sizeof *r->found);
}

/* Of the strangers that never served, the first makes room; else the first of all, but for ours. */
static size_t least(const tl_introducers *r)
{
    size_t worst = 0;
    class of = OURS;
    for (size_t i = 0; i < r->n_found; i++) {
        class c = class_of(r, &r->found[i]);
        if (c > of) {
            of = c;
            worst = i;
        }
    }
    return worst;
}

static bool make_room(tl_introducers *r, const tl_found_introducer *found)
{
    for (size_t i = 0; i < r->n_found; i++)
        if (tl_introducers_same(&r->found[i].name, &found->name))
            return false;
    if (r->n_found < TL_INTRODUCERS_NAMES)
        return true;
    size_t i = least(r);
    if (class_of(r, &r->found[i]) < class_of(r, found))
        return false;
    tl_introducers_forget_found(r, i);
    return true;
}

void tl_introducers_remember(tl_introducers *r, const tl_found_introducer *found)
{
    if (make_room(r, found))
        r->found[r->n_found++] = *found;
}

void tl_introducers_remember_last(tl_introducers *r, const tl_found_introducer *found)
{
    if (!make_room(r, found))
        return;
    memmove(&r->found[1], &r->found[0], r->n_found++ * sizeof *r->found);
    r->found[0] = *found;
}
