#include "ptn/networks_state.h"

#include "base/json.h"
#include "crypto/canonical.h"

#include <assert.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <utlist.h>

tl_err tl_networks_new(const tl_node_id *self, tl_networks **ret_book)
{
    tl_networks *b = calloc(1, sizeof *b);
    if (!b)
        return TL_ERR_NOMEM;
    b->self = *self;
    *ret_book = b;
    return TL_OK;
}

void tl_networks_free(tl_networks *b)
{
    if (!b)
        return;
    while (b->n)
        tl_networks_remove(b, b->ours[b->n - 1]);
    tl_peer_certs *p, *next;
    HASH_ITER (hh, b->peers, p, next) {
        assert(!p->certs);
        /* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): what was freed left its list */
        HASH_DEL(b->peers, p);
        free(p);
    }
    free(b);
}

void tl_networks_set_max_age(tl_networks *b, int64_t seconds)
{
    assert(seconds >= 0);
    b->max_age = seconds;
    b->version++;
}

void tl_networks_set_hide(tl_networks *b, bool hide)
{
    b->hides = hide;
    b->version++;
}

bool tl_networks_hides(const tl_networks *b)
{
    return b->hides;
}

uint64_t tl_networks_version(const tl_networks *b)
{
    return b->version;
}

void tl_networks_changed(tl_networks *b)
{
    b->version++;
}

/* --- certificates of others --- */

static tl_peer_certs *peer_get(tl_networks *b, const tl_node_id *peer)
{
    tl_peer_certs *p;
    HASH_FIND(hh, b->peers, peer, sizeof *peer, p);
    if (p)
        return p;
    p = calloc(1, sizeof *p);
    if (!p)
        return NULL;
    p->peer = *peer;
    if (!TL_TABLE_ADD(hh, b->peers, peer, sizeof p->peer, p)) {
        free(p);
        return NULL;
    }
    return p;
}

static void peer_tidy(tl_networks *b, tl_peer_certs *p)
{
    if (p->connected || p->certs)
        return;
    HASH_DEL(b->peers, p);
    free(p);
}

/* Adds the certificate, or takes it out: the digest does not depend on the order. */
static void change_digest(tl_ptn_digest *d, const tl_cert *cert)
{
    uint8_t bytes[sizeof cert->node.key + 8];
    tl_ptn_digest one;
    memcpy(bytes, cert->node.key, sizeof cert->node.key);
    for (size_t i = 0; i < 8; i++)
        bytes[sizeof cert->node.key + i] = (uint8_t)((uint64_t)cert->issued_at >> (8 * i));
    crypto_generichash(one.bytes, sizeof one.bytes, bytes, sizeof bytes, NULL, 0);
    for (size_t i = 0; i < sizeof one.bytes; i++)
        d->bytes[i] ^= one.bytes[i];
}

static void drop(tl_networks *b, tl_kept_cert *k)
{
    tl_peer_certs *p = k->of;
    if (!k->left)
        change_digest(&k->network->others, &k->cert);
    LL_DELETE2(p->certs, k, next_of_peer);
    DL_DELETE(b->seen, k);
    k->network->n_members--;
    b->n_certs--;
    b->version++;
    free(k);
    peer_tidy(b, p);
}

/* It gives its node no right, and will not again. By the latest time that anybody came with. */
static bool is_worthless(const tl_networks *b, const tl_membership *n, const tl_cert *cert)
{
    tl_ptn_verdict v = tl_ptn_judge(n->ptn, cert, &cert->node, b->now);
    return v == TL_PTN_REVOKED || v == TL_PTN_EXPIRED;
}

/* The one that makes room: of `n`, or of any network where that is NULL. One that counts for nothing
 * first, else the one that was not seen for the longest time. */
static tl_kept_cert *least_needed(const tl_networks *b, const tl_membership *n)
{
    tl_kept_cert *k, *oldest = NULL;
    DL_FOREACH (b->seen, k) {
        if (k->of->connected || (n && k->network != n))
            continue;
        if (k->left || is_worthless(b, k->network, &k->cert))
            return k;
        if (!oldest)
            oldest = k;
    }
    return oldest;
}

static bool is_full(const tl_networks *b, const tl_membership *n)
{
    return n->n_members >= TL_NETWORK_MEMBERS_MAX || b->n_certs >= TL_NETWORKS_CERTS_MAX;
}

static bool make_room(tl_networks *b, const tl_membership *n)
{
    while (is_full(b, n)) {
        tl_kept_cert *k = least_needed(b, n->n_members >= TL_NETWORK_MEMBERS_MAX ? n : NULL);
        if (!k)
            return false;
        drop(b, k);
    }
    return true;
}

static tl_ptn_verdict keep(tl_networks *b, tl_membership *n, const tl_cert *cert,
                           const tl_cert_digest *digest)
{
    tl_kept_cert *k = tl_kept_cert_find(b, n, &cert->node);
    if (!k) {
        if (!make_room(b, n))
            return TL_PTN_NO_MEMORY;
        tl_peer_certs *p = peer_get(b, &cert->node);
        if (!p)
            return TL_PTN_NO_MEMORY;
        k = calloc(1, sizeof *k);
        if (!k) {
            peer_tidy(b, p);
            return TL_PTN_NO_MEMORY;
        }
        k->of = p;
        k->network = n;
        LL_PREPEND2(p->certs, k, next_of_peer);
        n->n_members++;
        b->n_certs++;
    } else {
        DL_DELETE(b->seen, k);
        if (!k->left)
            change_digest(&n->others, &k->cert);
    }
    DL_APPEND(b->seen, k);
    k->left = false;
    k->cert = *cert;
    change_digest(&n->others, cert);
    k->digest = *digest;
    b->version++;
    return TL_PTN_OK;
}

/* An older certificate might give back a role that was taken. But nothing is older than what a
 * revoked admin signed. */
static bool is_older(const tl_kept_cert *k, const tl_cert *cert)
{
    return k && cert->issued_at < k->cert.issued_at + k->left &&
           !(k->cert.delegated && tl_ptn_is_revoked(k->network->ptn, &k->cert.issuer));
}

/* Whose it says it is, before any signature is checked. */
static bool says(const json_t *certificate, const char *field, const tl_node_id *id)
{
    char hex[TL_NODE_ID_HEX + 1];
    tl_node_id_write(hex, id);
    return strcmp(tl_json_string(json_object_get(certificate, "payload"), field, ""), hex) == 0;
}

static tl_membership *network_of(const tl_networks *b, const json_t *certificate)
{
    for (size_t i = 0; i < b->n; i++)
        if (!b->ours[i]->left && says(certificate, "ptnID", &b->ours[i]->id))
            return b->ours[i];
    return NULL;
}

static tl_err digest_of(const json_t *certificate, tl_cert_digest *ret)
{
    tl_buf bytes = {0};
    tl_err e = tl_canonical_write(&bytes, certificate);
    if (!e)
        crypto_generichash(ret->bytes, sizeof ret->bytes, tl_buf_begin(&bytes), bytes.len, NULL, 0);
    tl_buf_clear(&bytes);
    return e;
}

tl_ptn_verdict tl_networks_take_certificate(tl_networks *b, const tl_node_id *peer,
                                            const json_t *certificate, tl_unix now,
                                            bool *ret_checked)
{
    if (ret_checked)
        *ret_checked = false;
    b->now = now;
    tl_membership *n = network_of(b, certificate);
    if (!n || !says(certificate, "nodeID", peer) || tl_node_id_eq(peer, &b->self))
        return TL_PTN_FOREIGN;
    tl_cert_digest digest;
    tl_err e = digest_of(certificate, &digest);
    if (e)
        return e == TL_ERR_NOMEM ? TL_PTN_NO_MEMORY : TL_PTN_MALFORMED;
    tl_kept_cert *k = tl_kept_cert_find(b, n, peer);
    if (k && !k->left && memcmp(&k->digest, &digest, sizeof digest) == 0) {
        DL_DELETE(b->seen, k);
        DL_APPEND(b->seen, k);
        return tl_ptn_judge(n->ptn, &k->cert, peer, now);
    }
    tl_cert cert;
    if (ret_checked)
        *ret_checked = true;
    tl_ptn_verdict v = tl_cert_read(certificate, &cert);
    if (!v && is_older(k, &cert))
        v = TL_PTN_OLD;
    /* A revoked admin can sign for thousands of nodes that it makes up: they push out nobody. */
    if (!v && (k || !is_full(b, n) || !is_worthless(b, n, &cert)))
        v = keep(b, n, &cert, &digest);
    return v ? v : tl_ptn_judge(n->ptn, &cert, peer, now);
}

tl_ptn_verdict tl_networks_keep(tl_networks *b, const tl_cert *cert)
{
    static const tl_cert_digest unchecked;
    tl_membership *n = tl_networks_by_id(b, &cert->network);
    if (!n || n->left || tl_node_id_eq(&cert->node, &b->self))
        return TL_PTN_FOREIGN;
    if (is_older(tl_kept_cert_find(b, n, &cert->node), cert))
        return TL_PTN_OLD;
    return keep(b, n, cert, &unchecked);
}

void tl_networks_set_met(tl_networks *b, const tl_membership *n, const tl_node_id *peer)
{
    tl_kept_cert *k = tl_kept_cert_find(b, n, peer);
    if (k && !k->met) {
        k->met = true;
        b->version++;
    }
}

bool tl_networks_has_met(const tl_networks *b, const tl_membership *n, const tl_node_id *peer)
{
    const tl_kept_cert *k = tl_kept_cert_find(b, n, peer);
    return k && k->met;
}

void tl_networks_set_connected(tl_networks *b, const tl_node_id *peer, bool connected)
{
    tl_peer_certs *p;
    HASH_FIND(hh, b->peers, peer, sizeof *peer, p);
    if (!p && connected)
        p = peer_get(b, peer); /* without memory its certificates may be forgotten, no more */
    if (!p)
        return;
    p->connected = connected;
    peer_tidy(b, p);
}

const tl_cert *tl_networks_cert_of(const tl_networks *b, const tl_membership *n,
                                   const tl_node_id *peer)
{
    const tl_kept_cert *k = tl_kept_cert_find(b, n, peer);
    return k && !k->left ? &k->cert : NULL;
}

tl_unix tl_networks_issued_last(const tl_networks *b, const tl_membership *n,
                                const tl_node_id *peer)
{
    const tl_kept_cert *k = tl_kept_cert_find(b, n, peer);
    return k ? k->cert.issued_at : 0;
}

void tl_networks_each(const tl_networks *b, const tl_membership *n,
                      void (*visit)(void *user, const tl_cert *cert), void *user)
{
    const tl_kept_cert *k;
    DL_FOREACH (b->seen, k)
        if (k->network == n && !k->left)
            visit(user, &k->cert);
}

tl_ptn_digest tl_networks_members_digest(const tl_membership *n)
{
    tl_ptn_digest d = n->others;
    if (n->certificate)
        change_digest(&d, &n->cert);
    return d;
}

void tl_networks_forget(tl_networks *b, const tl_membership *n, const tl_node_id *peer)
{
    tl_kept_cert *k = tl_kept_cert_find(b, n, peer);
    if (!k || k->left)
        return;
    change_digest(&k->network->others, &k->cert);
    k->left = true;
    k->met = false;
    b->version++;
}

void tl_networks_load_left(tl_networks *b, tl_membership *n, const tl_node_id *peer,
                           tl_unix issued_at)
{
    static const tl_cert_digest unchecked;
    tl_cert cert = {.network = n->id,
                    .node = *peer,
                    .issuer = n->id,
                    .issued_at = issued_at,
                    .expires_at = issued_at};
    if (n->left || tl_node_id_eq(peer, &b->self) || tl_kept_cert_find(b, n, peer) ||
        is_full(b, n) || keep(b, n, &cert, &unchecked))
        return; /* members have the room first */
    tl_networks_forget(b, n, peer);
}

/* --- ours --- */

size_t tl_networks_count(const tl_networks *b)
{
    return b->n;
}

tl_membership *tl_networks_at(const tl_networks *b, size_t i)
{
    assert(i < b->n);
    return b->ours[i];
}

tl_membership *tl_networks_by_id(const tl_networks *b, const tl_node_id *id)
{
    for (size_t i = 0; i < b->n; i++)
        if (tl_node_id_eq(&b->ours[i]->id, id))
            return b->ours[i];
    return NULL;
}

static void drop_members(tl_networks *b, const tl_membership *n)
{
    tl_kept_cert *k, *next;
    DL_FOREACH_SAFE (b->seen, k, next)
        if (k->network == n)
            drop(b, k);
    assert(n->n_members == 0);
}

/* The first that was left, so that another has room. */
static bool forget_left(tl_networks *b)
{
    for (size_t i = 0; i < b->n; i++)
        /* NOLINTNEXTLINE(clang-analyzer-core.NullDereference): all below `n` are there */
        if (b->ours[i]->left) {
            tl_networks_remove(b, b->ours[i]);
            return true;
        }
    return false;
}

tl_err tl_networks_add(tl_networks *b, const tl_node_id *id, const char *name,
                       tl_membership **ret_network)
{
    if (!tl_network_name_is(name))
        return TL_ERR_INVALID;
    tl_membership *n = tl_networks_by_id(b, id);
    if (n) {
        *ret_network = n;
        return TL_OK;
    }
    if (b->n == TL_NETWORKS_MAX && !forget_left(b))
        return TL_ERR_BUSY;
    n = calloc(1, sizeof *n);
    if (!n)
        return TL_ERR_NOMEM;
    if (tl_ptn_new(id, &n->ptn)) {
        free(n);
        return TL_ERR_NOMEM;
    }
    n->id = *id;
    snprintf(n->name, sizeof n->name, "%s", name);
    b->ours[b->n++] = n;
    b->version++;
    *ret_network = n;
    return TL_OK;
}

void tl_networks_rejoin(tl_networks *b, tl_membership *n)
{
    n->left = false;
    b->version++;
}

tl_ptn_verdict tl_networks_set_certificate(tl_networks *b, tl_membership *n,
                                           const json_t *certificate)
{
    tl_cert cert;
    tl_ptn_verdict v = tl_cert_read(certificate, &cert);
    if (v)
        return v;
    if (!tl_node_id_eq(&cert.network, &n->id) || !tl_node_id_eq(&cert.node, &b->self))
        return TL_PTN_FOREIGN;
    json_t *copy = json_deep_copy(certificate);
    if (!copy)
        return TL_PTN_NO_MEMORY;
    json_decref(n->certificate);
    n->certificate = copy;
    n->cert = cert;
    n->left = false;
    b->version++;
    return TL_PTN_OK;
}

tl_err tl_networks_set_ca(tl_networks *b, tl_membership *n, const tl_identity *ca)
{
    if (!tl_node_id_eq(&ca->id, &n->id))
        return TL_ERR_FORBIDDEN;
    n->ca = *ca;
    n->has_ca = true;
    b->version++;
    return TL_OK;
}

tl_err tl_networks_set_api_key(tl_networks *b, tl_membership *n, const char *key)
{
    if (strlen(key) > TL_NETWORK_KEY_MAX)
        return TL_ERR_INVALID;
    memset(n->api_key, 0, sizeof n->api_key);
    snprintf(n->api_key, sizeof n->api_key, "%s", key);
    b->version++;
    return TL_OK;
}

void tl_networks_leave(tl_networks *b, tl_membership *n)
{
    drop_members(b, n);
    json_decref(n->certificate);
    n->certificate = NULL;
    n->cert = (tl_cert){0};
    tl_identity_clear(&n->ca);
    n->has_ca = false;
    sodium_memzero(n->api_key, sizeof n->api_key);
    n->left = true;
    n->checked_at = 0;
    b->version++;
}

void tl_networks_remove(tl_networks *b, tl_membership *n)
{
    tl_networks_leave(b, n);
    size_t i = 0;
    while (b->ours[i] != n)
        i++;
    memmove(&b->ours[i], &b->ours[i + 1], (b->n - i - 1) * sizeof(tl_membership *));
    b->n--;
    tl_ptn_free(n->ptn);
    free(n);
}

tl_membership *tl_networks_by_key(const tl_networks *b, tl_slice key)
{
    char padded[TL_NETWORK_KEY_MAX + 1] = "";
    tl_membership *found = NULL;
    if (key.n == 0 || key.n > TL_NETWORK_KEY_MAX)
        return NULL;
    memcpy(padded, key.p, key.n);
    for (size_t i = 0; i < b->n; i++)
        if (*b->ours[i]->api_key && sodium_memcmp(padded, b->ours[i]->api_key, sizeof padded) == 0)
            found = b->ours[i];
    return found;
}
