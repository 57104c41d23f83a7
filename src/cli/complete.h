/* complete.h - which words may come next on a command line of teale, for the shells' completion.
 * Knows commands, options, settings and their values from their tables, and peers and models from
 * the running node. Silent and quick when none runs; never prints a word that a shell could take
 * for more than a word. */
#ifndef TL_CLI_COMPLETE_H
#define TL_CLI_COMPLETE_H

#include "cli/cli.h"

/* Prints the words that may stand in place of words[n - 1], each on a line, with a tab and its
 * meaning where it has one. `:files` or `:dirs`: a file or a directory belongs there. */
void tl_complete(const char *const *words, size_t n);

#endif
