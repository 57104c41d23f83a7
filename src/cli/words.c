#include "cli/words.h"

#include "base/plain.h"

#include <stdio.h>
#include <time.h>

#define MICRO 1000000

void tl_words_credits(char ret_text[TL_WORDS_MAX], int64_t micro)
{
    uint64_t v = micro < 0 ? 0 - (uint64_t)micro : (uint64_t)micro;
    char fraction[8];
    snprintf(fraction, sizeof fraction, ".%06u", (unsigned)(v % MICRO));
    size_t n = strlen(fraction);
    while (n > 0 && (fraction[n - 1] == '0' || fraction[n - 1] == '.'))
        fraction[--n] = 0;
    snprintf(ret_text, TL_WORDS_MAX, "%s%llu%s", micro < 0 ? "-" : "",
             (unsigned long long)(v / MICRO), fraction);
}

void tl_words_credits_of(char ret_text[TL_WORDS_MAX], const json_t *object, const char *key)
{
    const json_t *v = json_object_get(object, key);
    if (json_is_integer(v))
        tl_words_credits(ret_text, json_integer_value(v));
    else
        snprintf(ret_text, TL_WORDS_MAX, "-");
}

void tl_words_time(char ret_text[TL_WORDS_MAX], const json_t *object, const char *key,
                   const char *none)
{
    const char *text = tl_json_string(object, key, NULL);
    char span[TL_WHEN_TEXT_MAX];
    tl_unix at, now = (tl_unix)time(NULL);
    if (!text || tl_when_parse(tl_slice_str(text), &at)) {
        snprintf(ret_text, TL_WORDS_MAX, "%.40s", text ? "?" : none);
        return;
    }
    if (at >= now - 1 && at <= now + 1) { /* the second in which the node did it, or the next one */
        snprintf(ret_text, TL_WORDS_MAX, "just now");
        return;
    }
    tl_span_write(span, at > now ? at - now : now - at);
    snprintf(ret_text, TL_WORDS_MAX, at > now ? "in %s" : "%s ago", span);
}

void tl_words_id(char ret_text[TL_WORDS_MAX], const json_t *object, const char *key)
{
    const char *id = tl_json_string(object, key, "-");
    snprintf(ret_text, TL_WORDS_MAX, "%.16s", id);
}

void tl_words_named(char ret[TL_WORDS_NAMED_MAX], const json_t *object)
{
    const char *alias = tl_json_string(object, "alias", "");
    char name[TL_PLAIN_QUOTED_MAX];
    tl_plain_quote(name, tl_json_string(object, "name", ""));
    snprintf(ret, TL_WORDS_NAMED_MAX, "%s%.64s%s%s%s", *alias ? "[" : "", alias, *alias ? "]" : "",
             *alias && *name ? " " : "", name);
}

bool tl_words_alias_heads(const char *ret[TL_TABLE_COLUMNS_MAX + 1], const char *const *heads,
                          const json_t *list)
{
    bool any = false;
    const json_t *one;
    size_t i, n = 0;
    json_array_foreach (list, i, one)
        any |= json_is_string(json_object_get(one, "alias"));
    for (; *heads && n < TL_TABLE_COLUMNS_MAX; heads++) {
        ret[n++] = *heads;
        if (any && (!strcmp(*heads, "NODE") || !strcmp(*heads, "PEER")) && n < TL_TABLE_COLUMNS_MAX)
            ret[n++] = "ALIAS";
    }
    ret[n] = NULL;
    return any;
}

void tl_words_add_alias(tl_table *t, const json_t *object)
{
    tl_table_add(t, tl_json_string(object, "alias", "-"));
}
