/* config_text.h - the syntax of teale.toml: `[section]`, `key = JSON value`, `#` comments, one line
 * each. Reads a text into settings, and changes one line of it. Pure text; never touches a file.
 *
 * Not inih, which (as Debian builds it) cuts `"a ; b"` at the semicolon, cuts lines at 200 bytes,
 * takes `key: value`, indented continuations and `[section] anything`, and cannot say where a value
 * stood. */
#ifndef TL_CONFIG_CONFIG_TEXT_H
#define TL_CONFIG_CONFIG_TEXT_H

#include "config/config_table.h"

#define TL_CONFIG_TEXT_MAX (256u << 10) /* far above any file a person writes */
#define TL_CONFIG_LINE_MAX 8192         /* holds the longest list that is allowed */

/* Sets in *s what the text says. On any error *s is unchanged and `why` begins `NAME:LINE: `.
 * TL_ERR_PROTO (syntax), TL_ERR_INVALID, TL_ERR_NOT_FOUND (unknown), TL_ERR_EXISTS (twice),
 * TL_ERR_TOO_LARGE, TL_ERR_NOMEM. */
TL_CHECK tl_err tl_config_text_read(tl_slice text, const char *name, tl_settings *s, tl_why *why);

/* Appends to `out` the text with `key` set to `value` and every other byte kept; a new key goes
 * behind the last one of its section, a new section to the end. The text must be readable (as
 * above). */
TL_CHECK tl_err tl_config_text_edit(tl_slice text, const tl_setting_def *def, const json_t *value,
                                    tl_buf *out);

#endif
