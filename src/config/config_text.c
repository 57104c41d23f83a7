/* config_text.c - what a tree of TOML means as settings (config_text.h). */
#include "config/config_text.h"

#include "base/log.h"

#define KEY_MAX 128 /* longer than every setting's; a longer one is cut, and unknown too */

typedef struct {
    const char *name; /* of the text */
    tl_settings *s;
    tl_why *why;
} reader;

static json_t *to_json(const tl_toml *node)
{
    json_t *v = NULL;
    switch (node->type) {
    case TL_TOML_STRING: return json_stringn((const char *)node->text.p, node->text.n);
    case TL_TOML_INTEGER: return json_integer(node->integer);
    case TL_TOML_BOOL: return json_boolean(node->integer);
    case TL_TOML_ARRAY:
        v = json_array();
        for (const tl_toml *item = node->first; v && item; item = item->next)
            v = tl_json_append(v, to_json(item));
        return v;
    default: return json_null(); /* no setting is of this type: whatever it must be, it is not */
    }
}

/* The words for a value that is wrong: what it must be, and what stands there instead. */
static tl_err wrong(const reader *r, const tl_setting_def *def, const tl_toml *node,
                    const char *key, tl_err e, const tl_why *must)
{
    static const tl_toml_type wanted[] = {
        [TL_KIND_BOOL] = TL_TOML_BOOL,   [TL_KIND_NUMBER] = TL_TOML_INTEGER,
        [TL_KIND_BIG] = TL_TOML_INTEGER, [TL_KIND_TEXT] = TL_TOML_STRING,
        [TL_KIND_LIST] = TL_TOML_ARRAY,
    };
    bool other = node->type != wanted[def->kind] && !(def->bare_ok && node->type == TL_TOML_STRING);
    return tl_why_set(r->why, e, "%s:%u: %s %s%s%s", r->name, node->line, key, must->text,
                      other ? ", not " : "", other ? tl_toml_type_name(node->type) : "");
}

static tl_err take_setting(const reader *r, const tl_setting_def *def, const tl_toml *node)
{
    const char *key = def->info.key;
    if (node->type == TL_TOML_TABLE ||
        (node->type == TL_TOML_ARRAY && node->how == TL_TOML_BY_HEADER))
        return tl_why_set(r->why, TL_ERR_INVALID,
                          "%s:%u: %s is a setting and no section; it is written: %s = value",
                          r->name, node->line, key, key);
    json_t *value = to_json(node);
    if (!value)
        return tl_why_set(r->why, TL_ERR_NOMEM, "%s: out of memory", r->name);
    tl_why must = {""};
    tl_err e = tl_setting_apply(r->s, def, value, &must);
    json_decref(value);
    return e ? wrong(r, def, node, key, e, &must) : TL_OK;
}

/* Something that is neither a setting nor a section. */
static tl_err unknown(const reader *r, const tl_toml *node, const char *key)
{
    tl_safe safe = tl_log_safe(tl_slice_str(key));
    bool header = node->how == TL_TOML_BY_HEADER || node->how == TL_TOML_BY_PATH;
    if (memchr(node->key.p, '.', node->key.n) || memchr(node->key.p, 0, node->key.n))
        return tl_why_set(r->why, TL_ERR_NOT_FOUND,
                          "%s:%u: the name \"%s\" in quotes is no setting; write it without quotes",
                          r->name, node->line, safe.text);
    if ((node->type == TL_TOML_TABLE || node->type == TL_TOML_ARRAY) && header)
        return tl_why_set(r->why, TL_ERR_NOT_FOUND,
                          "%s:%u: unknown section [%s]; the only one is [nat]", r->name, node->line,
                          safe.text);
    const tl_setting_def *def;
    tl_why reason = {""};
    tl_err e = tl_setting_find(key, &def, &reason);
    return tl_why_set(r->why, e ? e : TL_ERR_NOT_FOUND, "%s:%u: %s", r->name, node->line,
                      reason.text);
}

static tl_err take_members(const reader *r, const tl_toml *table, const char *prefix);

static tl_err take_member(const reader *r, const tl_toml *node, const char *prefix)
{
    char key[KEY_MAX];
    const tl_setting_def *def;
    snprintf(key, sizeof key, "%s%s%.*s", prefix, *prefix ? "." : "", (int)node->key.n,
             (const char *)node->key.p);
    bool dotted = memchr(node->key.p, '.', node->key.n);
    bool whole = !dotted && !memchr(node->key.p, 0, node->key.n);
    if (whole && !tl_setting_find(key, &def, NULL))
        return take_setting(r, def, node);
    bool section = whole && tl_setting_section(key);
    if (section && node->type == TL_TOML_TABLE)
        return take_members(r, node, key);
    if (section && node->type == TL_TOML_ARRAY && node->how == TL_TOML_BY_HEADER)
        return tl_why_set(r->why, TL_ERR_INVALID,
                          "%s:%u: [[%s]] begins a list of sections; write [%s]", r->name,
                          node->line, key, key);
    if (section)
        return tl_why_set(r->why, TL_ERR_INVALID,
                          "%s:%u: %s is a section, with settings below it: [%s]", r->name,
                          node->line, key, key);
    /* a.b = 1, where a is unknown: tell of the whole name */
    if (whole && node->type == TL_TOML_TABLE && node->how == TL_TOML_BY_DOTS)
        return take_members(r, node, key);
    return unknown(r, node, key);
}

static tl_err take_members(const reader *r, const tl_toml *table, const char *prefix)
{
    tl_err e = TL_OK;
    for (const tl_toml *m = table->first; m && !e; m = m->next)
        e = take_member(r, m, prefix);
    return e;
}

tl_err tl_config_text_read(tl_slice text, const char *name, tl_settings *s, tl_why *why)
{
    tl_toml_doc doc = {0};
    tl_err e = tl_toml_read(text, name, &doc, why);
    if (e)
        return e;
    tl_settings changed = *s;
    reader r = {name, &changed, why};
    e = take_members(&r, doc.root, "");
    tl_toml_clear(&doc);
    if (!e)
        *s = changed;
    return e;
}

tl_err tl_config_value_read(tl_slice text, json_t **ret_value)
{
    tl_err e = tl_json_parse(text, 2, ret_value, NULL);
    if (e != TL_ERR_PROTO)
        return e;
    tl_buf line = {0};
    tl_toml_doc doc = {0};
    e = tl_buf_append_str(&line, "value = ");
    if (!e)
        e = tl_buf_append(&line, text);
    if (!e)
        e = tl_toml_read(tl_buf_slice(&line), "", &doc, NULL);
    tl_buf_clear(&line);
    if (e)
        return e;
    if (doc.root->n == 1 && doc.root->first->type != TL_TOML_TABLE) {
        json_t *value = to_json(doc.root->first);
        e = value ? TL_OK : TL_ERR_NOMEM;
        if (value)
            *ret_value = value;
    } else {
        e = TL_ERR_PROTO;
    }
    tl_toml_clear(&doc);
    return e;
}
