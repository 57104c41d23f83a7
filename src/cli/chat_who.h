/* chat_who.h - how the node that answers is called, as the daemon knows it. Asks the daemon once for each node. */
#ifndef TL_CLI_CHAT_WHO_H
#define TL_CLI_CHAT_WHO_H

#include "cli/chat.h"

#define TL_CHAT_LOOK_UPS_MAX 4 /* for one answer, which has one peer */

/* "[alias]", or the display name in quotes; "" where neither is known, or too many were asked for. `node`: 64 digits. Borrowed until the next
 * call. Whoever prints it leaves out what base/plain hides. */
const char *tl_chat_who(tl_chat *c, const char *node);

#endif
