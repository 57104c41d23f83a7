/* config.h - all settings: their names, types, ranges, defaults and meanings in one table. Reads
 * the file that holds them, and changes one setting in it without touching the rest. Touches only
 * the files whose paths it is given. */
#ifndef TL_CONFIG_CONFIG_H
#define TL_CONFIG_CONFIG_H

#include "base/json.h"

#define TL_SETTING_TEXT_MAX 512
#define TL_SETTING_LIST_MAX 16

typedef struct {
    size_t n;
    char item[TL_SETTING_LIST_MAX][256];
} tl_string_list;

/* The values in force. Field names are the keys, with `_` in place of a section's dot. */
typedef struct {
    /* other programs of the Teale network know these by the same names */
    bool wan_enabled;                /* false */
    tl_string_list wan_relay_url;    /* "wss://relay.teale.com/ws"; string or array */
    tl_string_list nat_stun_servers; /* three public servers */
    bool nat_direct;                 /* not known to other programs */
    bool nat_port_mapping;           /* not known to other programs */
    bool nat_relay_enabled;
    uint32_t nat_relay_max_sessions;
    uint32_t nat_relay_reciprocal_kbps;
    uint32_t nat_relay_bootstrap_kbps;
    uint32_t nat_relay_idle_timeout_secs;
    /* other programs do not know these of relaying */
    char nat_relay_for[16];               /* "any" | "networks" */
    uint32_t nat_relay_session_max_secs;  /* 600 */
    uint32_t nat_relay_session_warn_secs; /* 30 */
    uint32_t nat_relay_pause_secs;        /* 60 */
    uint32_t nat_relay_burst_ms;          /* 500 */
    char nat_introduce[8];                /* "auto" | "on" | "off" */
    tl_string_list nat_introducers;       /* NODEID@ADDRESS:PORT */
    /* the DHT */
    bool dht_enabled;
    char dht_publish[8];          /* "auto" | "on" | "off" */
    char dht_serve[8];            /* the same */
    tl_string_list dht_bootstrap; /* HOST or HOST:PORT */
    uint32_t dht_republish_secs;  /* 3600 */
    /* other programs do not know these */
    bool lan_enabled;              /* true */
    bool wan_allow_insecure_relay; /* allow plain ws:// to other machines than this one */
    char wan_relay_ca_file[TL_SETTING_TEXT_MAX];
    char wan_proxy[TL_SETTING_TEXT_MAX]; /* "" = the environment's; may hold a password */
    char display_name[64];               /* "" = host name */
    char share[TL_SETTING_TEXT_MAX]; /* base URL of the model server; "" = share nothing; "auto" =
                                        look for one */
    tl_string_list share_models;     /* empty = all */
    char backend_key_file[TL_SETTING_TEXT_MAX];
    char share_with[16];   /* "public" | "networks" */
    char ask[16];          /* "any" | "networks" */
    bool legacy_plaintext; /* speak the old protocol, readable for the relay */
    char api_listen[64];   /* "127.0.0.1:11435" */
    tl_string_list api_allowed_hosts, api_allowed_origins;
    uint32_t udp_port;                    /* 0 = any */
    uint32_t timeout_connect_secs;        /* 10 */
    uint32_t timeout_first_byte_secs;     /* 300 */
    uint32_t timeout_silence_secs;        /* 120 */
    uint32_t timeout_request_head_secs;   /* 10 */
    uint32_t timeout_body_idle_secs;      /* 30 */
    uint32_t timeout_stalled_client_secs; /* 60 */
    uint32_t requests_max;                /* 1024 for other nodes at once */
    /* the scheduler before the model server */
    uint32_t share_slots;           /* 0 = what the server tells, else 4 */
    uint32_t share_queue_max;       /* 64 of each class */
    uint32_t share_queue_wait_secs; /* 300 */
    bool share_pause;               /* others are not served */
    uint32_t store_quota;           /* MiB of fragments held for others; 0 none */
    uint32_t backup_challenge_secs; /* between two challenges of a holder, in the mean */
    uint32_t backup_gone_secs;      /* that a holder may be away */
    /* private networks */
    bool ptn_hide;                         /* the relay is shown tags in place of networks */
    uint32_t ptn_revocation_max_age_hours; /* 0 = off */
    /* money: micro-credits, prices for 1000 tokens */
    int64_t price_floor_micro, price_kwh_micro; /* 0, 0 */
    uint32_t price_watts;                       /* 0 */
    int64_t price_max_micro;                    /* -1 = any */
    int64_t credit_stranger_micro;              /* 1 000 000 */
    int64_t credit_member_micro;                /* 100 000 000 */
    char key_store[16];                         /* "auto" | "keychain" | "file" */
    char log_level[8];                          /* error warn info debug */
} tl_settings;

tl_settings tl_settings_default(void);

/* Takes the defaults and sets in them what the file `path` says. A missing file counts as empty. On
 * any error nothing is changed, and `why` names the file, line and key, with "did you mean ...?".
 * TL_ERR_INVALID, TL_ERR_PROTO, TL_ERR_IO. */
TL_CHECK tl_err tl_settings_load(const char *path, tl_settings *ret_settings, tl_why *why);
/* Checks and sets one setting, from its text on the command line (`true`, `5`, `text`,
 * `["a","b"]`). */
TL_CHECK tl_err tl_settings_set(tl_settings *s, const char *key, const char *text, tl_why *why);
/* Appends a setting as text: strings without quotes, lists as JSON. TL_ERR_NOT_FOUND with a
 * suggestion. */
TL_CHECK tl_err tl_settings_get(const tl_settings *s, const char *key, tl_buf *out, tl_why *why);
/* The same for others to see: without the login of a proxy. */
TL_CHECK tl_err tl_settings_show(const tl_settings *s, const char *key, tl_buf *out, tl_why *why);
/* Every setting by its key, in one JSON object, as tl_settings_show has it; the caller calls
 * json_decref. NULL: out of memory. */
json_t *tl_settings_json(const tl_settings *s);
/* One setting, whole. NULL: no such setting, or out of memory. */
json_t *tl_setting_json(const tl_settings *s, const char *key);
/* Rewrites one key in the file, and keeps comments and order. A new top-level key goes before the
 * first section. The new file is written beside the old one with mode 0600, synced, and renamed
 * over it. Checks the value as tl_settings_set does. */
TL_CHECK tl_err tl_settings_save(const char *path, const char *key, const char *text, tl_why *why);

typedef struct {
    const char *key, *text; /* as tl_settings_set takes them */
} tl_setting_text;
/* The file's text before a change and after it. */
typedef struct {
    tl_buf before, after;
} tl_settings_saved;
/* The same for several settings, in one step: all or none. The caller clears `ret_saved`, which may
 * be NULL. */
TL_CHECK tl_err tl_settings_save_all(const char *path, const tl_setting_text *changes, size_t n,
                                     tl_settings_saved *ret_saved, tl_why *why);
/* Gives the file back every byte that it had. TL_ERR_EXISTS: another program has changed it since,
 * and it stays so. TL_ERR_IO, TL_ERR_NOMEM. */
TL_CHECK tl_err tl_settings_unsave(const char *path, const tl_settings_saved *saved, tl_why *why);
void tl_settings_saved_clear(tl_settings_saved *saved);

/* What `config list`, the manual and completion show. NULL at the end. */
typedef struct {
    const char *key;  /* "nat.stun_servers" */
    const char *type; /* "boolean", "string", "integer", "strings" */
    const char *default_text;
    const char *meaning;        /* one sentence */
    bool live;                  /* takes effect without a restart */
    const char *const *choices; /* all values it can have, NULL at the end; NULL: too many */
} tl_setting_info;
const tl_setting_info *tl_setting_at(size_t i);

#endif
