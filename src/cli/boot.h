/* boot.h - `teale up --boot` and `teale down --boot`: the node as a service that systemd starts with the machine. An
 * ordinary user's is that user's unit, with lingering; root's is the system's, of the user `_teale`. Says what it does. */
#ifndef TL_CLI_BOOT_H
#define TL_CLI_BOOT_H

#include "cli/cli.h"

#define TL_BOOT_USER "_teale"         /* as init/teale.sysusers has it */
#define TL_BOOT_HOME "/var/lib/teale" /* of the system's node */

/* Saves the options of `up` as settings, enables the service and starts it. Then cli->paths are those of its node.
 * *ret_new_key as tl_upshow wants it. Prints what it did or what failed; returns an exit code. */
int tl_boot_up(tl_cli *cli, const tl_args *args, const char **ret_new_key);
/* Stops the service, which lets running answers finish, and disables it. Returns an exit code. */
int tl_boot_down(tl_cli *cli);

#endif
