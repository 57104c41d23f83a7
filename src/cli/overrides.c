#include "cli/overrides.h"

#include "wire/wsurl.h"

#include <limits.h>
#include <stdlib.h>
#include <unistd.h>

typedef struct {
    const char *option, *key;
    const char *fixed; /* the value that a switch sets; NULL: the option has a value */
    bool list;         /* all given values become one list */
    bool file;         /* made absolute, because the daemon has another working directory */
} override;

static const override overrides[] = {
    {"share", "share", NULL, false, false},
    {"share-key-file", "backend_key_file", NULL, false, true},
    {"model", "share_models", NULL, true, false},
    {"relay", "wan_relay_url", NULL, true, false},
    {"relay", "wan_enabled", "true", false, false},
    {"private", "share_with", "networks", false, false},
    {"api", "api_listen", NULL, false, false},
    {"udp", "udp_port", NULL, false, false},
    {"relayed", "nat.direct", "false", false, false},
    {"insecure-relay", "wan_allow_insecure_relay", "true", false, false},
    {"log-level", "log_level", NULL, false, false},
    {"bootstrap", "dht.bootstrap", NULL, true, false}, /* of `backup restore` */
};
#define OVERRIDES (sizeof overrides / sizeof *overrides)

/* Writes every value given for the option as a JSON list. */
static tl_err list_text(const tl_args *args, const char *option, tl_buf *out)
{
    tl_err e = tl_buf_append_str(out, "[");
    bool first = true;
    const char *only = tl_args_value(args, option);
    if (!e && only && !*only) /* it is given as "": no item at all */
        return tl_buf_append(out, tl_slice_of("]", 2));
    for (size_t i = 0; !e && i < args->option_n; i++) {
        if (strcmp(args->option[i]->name, option) != 0)
            continue;
        e = first ? TL_OK : tl_buf_append_str(out, ",");
        if (!e)
            e = tl_json_append_string(out, tl_slice_str(args->value[i]));
        first = false;
    }
    return e ? e : tl_buf_append(out, tl_slice_of("]", 2)); /* with its NUL */
}

static tl_err value_text(const tl_args *args, const override *o, tl_buf *out)
{
    char here[PATH_MAX];
    const char *value = tl_args_value(args, o->option);
    if (o->fixed)
        value = o->fixed;
    else if (o->list)
        return list_text(args, o->option, out);
    if (o->file && *value && *value != '/') {
        if (!getcwd(here, sizeof here))
            return TL_ERR_IO;
        tl_err e = tl_buf_printf(out, "%s/", here);
        if (e)
            return e;
    }
    return tl_buf_append(out, tl_slice_of(value, strlen(value) + 1));
}

/* Calls `take` with each setting that an option overrides, and its text. */
static tl_err each(const tl_args *args,
                   tl_err (*take)(void *user, const char *key, const char *text, tl_why *why),
                   void *user, tl_why *why)
{
    tl_err e = TL_OK;
    for (size_t i = 0; !e && i < OVERRIDES; i++) {
        const override *o = &overrides[i];
        tl_buf text = {0};
        tl_why must;
        if (!tl_args_has(args, o->option))
            continue;
        e = value_text(args, o, &text);
        if (e)
            e = tl_why_set(why, e, "--%s: %s", o->option, tl_err_name(e));
        else if ((e = take(user, o->key, (const char *)tl_buf_begin(&text), &must)))
            e = tl_why_set(why, e, "--%s: %s", o->option, must.text);
        tl_buf_clear(&text);
    }
    return e;
}

static tl_err set_one(void *user, const char *key, const char *text, tl_why *why)
{
    return tl_settings_set(user, key, text, why);
}

static tl_err save_one(void *user, const char *key, const char *text, tl_why *why)
{
    return tl_settings_save(*(const char **)user, key, text, why);
}

tl_err tl_overrides_load(const char *config_path, const tl_args *args, tl_settings *ret_settings,
                         tl_why *why)
{
    tl_settings s;
    tl_err e = tl_settings_load(config_path, &s, why);
    if (!e)
        e = each(args, set_one, &s, why);
    const char *lan = getenv("TEALE_LAN");
    if (!e && lan && !strcmp(lan, "off"))
        s.lan_enabled = false;
    if (!e)
        *ret_settings = s;
    return e;
}

tl_err tl_overrides_save(const char *config_path, const tl_args *args, tl_why *why)
{
    return each(args, save_one, &config_path, why);
}

const char *tl_overrides_option(const tl_args *args, const char *key)
{
    for (size_t i = 0; i < OVERRIDES; i++)
        if (!strcmp(overrides[i].key, key) && tl_args_has(args, overrides[i].option))
            return overrides[i].option;
    return NULL;
}

bool tl_overrides_any(const tl_args *args)
{
    for (size_t i = 0; i < OVERRIDES; i++)
        if (tl_args_has(args, overrides[i].option))
            return true;
    return false;
}

tl_err tl_overrides_check(const tl_args *args, const tl_settings *settings, tl_why *why)
{
    if (!tl_args_has(args, "relay"))
        return TL_OK;
    for (size_t i = 0; i < settings->wan_relay_url.n; i++) {
        tl_wsurl url;
        tl_why must;
        if (tl_wsurl_parse(settings->wan_relay_url.item[i], &url, &must))
            return tl_why_set(why, TL_ERR_INVALID, "--relay: %s", must.text);
        if (!url.tls && !url.loopback && !settings->wan_allow_insecure_relay)
            return tl_why_set(
                why, TL_ERR_INVALID,
                "--relay: %.200s is not encrypted, so anyone on the way could see who "
                "talks to whom. Use wss://, or, in a network that you trust, add "
                "--insecure-relay",
                settings->wan_relay_url.item[i]);
    }
    return TL_OK;
}
