/* Admins tell each other of the members that they know, so that each can list, renew and revoke all. */
#include "members/state.h"

#include <stdlib.h>

#define IN_MESSAGE 32         /* certificates; 45 kB */
#define BYTES_MAX  (1u << 20) /* at once: half of what a control stream may keep unread */

typedef struct {
    tl_members_listing listing; /* first */
    tl_members *members;
    tl_node_id peer;
} sending;

/* Takes the reference. */
static void send_some(tl_members *m, const tl_node_id *peer, const tl_node_id *network,
                      json_t *certificates)
{
    if (json_array_size(certificates))
        tl_members_tell(m, peer, "ptnMembers",
                        json_pack("{s:o, s:O}", "ptnID", tl_node_id_json(network), "certificates",
                                  certificates));
    json_decref(certificates);
}

/* Begins at another place each time: what had no room comes with a later hello. */
static void on_listed(tl_members_listing *l, tl_err e, const char *const *certificates, size_t n)
{
    sending *s = (sending *)l;
    tl_members *m = s->members;
    size_t bytes = 0, begin = n ? tl_rand_below(m->config.rand, n) : 0;
    json_t *some = json_array();
    m->n_admitting--;
    for (size_t i = 0; !e && i < n && bytes < BYTES_MAX; i++) {
        const char *text = certificates[(begin + i) % n];
        json_t *one;
        if (tl_json_parse(tl_slice_str(text), 16, &one, NULL) || json_array_append_new(some, one))
            continue;
        bytes += strlen(text);
        if (json_array_size(some) == IN_MESSAGE) {
            send_some(m, &s->peer, &l->network, some);
            some = json_array();
        }
    }
    send_some(m, &s->peer, &l->network, some);
    free(s);
}

void tl_roll_send(tl_members *m, const tl_neighbour *nb, const tl_membership *n)
{
    sending *s = m->n_admitting < TL_MEMBERS_ADMITTING_MAX ? calloc(1, sizeof *s) : NULL;
    if (!s)
        return; /* the next hello does it */
    *s = (sending){
        .listing = {.on_listed = on_listed, .network = n->id}, .members = m, .peer = nb->id};
    m->n_admitting++;
    m->config.world->list_members(m->config.user, &s->listing);
}

void tl_roll_tell(tl_members *m, const tl_membership *n, const json_t *certificate)
{
    tl_neighbour *nb, *next;
    HASH_ITER (hh, m->neighbours, nb, next) {
        const tl_member_link *l = tl_link_find(nb, &n->id);
        if (l && l->heard && tl_members_is_admin(m, &nb->id, n))
            tl_members_tell(m, &nb->id, "ptnMembers",
                            json_pack("{s:o, s:[o]}", "ptnID", tl_node_id_json(&n->id),
                                      "certificates", json_deep_copy(certificate)));
    }
}

/* Is this one, or a newer one of the same node, known? Without a look at its signature. */
static bool is_known(const tl_members *m, const tl_membership *n, const json_t *certificate)
{
    tl_node_id node;
    const json_t *payload = json_object_get(certificate, "payload"),
                 *issued = json_object_get(payload, "issuedAt");
    const char *hex = tl_json_string(payload, "nodeID", "");
    if (tl_hex_parse(tl_slice_str(hex), false, node.key, sizeof node.key))
        return true; /* nothing to be learned */
    const tl_cert *known = tl_networks_cert_of(m->config.book, n, &node);
    return tl_node_id_eq(&node, &m->config.identity->id) ||
           (known && json_is_integer(issued) && json_integer_value(issued) <= known->issued_at);
}

static void take(tl_members *m, const tl_membership *n, const json_t *certificate)
{
    tl_cert cert;
    if (tl_cert_read(certificate, &cert) || !tl_node_id_eq(&cert.network, &n->id)) {
        m->counters.malformed++;
        return;
    }
    if (tl_cert_at(&cert, tl_members_wall(m)) == TL_PTN_EARLY) {
        m->counters.malformed++; /* kept, it would make the right one an old one */
        return;
    }
    if (!tl_networks_keep(m->config.book, &cert))
        m->config.world->save_member(m->config.user, &n->id, &cert.node, certificate, 0, NULL);
}

/* From an admin to an admin alone. */
void tl_roll_on_members(tl_members *m, tl_neighbour *nb, const json_t *payload)
{
    size_t i;
    json_t *one;
    tl_membership *n = tl_members_network_of(m, payload);
    const json_t *all = json_object_get(payload, "certificates");
    if (!n || json_array_size(all) > IN_MESSAGE || !tl_members_is_admin(m, &nb->id, n) ||
        tl_authority_may(m->config.book, n, tl_members_wall(m)))
        return;
    json_array_foreach (all, i, one) {
        if (is_known(m, n, one))
            continue;
        if (!tl_ratelimit_take(&nb->roll, 1, tl_members_now(m))) {
            m->counters.refused_rate++;
            return;
        }
        m->counters.checks++;
        take(m, n, one);
    }
}
