/* spawn.h - starts `teale serve` in the background and waits until it is ready or has failed. Never
 * stops a process. */
#ifndef TL_CLI_SPAWN_H
#define TL_CLI_SPAWN_H

#include "cli/cli.h"

typedef struct {
    char api[128]; /* "http://127.0.0.1:11435/v1" */
    char node[65];
    bool taken; /* the start failed because another process had the lock; nothing was printed */
} tl_spawn_ready;

/* Hands on the options of `up`. On failure, prints why the daemon did not start. Returns an exit
 * code. */
int tl_spawn_daemon(const tl_cli *cli, const tl_args *args, tl_spawn_ready *ret_ready);

#endif
