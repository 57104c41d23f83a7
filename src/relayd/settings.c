#include "relayd/settings.h"

#include "base/log.h"
#include "config/toml.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#define KEY_MAX 64 /* twice the longest */

typedef tl_err (*set_fn)(void *user, const char *key, const json_t *value, tl_why *why);

/* NULL: no memory, or a type that no setting has. */
static json_t *value_of(const tl_toml *t)
{
    json_t *list = NULL;
    switch (t->type) {
    case TL_TOML_STRING: return json_stringn((const char *)t->text.p, t->text.n);
    case TL_TOML_INTEGER: return json_integer(t->integer);
    case TL_TOML_BOOL: return json_boolean(t->integer);
    case TL_TOML_ARRAY: list = json_array(); break;
    default: return NULL;
    }
    for (const tl_toml *i = t->first; list && i; i = i->next) {
        list = tl_json_append(list, value_of(i));
    }
    return list;
}

static tl_err read_setting(const tl_toml *t, set_fn set, void *user, tl_why *why)
{
    char key[KEY_MAX];
    tl_safe safe = tl_log_safe(t->key);
    if (t->type == TL_TOML_TABLE)
        return tl_why_set(why, TL_ERR_INVALID,
                          "%s is a section; a relay's settings stand in none, as in: "
                          "log_level = \"info\"",
                          safe.text);
    if (t->key.n >= sizeof key || memchr(t->key.p, 0, t->key.n))
        return tl_why_set(why, TL_ERR_INVALID, "unknown key %s; see teale-relay.toml(5)",
                          safe.text);
    memcpy(key, t->key.p, t->key.n);
    key[t->key.n] = 0;
    json_t *value = value_of(t);
    if (!value)
        return tl_why_set(
            why, TL_ERR_INVALID,
            "%s must be text in quotes, a whole number, true, false or a list, not %s", safe.text,
            tl_toml_type_name(t->type));
    tl_err e = set(user, key, value, why);
    json_decref(value);
    return e;
}

/* Reads the whole file. A device file may have no end, so there is a bound. */
static tl_err read_file(const char *file, char *text, size_t max, size_t *ret_n, tl_why *why)
{
    FILE *f = fopen(file, "re");
    size_t n = f ? fread(text, 1, max, f) : 0;
    tl_err e = TL_OK;
    if (!f || ferror(f))
        e = tl_why_set(why, TL_ERR_IO, "cannot read the configuration %s: %s", file,
                       strerror(errno));
    if (f)
        fclose(f);
    *ret_n = n;
    return e;
}

tl_err tl_relayd_settings_read(const char *file, set_fn set, void *user, tl_why *why)
{
    size_t n = 0;
    tl_toml_doc doc = {0};
    char *text = malloc(TL_TOML_TEXT_MAX + 1);
    tl_err e = text ? read_file(file, text, TL_TOML_TEXT_MAX + 1, &n, why)
                    : tl_why_set(why, TL_ERR_NOMEM, "out of memory");
    if (!e) {
        e = tl_toml_read(tl_slice_of(text, n), file, &doc, why);
        if (e && e != TL_ERR_NOMEM)
            e = TL_ERR_INVALID;
    }
    for (const tl_toml *t = e ? NULL : doc.root->first; !e && t; t = t->next) {
        tl_why inner = {""};
        e = read_setting(t, set, user, &inner);
        if (e)
            (void)tl_why_set(why, e, "%s:%u: %s", file, t->line, inner.text);
    }
    tl_toml_clear(&doc);
    free(text);
    return e;
}
