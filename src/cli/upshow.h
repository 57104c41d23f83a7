/* upshow.h - what `teale up` shows of a node: five steps, then what is shared and what can be asked.
 * Asks the daemon; starts and changes nothing. */
#ifndef TL_CLI_UPSHOW_H
#define TL_CLI_UPSHOW_H

#include "base/time.h"
#include "cli/cli.h"

/* `new_key`: where the identity is kept that was just made; NULL: it is older. `in_clear`: the node
 * may speak the old protocol (legacy_plaintext). Waits for the model server and the relay, `timeout`
 * at most. Returns an exit code. */
int tl_upshow(const tl_cli *cli, const char *new_key, bool in_clear, tl_time timeout);
/* Shows, of a node that runs already, what `status` says is not as it should be: the relay, what is
 * shared. Returns the exit code that tl_upshow would. */
int tl_upshow_running(const json_t *status);

#endif
