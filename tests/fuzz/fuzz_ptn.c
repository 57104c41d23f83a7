/* Certificates, lists of revoked nodes, prices and invites of private networks: the text as it came,
 * and (so that what lies behind the signatures is reached) the same with right signatures put on it:
 * the authority's, or an admin's where the text has a `chain`. */
#include "crypto/canonical.h"
#include "crypto/sign.h"
#include "ptn/invite.h"
#include "ptn/ptn.h"

#include <sodium.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

#define WALL  INT64_C(1700000000)
#define DEPTH 16
#define BARE  (-1)

static tl_identity authority, admin; /* of the seeds 01..01 and 02..02 */
static json_t *admin_certificate;    /* without an end */

static void make_people(void)
{
    uint8_t seed[32];
    if (admin_certificate)
        return;
    memset(seed, 1, sizeof seed);
    if (tl_crypto_init() || tl_identity_from_seed(seed, &authority))
        abort();
    memset(seed, 2, sizeof seed);
    if (tl_identity_from_seed(seed, &admin))
        abort();
    const tl_cert wish = {.network = authority.id,
                          .node = admin.id,
                          .issuer = authority.id,
                          .role = TL_ROLE_ADMIN,
                          .issued_at = WALL,
                          .expires_at = TL_PTN_NO_END};
    if (tl_cert_make(&wish, &authority, NULL, &admin_certificate))
        abort();
}

static void must(bool so)
{
    if (!so)
        abort();
}

/* --- what is believed keeps its promises; what is not leaves the output alone --- */

static bool untouched(const void *room, size_t n)
{
    const uint8_t *p = room;
    for (size_t i = 0; i < n; i++) {
        if (p[i] != 0xA5)
            return false;
    }
    return true;
}

static void read_certificate(const json_t *value)
{
    tl_cert cert;
    memset(&cert, 0xA5, sizeof cert);
    if (tl_cert_read(value, &cert)) {
        must(untouched(&cert, sizeof cert));
        return;
    }
    must(cert.role < TL_ROLES && cert.issued_at >= 0 && cert.issued_at <= cert.expires_at);
    must(!(cert.delegated && cert.role == TL_ROLE_ADMIN));
    must(cert.delegated || cert.issuer_expires_at == TL_PTN_NO_END);
    if (cert.expires_at != TL_PTN_NO_END)
        must(tl_cert_at(&cert, cert.expires_at + 1) == TL_PTN_EXPIRED);
    tl_ptn *network;
    must(!tl_ptn_new(&cert.network, &network));
    tl_ptn_verdict v = tl_cert_at(&cert, WALL);
    must(tl_ptn_judge(network, &cert, &cert.node, WALL) == v);
    if (!tl_node_id_eq(&cert.node, &admin.id))
        must(tl_ptn_judge(network, &cert, &admin.id, WALL) == TL_PTN_FOREIGN);
    tl_ptn_free(network);
}

static void read_list(const json_t *value)
{
    tl_revocations list;
    bool stale;
    memset(&list, 0xA5, sizeof list);
    if (tl_revocations_read(value, &list)) {
        must(untouched(&list, sizeof list));
        return;
    }
    must(list.sequence >= 1 && list.n <= TL_REVOCATIONS_MAX);
    tl_ptn *network;
    must(!tl_ptn_new(&list.network, &network));
    if (tl_ptn_take_revocations(network, value, WALL, &stale) == TL_PTN_OK) {
        must(tl_ptn_sequence(network) == list.sequence);
        for (size_t i = 0; i < list.n; i++)
            must(tl_ptn_is_revoked(network, &list.entries[i].node));
        must(tl_ptn_take_revocations(network, value, WALL, &stale) != TL_PTN_OK);
    } else {
        must(tl_ptn_sequence(network) == 0);
    }
    tl_ptn_free(network);
    tl_revocations_clear(&list);
}

static void read_price(const json_t *value)
{
    tl_ptn_price price;
    memset(&price, 0xA5, sizeof price);
    if (tl_ptn_price_read(value, &price)) {
        must(untouched(&price, sizeof price));
        return;
    }
    must(price.head.version >= 1 && price.micro_per_ktoken >= 0);
    tl_ptn *network;
    int64_t version;
    must(!tl_ptn_new(&price.head.network, &network));
    if (tl_ptn_take_price(network, value, WALL) == TL_PTN_OK) {
        must(tl_ptn_price_of(network, &version) == price.micro_per_ktoken);
        must(version == price.head.version);
        must(tl_ptn_take_price(network, value, WALL) == TL_PTN_OLD);
    }
    tl_ptn_free(network);
}

static void read_invite(tl_slice text)
{
    tl_invite invite;
    memset(&invite, 0xA5, sizeof invite);
    if (tl_invite_read(text, &invite)) {
        must(untouched(&invite, sizeof invite));
        return;
    }
    must(invite.name[0] && memchr(invite.name, 0, sizeof invite.name));
    must(memchr(invite.relay, 0, sizeof invite.relay) && invite.role < TL_ROLES);
    must(tl_invite_at(&invite, &invite.node, invite.expires_at) == TL_PTN_OK);
    must(tl_invite_at(&invite, &invite.node, invite.expires_at + 1) == TL_PTN_EXPIRED);
}

/* --- right signatures --- */

static void put_hex(json_t *object, const char *key, const void *bytes, size_t n)
{
    char hex[2 * TL_SIGNATURE_SIZE + 1];
    tl_hex_write(hex, bytes, n);
    json_object_set_new(object, key, json_string(hex));
}

static bool sign(const tl_identity *key, int purpose, const json_t *body, json_t *whole)
{
    tl_buf bytes = {0};
    tl_signature signature;
    tl_err e = tl_canonical_write(&bytes, body);
    if (!e)
        e = purpose == BARE
                ? tl_sign_bare(key, tl_buf_slice(&bytes), &signature)
                : tl_sign(key, (tl_sign_purpose)purpose, tl_buf_slice(&bytes), &signature);
    tl_buf_clear(&bytes);
    if (!e)
        put_hex(whole, "signature", signature.bytes, sizeof signature.bytes);
    return !e;
}

/* Who signs; the object is without `chain` after it. */
static const tl_identity *signer_of(json_t *object, json_t *body)
{
    const tl_identity *key = json_object_get(object, "chain") ? &admin : &authority;
    put_hex(body, "ptnID", authority.id.key, sizeof authority.id.key);
    put_hex(body, "issuerNodeID", key->id.key, sizeof key->id.key);
    json_object_del(object, "chain");
    return key;
}

static void put_chain(json_t *object, const tl_identity *key)
{
    if (key == &admin)
        json_object_set_new(object, "chain", json_pack("[O]", admin_certificate));
}

static bool put_certificate_signature(json_t *object)
{
    json_t *payload = json_object_get(object, "payload");
    if (!json_is_object(payload))
        return false;
    const tl_identity *key = signer_of(object, payload);
    bool done = sign(key, BARE, payload, object);
    put_chain(object, key);
    return done;
}

static bool put_object_signature(json_t *object, tl_sign_purpose purpose)
{
    const tl_identity *key = signer_of(object, object);
    json_object_del(object, "signature");
    bool done = sign(key, (int)purpose, object, object);
    put_chain(object, key);
    return done;
}

/* The object as an invite's text. */
static bool write_invite(json_t *object, tl_buf *out)
{
    char base64[4 * TL_INVITE_MAX];
    tl_buf bytes = {0};
    put_hex(object, "inviterNodeID", admin.id.key, sizeof admin.id.key);
    json_object_del(object, "signature");
    bool done = sign(&admin, TL_SIGN_INVITE, object, object) &&
                !tl_canonical_write(&bytes, object) && bytes.len <= 2 * TL_INVITE_MAX;
    if (done) {
        tl_slice s = tl_buf_slice(&bytes);
        sodium_bin2base64(base64, sizeof base64, s.p, s.n,
                          sodium_base64_VARIANT_URLSAFE_NO_PADDING);
        done = !tl_buf_printf(out, "%s%s", TL_INVITE_PREFIX, base64);
    }
    tl_buf_clear(&bytes);
    return done;
}

static void with_signatures(const json_t *value)
{
    json_t *copy = json_deep_copy(value);
    if (copy && put_certificate_signature(copy))
        read_certificate(copy);
    json_decref(copy);
    copy = json_deep_copy(value);
    if (copy && put_object_signature(copy, TL_SIGN_REVOCATION))
        read_list(copy);
    json_decref(copy);
    copy = json_deep_copy(value);
    if (copy && put_object_signature(copy, TL_SIGN_PRICE))
        read_price(copy);
    json_decref(copy);
    copy = json_deep_copy(value);
    tl_buf text = {0};
    if (copy && write_invite(copy, &text))
        read_invite(tl_buf_slice(&text));
    tl_buf_clear(&text);
    json_decref(copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    json_t *value;
    make_people();
    read_invite(tl_slice_of(data, n));
    if (tl_json_parse(tl_slice_of(data, n), DEPTH, &value, NULL))
        return 0;
    read_certificate(value);
    read_list(value);
    read_price(value);
    if (json_is_object(value))
        with_signatures(value);
    json_decref(value);
    return 0;
}
