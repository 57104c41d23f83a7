/* What a hostile relay may say to a node: texts separated by newlines, after a registration. */
#include "peer/relay_link.h"

#include <stdlib.h>

static void on_presence(void *user, const tl_node_id *peer, bool joined)
{
    char hex[TL_NODE_ID_HEX + 1];
    (void)user;
    (void)joined;
    if (!peer)
        return;
    tl_node_id_write(hex, peer);
    if (strlen(hex) != TL_NODE_ID_HEX)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static tl_path_id next_path;
static size_t begun;
static tl_buf said;

static tl_err wire_begin(void *wire, size_t n, uint8_t **ret_room)
{
    (void)wire;
    tl_buf_clear(&said);
    begun = n;
    return tl_buf_reserve(&said, n, ret_room);
}

static void wire_commit(void *wire)
{
    (void)wire;
    tl_buf_added(&said, begun);
    if (!tl_utf8_is(tl_buf_slice(&said))) /* a relay would cut us off for it */
        abort();
}

static void nothing(void *user)
{
    (void)user;
}

static void on_refused(void *user, const char *code, const char *message)
{
    (void)user;
    if (!code || !message)
        abort();
}

static void on_peer(void *user, const tl_relay_peer *peer)
{
    (void)user;
    if (!peer->name || peer->nat_type >= TL_NAT_TYPES)
        abort();
}

static void on_discovered(void *user, const char *model, bool ok)
{
    (void)user;
    (void)model;
    (void)ok;
}

static tl_path_id on_asked(void *user, const tl_node_id *from)
{
    (void)user;
    (void)from;
    return ++next_path;
}

static void on_ready(void *user, tl_path_id path)
{
    if (tl_relay_link_send(*(tl_relay_link **)user, path, TL_SLICE_LIT("x")))
        abort();
}

static void on_ended(void *user, tl_path_id path, const char *why)
{
    (void)user;
    (void)path;
    if (!why[0])
        abort();
}

static void on_datagram(void *user, tl_path_id path, uint8_t *data, size_t n)
{
    (void)user;
    (void)path;
    for (size_t i = 0; i < n; i++)
        data[i] ^= 1; /* QUIC decrypts in place */
}

/* What is handed on is an object of that session, to us. */
static void on_signal(void *user, tl_signal_type type, const tl_node_id *from, tl_slice payload)
{
    json_t *object;
    (void)user;
    (void)from;
    if (type < TL_SIGNAL_OFFER || type > TL_SIGNAL_ICE_CANDIDATE ||
        tl_json_parse(payload, TL_SIGNAL_DEPTH_MAX, &object, NULL) ||
        !tl_signal_session_is(tl_slice_str(tl_json_string(object, "sessionID", ""))))
        abort();
    json_decref(object);
}

static void on_signal_failed(void *user, const char *session)
{
    (void)user;
    if (!session)
        abort();
}

/* The key of seed 0: its ID is in the corpus. */
static const tl_identity *identity(void)
{
    static tl_identity own;
    static const uint8_t seed[32];
    if (tl_crypto_init() || tl_identity_from_seed(seed, &own))
        abort();
    return &own;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static const tl_relay_link_events events = {
        nothing,  on_refused,  on_peer,   on_discovered,    on_asked,   on_ready,
        on_ended, on_datagram, on_signal, on_signal_failed, on_presence};
    static const tl_relay_wire wire = {wire_begin, wire_commit};
    tl_rand rand = tl_rand_seeded(1); /* session IDs, too, are the corpus's */
    tl_relay_link *l;
    const tl_identity *own = identity();
    next_path = 10;
    if (tl_relay_link_new(own, &rand, "fuzz", &events, &l, &l))
        abort();
    tl_relay_link_on_open(l, "relay", &wire, NULL, 0);
    tl_relay_link_on_timer(l, TL_RELAY_GREETING_WITHIN);
    for (size_t at = 0; at <= n;) {
        const uint8_t *end = at < n ? memchr(data + at, '\n', n - at) : NULL;
        size_t len = end ? (size_t)(end - data) - at : n - at;
        uint8_t *copy = malloc(len ? len : 1);
        if (!copy)
            abort();
        if (len)
            memcpy(copy, data + at, len);
        tl_relay_link_on_text(l, copy, len, TL_SEC);
        free(copy);
        if (tl_relay_link_is_registered(l) && !tl_relay_link_discover(l, "", TL_SEC))
            if (tl_relay_link_open(l, &own->id, 1))
                tl_relay_link_close(l, 1);
        at += len + 1;
    }
    tl_relay_link_on_timer(l, TL_MIN);
    tl_relay_link_on_closed(l);
    tl_relay_link_free(l);
    tl_buf_clear(&said);
    return 0;
}
