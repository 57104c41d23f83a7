#include "config/config.h"

#include "config/config_table.h"
#include "wire/proxyurl.h"

tl_settings tl_settings_default(void)
{
    return (tl_settings){
        .wan_relay_url = {1, {"wss://relay.teale.com/ws"}},
        .nat_stun_servers = {3,
                             {"stun.l.google.com:19302", "stun1.l.google.com:19302",
                              "stun.cloudflare.com:3478"}},
        .lan_enabled = true,
        .nat_direct = true,
        .nat_port_mapping = true,
        .nat_relay_max_sessions = 50,
        .nat_relay_reciprocal_kbps = 256,
        .nat_relay_bootstrap_kbps = 64,
        .nat_relay_idle_timeout_secs = 60,
        .nat_relay_for = "any",
        .nat_relay_session_max_secs = 600,
        .nat_relay_session_warn_secs = 30,
        .nat_relay_pause_secs = 60,
        .nat_relay_burst_ms = 500,
        .nat_introduce = "auto",
        .dht_enabled = true,
        .dht_publish = "auto",
        .dht_serve = "auto",
        .dht_bootstrap = {4,
                          {"router.bittorrent.com:6881", "dht.transmissionbt.com:6881",
                           "router.utorrent.com:6881", "dht.libtorrent.org:25401"}},
        .dht_republish_secs = 3600,
        .share_with = "public",
        .ask = "any",
        .api_listen = "127.0.0.1:11435",
        .timeout_connect_secs = 10,
        .timeout_first_byte_secs = 300,
        .timeout_silence_secs = 120,
        .timeout_request_head_secs = 10,
        .timeout_body_idle_secs = 30,
        .timeout_stalled_client_secs = 60,
        .requests_max = 1024,
        .store_quota = 64,
        .backup_challenge_secs = 14400,
        .backup_gone_secs = 604800,
        .share_queue_max = 64,
        .share_queue_wait_secs = 300,
        .price_max_micro = -1,
        .credit_stranger_micro = 1000000,
        .credit_member_micro = 100000000,
        .key_store = "auto",
        .log_level = "info",
    };
}

tl_err tl_settings_set(tl_settings *s, const char *key, const char *text, tl_why *why)
{
    const tl_setting_def *def;
    tl_err e = tl_setting_find(key, &def, why);
    if (e)
        return e;
    json_t *value = NULL;
    tl_why must;
    e = tl_setting_value_of_text(def, text, &value, &must);
    if (!e)
        e = tl_setting_apply(s, def, value, &must);
    json_decref(value);
    if (e == TL_ERR_NOMEM)
        return tl_why_set(why, e, "out of memory");
    return e ? tl_why_set(why, e, "%s %s", key, must.text) : TL_OK;
}

tl_err tl_setting_shown(const tl_settings *s, const tl_setting_def *def, json_t **ret_value)
{
    char shown[TL_PROXY_SHOWN_MAX];
    tl_err e = tl_setting_value(s, def, ret_value);
    if (e || !def->login)
        return e;
    tl_proxy_show_text(shown, json_string_value(*ret_value));
    json_decref(*ret_value);
    *ret_value = json_string(shown);
    return *ret_value ? TL_OK : TL_ERR_NOMEM;
}

static tl_err get(const tl_settings *s, const char *key, bool shown_to_others, tl_buf *out,
                  tl_why *why)
{
    const tl_setting_def *def;
    tl_err e = tl_setting_find(key, &def, why);
    if (e)
        return e;
    json_t *value;
    e = shown_to_others ? tl_setting_shown(s, def, &value) : tl_setting_value(s, def, &value);
    if (e)
        return e;
    const json_t *shown = value;
    if (def->bare_ok && json_array_size(value) == 1)
        shown = json_array_get(value, 0);
    if (json_is_string(shown)) {
        e = tl_buf_append_str(out, json_string_value(shown));
    } else {
        char *text =
            json_dumps(shown, JSON_ENCODE_ANY); /* puts ", " between items, as people write lists */
        e = text ? tl_buf_append_str(out, text) : TL_ERR_NOMEM;
        free(text);
    }
    json_decref(value);
    return e;
}

tl_err tl_settings_get(const tl_settings *s, const char *key, tl_buf *out, tl_why *why)
{
    return get(s, key, false, out, why);
}

tl_err tl_settings_show(const tl_settings *s, const char *key, tl_buf *out, tl_why *why)
{
    return get(s, key, true, out, why);
}

json_t *tl_setting_json(const tl_settings *s, const char *key)
{
    const tl_setting_def *def;
    tl_why why;
    json_t *value = NULL;
    if (tl_setting_find(key, &def, &why) || tl_setting_value(s, def, &value))
        return NULL;
    return value;
}

json_t *tl_settings_json(const tl_settings *s)
{
    json_t *all = json_object(), *value;
    for (size_t i = 0; all && tl_setting_def_at(i); i++) {
        const tl_setting_def *def = tl_setting_def_at(i);
        if (tl_setting_shown(s, def, &value) || json_object_set_new(all, def->info.key, value)) {
            json_decref(all);
            return NULL;
        }
    }
    return all;
}

const tl_setting_info *tl_setting_at(size_t i)
{
    const tl_setting_def *def = tl_setting_def_at(i);
    return def ? &def->info : NULL;
}
