/* The old protocol: hands the events of legacy/ to the other parts, and theirs to it. */
#include "node/state.h"

/* As many names as a registration has (peer/relay_link.c), for the same reasons. */
#define MODELS_MAX       TL_PEER_MODELS_MAX
#define MODELS_BYTES_MAX (48u << 10)

/* --- sessions --- */

static tl_err open_session(void *user, const tl_node_id *peer, tl_path_id *ret_path)
{
    return tl_peers_lend_new(((tl_node *)user)->peers, peer, ret_path);
}

static void close_session(void *user, tl_path_id path)
{
    tl_peers_end_lent(((tl_node *)user)->peers, path);
}

static tl_err send_text(void *user, tl_path_id path, tl_slice text)
{
    const tl_node *n = user;
    size_t i;
    if (tl_relays_of(n->relays, path, &i) && tl_relay_pair_is_full(n->client, i))
        return TL_ERR_BUSY;
    return tl_relays_send(n->relays, path, text);
}

bool tl_node_old_datagram(tl_node *n, tl_path_id path, tl_slice data)
{
    tl_node_id peer;
    if (!tl_legacy_may_be(data))
        return false;
    if (!tl_peers_is_lent(n->peers, path)) {
        if (!tl_legacy_is_message(data) || !tl_peers_lend(n->peers, path, &peer))
            return false;
        tl_legacy_accept(n->legacy, path, &peer);
    }
    tl_legacy_on_text(n->legacy, path, data);
    tl_node_wake(n);
    return true;
}

/* --- what this node tells of itself --- */

static json_t *models(void *user)
{
    const tl_node *n = user;
    size_t bytes = 0, count = n->backend ? tl_backend_model_count(n->backend) : 0;
    json_t *list = json_array();
    if (tl_access_for_old(&n->access) || tl_node_is_paused(n))
        count = 0;
    for (size_t i = 0; list && i < count && json_array_size(list) < MODELS_MAX; i++) {
        const char *model = tl_backend_model(n->backend, i);
        if (!tl_node_is_shared(n, model) || !tl_utf8_is(tl_slice_str(model)))
            continue;
        bytes += strlen(model) + 8;
        if (bytes > MODELS_BYTES_MAX)
            break;
        list = tl_json_append(list, json_string(model));
    }
    return list;
}

static json_t *hardware(void *user)
{
    return tl_hardware_json(&((tl_node *)user)->hardware);
}

/* --- putting it together --- */

tl_err tl_node_wire_legacy(tl_node *n, const tl_server_backend *backend)
{
    tl_legacy_world world = {open_session, close_session, send_text, models, hardware, *backend};
    tl_legacy_config config = {.own = n->identity.id,
                               .env = n->env,
                               .access = &n->access,
                               .places = tl_server_places(n->server)};
    tl_legacy_times times = {0}; /* tl_node_apply_limits follows */
    memcpy(config.name, n->name, sizeof config.name);
    return tl_legacy_new(&config, &times, &world, n, &n->legacy);
}

tl_err tl_node_ask_old(void *user, const tl_ask *ask, const tl_exchange_sink *sink, void *sink_user,
                       tl_exchange **ret_exchange)
{
    return tl_legacy_ask(((tl_node *)user)->legacy, ask, sink, sink_user, ret_exchange);
}
