/* After a change of network: tells peer/reconnect of it, answers what that asks of the node, and tells
 * listeners of the phases. */
#include "node/reach.h"
#include "node/state.h"

#include "base/log.h"

/* --- what reconnect asks --- */

/* Is the name of a server still being looked up? */
static bool is_resolving(const tl_network *w)
{
    tl_stun_unnamed names[TL_STUN_UNNAMED_MAX];
    size_t n = tl_network_stun_unnamed(w, names);
    for (size_t i = 0; i < n; i++)
        if (!names[i].why)
            return true;
    return false;
}

/* A change begins a round of questions, and a round begins with nobody's answer. */
static tl_reconnect_address known_address(void *user)
{
    const tl_node *n = user;
    const tl_nat_facts *f = n->network ? tl_network_facts(n->network) : NULL;
    if (!f)
        return TL_RECONNECT_NOBODY;
    if (f->answered && (f->public4.family != TL_ADDR_NONE || f->public6.family != TL_ADDR_NONE))
        return TL_RECONNECT_KNOWN;
    return f->asked || is_resolving(n->network) ? TL_RECONNECT_ASKED : TL_RECONNECT_NOBODY;
}

static bool is_member(void *user, const tl_node_id *peer)
{
    return tl_access_is_member(&((const tl_node *)user)->access, peer);
}

static bool holds_ours(void *user, const tl_node_id *peer)
{
    return tl_node_holds_ours(user, peer);
}

static bool we_hold(void *user, const tl_node_id *peer)
{
    return tl_node_we_hold(user, peer);
}

static void announce(void *user)
{
    tl_node_dht_announce(user);
}

static bool bootstrap(void *user)
{
    return tl_node_dht_rejoin(user);
}

static bool joined(void *user)
{
    return tl_node_dht_joined(user);
}

/* --- what reconnect tells --- */

static void log_phase(const tl_step *s)
{
    const tl_phases_counts *c = &s->counts;
    const char *name = tl_phase_name(s->phase), *state = tl_phase_state_name(s->state);
    unsigned ms = (unsigned)(s->after / TL_MS);
    if (s->state == TL_PHASE_BEGINS)
        tl_log(TL_LOG_DEBUG, "after the change of network: %s begins", name);
    else if (s->phase == TL_PHASE_MIGRATION)
        tl_log(TL_LOG_INFO,
               "after the change of network: %s %s after %u ms, %u of %u connections carry on",
               name, state, ms, c->carry, c->connections);
    else if (s->phase == TL_PHASE_STUN)
        tl_log(TL_LOG_INFO, "after the change of network: %s %s after %u ms", name, state, ms);
    else
        tl_log(TL_LOG_INFO, "after the change of network: %s %s after %u ms, %u of %u are back",
               name, state, ms, c->back, c->wanted);
}

static void on_phase(void *user, const tl_step *step)
{
    log_phase(step);
    tl_node_emit_phase(user, step);
}

/* --- putting it together --- */

tl_err tl_node_wire_reconnect(tl_node *n)
{
    static const tl_reconnect_world world = {known_address, is_member, holds_ours, we_hold,
                                             announce,      bootstrap, joined,     on_phase};
    return tl_reconnect_new(n->peers, &n->env, &world, n, &n->reconnect);
}

void tl_node_reconnect(tl_node *n, unsigned why)
{
    if (n->stage != TL_NODE_RUNNING)
        return;
    if (why & (TL_NETWORK_LINK | TL_NETWORK_WOKE | TL_NETWORK_ADDRESS))
        tl_node_again_hurry(n);
    if (why & (TL_NETWORK_LINK | TL_NETWORK_WOKE))
        tl_reconnect_on_moved(n->reconnect);
    else if (why & TL_NETWORK_ADDRESS)
        tl_reconnect_on_address(n->reconnect);
}
