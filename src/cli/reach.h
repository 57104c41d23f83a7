/* reach.h - by which socket the running node is reached, and whose it is when it is not. Connects to
 * the sockets of one user's paths and looks at the lock; never sends anything. */
#ifndef TL_CLI_REACH_H
#define TL_CLI_REACH_H

#include "cli/cli.h"

/* The socket that answers: the one of the present login, or the one beside the data, which a node of
 * another login has too. The first if none does. Borrows from `p`. */
const char *tl_reach_socket(const tl_paths *p);
/* True if a node runs, or may run, that this user cannot ask: tl_reach_explain says more. */
bool tl_reach_is_barred(const tl_paths *p);
/* Prints why no node was reached, and what to do; returns the exit code. */
int tl_reach_explain(const tl_paths *p);

#endif
