/* A machine whose node was restored on another one: two of them would answer, ask and sign for money and networks as
 * one node. So this one stands aside: it is in the DHT and shows itself to nobody else. Who is the node,
 * backup/keeper.h decides. */
#include "node/keeping_state.h"
#include "node/reach.h"

#include "base/log.h"

#include <stdio.h>

/* What runs goes on for so long, and receipts pass after it. The other machine's registration at the relay waits
 * as long, where this one took its place (TL_RELAY_AWAY_MIN). */
#define LEAVE_WITHIN (20 * TL_SEC)
#define IDLE_FOR     (500 * TL_MS)

const char tl_node_aside_words[] =
    "another machine was restored from this node's backup, and is this node now: this one stands "
    "aside. Stop it (teale down); or, to be the node on this machine again: teale backup takeover";

bool tl_node_is_aside(const tl_node *n)
{
    return n->aside.state == TL_ASIDE_LOOKING || n->aside.state == TL_ASIDE_TWIN;
}

/* Before there is a port, no DHT can be asked. */
static bool may_look(const tl_node *n)
{
    const tl_settings *s = &n->settings;
    return s->wan_enabled && s->nat_direct && s->dht_enabled && !n->network_error[0];
}

static tl_aside wanted(const tl_node *n)
{
    const tl_keeper *k = n->keeping ? n->keeping->keeper : NULL;
    if (!k)
        return TL_ASIDE_NO;
    if (n->stage != TL_NODE_RUNNING)
        return n->aside.state;
    if (tl_keeper_state_of(k) == TL_KEEPER_ELSEWHERE)
        return TL_ASIDE_TWIN;
    return n->aside.state == TL_ASIDE_LOOKING && !tl_keeper_is_sure(k) && may_look(n)
               ? TL_ASIDE_LOOKING
               : TL_ASIDE_NO;
}

void tl_node_begin_aside(tl_node *n)
{
    n->aside.state = TL_ASIDE_LOOKING;
    n->aside.state = wanted(n);
    if (n->aside.state == TL_ASIDE_TWIN)
        tl_log(TL_LOG_ERROR, "%s", tl_node_aside_words);
}

/* All that a stranger or a peer could notice of this node, is as the state says. */
static void follow(tl_node *n)
{
    bool aside = tl_node_is_aside(n);
    tl_node_apply_access(n);
    tl_node_apply_slots(n, false);
    if (aside)
        tl_peers_close_all(n->peers, "another machine is this node");
    tl_direct_set_enabled(n->direct, n->network && !aside);
    tl_node_apply_relay(n);
    tl_node_dht_network_changed(n);
    if (!aside) {
        tl_peers_on_moved(n->peers);
        tl_node_tell_capabilities(n);
    }
    tl_node_wake(n);
}

/* Without a goodbye: what this machine says of the node, peers believe of the other one. */
static void begin_to_leave(tl_node *n)
{
    tl_log(TL_LOG_ERROR, "%s", tl_node_aside_words);
    n->aside.state = TL_ASIDE_LEAVING;
    n->aside.leave_by = tl_loop_now(n->loop) + LEAVE_WITHIN;
    n->aside.idle_at = TL_NEVER;
    tl_node_apply_access(n);
    tl_node_apply_slots(n, false);
}

/* Nothing runs, and what was charged last had its time to be signed for. */
static bool has_left(tl_node *n)
{
    tl_time now = tl_loop_now(n->loop);
    bool idle = tl_server_is_idle(n->server) && tl_legacy_is_idle(n->legacy) &&
                !tl_router_running(n->router);
    if (!idle)
        n->aside.idle_at = TL_NEVER;
    else if (n->aside.idle_at == TL_NEVER)
        n->aside.idle_at = now + IDLE_FOR;
    return now >= n->aside.idle_at || now >= n->aside.leave_by;
}

void tl_node_run_aside(tl_node *n)
{
    tl_aside to = wanted(n), was = n->aside.state;
    if (to == was || (was == TL_ASIDE_LEAVING && to == TL_ASIDE_TWIN && !has_left(n)))
        return;
    if (to == TL_ASIDE_TWIN && was == TL_ASIDE_NO) {
        begin_to_leave(n);
        return;
    }
    if (to == TL_ASIDE_TWIN && was == TL_ASIDE_LOOKING)
        tl_log(TL_LOG_ERROR, "%s", tl_node_aside_words);
    n->aside.state = to;
    follow(n);
}

tl_time tl_node_aside_expiry(const tl_node *n)
{
    return n->aside.state == TL_ASIDE_LEAVING ? tl_time_min(n->aside.leave_by, n->aside.idle_at)
                                              : TL_NEVER;
}
