#include "ptn/cert.h"

#include "ptn/state.h"

#include <assert.h>
#include <math.h>

static const char *const role_names[TL_ROLES] = {
    [TL_ROLE_CONSUMER] = "consumer", [TL_ROLE_PROVIDER] = "provider", [TL_ROLE_ADMIN] = "admin"};

const char *tl_role_name(tl_role role)
{
    assert(role < TL_ROLES);
    return role_names[role];
}

bool tl_role_parse(const char *name, tl_role *ret_role)
{
    for (int i = 0; i < TL_ROLES; i++) {
        if (strcmp(name, role_names[i]) == 0) {
            *ret_role = (tl_role)i;
            return true;
        }
    }
    return false;
}

bool tl_role_may_invite(tl_role role)
{
    return role == TL_ROLE_ADMIN;
}

bool tl_role_may_serve(tl_role role)
{
    return role == TL_ROLE_ADMIN || role == TL_ROLE_PROVIDER;
}

const char *tl_ptn_verdict_words(tl_ptn_verdict v)
{
    switch (v) {
    case TL_PTN_OK: return "valid";
    case TL_PTN_MALFORMED: return "not of the form it must have";
    case TL_PTN_SIGNATURE: return "signature wrong";
    case TL_PTN_CHAIN: return "not signed by an admin of the network";
    case TL_PTN_FOREIGN: return "of another network or node";
    case TL_PTN_EARLY: return "issued in the future: one of the two clocks is wrong";
    case TL_PTN_EXPIRED: return "expired";
    case TL_PTN_REVOKED: return "revoked";
    case TL_PTN_OLD: return "older than what is known";
    case TL_PTN_NO_MEMORY: return "no memory";
    case TL_PTN_VERDICTS: break;
    }
    assert(!"a verdict of the list");
    return "";
}

/* --- making --- */

static bool times_are_right(const tl_cert *w)
{
    return w->issued_at >= 0 && w->issued_at <= TL_PTN_TIME_MAX &&
           (w->expires_at == TL_PTN_NO_END ||
            (w->expires_at >= w->issued_at && w->expires_at <= TL_PTN_TIME_MAX));
}

/* May `key` sign this for the issuer? */
static tl_err may_sign(const tl_cert *wish, const tl_identity *key, const json_t *chain)
{
    if (!times_are_right(wish))
        return TL_ERR_INVALID;
    if (tl_node_id_eq(&key->id, &wish->network))
        return TL_OK;
    tl_cert own;
    if (wish->role == TL_ROLE_ADMIN ||
        !tl_signer_is_admin(&wish->network, &wish->issuer, key, chain, &own))
        return TL_ERR_FORBIDDEN;
    /* it would end with the issuer's own, which nobody could see in it */
    return wish->expires_at > own.expires_at ? TL_ERR_INVALID : TL_OK;
}

tl_err tl_cert_make(const tl_cert *wish, const tl_identity *key, const json_t *chain,
                    json_t **ret_certificate)
{
    tl_err e = may_sign(wish, key, chain);
    if (e)
        return e;
    json_t *payload = json_pack("{s:s, s:I}", "role", tl_role_name(wish->role), "issuedAt",
                                (json_int_t)wish->issued_at);
    char hex[2 * TL_SIGNATURE_SIZE + 1];
    e = payload ? tl_field_set_id(payload, "ptnID", &wish->network) : TL_ERR_NOMEM;
    if (!e)
        e = tl_field_set_id(payload, "nodeID", &wish->node);
    if (!e)
        e = tl_field_set_id(payload, "issuerNodeID", &wish->issuer);
    if (!e && wish->expires_at != TL_PTN_NO_END)
        e = tl_field_set(payload, "expiresAt", json_integer(wish->expires_at));
    if (!e)
        e = tl_signer_sign(key, TL_PTN_BARE, payload, hex);
    json_t *cert = e ? NULL : json_pack("{s:O, s:s}", "payload", payload, "signature", hex);
    json_decref(payload);
    if (!e && !cert)
        e = TL_ERR_NOMEM;
    if (!e && !tl_node_id_eq(&key->id, &wish->network))
        e = tl_field_set(cert, "chain", json_pack("[O]", chain));
    if (e) {
        json_decref(cert);
        return e;
    }
    *ret_certificate = cert;
    return TL_OK;
}

/* --- reading --- */

/* Whole seconds as an integer; a fraction only where there is one, so that no time has two forms. */
static void take_time(tl_fields *f, const char *key, tl_unix *ret)
{
    const json_t *v = NULL;
    if (!json_is_real(json_object_get(f->object, key))) {
        tl_field_count(f, key, ret);
        return;
    }
    tl_field_any(f, key, &v);
    double real = json_real_value(v);
    if (!(real >= 0 && real <= (double)TL_PTN_TIME_MAX) || floor(real) == real)
        f->bad = true;
    else
        *ret = (tl_unix)floor(real);
}

static bool read_payload(const json_t *payload, tl_cert *cert)
{
    tl_fields f = tl_fields_of(payload);
    const char *role = "";
    tl_field_signed_id(&f, "ptnID", &cert->network);
    tl_field_signed_id(&f, "nodeID", &cert->node);
    tl_field_signed_id(&f, "issuerNodeID", &cert->issuer);
    tl_field_text(&f, "role", 16, &role);
    take_time(&f, "issuedAt", &cert->issued_at);
    cert->expires_at = TL_PTN_NO_END;
    if (tl_field_is_there(&f, "expiresAt"))
        take_time(&f, "expiresAt", &cert->expires_at);
    return tl_fields_end(&f) && tl_role_parse(role, &cert->role) &&
           cert->expires_at >= cert->issued_at;
}

tl_ptn_verdict tl_cert_read(const json_t *value, tl_cert *ret_cert)
{
    tl_fields f = tl_fields_of(value);
    tl_cert cert = {0}, admin;
    tl_signer signer = {0};
    const json_t *payload = NULL;
    tl_field_any(&f, "payload", &payload);
    tl_field_signature(&f, &signer.signature);
    if (tl_field_is_there(&f, "chain"))
        tl_field_any(&f, "chain", &signer.chain);
    if (!tl_fields_end(&f) || !read_payload(payload, &cert))
        return TL_PTN_MALFORMED;
    if (signer.chain && cert.role == TL_ROLE_ADMIN)
        return TL_PTN_CHAIN; /* only the authority makes admins */
    signer.network = cert.network;
    signer.issuer = cert.issuer;
    tl_ptn_verdict v = tl_signer_check(&signer, TL_PTN_BARE, payload, &admin);
    if (v)
        return v;
    cert.delegated = signer.chain != NULL;
    cert.issuer_expires_at = cert.delegated ? admin.expires_at : TL_PTN_NO_END;
    *ret_cert = cert;
    return TL_PTN_OK;
}

tl_ptn_verdict tl_cert_at(const tl_cert *cert, tl_unix now)
{
    if (now > cert->expires_at || (cert->delegated && now > cert->issuer_expires_at))
        return TL_PTN_EXPIRED;
    return cert->issued_at - TL_PTN_AHEAD_MAX > now ? TL_PTN_EARLY : TL_PTN_OK;
}
