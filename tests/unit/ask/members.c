#include "members.h"

#include "ptn/price.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static tl_identity from_byte(unsigned byte)
{
    uint8_t seed[32];
    tl_identity identity;
    memset(seed, (int)byte, sizeof seed);
    assert_int_equal(tl_identity_from_seed(seed, &identity), TL_OK);
    return identity;
}

/* The authority of the nth network that members_also makes; 0: of lab. */
static tl_identity authority_of(unsigned nth)
{
    return from_byte(200 + nth);
}

static tl_membership *enter(members *m, unsigned nth, const char *name, tl_role ours)
{
    tl_identity authority = authority_of(nth);
    tl_membership *n;
    json_t *own;
    tl_cert wish = {.network = authority.id,
                    .node = m->self.id,
                    .issuer = m->self.id,
                    .role = ours,
                    .expires_at = TL_PTN_NO_END};
    assert_int_equal(tl_cert_make(&wish, &authority, NULL, &own), TL_OK);
    assert_int_equal(tl_networks_add(m->book, &authority.id, name, &n), TL_OK);
    assert_int_equal(tl_networks_set_certificate(m->book, n, own), TL_PTN_OK);
    json_decref(own);
    return n;
}

void members_init(members *m, tl_role ours)
{
    assert_int_equal(tl_crypto_init(), TL_OK);
    *m = (members){.self = from_byte(100), .authority = authority_of(0)};
    assert_int_equal(tl_networks_new(&m->self.id, &m->book), TL_OK);
    m->lab = enter(m, 0, "lab", ours);
}

void members_clear(members *m)
{
    tl_networks_free(m->book);
}

static void keep(members *m, const tl_membership *n, const tl_node_id *peer, tl_role role,
                 tl_unix expires_at)
{
    tl_cert cert = {.network = n->id,
                    .node = *peer,
                    .issuer = m->self.id,
                    .role = role,
                    .expires_at = expires_at,
                    .issuer_expires_at = TL_PTN_NO_END};
    assert_int_equal(tl_networks_keep(m->book, &cert), TL_PTN_OK);
}

void members_add(members *m, const tl_node_id *peer, tl_role role, tl_unix expires_at)
{
    keep(m, m->lab, peer, role, expires_at);
}

void members_add_all(members *m, tl_role role)
{
    for (unsigned i = 0; i < 256; i++)
        members_add(m, &(tl_node_id){.key = {(uint8_t)i}}, role, TL_PTN_NO_END);
}

tl_membership *members_also(members *m, unsigned nth, const char *name)
{
    return enter(m, nth, name, TL_ROLE_PROVIDER);
}

void members_add_to(members *m, const tl_membership *n, const tl_node_id *peer, tl_role role)
{
    keep(m, n, peer, role, TL_PTN_NO_END);
}

void members_revoke(members *m, const tl_node_id *peer)
{
    bool stale;
    json_t *list;
    tl_revocation entry = {.node = *peer, .at = 1};
    tl_revocations r = {.network = m->lab->id,
                        .issuer = m->self.id,
                        .sequence = tl_ptn_sequence(m->lab->ptn) + 1,
                        .n = 1,
                        .entries = &entry};
    assert_int_equal(tl_revocations_make(&r, &m->authority, NULL, &list), TL_OK);
    assert_int_equal(tl_ptn_take_revocations(m->lab->ptn, list, 1000, &stale), TL_PTN_OK);
    json_decref(list);
    tl_networks_changed(m->book);
}

void members_price(members *m, tl_membership *n, int64_t price)
{
    json_t *object;
    int64_t version;
    (void)tl_ptn_price_of(n->ptn, &version);
    for (unsigned nth = 0; nth < 8; nth++) {
        tl_identity authority = authority_of(nth);
        if (!tl_node_id_eq(&authority.id, &n->id))
            continue;
        tl_ptn_price p = {.head.network = n->id,
                          .head.issuer = m->self.id,
                          .head.version = version + 1,
                          .micro_per_ktoken = price};
        assert_int_equal(tl_ptn_price_make(&p, &authority, NULL, &object), TL_OK);
        assert_int_equal(tl_ptn_take_price(n->ptn, object, 1000), TL_PTN_OK);
        json_decref(object);
        tl_networks_changed(m->book);
        return;
    }
    fail_msg("no network of this scene");
}
