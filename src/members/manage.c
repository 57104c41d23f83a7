/* What a person has this node do in its networks. */
#include "members/state.h"

#include "base/log.h"

#include <sodium.h>
#include <stdio.h>

enum { CREATE = 1, INVITE, WITHDRAW, PROMOTE, RENEW, LEAVE, KEY, IMPORT, RENAME };

static void op_stored(tl_members_stored *s, tl_err e);

static tl_members_op *op_of(tl_members_stored *s)
{
    return (tl_members_op *)(void *)((char *)s - offsetof(tl_members_op, stored));
}

static tl_members_stored *stored_of(tl_members_op *op)
{
    op->stored.on_stored = op_stored;
    return &op->stored;
}

static tl_membership *network_of(const tl_members_op *op)
{
    return tl_networks_by_id(op->members->config.book, &op->network);
}

static void event(const tl_members_op *op, const tl_membership *n, tl_membership_event e)
{
    op->members->config.world->on_event(op->members->config.user, n, &op->node, e);
}

/* A certificate for another node is on the disk: now it is sent, or the node is dialled. */
static void certified(tl_members_op *op, const tl_membership *n)
{
    tl_members *m = op->members;
    if (!tl_neighbour_find(m, &op->node))
        tl_members_connect(m, &op->node); /* then its hello shows an older one */
    else
        tl_members_tell(m, &op->node, "ptnRenewed",
                        json_pack("{s:O}", "certificate", op->certificate));
    tl_roll_tell(m, n, op->certificate);
    event(op, n, op->event);
}

static void op_stored(tl_members_stored *s, tl_err e)
{
    tl_members_op *op = op_of(s);
    tl_members *m = op->members;
    tl_membership *n = network_of(op);
    tl_refusal r = tl_refusal_of_store(e);
    switch (op->kind) {
    case CREATE:
    case IMPORT:
        if (!r && n)
            event(op, n, TL_MEMBERSHIP_JOINED);
        else if (n && op->kind == CREATE)
            tl_networks_remove(m->config.book, n);
        if (!r && n)
            tl_hello_say_again(m, n);
        tl_members_rearm(m, tl_members_now(m));
        break;
    case WITHDRAW:
        if (e == TL_ERR_NOT_FOUND)
            r = TL_REFUSAL_NOT_FOUND;
        if (e == TL_ERR_EXISTS)
            r = TL_REFUSAL_INVITE_USED;
        break;
    case PROMOTE:
    case RENEW:
        if (!r && n)
            certified(op, n);
        break;
    case LEAVE:
        if (!r && n)
            event(op, n, TL_MEMBERSHIP_HAS_LEFT);
        break;
    case RENAME:
        if (r && n)
            tl_networks_rename_back(m->config.book, n, op->old_name, &op->old_names);
        break;
    default: break;
    }
    tl_op_end(op, r);
}

/* --- networks --- */

static tl_refusal found(tl_members *m, tl_members_op *op, const char *name, tl_membership **ret)
{
    tl_identity ca;
    json_t *own, *key;
    tl_networks *b = m->config.book;
    tl_unix now = tl_members_wall(m);
    if (!tl_network_name_is(name))
        return TL_REFUSAL_INVALID;
    if (tl_authority_found(m->config.identity, m->config.rand, now, &ca, &own))
        return TL_REFUSAL_INTERNAL;
    tl_membership *n = NULL;
    tl_err e = tl_networks_add(b, &ca.id, name, &n);
    tl_refusal r = e == TL_ERR_BUSY ? TL_REFUSAL_BUSY : e ? TL_REFUSAL_INTERNAL : TL_REFUSAL_NONE;
    if (!r && (tl_networks_set_ca(b, n, &ca) || tl_networks_set_certificate(b, n, own)))
        r = TL_REFUSAL_INTERNAL;
    if (!r)
        r = tl_authority_groupkey(b, n, m->config.identity, m->config.rand, now, &key);
    if (!r) {
        if (tl_ptn_take_groupkey(n->ptn, key, now))
            r = TL_REFUSAL_INTERNAL;
        json_decref(key);
    }
    if (r && n)
        tl_networks_remove(b, n);
    json_decref(own);
    tl_identity_clear(&ca);
    if (!r) {
        op->network = n->id;
        op->cert = n->cert;
        *ret = n;
    }
    return r;
}

/* Ends the operation where another network is called so already. */
static bool is_taken(tl_members *m, tl_members_op *op, const tl_membership *n, const char *name,
                     const char *remedy)
{
    char words[sizeof op->words], hex[TL_NODE_ID_HEX + 1];
    const tl_membership *other = tl_networks_named(m->config.book, name, n);
    if (!other)
        return false;
    tl_node_id_write(hex, &other->id);
    snprintf(words, sizeof words, "a network is called %s here already: %.16s; %s", name, hex,
             remedy);
    tl_op_end_with(op, TL_REFUSAL_EXISTS, words);
    return true;
}

void tl_members_rename(tl_members *m, tl_members_op *op, tl_membership *n, const char *name)
{
    tl_op_begin(m, op, RENAME, &n->id);
    if (n->left) {
        tl_op_end(op, TL_REFUSAL_NOT_FOUND);
        return;
    }
    if (is_taken(m, op, n, name, "choose another name"))
        return;
    if (!n->certificate) { /* the store has no row of it */
        tl_op_end_with(op, TL_REFUSAL_BUSY,
                       "this node is just joining that network; rename it when it has joined");
        return;
    }
    snprintf(op->old_name, sizeof op->old_name, "%s", n->name);
    op->old_names = n->old;
    if (tl_networks_rename(m->config.book, n, name)) {
        tl_op_end_with(op, TL_REFUSAL_INVALID, TL_NETWORK_NAME_WORDS);
        return;
    }
    m->config.world->save_network(m->config.user, n, stored_of(op));
}

void tl_members_create(tl_members *m, tl_members_op *op, const char *name, bool again)
{
    tl_membership *n;
    tl_op_begin(m, op, CREATE, NULL);
    op->node = m->config.identity->id;
    if (!again && is_taken(m, op, NULL, name, "choose another name, or have two: --again"))
        return;
    tl_refusal r = found(m, op, name, &n);
    if (r) {
        tl_op_end_with(op, r,
                       r == TL_REFUSAL_INVALID ? TL_NETWORK_NAME_WORDS
                       : r == TL_REFUSAL_BUSY  ? "this node is in too many networks; leave one"
                                               : "");
        return;
    }
    tl_objects_changed(m, n, NULL);
    m->config.world->save_network(m->config.user, n, stored_of(op));
}

void tl_members_import(tl_members *m, tl_members_op *op, const tl_identity *ca, const char *name,
                       const json_t *revocations, const json_t *price)
{
    bool stale;
    json_t *own = NULL;
    tl_membership *n = NULL;
    tl_networks *b = m->config.book;
    tl_unix now = tl_members_wall(m);
    tl_op_begin(m, op, IMPORT, &ca->id);
    op->node = m->config.identity->id;
    /* an invite that is under way must not make this node less than an admin later */
    if (!tl_joining_cancel(m, &ca->id)) {
        tl_op_end_with(op, TL_REFUSAL_BUSY, "this node is just joining that network; try again");
        return;
    }
    bool is_new = !tl_networks_by_id(b, &ca->id);
    tl_err e = tl_networks_add(b, &ca->id, name, &n);
    if (e) {
        tl_op_end(op, e == TL_ERR_INVALID ? TL_REFUSAL_INVALID
                      : e == TL_ERR_BUSY  ? TL_REFUSAL_BUSY
                                          : TL_REFUSAL_INTERNAL);
        return;
    }
    /* what the key signed is right whatever the clock says now */
    if (revocations)
        (void)tl_ptn_take_revocations(n->ptn, revocations, TL_PTN_TIME_MAX, &stale);
    if (price)
        (void)tl_ptn_take_price(n->ptn, price, TL_PTN_TIME_MAX);
    if (tl_ptn_is_revoked(n->ptn, &op->node)) {
        if (is_new)
            tl_networks_remove(b, n);
        tl_op_end_with(
            op, TL_REFUSAL_REVOKED,
            "this node was revoked in this network, for good, so it cannot be its admin; "
            "import the CA key on another node, or give this one a new identity");
        return;
    }
    if (n->left)
        tl_networks_rejoin(b, n);
    if (tl_networks_set_ca(b, n, ca)) {
        tl_op_end(op, TL_REFUSAL_INTERNAL);
        return;
    }
    bool admin = n->certificate && n->cert.role == TL_ROLE_ADMIN && !n->cert.delegated &&
                 tl_membership_state_of(b, n, now) == TL_MEMBERSHIP_VALID;
    tl_refusal r = admin ? TL_REFUSAL_NONE
                         : tl_authority_certify(b, n, m->config.identity, &op->node, TL_ROLE_ADMIN,
                                                0, now, &own);
    if (!r && own && tl_networks_set_certificate(b, n, own))
        r = TL_REFUSAL_INTERNAL;
    json_decref(own);
    if (r) {
        tl_op_end(op, r);
        return;
    }
    op->cert = n->cert;
    tl_objects_changed(m, n, NULL);
    m->config.world->save_network(m->config.user, n, stored_of(op));
}

void tl_members_leave(tl_members *m, tl_members_op *op, tl_membership *n, bool del)
{
    tl_op_begin(m, op, LEAVE, &n->id);
    op->node = m->config.identity->id;
    if (n->left) {
        tl_op_end(op, TL_REFUSAL_NOT_FOUND);
        return;
    }
    if (n->has_ca && !del) {
        tl_op_end_with(op, TL_REFUSAL_INVALID,
                       "this node holds the network's CA key, which is lost with it: export it "
                       "first (teale ptn export-ca-key), then leave with --delete");
        return;
    }
    bool joining = !n->certificate;
    if (!tl_joining_cancel(m, &n->id)) {
        tl_op_end_with(op, TL_REFUSAL_BUSY, "this node is just joining that network; try again");
        return;
    }
    if (joining) { /* it is out of the book, and the store has no row of it */
        tl_op_end(op, TL_REFUSAL_NONE);
        return;
    }
    tl_neighbour *nb, *next;
    HASH_ITER (hh, m->neighbours, nb, next) {
        tl_member_link *l = tl_link_find(nb, &n->id);
        if (l && l->heard)
            tl_members_tell(m, &nb->id, "ptnLeave",
                            json_pack("{s:o}", "ptnID", tl_node_id_json(&n->id)));
        if (l)
            *l = (tl_member_link){.network = n->id};
    }
    tl_networks_leave(m->config.book, n);
    m->config.world->on_revoked(m->config.user, n, &m->config.identity->id);
    m->config.world->save_network(m->config.user, n, stored_of(op));
}

void tl_members_new_api_key(tl_members *m, tl_members_op *op, tl_membership *n)
{
    uint8_t bytes[32];
    char key[TL_NETWORK_KEY_MAX + 1] = "tl-";
    tl_op_begin(m, op, KEY, &n->id);
    tl_rand_bytes(m->config.rand, bytes, sizeof bytes);
    sodium_bin2base64(key + 3, sizeof key - 3, bytes, sizeof bytes,
                      sodium_base64_VARIANT_URLSAFE_NO_PADDING);
    tl_err e = tl_networks_set_api_key(m->config.book, n, key);
    sodium_memzero(bytes, sizeof bytes);
    sodium_memzero(key, sizeof key);
    if (e) {
        tl_op_end(op, TL_REFUSAL_INTERNAL);
        return;
    }
    m->config.world->save_network(m->config.user, n, stored_of(op));
}

/* --- invites --- */

void tl_members_invite(tl_members *m, tl_members_op *op, const tl_membership *n, tl_invite *invite,
                       tl_buf *text)
{
    tl_op_begin(m, op, INVITE, &n->id);
    snprintf(invite->name, sizeof invite->name, "%s", n->name);
    tl_refusal r = tl_authority_invite(m->config.book, n, m->config.identity, m->config.rand,
                                       tl_members_wall(m), invite, text);
    if (r) {
        tl_op_end_with(op, r,
                       r == TL_REFUSAL_INVALID
                           ? "an invite lasts from one second to 30 days, and a certificate as "
                             "long as times have numbers"
                           : "");
        return;
    }
    m->config.world->save_invite(m->config.user, invite, stored_of(op));
}

void tl_members_withdraw(tl_members *m, tl_members_op *op, const tl_membership *n,
                         const uint8_t nonce[TL_INVITE_NONCE])
{
    tl_op_begin(m, op, WITHDRAW, &n->id);
    tl_refusal r = tl_authority_may(m->config.book, n, tl_members_wall(m));
    if (r)
        tl_op_end(op, r);
    else
        m->config.world->withdraw_invite(m->config.user, &n->id, nonce, stored_of(op));
}

/* --- members --- */

/* A price that the revoked admin signed would be refused by who has not seen it yet. */
static void sign_price_again(tl_members *m, tl_membership *n, const tl_node_id *revoked,
                             tl_unix now)
{
    char hex[TL_NODE_ID_HEX + 1];
    json_t *price;
    tl_node_id_write(hex, revoked);
    if (strcmp(tl_json_string(tl_ptn_price_object(n->ptn), "issuerNodeID", ""), hex) != 0 ||
        tl_authority_price(m->config.book, n, m->config.identity, tl_ptn_price_of(n->ptn, NULL),
                           now, &price))
        return;
    (void)tl_ptn_take_price(n->ptn, price, now);
    json_decref(price);
}

void tl_members_revoke(tl_members *m, tl_members_op *op, tl_membership *n, const tl_node_id *node,
                       bool keep_members)
{
    bool stale;
    json_t *list, *key;
    tl_unix now = tl_members_wall(m);
    tl_op_begin(m, op, 0, &n->id);
    op->node = *node;
    tl_refusal r = tl_authority_may(m->config.book, n, now);
    if (r) {
        tl_op_end(op, r);
        return;
    }
    if (tl_node_id_eq(node, &m->config.identity->id)) {
        tl_op_end_with(op, TL_REFUSAL_INVALID,
                       "this is the node itself: to go, leave the network (teale ptn leave)");
        return;
    }
    r = tl_authority_revoke(m->config.book, n, m->config.identity, node, now, &list);
    if (!r) {
        if (tl_ptn_take_revocations(n->ptn, list, now, &stale))
            r = TL_REFUSAL_INTERNAL;
        json_decref(list);
    }
    if (keep_members && (!r || r == TL_REFUSAL_EXISTS)) /* before who falls is shut out */
        op->not_kept = tl_keep_members(m, n, node);
    if (r && r != TL_REFUSAL_EXISTS) { /* who is revoked already may be told of again */
        tl_op_end_with(op, r,
                       r == TL_REFUSAL_INVALID
                           ? "the network's list of revoked nodes is full; make "
                             "a new network, and invite its members there"
                       : r == TL_REFUSAL_NOT_CA ? "the list of revoked nodes has room only for the "
                                                  "network's CA key; revoke where that is"
                                                : "");
        return;
    }
    op->number = tl_ptn_sequence(n->ptn);
    op->at = tl_ptn_revoked_at(n->ptn, node);
    /* a new group key, which the node does not get */
    if (!r &&
        tl_authority_groupkey(m->config.book, n, m->config.identity, m->config.rand, now, &key)) {
        tl_log(TL_LOG_WARN,
               "network %s: the revoked node keeps the group key, and can tell members that hide "
               "(ptn.hide): a revocation where the CA key is changes it",
               n->name);
    } else if (!r) {
        (void)tl_ptn_take_groupkey(n->ptn, key, now);
        json_decref(key);
    }
    if (!r)
        sign_price_again(m, n, node, now);
    tl_networks_changed(m->config.book);
    bool met = tl_members_is_online(m, &n->id, node);
    tl_hello_end_revoked(m, n); /* tells the event of who is connected */
    if (!r && !met)
        event(op, n, TL_MEMBERSHIP_WAS_REVOKED);
    tl_tended *t = tl_tended_get(m, &n->id);
    if (t) {
        t->spread = true;
        t->spread_since = tl_members_now(m);
        tl_members_rearm(m, tl_members_now(m));
    }
    tl_objects_changed(m, n, op);
}

/* Signs a certificate for another node, stores and sends it. */
static void certify(tl_members *m, tl_members_op *op, tl_membership *n, tl_role role,
                    int64_t lifetime)
{
    tl_unix now = tl_members_wall(m);
    tl_refusal r = tl_authority_certify(m->config.book, n, m->config.identity, &op->node, role,
                                        lifetime, now, &op->certificate);
    if (!r && tl_cert_read(op->certificate, &op->cert))
        r = TL_REFUSAL_INTERNAL;
    if (r) {
        tl_op_end(op, r);
        return;
    }
    (void)tl_networks_keep(m->config.book, &op->cert);
    m->config.world->save_member(m->config.user, &n->id, &op->node, op->certificate, 0,
                                 stored_of(op));
}

void tl_members_promote(tl_members *m, tl_members_op *op, tl_membership *n, const tl_node_id *node)
{
    tl_op_begin(m, op, PROMOTE, &n->id);
    op->node = *node;
    op->event = TL_MEMBERSHIP_PROMOTED;
    const tl_cert *cert = tl_networks_cert_of(m->config.book, n, node);
    tl_refusal r = n->left     ? TL_REFUSAL_NOT_FOUND
                   : n->has_ca ? TL_REFUSAL_NONE
                               : TL_REFUSAL_NOT_CA; /* whatever else this node is */
    if (r)
        tl_op_end(op, r);
    else if (!cert)
        tl_op_end_with(op, TL_REFUSAL_NOT_FOUND,
                       "this node has met no member of that ID; invite it as an admin");
    else
        certify(m, op, n, TL_ROLE_ADMIN, tl_authority_lifetime(cert));
}

/* A person decides of what has ended: no admin does it unasked. */
static void deny_expired(tl_members_op *op, const tl_membership *n)
{
    char words[sizeof op->words], hex[TL_NODE_ID_HEX + 1];
    tl_node_id_write(hex, &op->node);
    snprintf(words, sizeof words,
             "this node's certificate has expired, and is not renewed by itself any more: an admin "
             "renews it by hand (there: teale ptn renew %s %.8s), or join with a new invite",
             n->name, hex);
    tl_op_end_with(op, TL_REFUSAL_DENIED, words);
}

static void renew_own(tl_members *m, tl_members_op *op, tl_membership *n, int64_t lifetime)
{
    json_t *certificate;
    tl_tended *t = tl_tended_get(m, &n->id);
    if (n->left || !n->certificate) {
        tl_op_end_with(op, n->left ? TL_REFUSAL_NOT_FOUND : TL_REFUSAL_DENIED,
                       n->left ? "" : "this node has not joined the network yet");
        return;
    }
    if (!t || t->renewing) {
        tl_op_end(op, t ? TL_REFUSAL_BUSY : TL_REFUSAL_INTERNAL);
        return;
    }
    switch (tl_networks_are_we(m->config.book, &n->id, tl_members_wall(m))) {
    case TL_MAY_WE_REVOKED:
        if (tl_ptn_is_revoked(n->ptn, &op->node)) {
            tl_op_end(op, TL_REFUSAL_REVOKED);
            return;
        }
        if (!n->has_ca) {
            tl_op_end_with(
                op, TL_REFUSAL_DENIED,
                "the admin that signed this node's certificate was revoked; another admin "
                "signs a new one (there: teale ptn renew NET NODE)");
            return;
        }
        break;
    case TL_MAY_WE_EXPIRED:
        if (!n->has_ca) {
            deny_expired(op, n);
            return;
        }
        break;
    default: break;
    }
    if (lifetime >= 0 && !n->has_ca && n->cert.role == TL_ROLE_ADMIN) {
        tl_op_end(op, TL_REFUSAL_NOT_CA);
        return;
    }
    if (lifetime >= 0 && !n->has_ca) {
        tl_op_end_with(op, TL_REFUSAL_NOT_ADMIN,
                       "an admin decides how long a certificate is valid; ask one to renew it");
        return;
    }
    t->renewing = op;
    t->n_asked = 0;
    t->renew_deadline = tl_members_now(m) + TL_MEMBERS_ANSWER_WITHIN;
    t->renew_at = TL_NEVER;
    if (lifetime >= 0 &&
        !tl_authority_certify(m->config.book, n, m->config.identity, &op->node, n->cert.role,
                              lifetime, tl_members_wall(m), &certificate)) {
        (void)tl_tend_take_own(m, n, certificate);
        json_decref(certificate);
        return;
    }
    tl_members_rearm(m, tl_members_now(m));
}

void tl_members_renew(tl_members *m, tl_members_op *op, tl_membership *n, const tl_node_id *node,
                      int64_t lifetime)
{
    tl_op_begin(m, op, RENEW, &n->id);
    op->node = *node;
    op->event = TL_MEMBERSHIP_RENEWED;
    if (tl_node_id_eq(node, &m->config.identity->id)) {
        renew_own(m, op, n, lifetime);
        return;
    }
    const tl_cert *cert = tl_networks_cert_of(m->config.book, n, node);
    tl_refusal r = tl_authority_may(m->config.book, n, tl_members_wall(m));
    if (r)
        tl_op_end(op, r);
    else if (!cert)
        tl_op_end_with(op, TL_REFUSAL_NOT_FOUND, "this node has met no member of that ID");
    else
        certify(m, op, n, cert->role, lifetime < 0 ? tl_authority_lifetime(cert) : lifetime);
}

void tl_members_price(tl_members *m, tl_members_op *op, tl_membership *n, int64_t micro)
{
    json_t *price;
    tl_unix now = tl_members_wall(m);
    tl_op_begin(m, op, 0, &n->id);
    op->at = now;
    tl_refusal r = tl_authority_price(m->config.book, n, m->config.identity, micro, now, &price);
    if (!r) {
        if (tl_ptn_take_price(n->ptn, price, now))
            r = TL_REFUSAL_INTERNAL;
        json_decref(price);
    }
    if (r) {
        tl_op_end_with(
            op, r, r == TL_REFUSAL_INVALID ? "a price is a whole number from 0 to 2^53 - 1" : "");
        return;
    }
    tl_ptn_price_of(n->ptn, &op->number);
    tl_networks_changed(m->config.book);
    tl_objects_changed(m, n, op);
}
