#include "relay/admission.h"

#include "crypto/sign.h"

#include <assert.h>
#include <stdio.h>

#define AUTHORITY_MAX (TL_HOST_MAX + 6)

/* Checks that the signature is of nonce ":" authority ":" nodeID. TL_ERR_AUTH: it is not.
 * TL_ERR_NOMEM. */
static tl_err proves(const tl_node_id *id, const tl_signature *signature, const char *nonce,
                     const char *authority, const char *node_id)
{
    char body[TL_SIGNAL_NONCE_HEX + AUTHORITY_MAX + TL_NODE_ID_HEX + 3];
    int n = snprintf(body, sizeof body, "%s:%s:%s", nonce, authority, node_id);
    assert(n > 0 && (size_t)n < sizeof body); /* each part is of a checked length */
    return tl_sign_verify(id, TL_SIGN_REGISTER, tl_slice_of(body, (size_t)n), signature);
}

/* Checks the proof when no name is configured. Then the authority is the address on which the
 * socket was accepted, or `localhost` for loopback, without the port if it is the scheme's
 * default. */
static tl_err proves_for_address(const tl_node_id *id, const tl_signature *signature,
                                 const char *nonce, const tl_addr *local, bool tls,
                                 const char *node_id)
{
    char authority[AUTHORITY_MAX], ip[TL_ADDR_TEXT_MAX];
    tl_addr a = tl_addr_normal(*local);
    a.scope = 0;
    bool default_port = a.port == (tls ? 443 : 80);
    tl_addr_write_ip(ip, &a);
    if (!default_port)
        tl_addr_write(authority, &a);
    else
        snprintf(authority, sizeof authority, a.family == TL_ADDR_V6 ? "[%s]" : "%s", ip);
    tl_err e = proves(id, signature, nonce, authority, node_id);
    if (e != TL_ERR_AUTH || !tl_addr_is_loopback(&a))
        return e;
    if (default_port)
        snprintf(authority, sizeof authority, "localhost");
    else
        snprintf(authority, sizeof authority, "localhost:%u", a.port);
    return proves(id, signature, nonce, authority, node_id);
}

tl_err tl_relay_admit(const tl_relay_config *config, const tl_addr *local, bool tls,
                      const char *nonce, const tl_signal_register *registration, tl_node_id *ret_id)
{
    tl_node_id id;
    tl_signature signature;
    const char *node_id = registration->node_id;
    /* A look at the key costs as much as two checks of a signature, and a third of a whole join. Below,
     * a signature must verify with it, which none does with a key of small order. Of other odd keys, one
     * secret has several; but a secret costs nothing, and nodes look at the keys of their peers. */
    tl_err e = tl_node_id_parse_form(tl_slice_str(node_id), &id);
    if (e)
        return e;
    e = TL_ERR_AUTH;
    if (registration->challenge_signature) {
        if (tl_signature_parse(tl_slice_str(registration->challenge_signature), &signature))
            return TL_ERR_AUTH;
        for (size_t i = 0; e == TL_ERR_AUTH && i < config->name_count; i++)
            e = proves(&id, &signature, nonce, config->names[i], node_id);
        if (config->name_count == 0)
            e = proves_for_address(&id, &signature, nonce, local, tls, node_id);
    } else if (config->legacy_clients && registration->signature &&
               !tl_signature_parse(tl_slice_str(registration->signature), &signature)) {
        e = tl_sign_bare_verify(&id, tl_slice_str(node_id), &signature);
    }
    if (e)
        return e;
    *ret_id = id;
    return TL_OK;
}
