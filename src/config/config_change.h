/* config_change.h - one setting changed in the file, and taken up by the node that runs: what
 * `teale config set` and the page both do. Touches the file alone; whoever asks tells the node. */
#ifndef TL_CONFIG_CONFIG_CHANGE_H
#define TL_CONFIG_CONFIG_CHANGE_H

#include "config/config.h"

/* Tells the node that the file changed at `key`. TL_OK: in force, or there is no node.
 * TL_ERR_AGAIN: after a restart, and `why` says so. Any other: the node refuses it. */
typedef tl_err (*tl_setting_take)(void *user, const char *key, tl_why *why);

/* Checks the text, saves it (tl_settings_save) and calls `take`. Where that refuses, the file gets
 * the old value back. TL_OK and TL_ERR_AGAIN: it is saved. Any other error: the setting is as it
 * was, and `why` says why. */
TL_CHECK tl_err tl_settings_change(const char *path, const char *key, const char *text,
                                   tl_setting_take take, void *user, tl_why *why);

/* Copies one setting. TL_ERR_NOT_FOUND: there is none of this name. TL_ERR_NOMEM. */
TL_CHECK tl_err tl_settings_copy(tl_settings *to, const tl_settings *from, const char *key,
                                 tl_why *why);

#endif
