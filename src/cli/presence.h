/* presence.h - is there a node for this data directory, and in which stage? Looks at the lock, and
 * asks over the socket. Never starts or ends a node. */
#ifndef TL_CLI_PRESENCE_H
#define TL_CLI_PRESENCE_H

#include "base/json.h"
#include "cli/cli.h"

typedef enum {
    TL_PRESENCE_NONE, /* no process has the lock, and nothing answers */
    TL_PRESENCE_MUTE, /* a process has the lock, and nothing answers: it starts, ends or hangs */
    TL_PRESENCE_RUNNING,
    TL_PRESENCE_STOPPING, /* it finishes what runs, then ends */
} tl_presence;

/* *ret_status is the node's status, which the caller gives to json_decref; NULL for NONE and
 * MUTE. */
tl_presence tl_presence_look(const tl_cli *cli, json_t **ret_status);

#endif
