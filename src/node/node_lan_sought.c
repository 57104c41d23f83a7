/* Peers that somebody here waits for and that nobody announced yet: an inviter, a node that is asked by its ID. In a flood
 * of announcements theirs must find room, though we never dealt with them; and one that found none is told again. */
#include "node/lan_state.h"
#include "node/unreached.h"

#define SOUGHT_FOR   (120 * TL_SEC)
#define TOLD_APART   (5 * TL_SEC)
#define RETELL_APART (30 * TL_SEC)

static tl_lan_sought *entry(struct tl_node_lan *l, const tl_node_id *peer, tl_time now)
{
    tl_lan_sought *oldest = &l->sought[0];
    for (size_t i = 0; i < TL_NODE_LAN_SOUGHT; i++) {
        tl_lan_sought *s = &l->sought[i];
        if (s->until > now && tl_node_id_eq(&s->id, peer))
            return s;
        if (s->until < oldest->until)
            oldest = s;
    }
    *oldest = (tl_lan_sought){.id = *peer};
    return oldest;
}

bool tl_node_lan_seek(tl_node *n, const tl_node_id *peer, bool alone)
{
    tl_time now = tl_loop_now(n->loop);
    if (!n->lan || !tl_node_lan_is_on(n) || tl_node_lan_has(n, peer))
        return false;
    tl_lan_sought *s = entry(n->lan, peer, now);
    s->waits = alone && now < n->lan->settles;
    if (s->until <= now + SOUGHT_FOR - TOLD_APART) {
        s->until = now + SOUGHT_FOR;
        tl_node_lan_prefer(n);
        tl_mdns_tell_again(n->lan->mdns);
    }
    return s->waits;
}

/* The discovery had its time: whoever was not announced until now is not there. */
void tl_node_lan_tell_sought(tl_node *n)
{
    for (size_t i = 0; i < TL_NODE_LAN_SOUGHT; i++) {
        tl_lan_sought *s = &n->lan->sought[i];
        if (!s->waits || tl_loop_now(n->loop) < n->lan->settles)
            continue;
        tl_node_id id = s->id;
        s->waits = false;
        const char *why = tl_unreached_peer(n);
        tl_peers_on_looked(n->peers, &id, NULL,
                           why ? why : "it is not announced on the local network");
    }
}

bool tl_node_lan_sought_waits(const tl_node *n)
{
    for (size_t i = 0; i < TL_NODE_LAN_SOUGHT; i++)
        if (n->lan->sought[i].waits)
            return true;
    return false;
}

bool tl_node_lan_is_sought(const tl_node *n, const tl_node_id *peer)
{
    for (size_t i = 0; i < TL_NODE_LAN_SOUGHT; i++)
        if (n->lan->sought[i].until > tl_loop_now(n->loop) &&
            tl_node_id_eq(&n->lan->sought[i].id, peer))
            return true;
    return false;
}

void tl_node_lan_retell(tl_node *n)
{
    struct tl_node_lan *l = n->lan;
    tl_time now = tl_loop_now(n->loop);
    if (now < tl_node_lan_retell_expiry(n))
        return;
    l->retell_at = now + RETELL_APART;
    if (!tl_lan_has_room(l->table))
        return;
    l->refused_told = tl_lan_counted(l->table)->refused;
    tl_mdns_tell_again(l->mdns);
}

tl_time tl_node_lan_retell_expiry(const tl_node *n)
{
    const struct tl_node_lan *l = n->lan;
    return l->mdns && tl_lan_counted(l->table)->refused != l->refused_told ? l->retell_at
                                                                           : TL_NEVER;
}
