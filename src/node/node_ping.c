/* Round trips to one peer, for `teale ping`. */
#include "node/state.h"

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#define BETWEEN       (500 * TL_MS) /* between two pings */
#define BETWEEN_EAGER (100 * TL_MS) /* between the first pings that wait for a direct path */
#define EAGER         20            /* how many are sent at that pace */
#define ANSWER_WITHIN (5 * TL_SEC)  /* far above any round trip */

struct tl_node_ping {
    tl_node *node;
    tl_node_id peer;
    unsigned left, answered;
    bool until_direct;
    bool old; /* the peer speaks the old protocol alone, which has no ping */
    void (*on_result)(void *user, tl_time rtt, tl_via via, bool more, const char *why);
    void *user;
    tl_peer_wish wish;
    tl_peer_pong pong;
    tl_timer timer; /* for the answer, then for the next ping */
};

/* The last call of on_result. The user may free the ping in it. */
static void fail(tl_node_ping *p, const char *why)
{
    tl_timer_stop(&p->timer);
    tl_peers_unping(&p->pong);
    p->left = 0;
    p->on_result(p->user, 0, TL_VIA_RELAYED, false, why);
}

/* The present way to the peer. The answer came by that way, unless the way changed after that. */
static tl_via via_of(const tl_node_ping *p)
{
    const tl_peer *peer = tl_peer_table_find(&p->node->table, &p->peer);
    tl_peer_facts facts;
    return peer && tl_peers_facts(p->node->peers, peer, &facts) ? facts.via : TL_VIA_RELAYED;
}

static void on_pong(tl_peer_pong *g, tl_time rtt)
{
    tl_node_ping *p = (tl_node_ping *)((char *)g - offsetof(tl_node_ping, pong));
    if (!rtt) {
        fail(p, "the connection to the peer ended");
        return;
    }
    tl_via via = via_of(p);
    p->left = p->until_direct && via != TL_VIA_RELAYED ? 0 : p->left - 1;
    bool eager = p->until_direct && ++p->answered < EAGER;
    if (p->left)
        tl_timer_set(&p->timer, tl_loop_now(p->node->loop) + (eager ? BETWEEN_EAGER : BETWEEN));
    else
        tl_timer_stop(&p->timer);
    p->on_result(p->user, rtt, via, p->left > 0, NULL);
}

static void send_ping(tl_node_ping *p)
{
    p->pong = (tl_peer_pong){.on_pong = on_pong};
    if (tl_peers_ping(p->node->peers, &p->peer, &p->pong))
        fail(p, "the connection to the peer ended");
    else
        tl_timer_set(&p->timer, tl_loop_now(p->node->loop) + ANSWER_WITHIN);
}

static void on_timer(void *user)
{
    tl_node_ping *p = user;
    if (p->old)
        fail(p, "this node speaks only the old protocol, through the relay");
    else if (p->pong.conn)
        fail(p, "the peer did not answer");
    else
        send_ping(p);
}

static void on_connected(tl_peer_wish *w, tl_quic_stream *s)
{
    (void)s;
    tl_node_ping *p = (tl_node_ping *)((char *)w - offsetof(tl_node_ping, wish));
    tl_timer_set(&p->timer, tl_loop_now(p->node->loop));
}

static void on_failed(tl_peer_wish *w, tl_err e, const char *why)
{
    (void)e;
    tl_node_ping *p = (tl_node_ping *)((char *)w - offsetof(tl_node_ping, wish));
    const tl_relay_pair *relay = p->node->client;
    const char *cause = tl_relay_pair_error(relay);
    char text[600];
    bool away = !tl_node_wants_no_relay(p->node) &&
                tl_relay_pair_state(relay) != TL_RELAY_CONNECTED && cause[0];
    snprintf(text, sizeof text, "%s%s%s", why, away ? ": " : "", away ? cause : "");
    fail(p, text);
}

tl_err tl_node_ping_start(tl_node *n, const tl_node_id *peer, unsigned count, bool until_direct,
                          void (*on_result)(void *user, tl_time rtt, tl_via via, bool more,
                                            const char *why),
                          void *user, tl_node_ping **ret_ping)
{
    tl_node_ping *p = calloc(1, sizeof *p);
    if (!p)
        return TL_ERR_NOMEM;
    *p = (tl_node_ping){.node = n,
                        .peer = *peer,
                        .left = count ? count : 1,
                        .until_direct = until_direct,
                        .on_result = on_result,
                        .user = user};
    const tl_peer *known = tl_peer_table_find(&n->table, peer);
    p->old = known && known->in_clear;
    p->wish = (tl_peer_wish){
        .peer = *peer, .connection_only = true, .on_stream = on_connected, .on_failed = on_failed};
    tl_timer_init(&p->timer, n->loop, on_timer, p);
    tl_err e = TL_OK;
    if (p->old)
        tl_timer_set(&p->timer, tl_loop_now(n->loop));
    else
        e = tl_peers_wish(n->peers, &p->wish);
    if (e) {
        free(p);
        return e;
    }
    *ret_ping = p;
    return TL_OK;
}

void tl_node_ping_free(tl_node_ping *p)
{
    if (!p)
        return;
    tl_peers_unwish(p->node->peers, &p->wish);
    tl_peers_unping(&p->pong);
    tl_timer_stop(&p->timer);
    free(p);
}
