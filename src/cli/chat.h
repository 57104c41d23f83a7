/* chat.h - a conversation with a model: asks through the daemon, prints the answer as it comes, and
 * remembers both. Touches the daemon's socket, stdout and stderr; writes no file. */
#ifndef TL_CLI_CHAT_H
#define TL_CLI_CHAT_H

#include "base/json.h"
#include "base/time.h"
#include "cli/daemon.h"
#include "cli/silence.h"
#include "cli/sse.h"
#include "cli/waiting.h"
#include "crypto/identity.h"
#include "wire/codes.h"

#define TL_CHAT_WHO_MAX                                                                            \
    72 /* an alias, or a display name of which so much is shown, and its marks */

typedef struct {
    tl_cli *cli;
    char model[TL_MODEL_MAX];
    char peer[TL_NODE_ID_HEX + 1]; /* the only peer to ask; "" = any */
    tl_time timeout;               /* for one answer; TL_NEVER: none */
    json_t *messages;              /* the conversation so far, as OpenAI's "messages" */
    bool json;                     /* nothing is printed while the answer comes, then one object */
    bool status;                   /* a line with path, speed and price follows each answer */
    /* who answered last, and how that node is called (chat_who.h) */
    char named_node[TL_NODE_ID_HEX + 1], named[TL_CHAT_WHO_MAX];
    /* the answer in progress */
    const tl_daemon_answer *from; /* its head, as far as it has come */
    unsigned look_ups;            /* of names for it (chat_who.h) */
    tl_time look_at;              /* whether this machine has a network is looked at next */
    unsigned offline;             /* times in a row that it had none */
    bool given_up;                /* for that */
    tl_sse sse;
    tl_buf answer;
    tl_waiting waiting;           /* for the first word */
    tl_silence silence;           /* after it */
    bool finished;                /* [DONE] came */
    int failed;                   /* exit code of an error event of the node */
    json_t *refusal;              /* an error of the model server; NULL: none came */
    unsigned pieces;              /* of the answer, each about a token */
    tl_time first, last;          /* when they came */
    char answering[TL_MODEL_MAX]; /* the model, as its server calls it; "": it does not say */
    json_t *usage;                /* as the model server says it; NULL: it did not */
    tl_err e;
} tl_chat;

/* Asks with `text` as the next message, and prints the answer. `interruptible`: Ctrl-C stops the
 * answer, not the program. A question without an answer is removed from the conversation. Prints
 * what failed; returns an exit code. */
int tl_chat_ask(tl_chat *c, tl_slice text, bool interruptible);
/* The same with any content, a text or an array of parts. Takes the reference; NULL: out of memory. */
int tl_chat_ask_content(tl_chat *c, json_t *content, bool interruptible);
/* Tells the node what will be asked, so that it connects meanwhile. What fails shows when it is asked. */
void tl_chat_prepare(const tl_chat *c);
/* A person at a terminal asks until Ctrl-D or /bye. Returns an exit code. */
int tl_chat_converse(tl_chat *c);

#endif
