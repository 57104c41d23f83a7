/* lineedit.h - reads lines from a person at a terminal: editing, history, pasted text in one piece.
 * Built on libedit. Touches only stdin and stdout; never writes to disk. */
#ifndef TL_CLI_LINEEDIT_H
#define TL_CLI_LINEEDIT_H

#include "base/json.h"

#define TL_LINEEDIT_HISTORY 500 /* lines that the Up key can bring back */
#define TL_LINEEDIT_MAX                                                                            \
    (1u                                                                                            \
     << 20) /* characters of one line; a paste is left out from where it is longer, and says so */

typedef struct tl_lineedit tl_lineedit;

typedef enum {
    TL_LINEEDIT_TEXT, /* a line; it may be empty, and has line breaks where text was pasted */
    TL_LINEEDIT_INTERRUPTED, /* Ctrl-C: the line is dropped */
    TL_LINEEDIT_END,         /* Ctrl-D on an empty line, or the terminal is gone */
} tl_lineedit_result;

/* stdin and stdout must be terminals. Copies the prompt. TL_ERR_NOMEM. */
TL_CHECK tl_err tl_lineedit_new(const char *prompt, tl_lineedit **ret_edit);
void tl_lineedit_free(tl_lineedit *l);
/* Of the lines from now on; copied. */
void tl_lineedit_set_prompt(tl_lineedit *l, const char *prompt);
/* What Tab offers for the text before the cursor: an array of texts, a new reference, each of which may stand in place
 * of what follows *ret_from. NULL: nothing. */
void tl_lineedit_set_offers(tl_lineedit *l,
                            json_t *(*offers)(void *user, const char *text, size_t *ret_from),
                            void *user);
/* Waits for one line. The text, without the newline at its end, is borrowed until the next call.
 * An "@" that begins a word in pasted text is doubled: only a person names files by it (cli/chat_attach.h).
 * Text that is not UTF-8 comes as an empty line. When the call returns, the terminal is in its
 * former mode. */
tl_lineedit_result tl_lineedit_read(tl_lineedit *l, tl_slice *ret_text);

#endif
