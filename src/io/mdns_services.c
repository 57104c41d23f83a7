#include "io/mdns_services.h"

#include <stdio.h>

#define UNTOLD_AGAIN (1 * TL_SEC)

void tl_mdns_services_init(tl_mdns_services *t, const tl_node_id *us, tl_rand rand,
                           const tl_mdns_services_calls *calls, void *user, tl_time now)
{
    memset(t, 0, sizeof *t);
    t->calls = *calls;
    t->user = user;
    t->us = *us;
    t->rand = rand;
    t->looks = tl_ratelimit_make(TL_MDNS_LOOK_PER_SEC, TL_MDNS_LOOK_BURST, now);
}

/* --- choosing --- */

/* The name is a claim that anybody can make, as often as there are names. The ID is a claim, too, but of one node there
 * are at most TL_MDNS_ADDRS_MAX. */
static bool is_preferred(const tl_mdns_services *t, const tl_mdns_service *s)
{
    uint8_t hint[TL_MDNS_HINT];
    const uint8_t *id = s->answered ? s->node.key : hint;
    size_t n = s->answered ? sizeof s->node.key : sizeof hint;
    if (!s->answered && tl_mdns_name_own(tl_slice_str(s->name), hint))
        return false;
    for (size_t i = 0; i < t->n_preferred; i++)
        if (!memcmp(t->preferred[i].key, id, n))
            return true;
    return false;
}

static size_t count(const tl_mdns_services *t, tl_mdns_service_state state, bool strangers_alone)
{
    size_t n = 0;
    for (size_t i = 0; i < TL_MDNS_SERVICES_MAX; i++)
        n += t->at[i].state == state && !(strangers_alone && t->at[i].preferred);
    return n;
}

/* One of that state, by lot. */
static tl_mdns_service *any(tl_mdns_services *t, tl_mdns_service_state state, bool preferred)
{
    tl_mdns_service *chosen = NULL;
    uint64_t seen = 0;
    for (size_t i = 0; i < TL_MDNS_SERVICES_MAX; i++)
        if (t->at[i].state == state && t->at[i].preferred == preferred &&
            tl_rand_below(&t->rand, ++seen) == 0)
            chosen = &t->at[i];
    return chosen;
}

static tl_mdns_service *find(tl_mdns_services *t, int interface, tl_addr_family by,
                             const char *name)
{
    for (size_t i = 0; i < TL_MDNS_SERVICES_MAX; i++) {
        tl_mdns_service *s = &t->at[i];
        if (s->state != TL_MDNS_FREE && s->interface == interface && s->by == by &&
            !strcmp(s->name, name))
            return s;
    }
    return NULL;
}

/* --- telling --- */

static size_t addresses_of(const tl_mdns_services *t, const tl_node_id *node,
                           tl_addr ret_addrs[TL_MDNS_ADDRS_MAX])
{
    size_t n = 0;
    for (size_t i = 0; i < TL_MDNS_SERVICES_MAX && n < TL_MDNS_ADDRS_MAX; i++) {
        const tl_mdns_service *s = &t->at[i];
        if (s->state != TL_MDNS_FOUND || !tl_node_id_eq(&s->node, node))
            continue;
        size_t same = 0;
        while (same < n && !tl_addr_eq(&ret_addrs[same], &s->addr))
            same++;
        if (same == n)
            ret_addrs[n++] = s->addr;
    }
    return n;
}

static void tell(tl_mdns_services *t, const tl_node_id *node)
{
    tl_addr addrs[TL_MDNS_ADDRS_MAX];
    size_t n = addresses_of(t, node, addrs);
    bool told = t->calls.tell(t->user, node, addrs, n);
    t->found += told && n > 0;
    t->dropped += !told;
    for (size_t i = 0; i < TL_MDNS_SERVICES_MAX; i++)
        if (t->at[i].state == TL_MDNS_FOUND && tl_node_id_eq(&t->at[i].node, node))
            t->at[i].untold = !told;
}

/* --- states --- */

static void set_state(tl_mdns_services *t, tl_mdns_service *s, tl_mdns_service_state state,
                      tl_time until)
{
    bool was_found = s->state == TL_MDNS_FOUND;
    bool looks = state == TL_MDNS_LOOKING || state == TL_MDNS_FOUND;
    if (!looks && s->lookup) {
        t->calls.unlook(t->user, s->lookup);
        s->lookup = NULL;
    }
    t->n -= s->state != TL_MDNS_FREE && state == TL_MDNS_FREE;
    t->n += s->state == TL_MDNS_FREE && state != TL_MDNS_FREE;
    s->state = state;
    s->until = until;
    if (was_found && state != TL_MDNS_FOUND)
        tell(t, &s->node);
}

static void rest(tl_mdns_services *t, tl_mdns_service *s, tl_time now)
{
    tl_time long_ = TL_MDNS_REST_LEAST << (s->rests < 6 ? s->rests : 6);
    s->rests++;
    set_state(t, s, TL_MDNS_RESTING, now + (long_ < TL_MDNS_REST_MOST ? long_ : TL_MDNS_REST_MOST));
}

void tl_mdns_services_forget(tl_mdns_services *t)
{
    for (size_t i = 0; i < TL_MDNS_SERVICES_MAX; i++)
        if (t->at[i].state != TL_MDNS_FREE)
            set_state(t, &t->at[i], TL_MDNS_FREE, 0);
}

void tl_mdns_services_prefer(tl_mdns_services *t, const tl_node_id *nodes, size_t n)
{
    t->n_preferred = n < TL_MDNS_PREFERRED_MAX ? n : TL_MDNS_PREFERRED_MAX;
    for (size_t i = 0; i < t->n_preferred; i++)
        t->preferred[i] = nodes[i];
    for (size_t i = 0; i < TL_MDNS_SERVICES_MAX; i++) {
        tl_mdns_service *s = &t->at[i];
        bool before = s->preferred;
        s->preferred = s->state != TL_MDNS_FREE && is_preferred(t, s);
        if (s->preferred && !before && s->state == TL_MDNS_RESTING) {
            s->rests = 0;
            set_state(t, s, TL_MDNS_WAITING, 0);
        }
    }
}

/* --- what is heard --- */

/* What is of no use makes room first, then what nobody has looked at. A preferred service takes the place of any
 * stranger's, and of a preferred one that is not found. */
static tl_mdns_service *room(tl_mdns_services *t, bool preferred)
{
    tl_mdns_service *s = NULL;
    for (size_t i = 0; i < TL_MDNS_SERVICES_MAX && t->n < TL_MDNS_SERVICES_MAX; i++)
        if (t->at[i].state == TL_MDNS_FREE)
            return &t->at[i];
    if (!(s = any(t, TL_MDNS_RESTING, false)) && !(s = any(t, TL_MDNS_WAITING, false)) &&
        preferred && !(s = any(t, TL_MDNS_LOOKING, false)) && !(s = any(t, TL_MDNS_FOUND, false)) &&
        !(s = any(t, TL_MDNS_RESTING, true)))
        s = any(t, TL_MDNS_WAITING, true);
    t->dropped++; /* either this one or the other */
    t->overflowed++;
    if (s)
        set_state(t, s, TL_MDNS_FREE, 0);
    return s;
}

void tl_mdns_services_on_new(tl_mdns_services *t, int interface, tl_addr_family by,
                             const char *name)
{
    if (find(t, interface, by, name) || strlen(name) >= TL_MDNS_NAME_MAX)
        return;
    tl_mdns_service new = {.user = t->user, .interface = interface, .by = by};
    snprintf(new.name, sizeof new.name, "%s", name);
    new.preferred = is_preferred(t, &new);
    tl_mdns_service *s = room(t, new.preferred);
    if (!s)
        return;
    *s = new;
    set_state(t, s, TL_MDNS_WAITING, 0);
}

void tl_mdns_services_on_gone(tl_mdns_services *t, int interface, tl_addr_family by,
                              const char *name)
{
    tl_mdns_service *s = find(t, interface, by, name);
    if (s)
        set_state(t, s, TL_MDNS_FREE, 0);
}

static size_t found_of(const tl_mdns_services *t, const tl_node_id *node)
{
    size_t n = 0;
    for (size_t i = 0; i < TL_MDNS_SERVICES_MAX; i++)
        n += t->at[i].state == TL_MDNS_FOUND && tl_node_id_eq(&t->at[i].node, node);
    return n;
}

/* One of the node's makes room, or the new one stays out. */
static bool room_among_same(tl_mdns_services *t, const tl_node_id *node, size_t same, tl_time now)
{
    size_t out = tl_rand_below(&t->rand, same + 1);
    for (size_t i = 0; i < TL_MDNS_SERVICES_MAX && out < same; i++)
        if (t->at[i].state == TL_MDNS_FOUND && tl_node_id_eq(&t->at[i].node, node) && out-- == 0) {
            t->dropped++;
            rest(t, &t->at[i], now);
            return true;
        }
    return false;
}

/* Is there room for one more that is found? Where all places are of preferred nodes, or the node's own addresses are many,
 * some of them are claims of others: then the lot says which is left out, so that no claim keeps its place for ever. */
static bool room_to_find(tl_mdns_services *t, tl_mdns_service *s, tl_time now)
{
    size_t same = found_of(t, &s->node);
    if (!s->preferred && count(t, TL_MDNS_FOUND, true) >= TL_MDNS_STRANGERS_MAX)
        return false;
    if (same >= TL_MDNS_ADDRS_MAX)
        return room_among_same(t, &s->node, same, now);
    if (count(t, TL_MDNS_FOUND, false) < TL_MDNS_FOUND_MAX)
        return true;
    tl_mdns_service *other = any(t, TL_MDNS_FOUND, false);
    if (!other && s->preferred)
        other = any(t, TL_MDNS_FOUND, true);
    if (!other)
        return false;
    t->dropped++;
    rest(t, other, now);
    return true;
}

/* Whoever judges the claim has to know on which network it was made. */
static tl_addr with_scope(const tl_addr *addr, int interface)
{
    tl_addr a = *addr;
    a.scope = interface > 0 ? (uint32_t)interface : 0;
    return a;
}

/* The node that the answer tells. False: it is none, or not the one whose digits the name shows. */
static bool read_node(const tl_mdns_service *s, const tl_mdns_txt *txt, const tl_addr *addr,
                      tl_node_id *ret_node)
{
    uint8_t hint[TL_MDNS_HINT];
    return txt->valid && addr->port != 0 && addr->family != TL_ADDR_NONE &&
           !tl_node_id_from_bytes(txt->id, ret_node) &&
           (tl_mdns_name_hint(tl_slice_str(s->name), hint) ||
            !memcmp(hint, ret_node->key, sizeof hint));
}

static bool find_room(tl_mdns_services *t, tl_mdns_service *s, const tl_addr *addr, tl_time now)
{
    if (!room_to_find(t, s, now)) {
        t->dropped++;
        rest(t, s, now);
        return false;
    }
    s->addr = *addr;
    s->since = now;
    s->rests = 0;
    set_state(t, s, TL_MDNS_FOUND, TL_NEVER);
    tell(t, &s->node);
    return true;
}

bool tl_mdns_services_on_answer(tl_mdns_services *t, tl_mdns_service *s, const tl_mdns_txt *txt,
                                const tl_addr *addr, tl_time now)
{
    tl_node_id node;
    tl_addr scoped = with_scope(addr, s->interface);
    bool is_node = read_node(s, txt, addr, &node), was_found = s->state == TL_MDNS_FOUND;
    if (was_found && is_node && tl_node_id_eq(&s->node, &node) && tl_addr_eq(&s->addr, &scoped))
        return true;
    if (was_found)
        set_state(t, s, TL_MDNS_WAITING, 0); /* tells that the old one is gone */
    s->answered = true;
    s->node = is_node ? node : (tl_node_id){0};
    s->preferred = is_preferred(t, s);
    if (!is_node) {
        t->malformed++;
        rest(t, s, now);
        return false;
    }
    if (tl_node_id_eq(&node, &t->us)) { /* us, or somebody who would like to be: nothing to do */
        set_state(t, s, TL_MDNS_RESTING, TL_NEVER);
        return false;
    }
    if (!was_found)
        return find_room(t, s, &scoped, now);
    /* avahi may have put a new port beside an old address: a fresh look-up does not */
    if (now - s->since < TL_MDNS_CALM)
        set_state(t, s, TL_MDNS_RESTING, now + TL_MDNS_PAUSE);
    return false;
}

void tl_mdns_services_on_silent(tl_mdns_services *t, tl_mdns_service *s, tl_time now)
{
    t->silent++;
    rest(t, s, now);
}

/* --- in time --- */

static void look(tl_mdns_services *t, tl_mdns_service *s, tl_time now)
{
    s->lookup = t->calls.look(t->user, s);
    if (s->lookup)
        set_state(t, s, TL_MDNS_LOOKING, now + TL_MDNS_LOOK_NS);
    else
        tl_mdns_services_on_silent(t, s, now);
}

static tl_time start_lookups(tl_mdns_services *t, tl_time now)
{
    size_t looking = count(t, TL_MDNS_LOOKING, false);
    size_t strangers = count(t, TL_MDNS_LOOKING, true);
    for (;; looking++) {
        tl_mdns_service *s = any(t, TL_MDNS_WAITING, true);
        if (!s && strangers < TL_MDNS_LOOKING_MAX / 2)
            s = any(t, TL_MDNS_WAITING, false);
        if (!s || looking >= TL_MDNS_LOOKING_MAX)
            return TL_NEVER; /* the next answer, or silence, makes room */
        if (!tl_ratelimit_take(&t->looks, 1, now))
            return tl_ratelimit_when(&t->looks, 1, now);
        strangers += !s->preferred;
        look(t, s, now);
    }
}

tl_time tl_mdns_services_run(tl_mdns_services *t, tl_time now)
{
    tl_time next = TL_NEVER;
    for (size_t i = 0; i < TL_MDNS_SERVICES_MAX; i++) {
        tl_mdns_service *s = &t->at[i];
        if (s->state == TL_MDNS_LOOKING && s->until <= now)
            tl_mdns_services_on_silent(t, s, now);
        else if (s->state == TL_MDNS_RESTING && s->until <= now)
            set_state(t, s, TL_MDNS_WAITING, 0);
        else if (s->state == TL_MDNS_FOUND && s->untold)
            tell(t, &s->node);
        if (s->state == TL_MDNS_FOUND && s->untold)
            next = tl_time_min(next, now + UNTOLD_AGAIN);
        else if (s->state == TL_MDNS_LOOKING || s->state == TL_MDNS_RESTING)
            next = tl_time_min(next, s->until);
    }
    tl_time looks = start_lookups(t, now);
    for (size_t i = 0; i < TL_MDNS_SERVICES_MAX; i++) /* those that have just begun */
        if (t->at[i].state == TL_MDNS_LOOKING)
            next = tl_time_min(next, t->at[i].until);
    return tl_time_min(next, looks);
}
