/* chat_status.h - what is told of an answer when it is over: a line for a person, or one JSON object. Reads what
 * the answer brought, and asks the daemon how the node that answered is called. */
#ifndef TL_CLI_CHAT_STATUS_H
#define TL_CLI_CHAT_STATUS_H

#include "cli/chat.h"
#include "cli/daemon.h"

/* "direct [gpu] 3f9ac2d1, 42 tokens, 18.3 tokens/s, 0.000042 credits"; on stderr. */
void tl_chat_status_tell(tl_chat *c, const tl_daemon_answer *a);
/* {"model", "answered_by_model", "answer", "peer", "path", "price_micro", "usage", "tokens_per_s"} on stdout. */
void tl_chat_status_json(const tl_chat *c, const tl_daemon_answer *a);

#endif
