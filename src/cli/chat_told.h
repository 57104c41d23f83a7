/* chat_told.h - what is told beside an answer: the node's comments while words are awaited, and the words with which a
 * model server refuses. The latter are a stranger's, and never shown as the program's. */
#ifndef TL_CLI_CHAT_TOLD_H
#define TL_CLI_CHAT_TOLD_H

#include "cli/chat.h"

/* A comment of the stream (docs/http-api.md, Errors); one that is malformed tells nothing. `now`: monotonic. */
void tl_chat_told(tl_chat *c, tl_slice comment, tl_time now);
/* Time passes without words: looks from time to time whether this machine has a network at all. Where it has none, a
 * question that no model server of this machine can answer is given up, and an answer's silence is said to be that. */
void tl_chat_look(tl_chat *c, tl_time now);
/* True: the answer's status is one that passes from the model server; the error is in its body. */
bool tl_chat_is_refusal(const tl_daemon_answer *a);
/* Prints an error of the model server, an object or a text in OpenAI's shape; NULL: it gave none. Returns the exit code,
 * which no word of it decides. */
int tl_chat_tell_refusal(tl_chat *c, const json_t *error);

#endif
