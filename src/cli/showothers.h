/* showothers.h - lines of `teale status` on what nodes do for each other: relaying and introductions. Writes to
 * standard output. */
#ifndef TL_CLI_SHOWOTHERS_H
#define TL_CLI_SHOWOTHERS_H

#include <jansson.h>

/* The nodes through which others reach this one. */
void tl_show_relayed_by(const json_t *list);
/* What this node relays for others, where it was told to. */
void tl_show_relaying(const json_t *relaying);
/* Introductions: those that this node makes, and the nodes that introduce it. */
void tl_show_introducing(const json_t *introducing);

/* The local network: how many nodes are announced there. `lan` is the status's. */
void tl_show_lan(const json_t *lan);

#endif
