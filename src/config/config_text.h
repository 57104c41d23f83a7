/* config_text.h - the syntax of teale.toml: `[section]`, `key = JSON value` and `#` comments, each
 * on one line. Reads a text into settings, and changes one line of a text. Never touches a file.
 *
 * Why not inih: as Debian builds it, it cuts `"a ; b"` at the semicolon, cuts lines at 200 bytes,
 * accepts `key: value`, indented continuations and `[section] anything`, and cannot say where a
 * value stood. */
#ifndef TL_CONFIG_CONFIG_TEXT_H
#define TL_CONFIG_CONFIG_TEXT_H

#include "config/config_table.h"

#define TL_CONFIG_TEXT_MAX (256u << 10) /* far more than any file that a person writes */
#define TL_CONFIG_LINE_MAX 8192         /* holds the longest list that is allowed */

/* Sets in *s what the text says. On any error *s is unchanged, and `why` begins with `NAME:LINE: `.
 * TL_ERR_PROTO (wrong syntax), TL_ERR_INVALID (wrong value), TL_ERR_NOT_FOUND (unknown key),
 * TL_ERR_EXISTS (a key twice), TL_ERR_TOO_LARGE, TL_ERR_NOMEM. */
TL_CHECK tl_err tl_config_text_read(tl_slice text, const char *name, tl_settings *s, tl_why *why);

/* Appends to `out` the text with the setting `def` set to `value`; every other byte is kept. A new
 * key goes behind the last key of its section, a new section to the end. tl_config_text_read must
 * accept the text. */
TL_CHECK tl_err tl_config_text_edit(tl_slice text, const tl_setting_def *def, const json_t *value,
                                    tl_buf *out);

#endif
