/* showothers.h - lines of `teale status` on what nodes do for each other: relaying and introductions; and what is
 * told of the local network. Writes to standard output. */
#ifndef TL_CLI_SHOWOTHERS_H
#define TL_CLI_SHOWOTHERS_H

#include "cli/out.h"

#include <jansson.h>

/* The nodes through which others reach this one. */
void tl_show_relayed_by(const json_t *list);
/* What this node relays for others, where it was told to. */
void tl_show_relaying(const json_t *relaying);
/* Introductions: those that this node makes, and the nodes that introduce it. */
void tl_show_introducing(const json_t *introducing);

/* The local network: how many nodes are announced there. `lan` is the status's. */
void tl_show_lan(const json_t *lan);
/* The line of `teale peers` for a node that is merely announced: one of `announced`. */
void tl_show_announced(tl_table *t, const json_t *node, bool whole, bool aliases);

#endif
