/* Members tell each other what a node did for them (market/reciprocity.h): who wants to know asks, and
 * gets statements that their signers have signed. What nobody asked for is not taken. */
#include "members/state.h"

#include "base/log.h"

#include <stdlib.h>

/* Has it shown in this connection that it is a member of a network of ours, and is it so now? */
static bool is_fellow(const tl_members *m, const tl_neighbour *nb)
{
    for (size_t i = 0; i < nb->n_links; i++)
        if (nb->links[i].heard && !tl_networks_are_members(m->config.book, &nb->links[i].network,
                                                           &nb->id, tl_members_wall(m)))
            return true;
    return false;
}

/* --- asking --- */

static tl_wanted *find(const tl_members *m, const tl_node_id *node)
{
    tl_wanted *w;
    HASH_FIND(hh, m->wanted, node, sizeof *node, w);
    return w;
}

static void drop(tl_members *m, tl_wanted *w)
{
    HASH_DEL(m->wanted, w);
    free(w);
}

/* False: the one that was asked about first may still be answered. */
static bool make_room(tl_members *m, tl_time now)
{
    tl_wanted *oldest = m->wanted;
    if (HASH_COUNT(m->wanted) < TL_MEMBERS_DEEDS_MAX)
        return true;
    if (now - oldest->at < TL_MEMBERS_DEEDS_WITHIN)
        return false;
    drop(m, oldest);
    return true;
}

void tl_members_ask_deeds(tl_members *m, const tl_node_id *node)
{
    tl_time now = tl_members_now(m);
    tl_wanted *w = find(m, node);
    if (!m->config.deeds || tl_node_id_eq(node, &m->config.identity->id) ||
        (w && now - w->at < TL_MEMBERS_DEEDS_AGAIN))
        return;
    if (w)
        drop(m, w); /* it is the last now */
    if (!make_room(m, now) || !(w = calloc(1, sizeof *w)))
        return;
    *w = (tl_wanted){.id = *node, .at = now, .due = true};
    /* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): what was freed left its list */
    if (!TL_TABLE_ADD(hh, m->wanted, id, sizeof w->id, w)) {
        free(w);
        return;
    }
    m->deeds_at =
        tl_time_min(m->deeds_at, tl_time_max(now + TL_MEMBERS_DEEDS_GATHER, m->deeds_from));
    tl_members_rearm(m, m->deeds_at);
}

/* Takes the reference. */
static void ask(tl_members *m, const tl_neighbour *nb, json_t *nodes)
{
    if (json_array_size(nodes))
        tl_members_tell(m, &nb->id, "ptnDeedsWanted", json_pack("{s:O}", "nodes", nodes));
    json_decref(nodes);
}

/* All that are asked about, or those alone that are due. */
static void ask_about(tl_members *m, const tl_neighbour *nb, bool due_alone)
{
    tl_wanted *w, *next;
    tl_time now = tl_members_now(m);
    json_t *nodes = json_array();
    HASH_ITER (hh, m->wanted, w, next) {
        bool wanted = due_alone ? w->due : now - w->at < TL_MEMBERS_DEEDS_AGAIN;
        if (!wanted || tl_node_id_eq(&w->id, &nb->id) || /* its own word is worth nothing */
            json_array_append_new(nodes, tl_node_id_json(&w->id)))
            continue;
        if (json_array_size(nodes) == TL_MEMBERS_DEEDS_NODES) {
            ask(m, nb, nodes);
            nodes = json_array();
        }
    }
    ask(m, nb, nodes);
}

void tl_witness_on_member(tl_members *m, tl_neighbour *nb)
{
    if (nb->asked_deeds || !is_fellow(m, nb))
        return;
    nb->asked_deeds = true;
    if (m->wanted)
        ask_about(m, nb, false);
}

tl_time tl_witness_on_timer(tl_members *m, tl_time now)
{
    tl_neighbour *nb, *next;
    tl_wanted *w, *next_wanted;
    if (now < m->deeds_at)
        return m->deeds_at;
    HASH_ITER (hh, m->neighbours, nb, next)
        if (is_fellow(m, nb))
            ask_about(m, nb, true);
    HASH_ITER (hh, m->wanted, w, next_wanted)
        w->due = false;
    m->deeds_at = TL_NEVER;
    m->deeds_from = now + TL_MEMBERS_DEEDS_EVERY;
    return TL_NEVER;
}

/* --- telling --- */

/* An answer, which goes in several messages where it is long. */
typedef struct {
    tl_members *m;
    const tl_neighbour *to;
    json_t *some;
    size_t n;      /* statements in all */
    size_t others; /* of others, on this node */
} telling;

static void send_some(telling *t)
{
    if (json_array_size(t->some))
        tl_members_tell(t->m, &t->to->id, "ptnDeeds", json_pack("{s:O}", "deeds", t->some));
    json_decref(t->some);
    t->some = NULL;
}

static void add(telling *t, const tl_deeds *d)
{
    json_t *one;
    if (t->n == TL_MEMBERS_DEEDS_SAID || tl_deeds_write(d, &one))
        return;
    if (!t->some)
        t->some = json_array();
    if (json_array_append_new(t->some, one))
        return;
    t->n++;
    if (json_array_size(t->some) == TL_MEMBERS_DEEDS_NODES)
        send_some(t);
}

/* Does the neighbour share a network with us and the signer? It can do nothing with others' word, and need not learn
 * of them. */
static bool is_for(const telling *t, const tl_node_id *signer)
{
    const tl_members *m = t->m;
    tl_unix now = tl_members_wall(m);
    for (size_t i = 0; i < t->to->n_links; i++) {
        const tl_member_link *l = &t->to->links[i];
        if (l->heard && !tl_networks_are_members(m->config.book, &l->network, &t->to->id, now) &&
            !tl_networks_are_members(m->config.book, &l->network, signer, now))
            return true;
    }
    return false;
}

static void hand_on(void *user, const tl_deeds *d)
{
    telling *t = user;
    if (t->others == TL_MEMBERS_DEEDS_OTHERS || tl_node_id_eq(&d->by, &t->to->id) ||
        !is_for(t, &d->by))
        return;
    t->others++;
    add(t, d);
}

/* What we have seen of the node ourselves, and what others have told us of it. */
static void tell_of(telling *t, tl_neighbour *nb, const tl_node_id *node)
{
    tl_deeds d;
    bool is_new = false;
    tl_members *m = t->m;
    tl_unix now = tl_members_wall(m);
    if (tl_members_may_check(m, nb, 1)) { /* a signature costs as much to make */
        if (!tl_reciprocity_tell(m->config.deeds, node, m->config.identity, now, &d, &is_new))
            add(t, &d);
        if (!is_new)
            tl_ratelimit_give_back(&nb->checks);
        else if (m->config.world->save_deeds)
            m->config.world->save_deeds(m->config.user, &d);
    }
    t->others = 0;
    tl_reciprocity_each(m->config.deeds, node, now, hand_on, t);
}

void tl_witness_on_wanted(tl_members *m, tl_neighbour *nb, const json_t *payload)
{
    size_t i;
    json_t *one;
    telling t = {.m = m, .to = nb};
    const json_t *nodes = json_object_get(payload, "nodes");
    if (!m->config.deeds || !is_fellow(m, nb))
        return;
    if (!json_is_array(nodes) || json_array_size(nodes) > TL_MEMBERS_DEEDS_NODES) {
        m->counters.malformed++;
        return;
    }
    if (!tl_ratelimit_take(&nb->asks, 1, tl_members_now(m))) {
        m->counters.refused_rate++;
        return;
    }
    json_array_foreach (nodes, i, one) {
        tl_node_id node;
        const char *hex = json_is_string(one) ? json_string_value(one) : "";
        if (tl_node_id_parse_form(tl_slice_str(hex), &node))
            m->counters.malformed++;
        else
            tell_of(&t, nb, &node);
    }
    send_some(&t);
}

/* --- hearing --- */

/* False: no more signatures are checked for this neighbour now. */
static bool take(tl_members *m, tl_neighbour *nb, json_t *one)
{
    tl_deeds d;
    tl_unix now = tl_members_wall(m);
    if (tl_deeds_read(one, &d)) {
        m->counters.malformed++;
        return true;
    }
    tl_deeds_verdict v = find(m, &d.node) ? tl_reciprocity_judge(m->config.deeds, &d, now)
                                          : TL_DEEDS_STRANGER; /* nobody asked */
    if (!v && !tl_members_may_check(m, nb, 1))
        return false;
    if (!v)
        v = tl_reciprocity_take(m->config.deeds, &d, now);
    if (v) {
        m->counters.deeds_refused++;
        tl_log(TL_LOG_DEBUG, "reciprocity: a statement is not taken: %s",
               tl_deeds_verdict_words(v));
        return true;
    }
    m->counters.deeds_taken++;
    if (m->config.world->save_deeds)
        m->config.world->save_deeds(m->config.user, &d);
    return true;
}

void tl_witness_on_deeds(tl_members *m, tl_neighbour *nb, const json_t *payload)
{
    const json_t *deeds = json_object_get(payload, "deeds");
    if (!m->config.deeds || !is_fellow(m, nb))
        return;
    if (!json_is_array(deeds) || json_array_size(deeds) > TL_MEMBERS_DEEDS_NODES) {
        m->counters.malformed++;
        return;
    }
    for (size_t i = 0; i < json_array_size(deeds); i++)
        if (!take(m, nb, json_array_get(deeds, i)))
            return;
}

void tl_witness_free_all(tl_members *m)
{
    while (m->wanted)
        /* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): what was freed left its list */
        drop(m, m->wanted);
}
