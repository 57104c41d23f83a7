/* settings.h - reads the settings of a configuration file, one after the other: TOML without
 * sections. Knows no key. */
#ifndef TL_RELAYD_SETTINGS_H
#define TL_RELAYD_SETTINGS_H

#include "base/json.h"

/* Calls `set` for each key with its text, number, true, false or list of those. An error from `set`
 * ends the reading. `key` and `value` are borrowed for the call. TL_ERR_IO: the file is not
 * readable. TL_ERR_INVALID: `why` begins with FILE:LINE. TL_ERR_NOMEM. */
TL_CHECK tl_err tl_relayd_settings_read(const char *file,
                                        tl_err (*set)(void *user, const char *key,
                                                      const json_t *value, tl_why *why),
                                        void *user, tl_why *why);

#endif
