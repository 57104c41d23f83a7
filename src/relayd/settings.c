#include "relayd/settings.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#define LINE_MAX_CHARS 4096  /* many times as long as a list of names */
#define LINES_MAX      10000 /* far more than any file has; a device file may have no end */

static char *skip_blanks(char *p)
{
    while (*p == ' ' || *p == '\t' || *p == '\r' || *p == '\n')
        p++;
    return p;
}

static bool is_key_character(char c)
{
    return islower((unsigned char)c) || isdigit((unsigned char)c) || c == '_';
}

/* Reads one line; changes `line`. */
static tl_err read_line(char *line, tl_err (*set)(void *, const char *, const json_t *, tl_why *),
                        void *user, tl_why *why)
{
    char *key = skip_blanks(line), *p = key;
    if (*key == 0 || *key == '#')
        return TL_OK;
    while (is_key_character(*p))
        p++;
    char *key_end = p;
    p = skip_blanks(p);
    if (p == line || key == key_end || *p != '=')
        return tl_why_set(why, TL_ERR_INVALID,
                          "expected `key = value`, a comment or an empty line");
    *key_end = 0;
    p = skip_blanks(p + 1);
    json_error_t at;
    json_t *value = json_loadb(
        p, strlen(p), JSON_REJECT_DUPLICATES | JSON_DECODE_ANY | JSON_DISABLE_EOF_CHECK, &at);
    if (!value)
        return tl_why_set(
            why, TL_ERR_INVALID,
            "%s: the value is not a string in double quotes, a number, true, false or a "
            "list of those in [ ]",
            key);
    tl_err e;
    char *rest = skip_blanks(p + at.position);
    if (*rest && *rest != '#')
        e = tl_why_set(why, TL_ERR_INVALID,
                       "%s: text behind the value (strings stand in double quotes)", key);
    else
        e = set(user, key, value, why);
    json_decref(value);
    return e;
}

tl_err tl_relayd_settings_read(const char *file,
                               tl_err (*set)(void *user, const char *key, const json_t *value,
                                             tl_why *why),
                               void *user, tl_why *why)
{
    FILE *f = fopen(file, "re");
    if (!f)
        return tl_why_set(why, TL_ERR_IO, "cannot read the configuration %s: %s", file,
                          strerror(errno));
    char line[LINE_MAX_CHARS];
    tl_err e = TL_OK;
    tl_why inner = {""};
    unsigned number = 0;
    while (!e && fgets(line, sizeof line, f)) {
        if (++number > LINES_MAX)
            e = tl_why_set(&inner, TL_ERR_TOO_LARGE, "more lines than a configuration has");
        else if (strlen(line) == sizeof line - 1 && line[sizeof line - 2] != '\n')
            e = tl_why_set(&inner, TL_ERR_INVALID, "the line is longer than %d characters",
                           LINE_MAX_CHARS - 2);
        else
            e = read_line(line, set, user, &inner);
    }
    if (!e && ferror(f))
        e = tl_why_set(why, TL_ERR_IO, "cannot read the configuration %s: %s", file,
                       strerror(errno));
    else if (e)
        (void)tl_why_set(why, e, "%s:%u: %s", file, number, inner.text);
    fclose(f);
    return e;
}
