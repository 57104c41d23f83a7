/* phraseask.h - the 24 recovery words, from a file, from standard input, or from the terminal, which does
 * not show them. Never from an argument or the environment, which other programs can see. */
#ifndef TL_CLI_PHRASEASK_H
#define TL_CLI_PHRASEASK_H

#include "backup/phrase.h"

/* `file` NULL: they are asked for one by one on the terminal, and a wrong word at once again; where
 * standard input is no terminal, they are read there. "-" is standard input. The caller wipes
 * `ret_entropy`. The errors of tl_phrase_parse, whose words are for the terminal alone. TL_ERR_CANCELLED,
 * TL_ERR_UNREACHABLE (no terminal), and those of the file. */
TL_CHECK tl_err tl_phraseask(const char *file, uint8_t ret_entropy[TL_PHRASE_ENTROPY], tl_why *why);

#endif
