/* The scanner's verdicts against a strict parse of the whole, and every reader on what passed. */
#include "wire/signal.h"
#include "wire/signalread.h"

#include <stdlib.h>

static void read_all(const tl_signal *s)
{
    tl_signal_challenge challenge;
    tl_signal_register registration;
    tl_signal_discover discover;
    tl_signal_ack ack;
    tl_signal_peer peer;
    tl_signal_error error;
    tl_signal_relay_offer offer;
    tl_signal_relay_warning warning;
    tl_signal_goodbye goodbye;
    switch (s->type) {
    case TL_SIGNAL_CHALLENGE: (void)!tl_signal_read_challenge(s, &challenge); break;
    case TL_SIGNAL_REGISTER:
        if (!tl_signal_read_register(s, &registration) &&
            (registration.capabilities.p < s->payload.p || !registration.display_name))
            abort();
        break;
    case TL_SIGNAL_DISCOVER:
        if (!tl_signal_read_discover(s, &discover) && (discover.limit < 1 || discover.limit > 500))
            abort();
        break;
    case TL_SIGNAL_REGISTER_ACK: (void)!tl_signal_read_ack(s, &ack); break;
    case TL_SIGNAL_DISCOVER_RESPONSE:
        for (size_t i = 0; i < tl_signal_peer_count(s); i++)
            (void)!tl_signal_read_peer(s, i, &peer);
        (void)tl_signal_next_cursor(s);
        break;
    case TL_SIGNAL_PEER_JOINED:
    case TL_SIGNAL_PEER_LEFT: (void)!tl_signal_read_presence(s, &peer); break;
    case TL_SIGNAL_RELAY_OFFER: (void)!tl_signal_read_relay_offer(s, &offer); break;
    case TL_SIGNAL_RELAY_WARNING: (void)!tl_signal_read_relay_warning(s, &warning); break;
    case TL_SIGNAL_GOODBYE: (void)!tl_signal_read_goodbye(s, &goodbye); break;
    case TL_SIGNAL_ERROR: (void)!tl_signal_read_error(s, &error); break;
    default: break;
    }
}

static void try_side(tl_slice text, tl_signal_side side)
{
    tl_signal s;
    json_t *strict = NULL;
    tl_err e = tl_signal_scan(text, side, &s);
    bool is_json = text.n && !tl_json_parse(text, TL_SIGNAL_DEPTH_MAX, &strict, NULL);
    if ((!e && !is_json) || (e == TL_ERR_PROTO && is_json))
        abort();
    if (!e && (!json_is_object(strict) || json_object_size(strict) != 1))
        abort();
    if (!e && tl_signal_is_routed(s.type)) {
        json_t *payload = json_object_get(strict, tl_signal_type_name(s.type)),
               *inner = json_object_get(payload, "_0");
        if (inner)
            payload = inner;
        const char *session = tl_json_string(payload, "sessionID", NULL);
        if (!session || !tl_slice_eq(tl_slice_str(session), s.session) ||
            !tl_signal_session_is(s.session))
            abort();
        if (!tl_json_string(payload, "fromNodeID", NULL) ||
            !tl_json_string(payload, "toNodeID", NULL))
            abort();
    }
    if (!e)
        read_all(&s);
    tl_signal_clear(&s);
    json_decref(strict);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    if (n > TL_SIGNAL_SMALL_MAX)
        return 0;
    try_side(tl_slice_of(data, n), TL_SIGNAL_AT_RELAY);
    try_side(tl_slice_of(data, n), TL_SIGNAL_AT_NODE);
    return 0;
}
