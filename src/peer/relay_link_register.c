/* What a node says of itself to its relay, at first and when it has changed. */
#include "crypto/sign.h"
#include "peer/peer_table.h"
#include "peer/relay_link_state.h"
#include "wire/signalwrite.h"

#include <stdio.h>

/* Nodes take no more names of one peer, and some relays no message over 64 KiB. */
#define MODELS_MAX       TL_PEER_MODELS_MAX
#define MODELS_BYTES_MAX (48u << 10)
#define AGAIN_AFTER      (2 * TL_SEC) /* a relay takes a change a second, after some at once */

/* Makes two signatures: the public network's, which others can replay, and ours over the
 * challenge. */
static tl_err sign_registration(tl_relay_link *l, char bare_hex[], char proof_hex[])
{
    tl_signature bare, proof;
    char body[sizeof l->nonce + sizeof l->authority + sizeof l->hex + 2];
    tl_err e = tl_sign_bare(l->identity, tl_slice_str(l->hex), &bare);
    if (e)
        return e;
    tl_signature_write(bare_hex, &bare);
    if (!l->nonce[0])
        return TL_OK;
    snprintf(body, sizeof body, "%s:%s:%s", l->nonce, l->authority, l->hex);
    e = tl_sign(l->identity, TL_SIGN_REGISTER, tl_slice_str(body), &proof);
    if (!e)
        tl_signature_write(proof_hex, &proof);
    return e;
}

/* Our capabilities, with as many models as a registration takes: a node with more must not be sent
 * away for it. To be given back with json_decref; NULL: out of memory. */
static json_t *registered_capabilities(tl_relay_link *l)
{
    const json_t *all = json_object_get(l->capabilities, "loadedModels"), *model;
    size_t bytes = 0, i;
    json_t *c = l->capabilities ? json_copy(l->capabilities) : json_object();
    json_t *models = json_array();
    json_array_foreach (all, i, model) {
        bytes += json_string_length(model) + 8;
        if (i == MODELS_MAX || bytes > MODELS_BYTES_MAX ||
            json_array_append(models, (json_t *)(uintptr_t)model))
            break;
    }
    l->models_sent = json_array_size(models);
    if (l->models_sent < json_array_size(all))
        (void)json_object_set(c, "loadedModels", models);
    json_decref(models);
    return c;
}

tl_err tl_relay_link_register(tl_relay_link *l)
{
    char bare[2 * TL_SIGNATURE_SIZE + 1], proof[2 * TL_SIGNATURE_SIZE + 1], wg[65];
    tl_buf capabilities = {0}, out = {0};
    tl_err e = sign_registration(l, bare, proof);
    json_t *registered = registered_capabilities(l);
    if (!e)
        e = registered ? tl_json_write(&capabilities, registered) : TL_ERR_NOMEM;
    json_decref(registered);
    tl_hex_write(wg, l->identity->noise_public, 32);
    tl_signal_registration r = {.node_id = l->hex,
                                .wg_public = wg,
                                .display_name = l->display_name,
                                .capabilities = tl_buf_slice(&capabilities),
                                .signature = bare,
                                .challenge_signature = l->nonce[0] ? proof : NULL,
                                .features = {.relay_token = l->events.on_offer != NULL,
                                             .goodbye = l->events.on_goodbye != NULL,
                                             .peers_changed = l->events.on_presence != NULL}};
    if (!e)
        e = tl_signal_write_register(&out, &r);
    e = tl_relay_link_send_buf(l, &out, e);
    tl_buf_clear(&capabilities);
    return e;
}

void tl_relay_link_set_capabilities(tl_relay_link *l, json_t *capabilities)
{
    bool same = l->capabilities && json_equal(l->capabilities, capabilities);
    json_decref(l->capabilities);
    l->capabilities = capabilities;
    /* If the wire is full, the next change or the next connection sends them. */
    if (!same && l->state >= TL_LINK_REGISTERING && tl_relay_link_register(l))
        l->counters.ignored++;
}

/* The relay did not take the last change: it was one of too many. */
void tl_relay_link_register_later(tl_relay_link *l, tl_time now)
{
    l->again_at = tl_time_min(l->again_at, now + AGAIN_AFTER);
}

void tl_relay_link_register_on_timer(tl_relay_link *l, tl_time now)
{
    if (now < l->again_at)
        return;
    l->again_at = TL_NEVER;
    if (l->state == TL_LINK_REGISTERED && tl_relay_link_register(l))
        tl_relay_link_register_later(l, now); /* the wire is full */
}
