/* config_change.h - settings changed in the file, and taken up by the node that runs: one by
 * `teale config set`, several at once by the page. Touches the file alone; whoever asks tells the node. */
#ifndef TL_CONFIG_CONFIG_CHANGE_H
#define TL_CONFIG_CONFIG_CHANGE_H

#include "config/config.h"

/* Tells the node that the file changed at `key`. TL_OK: in force, or there is no node.
 * TL_ERR_AGAIN: after a restart, and `why` says so. Any other: the node refuses it. */
typedef tl_err (*tl_setting_take)(void *user, const char *key, tl_why *why);

/* Checks the text, saves it and calls `take`. Where that refuses, the file gets back every byte that
 * it had. TL_OK and TL_ERR_AGAIN: it is saved. TL_ERR_IO: the file cannot be written, or keeps the
 * new value, and then `why` says so. Any other error: the setting is as it was, and `why` says why. */
TL_CHECK tl_err tl_settings_change(const char *path, const char *key, const char *text,
                                   tl_setting_take take, void *user, tl_why *why);

/* Gives the setting that is in force its value from before the change; the file does not count. */
typedef tl_err (*tl_setting_give_back)(void *user, const char *key, tl_why *why);

typedef struct {
    tl_setting_text to;
    tl_err state; /* returned: TL_OK, in force; TL_ERR_AGAIN, after a restart, and `why` says so */
    tl_why why;
} tl_setting_change;

typedef struct {
    tl_setting_take take;
    tl_setting_give_back give_back;
    void *user;
} tl_setting_taker;

/* Changes all of them or none. They are checked, saved in one step, and taken one after the other.
 * Where one is refused, those before it are given back, the last first, and the file gets its text
 * back. Then *ret_refused is the one that is wrong (`n`: none of them, but the file), and `why` says
 * why, and that nothing was changed. TL_ERR_IO: the file cannot be written, or not all could be put
 * back, and then `why` names what stays. */
TL_CHECK tl_err tl_settings_change_all(const char *path, tl_setting_change *changes, size_t n,
                                       const tl_setting_taker *taker, size_t *ret_refused,
                                       tl_why *why);

/* Copies one setting. TL_ERR_NOT_FOUND: there is none of this name. TL_ERR_NOMEM. */
TL_CHECK tl_err tl_settings_copy(tl_settings *to, const tl_settings *from, const char *key,
                                 tl_why *why);

#endif
