/* chat_status.h - what is told of an answer when it is over: a line for a person, or one JSON object. Reads only what
 * the answer brought. */
#ifndef TL_CLI_CHAT_STATUS_H
#define TL_CLI_CHAT_STATUS_H

#include "cli/chat.h"
#include "cli/daemon.h"

/* "direct 3f9ac2d1, 42 tokens, 18.3 tokens/s, 0.000042 credits"; on stderr. */
void tl_chat_status_tell(const tl_chat *c, const tl_daemon_answer *a);
/* {"model", "answer", "peer", "path", "price_micro", "usage", "tokens_per_s"} on stdout. */
void tl_chat_status_json(const tl_chat *c, const tl_daemon_answer *a);

#endif
