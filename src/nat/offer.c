#include "nat/offer.h"

#include "crypto/canonical.h"
#include "crypto/sign.h"
#include "wire/signal.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#define NONCE_SIZE TL_NONCE_SIZE

static tl_sign_purpose purpose_of(tl_offer_type type)
{
    switch (type) {
    case TL_OFFER_OFFER: return TL_SIGN_OFFER;
    case TL_OFFER_ANSWER: return TL_SIGN_ANSWER;
    case TL_OFFER_CANDIDATE: return TL_SIGN_CANDIDATE;
    }
    assert(!"a type of the list");
    return TL_SIGN_OFFER;
}

const char *tl_offer_verdict_name(tl_offer_verdict v)
{
    switch (v) {
    case TL_OFFER_OK: return "accepted";
    case TL_OFFER_MALFORMED: return "malformed";
    case TL_OFFER_NOT_OURS: return "not ours";
    case TL_OFFER_KEY: return "wrong key";
    case TL_OFFER_SIGNATURE: return "wrong signature";
    case TL_OFFER_LATE: return "late";
    case TL_OFFER_REPLAYED: return "replayed";
    case TL_OFFER_NO_MEMORY: return "no memory";
    case TL_OFFER_VERDICTS: break;
    }
    assert(!"a verdict of the list");
    return "";
}

void tl_session_new(tl_rand *rand, char ret_session[TL_SESSION_TEXT + 1])
{
    uint8_t b[16];
    char hex[33];
    tl_rand_bytes(rand, b, sizeof b);
    b[6] = (b[6] & 0x0F) | 0x40; /* version 4 */
    b[8] = (b[8] & 0x3F) | 0x80; /* variant */
    tl_hex_write(hex, b, sizeof b);
    snprintf(ret_session, TL_SESSION_TEXT + 1, "%.8s-%.4s-%.4s-%.4s-%.12s", hex, hex + 8, hex + 12,
             hex + 16, hex + 20);
}

/* --- what is signed --- */

/* `payload` holds everything but the signature over itself. */
static tl_err canonical_sign(const tl_identity *self, tl_sign_purpose purpose,
                             const json_t *payload, char ret_hex[2 * TL_SIGNATURE_SIZE + 1])
{
    tl_buf body = {0};
    tl_signature signature;
    tl_err e = tl_canonical_write(&body, payload);
    if (!e)
        e = tl_sign(self, purpose, tl_buf_slice(&body), &signature);
    if (!e)
        tl_signature_write(ret_hex, &signature);
    tl_buf_clear(&body);
    return e;
}

static tl_err canonical_verify(const tl_node_id *from, tl_sign_purpose purpose,
                               const json_t *payload, const tl_signature *signature)
{
    tl_buf body = {0};
    tl_err e = tl_canonical_write(&body, payload);
    if (!e)
        e = tl_sign_verify(from, purpose, tl_buf_slice(&body), signature);
    tl_buf_clear(&body);
    return e;
}

/* `from:to:sessionID`: what the public network signs of an offer. */
#define LEGACY_MAX (2 * TL_NODE_ID_HEX + TL_SIGNAL_SESSION_MAX + 3)
static tl_slice legacy_body(char room[LEGACY_MAX], const char *from, const char *to,
                            const char *session)
{
    int n = snprintf(room, LEGACY_MAX, "%s:%s:%s", from, to, session);
    return tl_slice_of(room, (size_t)n);
}

/* --- making --- */

/* A failing `set` frees the value and leaves the object as it was. */
static tl_err set(json_t *object, const char *key, json_t *value)
{
    return json_object_set_new(object, key, value) ? TL_ERR_NOMEM : TL_OK;
}

static tl_err set_address(json_t *object, const char *ip_key, const char *port_key,
                          const tl_addr *addr)
{
    char ip[TL_ADDR_TEXT_MAX] = "";
    tl_addr a = tl_addr_normal(*addr);
    a.scope = 0;
    if (a.family != TL_ADDR_NONE)
        tl_addr_write_ip(ip, &a);
    else
        a.port = 0;
    tl_err e = set(object, ip_key, json_string(ip));
    return e ? e : set(object, port_key, json_integer(a.port));
}

static json_t *head_new(const tl_identity *self, const tl_node_id *to, const char *session)
{
    char from_hex[TL_NODE_ID_HEX + 1], to_hex[TL_NODE_ID_HEX + 1];
    tl_node_id_write(from_hex, &self->id);
    tl_node_id_write(to_hex, to);
    return json_pack("{s:s, s:s, s:s}", "fromNodeID", from_hex, "toNodeID", to_hex, "sessionID",
                     session);
}

static tl_err set_freshness(json_t *object, tl_rand *rand, tl_unix wall)
{
    uint8_t nonce[NONCE_SIZE];
    char hex[2 * NONCE_SIZE + 1];
    tl_rand_bytes(rand, nonce, sizeof nonce);
    tl_hex_write(hex, nonce, sizeof nonce);
    tl_err e = set(object, "nonce", json_string(hex));
    return e ? e : set(object, "issuedAt", json_integer(wall));
}

static tl_err set_connection(json_t *payload, const tl_identity *self,
                             const tl_connection_info *info)
{
    char wg[2 * sizeof self->noise_public + 1];
    tl_hex_write(wg, self->noise_public, sizeof self->noise_public);
    json_t *c = json_object();
    tl_err e = set_address(c, "publicIP", "publicPort", &info->public_addr);
    if (!e)
        e = set_address(c, "localIP", "localPort", &info->local_addr);
    if (!e)
        e = set(c, "natType", json_string(tl_nat_type_name(info->nat_type)));
    if (!e)
        e = set(c, "wgPublicKey", json_string(wg));
    if (!e)
        return set(payload, "connectionInfo", c);
    json_decref(c);
    return e;
}

static tl_err set_legacy_signature(json_t *payload, const tl_identity *self)
{
    char room[LEGACY_MAX], hex[2 * TL_SIGNATURE_SIZE + 1];
    tl_signature signature;
    tl_slice body = legacy_body(room, tl_json_string(payload, "fromNodeID", ""),
                                tl_json_string(payload, "toNodeID", ""),
                                tl_json_string(payload, "sessionID", ""));
    tl_err e = tl_sign_bare(self, body, &signature);
    if (e)
        return e;
    tl_signature_write(hex, &signature);
    return set(payload, "signature", json_string(hex));
}

tl_err tl_offer_make(tl_offer_type type, const tl_identity *self, const tl_node_id *to,
                     const char *session, const tl_connection_info *info, tl_rand *rand,
                     tl_unix wall, json_t **ret_payload)
{
    char hex[2 * TL_SIGNATURE_SIZE + 1];
    json_t *payload = head_new(self, to, session), *fresh = json_object();
    tl_err e = set_connection(payload, self, info);
    if (!e)
        e = set_freshness(fresh, rand, wall);
    if (!e)
        e = json_object_set(payload, "info", fresh) ? TL_ERR_NOMEM : TL_OK;
    if (!e)
        e = canonical_sign(self, purpose_of(type), payload, hex);
    if (!e)
        e = set(fresh, "signature", json_string(hex));
    if (!e)
        e = set_legacy_signature(payload, self);
    json_decref(fresh);
    if (e)
        json_decref(payload);
    else
        *ret_payload = payload;
    return e;
}

tl_err tl_candidate_make(const tl_identity *self, const tl_node_id *to, const char *session,
                         const tl_candidate *c, tl_rand *rand, tl_unix wall, json_t **ret_payload)
{
    char hex[2 * TL_SIGNATURE_SIZE + 1];
    json_t *payload = head_new(self, to, session), *candidate = json_object();
    tl_err e = set_address(candidate, "ip", "port", &c->addr);
    if (!e)
        e = set(candidate, "type", json_string(tl_candidate_type(c->kind)));
    if (!e)
        e = set(candidate, "priority", json_integer(c->priority));
    if (!e)
        e = json_object_set(payload, "candidate", candidate) ? TL_ERR_NOMEM : TL_OK;
    if (!e)
        e = set_freshness(payload, rand, wall);
    if (!e)
        e = canonical_sign(self, TL_SIGN_CANDIDATE, payload, hex);
    if (!e)
        e = set(payload, "signature", json_string(hex));
    json_decref(candidate);
    if (e)
        json_decref(payload);
    else
        *ret_payload = payload;
    return e;
}

/* --- nonces --- */

struct tl_nonce {
    uint8_t nonce[NONCE_SIZE];
    uint8_t from[8]; /* of the node ID */
    tl_unix until;   /* after it the message would be late */
};

void tl_nonces_clear(tl_nonces *m)
{
    free(m->seen);
    *m = (tl_nonces){0};
}

static struct tl_nonce nonce_entry(const tl_node_id *from, const uint8_t nonce[NONCE_SIZE],
                                   tl_unix until)
{
    struct tl_nonce entry = {.until = until};
    memcpy(entry.nonce, nonce, sizeof entry.nonce);
    memcpy(entry.from, from->key, sizeof entry.from);
    return entry;
}

static bool same_sender(const struct tl_nonce *a, const struct tl_nonce *b)
{
    return memcmp(a->from, b->from, sizeof a->from) == 0;
}

/* Entries stay after their time while there is room: if the wall clock is set back, their messages
 * would be fresh again. */
static bool nonce_seen(const tl_nonces *m, const struct tl_nonce *entry)
{
    for (size_t i = 0; i < m->n; i++)
        if (memcmp(m->seen[i].nonce, entry->nonce, NONCE_SIZE) == 0 &&
            same_sender(&m->seen[i], entry))
            return true;
    return false;
}

/* The entry with the lowest worth goes first: one from a time that the clock no longer reaches,
 * then the oldest. */
static tl_unix worth(const struct tl_nonce *entry, tl_unix wall)
{
    return entry->until > wall + 2 * TL_OFFER_SKEW_SECONDS ? INT64_MIN : entry->until;
}

/* Which entry of a full memory to give up. If the sender has had its share, it is the sender's own
 * oldest, so that no node makes us forget another's. Otherwise it is the oldest of all. */
static struct tl_nonce *nonce_victim(tl_nonces *m, const struct tl_nonce *entry, tl_unix wall)
{
    struct tl_nonce *oldest = m->seen, *own = NULL;
    size_t n_own = 0;
    for (size_t i = 0; i < m->n; i++) {
        struct tl_nonce *s = &m->seen[i];
        if (worth(s, wall) < worth(oldest, wall))
            oldest = s;
        if (!same_sender(s, entry))
            continue;
        n_own++;
        if (!own || worth(s, wall) < worth(own, wall))
            own = s;
    }
    return n_own >= TL_NONCES_NODE_MAX ? own : oldest;
}

static tl_err nonce_remember(tl_nonces *m, const struct tl_nonce *entry, tl_unix wall)
{
    if (m->n == TL_NONCES_MAX) {
        *nonce_victim(m, entry, wall) = *entry;
        return TL_OK;
    }
    if (m->n == m->cap) {
        size_t cap = m->cap ? 2 * m->cap : 64;
        struct tl_nonce *grown = realloc(m->seen, cap * sizeof *grown);
        if (!grown)
            return TL_ERR_NOMEM;
        m->seen = grown;
        m->cap = cap;
    }
    m->seen[m->n++] = *entry;
    return TL_OK;
}

bool tl_nonces_has(const tl_nonces *m, const tl_node_id *from, const uint8_t nonce[TL_NONCE_SIZE])
{
    struct tl_nonce entry = nonce_entry(from, nonce, 0);
    return nonce_seen(m, &entry);
}

bool tl_nonces_take(tl_nonces *m, const tl_node_id *from, const uint8_t nonce[TL_NONCE_SIZE],
                    tl_unix until, tl_unix wall)
{
    struct tl_nonce entry = nonce_entry(from, nonce, until);
    return !nonce_seen(m, &entry) && !nonce_remember(m, &entry, wall);
}

/* --- reading --- */

/* False: absent, or no string. The bytes may hold a NUL. */
static bool get_string(const json_t *object, const char *key, tl_slice *ret)
{
    const json_t *v = json_object_get(object, key);
    if (!json_is_string(v))
        return false;
    *ret = tl_slice_of(json_string_value(v), json_string_length(v));
    return true;
}

static bool get_integer(const json_t *object, const char *key, json_int_t max, json_int_t *ret)
{
    const json_t *v = json_object_get(object, key);
    if (!json_is_integer(v) || json_integer_value(v) < 0 || json_integer_value(v) > max)
        return false;
    *ret = json_integer_value(v);
    return true;
}

/* An address of connectionInfo. */
static bool get_address(const json_t *object, const char *ip_key, const char *port_key,
                        tl_addr *ret_addr, unsigned *unreadable)
{
    tl_slice text;
    json_int_t port;
    if (!get_string(object, ip_key, &text) || !get_integer(object, port_key, UINT16_MAX, &port))
        return false;
    tl_addr a = {.family = TL_ADDR_NONE};
    if (text.n && (port == 0 || tl_addr_parse_ip(text, &a))) {
        ++*unreadable;
        a = (tl_addr){.family = TL_ADDR_NONE};
    } else if (text.n) {
        a.port = (uint16_t)port;
    }
    *ret_addr = tl_addr_normal(a);
    return true;
}

/* What a payload says of itself, beside the offer. */
typedef struct {
    json_t *payload;
    tl_offer offer;
    char from_hex[TL_NODE_ID_HEX + 1];
    tl_slice wg; /* borrows from the payload; of a candidate empty */
    json_int_t issued_at;
    uint8_t nonce[NONCE_SIZE];
    tl_signature legacy; /* not of a candidate */
    tl_signature whole;  /* over everything */
} reading;

static bool read_signature(const json_t *object, tl_signature *ret)
{
    tl_slice hex;
    return get_string(object, "signature", &hex) &&
           tl_hex_parse(hex, false, ret->bytes, sizeof ret->bytes) == TL_OK;
}

static bool read_freshness(const json_t *object, reading *r)
{
    const json_int_t end_of_time = (json_int_t)1 << 53; /* beyond what canonical JSON can hold */
    tl_slice hex;
    return get_string(object, "nonce", &hex) &&
           tl_hex_parse(hex, false, r->nonce, sizeof r->nonce) == TL_OK &&
           get_integer(object, "issuedAt", end_of_time, &r->issued_at) &&
           read_signature(object, &r->whole);
}

static bool read_nat_type(const json_t *c, tl_nat_type *ret_type)
{
    tl_slice name;
    return get_string(c, "natType", &name) && tl_nat_type_parse(name, ret_type);
}

static bool read_connection(reading *r)
{
    const json_t *c = json_object_get(r->payload, "connectionInfo");
    tl_connection_info *info = &r->offer.info;
    return get_address(c, "publicIP", "publicPort", &info->public_addr, &info->unreadable) &&
           get_address(c, "localIP", "localPort", &info->local_addr, &info->unreadable) &&
           read_nat_type(c, &info->nat_type) && get_string(c, "wgPublicKey", &r->wg) &&
           read_freshness(json_object_get(r->payload, "info"), r) &&
           read_signature(r->payload, &r->legacy);
}

static bool read_candidate(reading *r)
{
    const json_t *c = json_object_get(r->payload, "candidate");
    tl_candidate *out = &r->offer.candidate;
    tl_slice ip, type;
    json_int_t port, priority;
    if (!get_string(c, "ip", &ip) || !get_string(c, "type", &type) || memchr(type.p, 0, type.n) ||
        tl_addr_parse_ip(ip, &out->addr) || !get_integer(c, "port", UINT16_MAX, &port) ||
        !get_integer(c, "priority", UINT32_MAX, &priority) ||
        tl_candidate_type_parse((const char *)type.p, &out->kind))
        return false;
    out->addr.port = (uint16_t)port;
    out->addr = tl_addr_normal(out->addr);
    out->priority = (uint32_t)priority;
    return read_freshness(r->payload, r);
}

/* Reads who sends to whom, and in which session. */
static tl_offer_verdict read_head(reading *r, const tl_identity *self)
{
    tl_slice from, to, session;
    tl_node_id none;
    uint8_t to_key[sizeof none.key];
    if (!get_string(r->payload, "fromNodeID", &from) || !get_string(r->payload, "toNodeID", &to) ||
        !get_string(r->payload, "sessionID", &session) || !tl_signal_session_is(session) ||
        tl_hex_parse(to, false, to_key, sizeof to_key))
        return TL_OFFER_MALFORMED;
    memcpy(r->offer.session, session.p, session.n);
    tl_err e = tl_node_id_parse(from, &r->offer.from);
    if (e)
        return e == TL_ERR_AUTH ? TL_OFFER_KEY : TL_OFFER_MALFORMED;
    memcpy(r->from_hex, from.p, from.n);
    bool ours = memcmp(to_key, self->id.key, sizeof to_key) == 0;
    return ours && !tl_node_id_eq(&r->offer.from, &self->id) ? TL_OFFER_OK : TL_OFFER_NOT_OURS;
}

static bool wg_matches(const reading *r)
{
    uint8_t image[32];
    char hex[2 * sizeof image + 1];
    if (tl_node_id_noise_public(&r->offer.from, image))
        return false;
    tl_hex_write(hex, image, sizeof image);
    return tl_slice_eq(r->wg, tl_slice_of(hex, 2 * sizeof image));
}

/* Takes the signatures out of the payload; what is left is what was signed. */
static tl_offer_verdict verify(reading *r, const tl_identity *self)
{
    bool candidate = r->offer.type == TL_OFFER_CANDIDATE;
    char to_hex[TL_NODE_ID_HEX + 1], room[LEGACY_MAX];
    if (!candidate) {
        tl_node_id_write(to_hex, &self->id);
        tl_slice body = legacy_body(room, r->from_hex, to_hex, r->offer.session);
        if (tl_sign_bare_verify(&r->offer.from, body, &r->legacy))
            return TL_OFFER_SIGNATURE;
        json_object_del(json_object_get(r->payload, "info"), "signature");
    }
    json_object_del(r->payload, "signature");
    switch (canonical_verify(&r->offer.from, purpose_of(r->offer.type), r->payload, &r->whole)) {
    case TL_OK: return TL_OFFER_OK;
    case TL_ERR_NOMEM: return TL_OFFER_NO_MEMORY;
    case TL_ERR_INVALID: return TL_OFFER_MALFORMED; /* a number that canonical JSON cannot hold */
    default: return TL_OFFER_SIGNATURE;
    }
}

static bool in_time(json_int_t issued_at, tl_unix wall)
{
    return issued_at >= wall - TL_OFFER_SKEW_SECONDS && issued_at <= wall + TL_OFFER_SKEW_SECONDS;
}

static tl_offer_verdict judge(reading *r, const tl_identity *self, tl_nonces *nonces, tl_unix wall)
{
    bool candidate = r->offer.type == TL_OFFER_CANDIDATE;
    tl_offer_verdict v = read_head(r, self);
    if (v != TL_OFFER_OK)
        return v;
    if (!(candidate ? read_candidate(r) : read_connection(r)))
        return TL_OFFER_MALFORMED;
    if (!in_time(r->issued_at, wall))
        return TL_OFFER_LATE;
    struct tl_nonce entry =
        nonce_entry(&r->offer.from, r->nonce, r->issued_at + TL_OFFER_SKEW_SECONDS);
    if (nonce_seen(nonces, &entry))
        return TL_OFFER_REPLAYED;
    if (!candidate && !wg_matches(r))
        return TL_OFFER_KEY;
    v = verify(r, self);
    if (v == TL_OFFER_OK && nonce_remember(nonces, &entry, wall))
        return TL_OFFER_NO_MEMORY;
    return v;
}

tl_offer_verdict tl_offer_read(tl_offer_type type, tl_slice payload, const tl_identity *self,
                               tl_nonces *nonces, tl_unix wall, tl_offer *ret_offer)
{
    reading r = {.offer.type = type};
    if (payload.n > TL_SIGNAL_SMALL_MAX)
        return TL_OFFER_MALFORMED;
    tl_err e = tl_json_parse(payload, TL_SIGNAL_DEPTH_MAX, &r.payload, NULL);
    if (e)
        return e == TL_ERR_NOMEM ? TL_OFFER_NO_MEMORY : TL_OFFER_MALFORMED;
    tl_offer_verdict v = judge(&r, self, nonces, wall);
    json_decref(r.payload);
    if (v == TL_OFFER_OK)
        *ret_offer = r.offer;
    return v;
}
