#include "market/receipt.h"

#include "crypto/canonical.h"
#include "wire/cluster.h"

#include <assert.h>

bool tl_request_id_is(const char *id)
{
    return tl_cluster_id_is(id);
}

/* --- what the two objects share --- */

static bool is_count(int64_t n)
{
    return n >= 0 && n <= TL_MONEY_MAX;
}

/* One of the two that sign. */
typedef struct {
    const char *field; /* "consumerSignature" */
    const tl_node_id *id;
    bool *there;
    tl_signature *signature;
} party;

/* Takes the reference to `body`. */
static tl_err sign(json_t *body, tl_sign_purpose purpose, const tl_identity *key,
                   const party parties[2])
{
    const party *p = tl_node_id_eq(&key->id, parties[0].id)   ? &parties[0]
                     : tl_node_id_eq(&key->id, parties[1].id) ? &parties[1]
                                                              : NULL;
    tl_buf bytes = {0};
    tl_signature signature;
    tl_err e = p ? tl_canonical_write(&bytes, body) : TL_ERR_FORBIDDEN;
    json_decref(body);
    if (!e)
        e = tl_sign(key, purpose, tl_buf_slice(&bytes), &signature);
    tl_buf_clear(&bytes);
    if (e)
        return e;
    *p->signature = signature;
    *p->there = true;
    return TL_OK;
}

/* The same. */
static tl_err verify(json_t *body, tl_sign_purpose purpose, const party parties[2])
{
    tl_buf bytes = {0};
    tl_err e = *parties[0].there || *parties[1].there ? TL_OK : TL_ERR_AUTH;
    if (!e)
        e = tl_canonical_write(&bytes, body);
    json_decref(body);
    for (int i = 0; i < 2; i++)
        if (!e && *parties[i].there)
            e = tl_sign_verify(parties[i].id, purpose, tl_buf_slice(&bytes), parties[i].signature);
    tl_buf_clear(&bytes);
    return e;
}

static tl_err set_hex(json_t *object, const char *field, const char *hex)
{
    return json_object_set_new(object, field, json_string(hex)) ? TL_ERR_NOMEM : TL_OK;
}

static tl_err set_id(json_t *object, const char *field, const tl_node_id *id)
{
    char hex[TL_NODE_ID_HEX + 1];
    tl_node_id_write(hex, id);
    return set_hex(object, field, hex);
}

/* Takes the reference to `object`, and gives it back with the signatures that are there. */
static tl_err add_signatures(json_t *object, const party parties[2], json_t **ret_object)
{
    char hex[2 * TL_SIGNATURE_SIZE + 1];
    for (int i = 0; i < 2; i++) {
        if (!*parties[i].there)
            continue;
        tl_signature_write(hex, parties[i].signature);
        if (set_hex(object, parties[i].field, hex)) {
            json_decref(object);
            return TL_ERR_NOMEM;
        }
    }
    *ret_object = object;
    return TL_OK;
}

/* An object whose fields are taken one by one; what nobody takes makes it malformed. */
typedef struct {
    const json_t *object;
    size_t taken;
    bool bad;
} fields;

static const json_t *take(fields *f, const char *key)
{
    const json_t *v = json_object_get(f->object, key);
    f->taken += v != NULL;
    return v;
}

/* By its form: the caller compares it with nodes that it knows, and a look at the key costs more
 * than both signatures. */
static void take_id(fields *f, const char *key, tl_node_id *ret)
{
    const json_t *v = take(f, key);
    if (!json_is_string(v) ||
        tl_node_id_parse_form(tl_slice_of(json_string_value(v), json_string_length(v)), ret))
        f->bad = true;
}

static void take_count(fields *f, const char *key, int64_t *ret)
{
    const json_t *v = take(f, key);
    if (!json_is_integer(v) || !is_count(json_integer_value(v)))
        f->bad = true;
    else
        *ret = json_integer_value(v);
}

static void take_text(fields *f, const char *key, char *ret, size_t cap)
{
    const json_t *v = take(f, key);
    size_t n = json_string_length(v);
    if (!json_is_string(v) || n < 1 || n >= cap || memchr(json_string_value(v), 0, n))
        f->bad = true;
    else
        memcpy(ret, json_string_value(v), n + 1);
}

static void take_signature(fields *f, const party *p)
{
    const json_t *v = take(f, p->field);
    if (!v)
        return;
    if (!json_is_string(v) || tl_hex_parse(tl_slice_of(json_string_value(v), json_string_length(v)),
                                           false, p->signature->bytes, TL_SIGNATURE_SIZE))
        f->bad = true;
    else
        *p->there = true;
}

static bool all_taken(const fields *f)
{
    return !f->bad && json_is_object(f->object) && f->taken == json_object_size(f->object);
}

/* --- receipts --- */

static void receipt_parties(tl_receipt *r, party ret[2])
{
    ret[0] = (party){"consumerSignature", &r->consumer, &r->by_consumer, &r->consumer_signature};
    ret[1] = (party){"providerSignature", &r->provider, &r->by_provider, &r->provider_signature};
}

static bool receipt_is_right(const tl_receipt *r)
{
    return tl_request_id_is(r->request) && !tl_node_id_eq(&r->consumer, &r->provider) &&
           r->model[0] && is_count(r->tokens_in) && is_count(r->tokens_out) &&
           is_count(r->amount) && is_count(r->at);
}

/* What is signed. */
static tl_err receipt_body(const tl_receipt *r, json_t **ret)
{
    if (!receipt_is_right(r))
        return TL_ERR_INVALID;
    if (!tl_utf8_is(tl_slice_str(r->model)))
        return TL_ERR_INVALID;
    json_t *o =
        json_pack("{s:s, s:s, s:I, s:I, s:I, s:I}", "requestID", r->request, "model", r->model,
                  "tokens_in", (json_int_t)r->tokens_in, "tokens_out", (json_int_t)r->tokens_out,
                  "amount", (json_int_t)r->amount, "at", (json_int_t)r->at);
    tl_err e = o ? set_id(o, "consumer", &r->consumer) : TL_ERR_NOMEM;
    if (!e)
        e = set_id(o, "provider", &r->provider);
    if (!e && r->has_network)
        e = set_id(o, "ptnID", &r->network);
    if (e) {
        json_decref(o);
        return e;
    }
    *ret = o;
    return TL_OK;
}

tl_err tl_receipt_sign(tl_receipt *r, const tl_identity *key)
{
    party parties[2];
    json_t *body;
    receipt_parties(r, parties);
    tl_err e = receipt_body(r, &body);
    return e ? e : sign(body, TL_SIGN_RECEIPT, key, parties);
}

tl_err tl_receipt_verify(const tl_receipt *r)
{
    tl_receipt copy = *r;
    party parties[2];
    json_t *body;
    receipt_parties(&copy, parties);
    tl_err e = receipt_body(r, &body);
    if (e)
        return e == TL_ERR_INVALID ? TL_ERR_AUTH : e;
    return verify(body, TL_SIGN_RECEIPT, parties);
}

tl_err tl_receipt_write(const tl_receipt *r, json_t **ret_object)
{
    tl_receipt copy = *r;
    party parties[2];
    json_t *o;
    receipt_parties(&copy, parties);
    tl_err e = receipt_body(r, &o);
    return e ? e : add_signatures(o, parties, ret_object);
}

tl_err tl_receipt_read(const json_t *object, tl_receipt *ret_receipt)
{
    tl_receipt r = {0};
    fields f = {.object = object};
    party parties[2];
    receipt_parties(&r, parties);
    take_text(&f, "requestID", r.request, sizeof r.request);
    take_id(&f, "consumer", &r.consumer);
    take_id(&f, "provider", &r.provider);
    if (json_object_get(object, "ptnID")) {
        take_id(&f, "ptnID", &r.network);
        r.has_network = true;
    }
    take_text(&f, "model", r.model, sizeof r.model);
    take_count(&f, "tokens_in", &r.tokens_in);
    take_count(&f, "tokens_out", &r.tokens_out);
    take_count(&f, "amount", &r.amount);
    take_count(&f, "at", &r.at);
    take_signature(&f, &parties[0]);
    take_signature(&f, &parties[1]);
    if (!all_taken(&f) || !receipt_is_right(&r))
        return TL_ERR_PROTO;
    *ret_receipt = r;
    return TL_OK;
}

bool tl_receipt_eq(const tl_receipt *a, const tl_receipt *b)
{
    return strcmp(a->request, b->request) == 0 && tl_node_id_eq(&a->consumer, &b->consumer) &&
           tl_node_id_eq(&a->provider, &b->provider) && a->has_network == b->has_network &&
           (!a->has_network || tl_node_id_eq(&a->network, &b->network)) &&
           strcmp(a->model, b->model) == 0 && a->tokens_in == b->tokens_in &&
           a->tokens_out == b->tokens_out && a->amount == b->amount && a->at == b->at;
}

/* --- settlements --- */

static void settlement_parties(tl_settlement *s, party ret[2])
{
    ret[0] = (party){"creditorSignature", &s->creditor, &s->by_creditor, &s->creditor_signature};
    ret[1] = (party){"debtorSignature", &s->debtor, &s->by_debtor, &s->debtor_signature};
}

static bool settlement_is_right(const tl_settlement *s)
{
    return tl_request_id_is(s->id) && !tl_node_id_eq(&s->creditor, &s->debtor) &&
           is_count(s->amount) && s->amount >= 1 && is_count(s->at);
}

static tl_err settlement_body(const tl_settlement *s, json_t **ret)
{
    if (!settlement_is_right(s))
        return TL_ERR_INVALID;
    json_t *o = json_pack("{s:s, s:I, s:I}", "settlementID", s->id, "amount", (json_int_t)s->amount,
                          "at", (json_int_t)s->at);
    tl_err e = o ? set_id(o, "creditor", &s->creditor) : TL_ERR_NOMEM;
    if (!e)
        e = set_id(o, "debtor", &s->debtor);
    if (e) {
        json_decref(o);
        return e;
    }
    *ret = o;
    return TL_OK;
}

tl_err tl_settlement_sign(tl_settlement *s, const tl_identity *key)
{
    party parties[2];
    json_t *body;
    settlement_parties(s, parties);
    tl_err e = settlement_body(s, &body);
    return e ? e : sign(body, TL_SIGN_SETTLEMENT, key, parties);
}

tl_err tl_settlement_verify(const tl_settlement *s)
{
    tl_settlement copy = *s;
    party parties[2];
    json_t *body;
    settlement_parties(&copy, parties);
    tl_err e = settlement_body(s, &body);
    if (e)
        return e == TL_ERR_INVALID ? TL_ERR_AUTH : e;
    return verify(body, TL_SIGN_SETTLEMENT, parties);
}

tl_err tl_settlement_write(const tl_settlement *s, json_t **ret_object)
{
    tl_settlement copy = *s;
    party parties[2];
    json_t *o;
    settlement_parties(&copy, parties);
    tl_err e = settlement_body(s, &o);
    return e ? e : add_signatures(o, parties, ret_object);
}

tl_err tl_settlement_read(const json_t *object, tl_settlement *ret_settlement)
{
    tl_settlement s = {0};
    fields f = {.object = object};
    party parties[2];
    settlement_parties(&s, parties);
    take_text(&f, "settlementID", s.id, sizeof s.id);
    take_id(&f, "creditor", &s.creditor);
    take_id(&f, "debtor", &s.debtor);
    take_count(&f, "amount", &s.amount);
    take_count(&f, "at", &s.at);
    take_signature(&f, &parties[0]);
    take_signature(&f, &parties[1]);
    if (!all_taken(&f) || !settlement_is_right(&s))
        return TL_ERR_PROTO;
    *ret_settlement = s;
    return TL_OK;
}

bool tl_settlement_eq(const tl_settlement *a, const tl_settlement *b)
{
    return strcmp(a->id, b->id) == 0 && tl_node_id_eq(&a->creditor, &b->creditor) &&
           tl_node_id_eq(&a->debtor, &b->debtor) && a->amount == b->amount && a->at == b->at;
}
