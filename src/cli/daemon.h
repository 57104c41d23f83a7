/* daemon.h - asking the running daemon over its Unix socket. Says itself what went wrong, and
 * returns the exit code for it. Knows routes only by the names it is given. */
#ifndef TL_CLI_DAEMON_H
#define TL_CLI_DAEMON_H

#include "base/time.h"
#include "cli/cli.h"

#define TL_DAEMON_FIELDS_MAX 4
#define TL_DAEMON_TICK       (200 * TL_MS)

typedef struct {
    const char *method, *path;
    const json_t *body;                                                     /* NULL: none */
    const char *names[TL_DAEMON_FIELDS_MAX], *values[TL_DAEMON_FIELDS_MAX]; /* until a NULL name */
    tl_time timeout;    /* of the whole; TL_NEVER: none */
    bool interruptible; /* SIGINT ends the answer instead of the program */
    /* Called every TL_DAEMON_TICK until the request ends, with `user`; NULL: not wanted. */
    void (*on_tick)(void *user, tl_time waited);
} tl_daemon_ask;

/* What came back. `error` is the API's error object, borrowed by the functions below. */
typedef struct {
    tl_err e; /* of the transport */
    bool interrupted;
    int status;  /* HTTP; 0: none came */
    tl_buf body; /* of a failure, or what no on_body took */
    char peer[65], path[16];
    tl_why why;
} tl_daemon_answer;

/* Runs one request to its end. A 2xx body goes to `on_body` as it comes (NULL: kept in ret->body).
 * Prints nothing; the caller frees with tl_daemon_answer_clear. */
void tl_daemon_run(const tl_cli *cli, const tl_daemon_ask *ask,
                   void (*on_body)(void *user, tl_slice bytes), void *user, tl_daemon_answer *ret);
void tl_daemon_answer_clear(tl_daemon_answer *a);
/* Says why the answer is none and returns the exit code; TL_EXIT_OK, silent, when it is one. */
int tl_daemon_explain(const tl_cli *cli, const tl_daemon_answer *a);
/* Says what an error object {"message", "code"} of the API means; returns the exit code. */
int tl_daemon_explain_error(const json_t *error);

/* GET, the answer as JSON (the caller's to json_decref), errors said. */
int tl_daemon_get(const tl_cli *cli, const char *path, tl_time timeout, json_t **ret);
/* The whole node ID for one typed whole or in part (at least 4 digits, which must fit one known
 * peer). Says itself what is wrong. */
int tl_daemon_find_peer(const tl_cli *cli, const char *typed, char ret_node[65]);
/* True when a daemon answers on the socket. */
bool tl_daemon_is_up(const tl_cli *cli);
/* Tells a running daemon, if there is one, and says what came of it. */
void tl_daemon_setting_changed(const tl_cli *cli, const char *key);
/* --timeout in seconds, or the fallback. False: said what was wrong. */
bool tl_daemon_timeout(const tl_cli *cli, const tl_args *args, tl_time fallback, tl_time *ret);

#endif
