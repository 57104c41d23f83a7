/* config_table.h - what each setting is: its place in tl_settings, its type, range and rule. Turns
 * JSON values into fields and back. Never touches files or their syntax. */
#ifndef TL_CONFIG_CONFIG_TABLE_H
#define TL_CONFIG_CONFIG_TABLE_H

#include "config/config.h"

typedef enum {
    TL_KIND_BOOL,
    TL_KIND_NUMBER,
    TL_KIND_BIG,
    TL_KIND_TEXT,
    TL_KIND_LIST
} tl_setting_kind;

/* NULL: `text` is right; else words that follow "must be". */
typedef const char *(*tl_setting_rule)(const char *text);

typedef struct {
    tl_setting_info info;
    tl_setting_kind kind;
    size_t offset;        /* of the field in tl_settings */
    size_t size;          /* of a text field, with its NUL */
    int64_t min, max;     /* range of a number (BIG: an int64_t), or of a list's length */
    tl_setting_rule rule; /* for a text, or for each item of a list */
    bool bare_ok;         /* this list may be written as one string */
    bool login;           /* a proxy's URL: its login is shown to nobody */
} tl_setting_def;

#define TL_SETTINGS_MAX 96 /* at least the rows of the table; for arrays that run beside it */

/* NULL at the end. */
const tl_setting_def *tl_setting_def_at(size_t i);
/* TL_ERR_NOT_FOUND, and `why` says `unknown setting "x"; did you mean "y"?`. */
TL_CHECK tl_err tl_setting_find(const char *key, const tl_setting_def **ret_def, tl_why *why);
/* The first setting of a section; NULL: there is no such section. */
const tl_setting_def *tl_setting_section(const char *section);

/* Checks `value` and stores it. TL_ERR_INVALID: `why` tells what it must be, and `s` is
 * unchanged. */
TL_CHECK tl_err tl_setting_apply(tl_settings *s, const tl_setting_def *def, const json_t *value,
                                 tl_why *why);
/* Turns what a person typed as one argument into a JSON value: text as it is or in quotes, else as
 * TOML or JSON write it. Does not check it against the rules.
 * The caller calls json_decref. TL_ERR_INVALID, TL_ERR_NOMEM. */
TL_CHECK tl_err tl_setting_value_of_text(const tl_setting_def *def, const char *text,
                                         json_t **ret_value, tl_why *why);
/* The field as JSON; the caller calls json_decref. TL_ERR_NOMEM. */
TL_CHECK tl_err tl_setting_value(const tl_settings *s, const tl_setting_def *def,
                                 json_t **ret_value);
/* The same for others to see: without the login of a proxy. */
TL_CHECK tl_err tl_setting_shown(const tl_settings *s, const tl_setting_def *def,
                                 json_t **ret_value);
/* Does its value name a file that the node reads? */
bool tl_setting_names_file(const tl_setting_def *def);

#endif
