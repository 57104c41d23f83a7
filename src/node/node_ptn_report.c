/* Private networks, as reports show them: what this node is in each, and whom it shares one with. */
#include "node/state.h"

#include "crypto/idjson.h"

static json_t *time_json(tl_unix at)
{
    return at == TL_PTN_NO_END ? json_null() : tl_json_time(at);
}

/* Why the node has not joined yet, also where it has a certificate and asks for another by a new
 * invite; "": nothing has failed yet; NULL: it asks for none. */
static const char *waiting(const tl_node *n, const tl_membership *m)
{
    return n->members ? tl_members_waiting(n->members, &m->id) : NULL;
}

/* null: all members that were met agree on who is revoked. */
static json_t *dispute_json(const tl_membership *m)
{
    return tl_membership_is_disputed(m)
               ? json_pack("{s:o, s:o}", "node_id", tl_node_id_json(&m->dispute.node), "by",
                           tl_node_id_json(&m->dispute.by))
               : json_null();
}

/* Whom to ask for a new certificate, where this node itself is not revoked. */
static int add_remedy(const tl_node *n, const tl_membership *m, json_t *ptn)
{
    bool lost = tl_membership_lost_issuer(n->book, m);
    const tl_cert *admin = lost ? tl_networks_an_admin(n->book, m, tl_loop_unix()) : NULL;
    return json_object_set_new(ptn, "issuer_revoked", json_boolean(lost)) ||
           json_object_set_new(ptn, "admin", admin ? tl_node_id_json(&admin->node) : json_null());
}

json_t *tl_node_ptn_json(const tl_node *n, const tl_membership *m)
{
    int64_t version, price = tl_ptn_price_of(m->ptn, &version);
    tl_membership_state state = tl_membership_state_of(n->book, m, tl_loop_unix());
    bool member = m->certificate != NULL;
    json_t *ptn = json_pack(
        "{s:o, s:s, s:s?, s:s, s:o, s:o, s:o, s:I, s:b, s:I, s:I, s:I, s:b, s:o}", "ptn_id",
        tl_node_id_json(&m->id), "name", m->name, "role",
        member ? tl_role_name(m->cert.role) : NULL, "state", tl_membership_state_name(state),
        "issued_at", member ? time_json(m->cert.issued_at) : json_null(), "expires_at",
        member ? time_json(m->cert.expires_at) : json_null(), "issuer",
        member ? tl_node_id_json(&m->cert.issuer) : json_null(), "members",
        (json_int_t)m->n_members + member, "ca_key", m->has_ca, "price_micro", (json_int_t)price,
        "price_version", (json_int_t)version, "revocation_sequence",
        (json_int_t)tl_ptn_sequence(m->ptn), "hide", n->settings.ptn_hide, "dispute",
        dispute_json(m));
    if (ptn && state == TL_MEMBERSHIP_EXPIRED) /* for whom an admin must renew it */
        (void)json_object_set_new(ptn, "node_id", tl_node_id_json(&n->identity.id));
    if (ptn && state == TL_MEMBERSHIP_REVOKED && add_remedy(n, m, ptn)) {
        json_decref(ptn);
        return NULL;
    }
    const char *why = waiting(n, m);
    if (ptn && (why || state == TL_MEMBERSHIP_JOINING) &&
        json_object_set_new(ptn, "waiting", why && *why ? json_string(why) : json_null())) {
        json_decref(ptn);
        return NULL;
    }
    return ptn;
}

json_t *tl_node_ptns_json(const tl_node *n)
{
    json_t *list = json_array();
    for (size_t i = 0; list && i < tl_networks_count(n->book); i++) {
        const tl_membership *m = tl_networks_at(n->book, i);
        if (!m->left && json_array_append_new(list, tl_node_ptn_json(n, m))) {
            json_decref(list);
            return NULL;
        }
    }
    return list;
}

json_t *tl_node_ptns_of(const tl_node *n, const tl_node_id *peer)
{
    json_t *list = json_array();
    tl_unix now = tl_loop_unix();
    for (size_t i = 0; list && i < tl_networks_count(n->book); i++) {
        const tl_membership *m = tl_networks_at(n->book, i);
        if (!m->left && !tl_networks_are_members(n->book, &m->id, peer, now) &&
            json_array_append_new(list, tl_node_id_json(&m->id))) {
            json_decref(list);
            return NULL;
        }
    }
    return list;
}

/* null where it is allowed. */
static json_t *may_json(tl_may may)
{
    return may ? json_string(tl_may_words(may)) : json_null();
}

json_t *tl_node_why_networks(const tl_node *n, const tl_node_id *peer)
{
    json_t *list = json_array();
    tl_unix now = tl_loop_unix();
    for (size_t i = 0; list && i < tl_networks_count(n->book); i++) {
        const tl_membership *m = tl_networks_at(n->book, i);
        const tl_cert *cert = m->left ? NULL : tl_networks_cert_of(n->book, m, peer);
        if (!cert)
            continue;
        json_t *one =
            json_pack("{s:o, s:s, s:s, s:o, s:o}", "ptn_id", tl_node_id_json(&m->id), "name",
                      m->name, "role", tl_role_name(cert->role), "asks",
                      may_json(tl_networks_may_ask(n->book, &m->id, peer, now)), "answers",
                      may_json(tl_networks_may_serve(n->book, &m->id, peer, now)));
        list = tl_json_append(list, one);
    }
    return list;
}

bool tl_node_serves_network(const tl_node *n)
{
    tl_unix now = tl_loop_unix();
    for (size_t i = 0; i < tl_networks_count(n->book); i++) {
        const tl_membership *m = tl_networks_at(n->book, i);
        if (!tl_networks_are_we(n->book, &m->id, now) && tl_role_may_serve(m->cert.role))
            return true;
    }
    return false;
}

size_t tl_node_doctor_networks(const tl_node *n, tl_doctor_network ret[TL_NETWORKS_MAX])
{
    size_t count = 0;
    for (size_t i = 0; i < tl_networks_count(n->book); i++) {
        const tl_membership *m = tl_networks_at(n->book, i);
        if (m->left || count == TL_NETWORKS_MAX)
            continue;
        bool lost = tl_membership_lost_issuer(n->book, m);
        const tl_cert *admin = lost ? tl_networks_an_admin(n->book, m, tl_loop_unix()) : NULL;
        ret[count++] = (tl_doctor_network){
            .name = m->name,
            .lost_issuer = lost,
            .is_disputed = tl_membership_is_disputed(m),
            .dispute = m->dispute,
            .has_admin = admin != NULL,
            .admin = admin ? admin->node : (tl_node_id){{0}},
            .has_ca = m->has_ca,
            .state = tl_membership_state_of(n->book, m, tl_loop_unix()),
            .role = m->cert.role,
            .issuer = m->cert.issuer,
            .issued_here = m->has_ca || (m->certificate && m->cert.role == TL_ROLE_ADMIN &&
                                         tl_node_id_eq(&m->cert.issuer, &n->identity.id)),
            .issued_at = m->cert.issued_at,
            .expires_at = m->certificate ? m->cert.expires_at : TL_PTN_NO_END,
            .waiting = waiting(n, m),
        };
    }
    return count;
}
