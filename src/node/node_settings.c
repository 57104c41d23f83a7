/* Puts settings into force, at the start and while the node runs. */
#include "node/accounts.h"
#include "node/reach.h"
#include "node/state.h"

#include "base/log.h"

#include <stdio.h>

/* Logs why others cannot ask the models of a server that is up. The backend itself logs why it is
 * not up. */
static void tell_sharing(tl_node *n)
{
    tl_sharing s;
    tl_node_judge_sharing(n, &s);
    bool up = n->backend && tl_backend_state_of(n->backend) == TL_BACKEND_UP;
    if (up && s.cause[0] && strcmp(s.cause, n->sharing_told) != 0)
        tl_log(TL_LOG_WARN, "%s: %s. %s",
               s.state == TL_SHARING_NOTHING ? "nothing is shared" : "nobody else is served",
               s.cause, s.remedy);
    snprintf(n->sharing_told, sizeof n->sharing_told, "%s", up ? s.cause : "");
}

static void backend_changed(void *user)
{
    tl_node *n = user;
    tell_sharing(n);
    tl_node_apply_slots(n, false); /* it may tell of other slots */
    tl_node_tell_capabilities(n);
    tl_router_on_relay(n->router); /* a question may wait for what the model server has now */
    tl_node_wake(n);
}

tl_err tl_node_apply_share(tl_node *n, tl_why *why)
{
    static const tl_backend_events events = {backend_changed};
    const tl_settings *s = &n->settings;
    tl_backend *backend = NULL;
    if (s->share[0]) {
        tl_backend_config config = tl_backend_config_default();
        if (strcmp(s->share, "auto") != 0)
            snprintf(config.url, sizeof config.url, "%s", s->share);
        snprintf(config.key_file, sizeof config.key_file, "%s", s->backend_key_file);
        config.first_byte = s->timeout_first_byte_secs * TL_SEC;
        config.silence = s->timeout_silence_secs * TL_SEC;
        /* Who asks is bounded before: peers by requests_max, this machine by its connections. So
         * peers never take the place of this machine's own questions. */
        config.running_max = UINT32_MAX;
        tl_err e = tl_backend_new(n->loop, &config, &events, n, &backend, why);
        if (e)
            return e;
    }
    /* Questions that the old backend was answering fail with `unavailable`; they may be asked of
     * other nodes. */
    tl_backend *old = n->backend;
    n->backend = backend;
    tl_backend_free(old);
    tl_node_apply_access(n);
    tl_node_apply_slots(n, false);
    tl_node_tell_capabilities(n);
    return TL_OK;
}

/* One that stands twice counts once: the relay would take the second connection for that of another
 * process. */
static void add_url(tl_relay_client_config *config, const char url[256])
{
    for (size_t i = 0; i < config->n_urls; i++)
        if (!strcmp(config->urls[i], url))
            return;
    memcpy(config->urls[config->n_urls++], url, sizeof config->urls[0]);
}

static tl_err connect_to(tl_node *n, tl_relay_client_config *config, tl_why *why)
{
    const tl_settings *s = &n->settings;
    config->allow_insecure = s->wan_allow_insecure_relay;
    snprintf(config->ca_file, sizeof config->ca_file, "%s", s->wan_relay_ca_file);
    snprintf(config->proxy, sizeof config->proxy, "%s", s->wan_proxy);
    return tl_relay_pair_start(n->client, config, why);
}

tl_err tl_node_visit_relay(tl_node *n, const char *url)
{
    tl_relay_client_config config = {.n_urls = 1};
    tl_why why;
    snprintf(config.urls[0], sizeof config.urls[0], "%s", url);
    if (!connect_to(n, &config, &why)) {
        tl_log(TL_LOG_INFO, "relay: %s, at which a peer is, is visited",
               tl_log_safe(tl_slice_str(url)).text);
        return TL_OK;
    }
    tl_log(TL_LOG_INFO, "relay: %s", why.text);
    return TL_ERR_INVALID;
}

void tl_node_apply_relay(tl_node *n)
{
    const tl_settings *s = &n->settings;
    tl_relay_client_config config = {.n_urls = 0};
    tl_why why;
    n->wan_error[0] = 0;
    if (!s->wan_enabled) {
        tl_relay_pair_stop(n->client, "switched off");
        return;
    }
    if (tl_node_is_aside(n)) {
        tl_relay_pair_stop(n->client, "standing aside");
        if (n->aside.state == TL_ASIDE_TWIN)
            snprintf(n->wan_error, sizeof n->wan_error, "%s", tl_node_aside_words);
        tl_router_on_relay(n->router);
        return;
    }
    for (size_t i = 0; i < s->wan_relay_url.n && i < TL_RELAY_URLS_MAX; i++)
        add_url(&config, s->wan_relay_url.item[i]);
    if (!config.n_urls) {
        tl_relay_pair_stop(n->client, "no relay");
        tl_router_on_relay(n->router);
        return;
    }
    if (connect_to(n, &config, &why)) {
        tl_relay_pair_stop(n->client, "unusable settings");
        snprintf(n->wan_error, sizeof n->wan_error, "%s", why.text);
        tl_log(TL_LOG_ERROR, "relay: %s", why.text);
        tl_router_on_relay(n->router);
    }
}

void tl_node_apply_access(tl_node *n)
{
    n->access =
        (tl_access){.share_public = strcmp(n->settings.share_with, "public") == 0,
                    .ask_any = strcmp(n->settings.ask, "any") == 0,
                    .sharing = n->backend,
                    .in_clear = n->settings.legacy_plaintext,
                    .running = n->stage == TL_NODE_RUNNING && n->aside.state < TL_ASIDE_LEAVING,
                    .book = n->book,
                    .env = &n->env};
    tl_networks_set_hide(n->book, n->settings.ptn_hide);
    tl_networks_set_max_age(n->book, (int64_t)n->settings.ptn_revocation_max_age_hours * 3600);
}

void tl_node_apply_limits(tl_node *n)
{
    const tl_settings *s = &n->settings;
    tl_server_policy policy = {.running_max = s->requests_max,
                               .body_idle = s->timeout_body_idle_secs * TL_SEC};
    tl_asker_times times = {.first_byte = s->timeout_first_byte_secs * TL_SEC,
                            .silence = s->timeout_silence_secs * TL_SEC};
    tl_legacy_times old_times = {.connect = s->timeout_connect_secs * TL_SEC,
                                 .first_byte = times.first_byte,
                                 .silence = times.silence};
    tl_server_set_policy(n->server, &policy);
    tl_legacy_set_times(n->legacy, &old_times);
    tl_asker_set_times(n->asker, &times);
    tl_node_apply_access(n);
    tl_node_apply_slots(n, false);
}

void tl_node_apply_prices(tl_node *n)
{
    int64_t most = n->settings.price_max_micro;
    tl_router_set_price_max(n->router, (tl_maybe){most >= 0, most >= 0 ? most : 0});
    tl_node_bids_are_stale(n);
}

static bool is_one_of(const char *key, const char *const *keys)
{
    for (; *keys; keys++)
        if (strcmp(key, *keys) == 0)
            return true;
    return false;
}

tl_err tl_node_setting_changed(tl_node *n, const tl_settings *settings, const char *key,
                               tl_why *why)
{
    static const char *const relay[] = {
        "wan_enabled",       "wan_relay_url", "wan_allow_insecure_relay",
        "wan_relay_ca_file", "wan_proxy",     NULL};
    static const char *const share[] = {"share", "backend_key_file", NULL};
    static const char *const limits[] = {"share_with",
                                         "ask",
                                         "requests_max",
                                         "timeout_first_byte_secs",
                                         "timeout_silence_secs",
                                         "timeout_body_idle_secs",
                                         "share_models",
                                         "legacy_plaintext",
                                         "share_slots",
                                         "share_queue_max",
                                         "share_queue_wait_secs",
                                         "share_pause",
                                         "ptn.hide",
                                         "ptn.revocation_max_age_hours",
                                         NULL};
    static const char *const prices[] = {"price.floor_micro", "price.kwh_micro", "price.watts",
                                         "price.max_micro", NULL};
    static const char *const network[] = {"lan_enabled", "nat.direct", "nat.port_mapping",
                                          "nat.stun_servers", NULL};
    static const char *const dht[] = {"dht.enabled",   "dht.publish",        "dht.serve",
                                      "dht.bootstrap", "dht.republish_secs", NULL};
    static const char *const relaying[] = {"nat.relay_enabled",
                                           "nat.relay_for",
                                           "nat.relay_max_sessions",
                                           "nat.relay_reciprocal_kbps",
                                           "nat.relay_bootstrap_kbps",
                                           "nat.relay_idle_timeout_secs",
                                           "nat.relay_session_max_secs",
                                           "nat.relay_session_warn_secs",
                                           "nat.relay_pause_secs",
                                           "nat.relay_burst_ms",
                                           NULL};
    static const char *const introducing[] = {"nat.introduce", "nat.introducers", NULL};
    static const char *const credit[] = {"credit.stranger_micro", "credit.member_micro", NULL};
    tl_settings before = n->settings;
    n->settings = *settings;
    if (is_one_of(key, relay)) {
        tl_node_apply_relay(n);
        tl_node_apply_network(n);
    } else if (is_one_of(key, share)) {
        tl_err e = tl_node_apply_share(n, why);
        if (e) {
            n->settings = before;
            return e;
        }
    } else if (is_one_of(key, network)) {
        tl_node_apply_network(n);
    } else if (is_one_of(key, introducing)) {
        tl_node_apply_introducing(n);
    } else if (is_one_of(key, relaying)) {
        tl_node_apply_relaying(n);
        tl_node_tell_capabilities(n);
    } else if (!strcmp(key, "store_quota")) {
        tl_node_apply_store_quota(n);
        tl_node_tell_capabilities(n);
    } else if (is_one_of(key, prices)) {
        tl_node_apply_prices(n);
    } else if (is_one_of(key, limits)) {
        tl_node_apply_limits(n);
        if (!n->access.in_clear)
            tl_legacy_stop(n->legacy);
        tl_node_tell_capabilities(n);
    } else if (is_one_of(key, dht)) {
        tl_node_apply_dht(n);
    } else if (is_one_of(key, credit)) {
        tl_node_apply_credit(n);
    } else {
        /* Other settings are read only at the start: ports, the name, times of API and
         * connections. */
        n->settings = before;
        return TL_ERR_AGAIN;
    }
    tl_node_wake(n);
    return TL_OK;
}
