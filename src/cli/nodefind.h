/* nodefind.h - finds the node that a person means by the first digits of its ID, in a list that the
 * running node gives. Changes nothing. */
#ifndef TL_CLI_NODEFIND_H
#define TL_CLI_NODEFIND_H

#include "base/json.h"
#include "cli/cli.h"

/* The whole node ID for a typed one: all 64 digits, or the first digits, at least 4, which fit only
 * one node in the array `list` of what `verb` answers (its items have `node_id`), or else only one
 * known peer. Takes the reference to `args`. Prints what is wrong; returns an exit code. */
int tl_nodefind(const tl_cli *cli, const char *verb, json_t *args, const char *list,
                const char *typed, char ret_node[65]);

#endif
