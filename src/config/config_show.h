/* config_show.h - every setting with what a person needs to change it: help, default, range, the value
 * that the file holds and the value in force. Never touches a file. */
#ifndef TL_CONFIG_CONFIG_SHOW_H
#define TL_CONFIG_CONFIG_SHOW_H

#include "config/config.h"

/* The option of the command line that fixes a setting while the node runs; NULL: none. */
typedef const char *(*tl_setting_option)(void *user, const char *key);

/* {"settings": [{"key", "type", "help", "value", "default", "restart", "live", "min", "max", "choices",
 * "option", "login", "names_file"}]}, in the order of the table:
 *   value        what `saved`, the file, holds; the login of a proxy is left out
 *   restart      the value in force is another one: a restart puts the saved one into force
 *   live         a change is in force at once
 *   min, max     of a number, or of the length of a list; null for others
 *   choices      all texts that it can be; null: too many
 *   option       the option that fixes it; null: none
 *   login        a login is left out of the value; to change it, it is written whole
 *   names_file   it names a file that the node reads: the command line alone sets it
 * A new reference; NULL: out of memory. */
json_t *tl_settings_explain(const tl_settings *saved, const tl_settings *in_force,
                            tl_setting_option option_of, void *user);

#endif
