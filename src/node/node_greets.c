/* Whether nodes that nobody knows are let in by introductions (docs/protocol.md "Introducers").
 *
 * At a relay anybody may open a session to a node whose ID he knows, and that tells him no address. Where this node
 * is at no relay, an introduction is the only way to it. So there it answers those who may look for it: everybody,
 * where it publishes in the DHT how it is reached; and where it does not, while an invite of its own is open, for
 * whoever was invited is a stranger until he has joined. */
#include "node/members_state.h"
#include "node/reach.h"

#include "store/networks.h"

static void on_invites(void *user, tl_err e, const tl_invite_row *rows, size_t count)
{
    tl_invited *v = user;
    tl_unix now = tl_loop_unix();
    if (e)
        return; /* what is known stays */
    v->until = 0;
    for (size_t i = 0; i < count; i++)
        if (rows[i].state == TL_INVITE_OPEN && rows[i].expires_at > now &&
            rows[i].expires_at > v->until)
            v->until = rows[i].expires_at;
}

void tl_node_invites_changed(tl_node *n, const tl_node_id *network)
{
    struct tl_members_held *h = n->members_world;
    size_t i = 0;
    while (i < h->n_invited && !tl_node_id_eq(&h->invited[i].network, network))
        i++;
    if (i == TL_NETWORKS_MAX)
        return;
    if (i == h->n_invited)
        h->invited[h->n_invited++] = (tl_invited){.network = *network};
    (void)!tl_store_list_invites(n->store, network, on_invites, &h->invited[i]);
}

static bool has_invited(const tl_node *n)
{
    const struct tl_members_held *h = n->members_world;
    for (size_t i = 0; h && i < h->n_invited; i++)
        if (h->invited[i].until > tl_loop_unix())
            return true;
    return false;
}

bool tl_node_greets(void *user)
{
    const tl_node *n = user;
    return n->stage == TL_NODE_RUNNING && !tl_node_is_aside(n) &&
           !tl_relays_is_registered(n->relays) && (tl_node_dht_publishes(n) || has_invited(n));
}
