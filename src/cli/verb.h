/* verb.h - has the running node do something, by name, and says what came of it. Decides nothing
 * itself: the node does. */
#ifndef TL_CLI_VERB_H
#define TL_CLI_VERB_H

#include "cli/daemon.h"

typedef struct {
    const char *verb; /* "ptn.create" */
    json_t *args;     /* an object; tl_verb_run takes the reference; NULL: out of memory */
    tl_time timeout;
    bool interruptible; /* Ctrl-C ends the wait, and not the program */
    void (*on_tick)(void *user, tl_time waited);
    const char *waits_for; /* without on_tick, as of tl_daemon_ask */
    void *user;
} tl_verb;

typedef struct {
    json_t *value; /* what the node answered; NULL: it failed, and this has been said */
    bool late;     /* no answer in time, or interrupted; nothing has been said */
    bool interrupted;
} tl_verb_result;

/* Runs the verb. Returns an exit code; a refusal is printed as one line, "teale: E_CODE: sentence". */
int tl_verb_run(const tl_cli *cli, const tl_verb *verb, tl_verb_result *ret);
/* The same for the common case: with --timeout or `within`, and what failed is printed. The caller
 * frees *ret (json_decref), which is NULL unless the code is TL_EXIT_OK. */
int tl_verb_do(const tl_cli *cli, const tl_args *args, const char *verb, json_t *verb_args,
               tl_time within, json_t **ret);
/* "teale: E_CODE: sentence" for a refusal of this program's own. */
void tl_verb_refuse(const char *code, const char *fmt, ...) TL_PRINTF(2, 3);

#endif
