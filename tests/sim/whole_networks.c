#include "whole_networks.h"

#include "whole_relaying.h"

#include "node/hardware.h"
#include "peer/claims.h"
#include "ptn/groupkey.h"

#include <stdlib.h>

static void must_ok(tl_err e)
{
    if (e)
        abort();
}

static void must(tl_ptn_verdict v)
{
    if (v)
        abort();
}

/* --- capabilities --- */

static json_t *ptns(whole_node *n)
{
    tl_unix until;
    if (n->lies)
        return json_incref(n->lies);
    return n->book ? tl_claims_own(n->book, &n->identity.id, n->hide, n->env.wall(n), &until)
                   : json_array();
}

void whole_node_tell(whole_node *n)
{
    static const tl_hardware hardware = {.chip_family = "unknown", .tier = 2};
    json_t *told = ptns(n);
    tl_capabilities c = {.hardware = &hardware,
                         .models = n->models,
                         .n_models = n->n_models,
                         .available = n->n_models > 0,
                         .requests_max = 100,
                         .ptns = told,
                         .members_only = !n->access.share_public};
    json_t *for_relay = tl_capabilities_json(&c), *for_peers = tl_capabilities_json(&c);
    if (!for_relay || !for_peers ||
        (n->no_first &&
         (json_object_del(for_relay, "relayFirst") || json_object_del(for_peers, "relayFirst"))))
        abort();
    whole_relaying_tell(n, for_relay);
    whole_relaying_tell(n, for_peers);
    tl_relays_set_capabilities(n->relays, for_relay);
    tl_peers_set_capabilities(n->peers, for_peers);
    json_decref(told);
}

void whole_node_serve(whole_node *n, const char *model)
{
    n->models[n->n_models++] = model;
    whole_node_tell(n);
}

/* --- certificates --- */

static void book_changed(whole_node *n)
{
    tl_server_on_book(n->server);
    tl_router_on_book(n->router);
    sim_wake(n->host);
}

void whole_networks_on_hello(void *user, const tl_peer *peer)
{
    whole_node *n = user;
    tl_peer *p = tl_peer_table_find(&n->table, &peer->id);
    whole_credit_on_hello(n, &peer->id);
    for (size_t i = 0; n->book && i < tl_networks_count(n->book); i++) {
        const tl_membership *m = tl_networks_at(n->book, i);
        if (!tl_claims_has(n->book, p, &m->id, n->env.wall(n)))
            continue;
        json_t *shown = json_pack("{s:O}", "certificate", m->certificate);
        must_ok(tl_peers_tell(n->peers, &peer->id, "ptnHello", shown));
        json_decref(shown);
    }
}

void whole_networks_on_told(void *user, const tl_peer *peer, const char *name,
                            const json_t *payload)
{
    whole_node *n = user;
    bool checked;
    whole_credit_on_told(n, &peer->id, name, payload);
    if (!n->book || strcmp(name, "ptnHello") != 0)
        return;
    (void)tl_networks_take_certificate(n->book, &peer->id, json_object_get(payload, "certificate"),
                                       n->env.wall(n), &checked);
    book_changed(n);
}

void whole_node_join(whole_node *n, const tl_identity *authority, const char *name, tl_role role)
{
    tl_membership *m;
    json_t *own;
    tl_cert wish = {.network = authority->id,
                    .node = n->identity.id,
                    .issuer = n->identity.id,
                    .role = role,
                    .issued_at = n->env.wall(n),
                    .expires_at = TL_PTN_NO_END};
    if (!n->book)
        must_ok(tl_networks_new(&n->identity.id, &n->book));
    n->access.book = n->book;
    n->access.env = &n->env;
    must_ok(tl_cert_make(&wish, authority, NULL, &own));
    must_ok(tl_networks_add(n->book, &authority->id, name, &m));
    must(tl_networks_set_certificate(n->book, m, own));
    json_decref(own);
    whole_node_tell(n);
}

void whole_node_revoke(whole_node *n, const tl_identity *authority, const whole_node *member)
{
    bool stale;
    json_t *list;
    tl_membership *m = tl_networks_by_id(n->book, &authority->id);
    tl_revocation entry = {.node = member->identity.id, .at = n->env.wall(n)};
    tl_revocations r = {.network = authority->id,
                        .issuer = n->identity.id,
                        .sequence = tl_ptn_sequence(m->ptn) + 1,
                        .issued_at = n->env.wall(n),
                        .n = 1,
                        .entries = &entry};
    must_ok(tl_revocations_make(&r, authority, NULL, &list));
    must(tl_ptn_take_revocations(m->ptn, list, n->env.wall(n), &stale));
    json_decref(list);
    tl_networks_changed(n->book);
    book_changed(n);
}

void whole_node_hide(whole_node *n, const tl_identity *authority, uint8_t group)
{
    json_t *object;
    tl_membership *m = tl_networks_by_id(n->book, &authority->id);
    tl_ptn_groupkey key = {.head.network = authority->id,
                           .head.issuer = n->identity.id,
                           .head.version = tl_ptn_groupkey_version(m->ptn) + 1,
                           .head.issued_at = n->env.wall(n)};
    memset(key.key, group, sizeof key.key);
    must_ok(tl_ptn_groupkey_make(&key, authority, NULL, &object));
    must(tl_ptn_take_groupkey(m->ptn, object, n->env.wall(n)));
    json_decref(object);
    tl_networks_changed(n->book);
    n->hide = true;
    whole_node_tell(n);
}

void whole_networks_go_on(whole_node *n)
{
    if (n->book && tl_claims_go_on(n->book, &n->table, n->env.wall(n->env.user)))
        tl_router_on_listed(n->router);
}
