/* settings.h - reads the settings of a configuration file, one after the other: `key = value`. A
 * value is written as in JSON (a string in double quotes, a number, true, false, a list); `#`
 * begins a comment. Knows no key. */
#ifndef TL_RELAYD_SETTINGS_H
#define TL_RELAYD_SETTINGS_H

#include "base/json.h"

/* Calls `set` for each line that sets something. An error from `set` ends the reading. `value` is
 * borrowed for the call. TL_ERR_IO: the file is not readable. TL_ERR_INVALID: `why` begins with
 * FILE:LINE. */
TL_CHECK tl_err tl_relayd_settings_read(const char *file,
                                        tl_err (*set)(void *user, const char *key,
                                                      const json_t *value, tl_why *why),
                                        void *user, tl_why *why);

#endif
