/* settings.h - one setting after another out of a configuration file: `key = value`, the value as
 * in JSON (strings in double quotes, numbers, true, false, lists), `#` begins a comment. Knows no
 * key. */
#ifndef TL_RELAYD_SETTINGS_H
#define TL_RELAYD_SETTINGS_H

#include "base/json.h"

/* Calls `set` for each line that sets something; what it returns ends the reading. `value` is
 * borrowed for the call. TL_ERR_IO: not readable; TL_ERR_INVALID: `why` begins with FILE:LINE. */
TL_CHECK tl_err tl_relayd_settings_read(const char *file,
                                        tl_err (*set)(void *user, const char *key,
                                                      const json_t *value, tl_why *why),
                                        void *user, tl_why *why);

#endif
