#include "config/config_change.h"

#include "config/config_table.h"

#include <stdlib.h>

tl_err tl_settings_change(const char *path, const char *key, const char *text, tl_setting_take take,
                          void *user, tl_why *why)
{
    const tl_setting_text to = {key, text};
    tl_settings_saved saved = {0};
    tl_why cause;
    tl_err e = tl_settings_save_all(path, &to, 1, &saved, why);
    if (!e) {
        e = take(user, key, why);
        if (e && e != TL_ERR_AGAIN && tl_settings_unsave(path, &saved, &cause)) {
            tl_why first = *why;
            e = tl_why_set(why, TL_ERR_IO, "%s; the file keeps the new value: %s", first.text,
                           cause.text);
        }
    }
    tl_settings_saved_clear(&saved);
    return e;
}

static tl_err save(const char *path, const tl_setting_change *changes, size_t n,
                   tl_settings_saved *ret_saved, tl_why *why)
{
    tl_setting_text *texts = calloc(n ? n : 1, sizeof *texts);
    if (!texts)
        return tl_why_set(why, TL_ERR_NOMEM, "out of memory");
    for (size_t i = 0; i < n; i++)
        texts[i] = changes[i].to;
    tl_err e = tl_settings_save_all(path, texts, n, ret_saved, why);
    free(texts);
    return e;
}

/* Undoes the first `taken` changes and the file; `e` is why. */
static tl_err undo(const char *path, const tl_setting_change *changes, size_t taken,
                   const tl_setting_taker *taker, const tl_settings_saved *saved, tl_err e,
                   tl_why *why)
{
    tl_why first = *why, cause;
    bool whole = true;
    for (size_t i = taken; i-- > 0;) {
        if (changes[i].state) /* it was not put into force */
            continue;
        tl_err back = taker->give_back(taker->user, changes[i].to.key, &cause);
        if (back && back != TL_ERR_AGAIN) {
            e = tl_why_set(why, TL_ERR_IO, "%s; %s stays changed until a restart: %s", first.text,
                           changes[i].to.key, cause.text);
            first = *why;
            whole = false;
        }
    }
    if (tl_settings_unsave(path, saved, &cause))
        return tl_why_set(why, TL_ERR_IO, "%s; the file keeps the new values: %s", first.text,
                          cause.text);
    return whole ? tl_why_set(why, e, "%s; nothing was changed", first.text) : e;
}

tl_err tl_settings_change_all(const char *path, tl_setting_change *changes, size_t n,
                              const tl_setting_taker *taker, size_t *ret_refused, tl_why *why)
{
    tl_settings scratch = tl_settings_default();
    tl_settings_saved saved = {0};
    tl_err e = TL_OK;
    size_t i;
    for (i = 0; i < n; i++) {
        *ret_refused = i;
        e = tl_settings_set(&scratch, changes[i].to.key, changes[i].to.text, why);
        if (e)
            return e;
    }
    *ret_refused = n;
    e = save(path, changes, n, &saved, why);
    for (i = 0; !e && i < n; i++) {
        changes[i].why.text[0] = 0;
        changes[i].state = taker->take(taker->user, changes[i].to.key, &changes[i].why);
        if (changes[i].state && changes[i].state != TL_ERR_AGAIN) {
            *ret_refused = i;
            *why = changes[i].why;
            e = undo(path, changes, i, taker, &saved, changes[i].state, why);
        }
    }
    tl_settings_saved_clear(&saved);
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
