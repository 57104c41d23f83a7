/* chat.h - a conversation with a model: asks through the daemon, prints the answer as it comes, keeps both. Touches the
 * daemon's socket, stdout and stderr. */
#ifndef TL_CLI_CHAT_H
#define TL_CLI_CHAT_H

#include "base/time.h"
#include "cli/cli.h"
#include "cli/sse.h"
#include "crypto/identity.h"
#include "wire/codes.h"

typedef struct {
    tl_cli *cli;
    char model[TL_MODEL_MAX];
    char peer[TL_NODE_ID_HEX + 1]; /* "" = whoever serves the model */
    tl_time timeout;               /* of one answer; TL_NEVER: none */
    json_t *messages;              /* the conversation so far, as OpenAI's "messages" */
    /* of the answer in progress */
    tl_sse sse;
    tl_buf answer;
    bool waiting;  /* a live line says so */
    bool finished; /* [DONE] came */
    int failed;    /* exit code of an error event */
    tl_err e;
} tl_chat;

/* Asks with `text` as the next message, and prints. `interruptible`: Ctrl-C stops the answer, not the program. A
 * question that got no answer is taken back out of the conversation. Returns an exit code; says itself what failed. */
int tl_chat_ask(tl_chat *c, tl_slice text, bool interruptible);
/* A person at a terminal asks until Ctrl-D or /bye. Returns an exit code. */
int tl_chat_converse(tl_chat *c);

#endif
