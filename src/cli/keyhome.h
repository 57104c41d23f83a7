/* keyhome.h - the private key of one home, as the commands need it: decides where a new key goes, and
 * waits for a keychain that is locked at boot. Blocks; no loop runs yet. Prints nothing, but logs. */
#ifndef TL_CLI_KEYHOME_H
#define TL_CLI_KEYHOME_H

#include "cli/cli.h"
#include "config/config.h"
#include "io/keychain.h"

/* Borrows from `p`. Asks no person. */
tl_keychain tl_keyhome_of(const tl_paths *p);
/* Is there somebody at this terminal, with a desktop on which the keychain can ask for its password? */
bool tl_keyhome_has_person(void);

/* For a node that starts, with the home's lock `lock`: the key, or a new one (*ret_created) in the place that
 * the setting key_store names. A key that is in the keychain is waited for where a service manager started
 * this program, as long as it can still come; else what is wrong is an error, as of tl_keychain_load.
 * TL_ERR_NOT_FOUND: a database is there and its key is not. */
TL_CHECK tl_err tl_keyhome_open(const tl_paths *p, const tl_settings *s, int lock,
                                tl_identity *ret_identity, bool *ret_created, tl_why *why);
/* Before a node is started in the background: if its key is in the keychain, can it be had? Asks a person
 * who is there to unlock it. Errors as of tl_keychain_load. */
TL_CHECK tl_err tl_keyhome_unlock(const tl_cli *cli, tl_why *why);

/* The exit code of a command that a key stands in the way of. */
int tl_keyhome_exit_of(tl_err e);

#endif
