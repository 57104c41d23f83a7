/* fuzz_config.c - any text as teale.toml: it is read or refused, and every setting can be changed
 * in a text that was read, after which it reads as changed and no other setting differs. */
#include "config/config_text.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

/* The default, or for a list what the text picks: items that come, go and stay. */
static json_t *value_for(const tl_setting_def *def, size_t pick)
{
    tl_settings fallback = tl_settings_default();
    static const char *const items[] = {"a", "b", "c.d", "wss://a", "https://b"};
    json_t *value;
    if (def->kind != TL_KIND_LIST || pick % 3 == 0)
        return tl_setting_value(&fallback, def, &value) ? NULL : value;
    value = json_array();
    for (size_t i = 0; value && i < pick % 7; i++)
        if (json_array_append_new(value, json_string(items[(pick / 7 + i * i) % 5])))
            abort();
    return value;
}

static void change(tl_slice text, const tl_setting_def *def, size_t pick)
{
    tl_settings before = tl_settings_default(), after = before;
    tl_why why;
    tl_buf edited = {0}, again = {0};
    json_t *value = value_for(def, pick);
    if (!value || tl_config_text_read(text, "text", &before, &why))
        abort();
    if (tl_setting_apply(&before, def, value, &why)) { /* this value is against its rule */
        json_decref(value);
        return;
    }
    if (tl_config_text_edit(text, def, value, &edited))
        abort();
    tl_err e = tl_config_text_read(tl_buf_slice(&edited), "edited", &after, &why);
    if (e && e != TL_ERR_TOO_LARGE)
        abort();
    if (!e) {
        json_t *wanted = tl_settings_json(&before), *got = tl_settings_json(&after);
        if (!wanted || !got || !json_equal(wanted, got))
            abort();
        json_decref(wanted);
        json_decref(got);
        if (tl_config_text_edit(tl_buf_slice(&edited), def, value, &again) ||
            !tl_slice_eq(tl_buf_slice(&edited), tl_buf_slice(&again)))
            abort();
    }
    tl_buf_clear(&edited);
    tl_buf_clear(&again);
    json_decref(value);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    tl_settings s = tl_settings_default(), before = s;
    tl_slice text = tl_slice_of(data, n);
    tl_why why;
    if (tl_config_text_read(text, "fuzz", &s, &why)) {
        if (memcmp(&s, &before, sizeof s) || strncmp(why.text, "fuzz:", 5))
            abort();
        return 0;
    }
    size_t count = 0, pick = 0;
    while (tl_setting_def_at(count))
        count++;
    for (size_t i = 0; i < n; i++)
        pick += data[i];
    change(text, tl_setting_def_at(pick % count), pick / count);
    return 0;
}
