#include "config/config_change.h"

#include "config/config_table.h"

/* The present value as text, with its NUL. */
static tl_err old_text(const char *path, const char *key, tl_buf *ret_text, tl_why *why)
{
    tl_settings before;
    tl_err e = tl_settings_load(path, &before, why);
    if (!e)
        e = tl_settings_get(&before, key, ret_text, why);
    if (!e && tl_buf_append(ret_text, tl_slice_of("", 1)))
        e = tl_why_set(why, TL_ERR_NOMEM, "out of memory");
    return e;
}

tl_err tl_settings_change(const char *path, const char *key, const char *text, tl_setting_take take,
                          void *user, tl_why *why)
{
    tl_settings scratch = tl_settings_default();
    tl_buf old = {0};
    tl_why ignored;
    tl_err e = tl_settings_set(&scratch, key, text, why);
    if (!e)
        e = old_text(path, key, &old, why);
    if (!e)
        e = tl_settings_save(path, key, text, why);
    if (!e) {
        e = take(user, key, why);
        if (e && e != TL_ERR_AGAIN &&
            tl_settings_save(path, key, (const char *)tl_buf_begin(&old), &ignored))
            e = tl_why_set(why, TL_ERR_IO, "%s; the file keeps the new value: %s", why->text,
                           ignored.text);
    }
    tl_buf_clear(&old);
    return e;
}

tl_err tl_settings_copy(tl_settings *to, const tl_settings *from, const char *key, tl_why *why)
{
    const tl_setting_def *def;
    json_t *value = NULL;
    tl_err e = tl_setting_find(key, &def, why);
    if (!e && tl_setting_value(from, def, &value))
        e = tl_why_set(why, TL_ERR_NOMEM, "out of memory");
    if (!e)
        e = tl_setting_apply(to, def, value, why);
    json_decref(value);
    return e;
}
