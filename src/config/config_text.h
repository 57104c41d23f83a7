/* config_text.h - the text of teale.toml: reads it into settings, and changes one setting in it
 * without touching the rest. Never touches a file.
 *
 * The syntax is TOML 1.0 (config/toml.h). Here is what the names and values mean. */
#ifndef TL_CONFIG_CONFIG_TEXT_H
#define TL_CONFIG_CONFIG_TEXT_H

#include "config/config_table.h"
#include "config/toml.h"

/* Sets in *s what the text says. On any error *s is unchanged, and `why` begins with `NAME:LINE: `.
 * TL_ERR_PROTO (wrong syntax), TL_ERR_INVALID (wrong value), TL_ERR_NOT_FOUND (unknown key),
 * TL_ERR_EXISTS (a key twice), TL_ERR_TOO_LARGE, TL_ERR_NOMEM. */
TL_CHECK tl_err tl_config_text_read(tl_slice text, const char *name, tl_settings *s, tl_why *why);

/* Reads one value of TOML, or of JSON, into JSON. TL_ERR_PROTO: it is neither, or more than one
 * value. TL_ERR_TOO_LARGE, TL_ERR_NOMEM. */
TL_CHECK tl_err tl_config_value_read(tl_slice text, json_t **ret_value);

/* Appends to `out` the text with the setting `def` set to `value`; every other byte is kept, and of
 * a list every comment and every item that stays. A new key goes behind the last key of its
 * section, a new section to the end. tl_config_text_read must accept the text. TL_ERR_NOMEM. */
TL_CHECK tl_err tl_config_text_edit(tl_slice text, const tl_setting_def *def, const json_t *value,
                                    tl_buf *out);

#endif
