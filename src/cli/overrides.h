/* overrides.h - the settings of a running node: the file's, with the options of `up` and `serve`
 * over them. Touches nothing but the file it is told to read. */
#ifndef TL_CLI_OVERRIDES_H
#define TL_CLI_OVERRIDES_H

#include "cli/args.h"
#include "config/config.h"

/* TL_ERR_INVALID and others of tl_settings_load; `why` names the option or the line. */
TL_CHECK tl_err tl_overrides_load(const char *config_path, const tl_args *args,
                                  tl_settings *ret_settings, tl_why *why);
/* The option that wins over `key`; NULL: none was given. */
const char *tl_overrides_option(const tl_args *args, const char *key);
/* True if any option that overrides a setting was given. */
bool tl_overrides_any(const tl_args *args);

#endif
