/* fuzz_config.c - any text as teale.toml: it is read or refused, and every setting can be changed
 * in a text that was read, after which it reads as changed and nothing else differs. */
#include "config/config_text.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

/* Sets `def` to what it is already by default in the text, and reads the result. */
static void change(tl_slice text, const tl_setting_def *def)
{
    tl_settings fallback = tl_settings_default(), before = fallback, after = fallback;
    tl_why why;
    json_t *value, *now;
    tl_buf edited = {0};
    if (tl_setting_value(&fallback, def, &value))
        return;
    if (tl_config_text_edit(text, def, value, &edited))
        abort();
    if (tl_config_text_read(tl_buf_slice(&edited), "edited", &after, &why) &&
        edited.len <= TL_CONFIG_TEXT_MAX && !strstr(why.text, "line too long"))
        abort();
    if (edited.len > TL_CONFIG_TEXT_MAX || tl_config_text_read(text, "text", &before, &why))
        goto out;
    if (tl_setting_apply(&before, def, value, &why) || tl_setting_value(&after, def, &now))
        abort();
    if (!json_equal(now, value))
        abort();
    json_decref(now);
out:
    tl_buf_clear(&edited);
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
    change(text, tl_setting_def_at(pick % count));
    return 0;
}
