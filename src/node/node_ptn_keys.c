/* The verbs of private networks that handle keys: the API key of a network, and the key of its
 * authority, which leaves the node only sealed with a passphrase. */
#include "node/members_state.h"

#include "base/base64.h"
#include "crypto/idjson.h"
#include "ptn/keyfile.h"
#include "store/store.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <utlist.h>

/* --- API keys --- */

static json_t *key_json(const tl_membership *m)
{
    return json_pack("{s:o, s:s}", "ptn_id", tl_node_id_json(&m->id), "key", m->api_key);
}

static json_t *new_key(tl_ptn_call *c)
{
    const tl_membership *m = tl_networks_by_id(c->node->book, &c->op.network);
    return m ? key_json(m) : NULL;
}

void tl_verb_ptn_key(tl_node *n, const json_t *args, tl_call *call)
{
    tl_membership *m = tl_ptn_network(n, args, call);
    if (!m)
        return;
    if (!m->certificate) {
        tl_call_fail(call, "E_DENIED", "this node has not joined %s yet", m->name);
        return;
    }
    if (*m->api_key && !tl_json_bool(args, "new", false)) {
        tl_call_ok(call, key_json(m));
        return;
    }
    tl_ptn_call *c = tl_ptn_call_new(n, call, new_key);
    if (c)
        tl_members_new_api_key(n->members, &c->op, m);
}

/* --- the authority's key ---
 *
 * To seal and to open costs a second and 256 MiB, so that a passphrase cannot be guessed. It is done
 * on the store's thread: the loop goes on meanwhile. */

typedef struct {
    tl_store_job job; /* first */
    tl_ptn_call *call;
    tl_keyfile key;
    tl_buf passphrase, sealed;
    tl_why why;
} sealing;

static void free_sealing(sealing *s)
{
    if (s->passphrase.data)
        sodium_memzero(s->passphrase.data, s->passphrase.cap);
    tl_buf_clear(&s->passphrase);
    tl_buf_clear(&s->sealed);
    tl_keyfile_clear(&s->key);
    free(s);
}

/* NULL: the call has failed. */
static sealing *sealing_new(tl_node *n, const json_t *args, tl_call *call)
{
    const char *passphrase = tl_json_string(args, "passphrase", "");
    sealing *s = calloc(1, sizeof *s);
    if (!*passphrase) {
        tl_call_fail(call, "E_INVALID", "a passphrase has at least one character");
        free(s);
        return NULL;
    }
    if (s && !tl_buf_append_str(&s->passphrase, passphrase))
        s->call = tl_ptn_call_new(n, call, NULL);
    else
        tl_ptn_refuse(call, TL_REFUSAL_INTERNAL, "");
    if (s && s->call)
        return s;
    if (s)
        free_sealing(s);
    return NULL;
}

static const char *code_of(tl_err e)
{
    switch (e) {
    case TL_ERR_AUTH: return "E_DENIED";
    case TL_ERR_PROTO:
    case TL_ERR_SHORT:
    case TL_ERR_TOO_LARGE:
    case TL_ERR_INVALID: return "E_INVALID";
    case TL_ERR_BUSY: return "E_BUSY";
    default: return "E_INTERNAL";
    }
}

/* True: the call is over, or its caller is gone. */
static bool failed(sealing *s, tl_err e)
{
    if (e && s->call->call)
        tl_call_fail(s->call->call, code_of(e), "%s", *s->why.text ? s->why.text : s->job.why.text);
    if (!e && s->call->call)
        return false;
    tl_ptn_call_free(s->call);
    free_sealing(s);
    return true;
}

static tl_err seal(tl_store_job *j, tl_db *db)
{
    sealing *s = (sealing *)j;
    (void)db;
    return tl_keyfile_write(&s->sealed, &s->key, tl_buf_slice(&s->passphrase), TL_KEYFILE_COST,
                            &s->why);
}

static void sealed(tl_store_job *j, tl_err e)
{
    sealing *s = (sealing *)j;
    if (failed(s, e))
        return;
    size_t n = tl_base64_size(s->sealed.len);
    char *text = malloc(n + 1);
    if (text)
        tl_base64_write((uint8_t *)text, tl_buf_slice(&s->sealed));
    tl_call_ok(s->call->call, text
                                  ? json_pack("{s:o, s:s%}", "ptn_id",
                                              tl_node_id_json(&s->call->network), "sealed", text, n)
                                  : NULL);
    free(text);
    tl_ptn_call_free(s->call);
    free_sealing(s);
}

void tl_verb_ptn_export_ca(tl_node *n, const json_t *args, tl_call *call)
{
    tl_membership *m = tl_ptn_network(n, args, call);
    if (!m)
        return;
    if (!m->has_ca) {
        tl_ptn_refuse(call, TL_REFUSAL_NOT_CA, "");
        return;
    }
    sealing *s = sealing_new(n, args, call);
    if (!s)
        return;
    s->call->network = m->id;
    memcpy(s->key.seed, m->ca.seed, sizeof s->key.seed);
    snprintf(s->key.name, sizeof s->key.name, "%s", m->name);
    const json_t *list = tl_ptn_list(m->ptn), *price = tl_ptn_price_object(m->ptn);
    s->key.revocations = list ? json_deep_copy(list) : NULL;
    s->key.price = price ? json_deep_copy(price) : NULL;
    s->job = (tl_store_job){.work = seal, .done = sealed};
    tl_store_submit(n->store, &s->job);
}

static tl_err unseal(tl_store_job *j, tl_db *db)
{
    sealing *s = (sealing *)j;
    (void)db;
    return tl_keyfile_read(tl_buf_slice(&s->sealed), tl_buf_slice(&s->passphrase), &s->key,
                           &s->why);
}

static json_t *imported(tl_ptn_call *c)
{
    const tl_membership *m = tl_networks_by_id(c->node->book, &c->op.network);
    return m ? tl_node_ptn_json(c->node, m) : NULL;
}

static void unsealed(tl_store_job *j, tl_err e)
{
    sealing *s = (sealing *)j;
    tl_identity ca;
    if (failed(s, e))
        return;
    tl_ptn_call *c = s->call;
    if (tl_identity_from_seed(s->key.seed, &ca)) {
        tl_call_fail(c->call, "E_INTERNAL", "the key could not be taken");
        tl_ptn_call_free(c);
    } else {
        c->result = imported;
        tl_members_import(c->node->members, &c->op, &ca, s->key.name, s->key.revocations,
                          s->key.price);
        tl_identity_clear(&ca);
    }
    free_sealing(s);
}

void tl_verb_ptn_import_ca(tl_node *n, const json_t *args, tl_call *call)
{
    size_t len;
    uint8_t *room;
    const char *text = tl_json_string(args, "sealed", "");
    if (!n->members || strlen(text) > tl_base64_size(TL_KEYFILE_MAX)) {
        tl_call_fail(call, n->members ? "E_INVALID" : "E_UNAVAILABLE",
                     n->members ? "this is no file with a CA key" : "this node has no database");
        return;
    }
    sealing *s = sealing_new(n, args, call);
    if (!s)
        return;
    tl_err e = tl_buf_reserve(&s->sealed, strlen(text) + 4, &room);
    if (!e)
        e = tl_base64_parse(tl_slice_str(text), room, &len);
    if (e) {
        tl_call_fail(call, code_of(e), "this is no file with a CA key");
        tl_ptn_call_free(s->call);
        free_sealing(s);
        return;
    }
    tl_buf_added(&s->sealed, len);
    s->job = (tl_store_job){.work = unseal, .done = unsealed};
    tl_store_submit(n->store, &s->job);
}
