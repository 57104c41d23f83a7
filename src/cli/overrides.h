/* overrides.h - the settings of a running node: those of the file, overridden by the options of
 * `up` and `serve`, and by TEALE_LAN of the environment. Touches only the file it is told to read, and never writes. */
#ifndef TL_CLI_OVERRIDES_H
#define TL_CLI_OVERRIDES_H

#include "cli/args.h"
#include "config/config.h"

/* Errors: TL_ERR_INVALID, and those of tl_settings_load. `why` names the option or the line. */
TL_CHECK tl_err tl_overrides_load(const char *config_path, const tl_args *args,
                                  tl_settings *ret_settings, tl_why *why);
/* Writes what the options say into the file, for good. Errors: those of tl_settings_save; what was written until then
 * stays. */
TL_CHECK tl_err tl_overrides_save(const char *config_path, const tl_args *args, tl_why *why);
/* The given option that overrides the setting `key`; NULL: there is none. */
const char *tl_overrides_option(const tl_args *args, const char *key);
/* True if any option that overrides a setting was given. */
bool tl_overrides_any(const tl_args *args);

/* Refuses options that cannot work: --relay with a plain ws:// URL of another machine.
 * TL_ERR_INVALID, with the remedy in `why`. */
TL_CHECK tl_err tl_overrides_check(const tl_args *args, const tl_settings *settings, tl_why *why);

#endif
