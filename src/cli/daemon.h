/* daemon.h - asks the running daemon over its Unix socket. Prints what failed, and returns the exit
 * code for it. Never starts a daemon, and never touches the settings file. */
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
    tl_time timeout;    /* for the whole request; TL_NEVER: none */
    bool interruptible; /* SIGINT ends the answer instead of the program */
    /* Called every TL_DAEMON_TICK until the request ends, with `user`; NULL: not wanted. */
    void (*on_tick)(void *user, tl_time waited);
    const bool
        *given_up; /* true after an on_tick: the request ends, with TL_ERR_CANCELLED; NULL: never */
    /* Without on_tick: what a person is told the command waits for, until an answer begins; NULL: nothing. */
    const char *waits_for;
} tl_daemon_ask;

/* What came back. */
typedef struct {
    tl_err e; /* the transport's */
    bool interrupted;
    int status;  /* HTTP; 0: none came */
    tl_buf body; /* the body of a failure, or the whole body when there is no on_body */
    char peer[65], path[16], price[24]; /* X-Teale-…; "": none */
    char type[32];                      /* Content-Type, as much as fits */
    tl_why why;
} tl_daemon_answer;

/* Runs one request to its end. A 2xx body goes to `on_body` as it comes (NULL: it is kept in
 * ret->body). Prints nothing; the caller frees with tl_daemon_answer_clear. */
void tl_daemon_run(const tl_cli *cli, const tl_daemon_ask *ask,
                   void (*on_body)(void *user, tl_slice bytes), void *user, tl_daemon_answer *ret);
void tl_daemon_answer_clear(tl_daemon_answer *a);
/* If the request failed, prints why and returns the exit code. Otherwise prints nothing and returns
 * TL_EXIT_OK. */
int tl_daemon_explain(const tl_cli *cli, const tl_daemon_answer *a);
/* Prints what an error object {"message", "code"} of the API means; returns the exit code. */
int tl_daemon_explain_error(const tl_cli *cli, const json_t *error);

/* GET. Returns the answer as JSON, which the caller gives to json_decref. Prints what failed;
 * returns an exit code. */
int tl_daemon_get(const tl_cli *cli, const char *path, tl_time timeout, json_t **ret);
/* The status of a running daemon; NULL: none came in time. Prints nothing. */
json_t *tl_daemon_status(const tl_cli *cli, tl_time within);
/* Tells a running daemon, if there is one, that a setting has changed. Prints what the daemon
 * did. False: the daemon refuses the value, which must be put back; the cause is printed. */
bool tl_daemon_setting_changed(const tl_cli *cli, const char *key);
/* Does the node find others on the local network, as its status says? */
bool tl_daemon_is_on_lan(const json_t *status);
#define TL_DAEMON_ANNOUNCED_MAX 64
/* "nobody is announced there yet", "2 nodes are announced there": on the local network, as its status says. */
void tl_daemon_write_announced(char ret_text[TL_DAEMON_ANNOUNCED_MAX], const json_t *status);
/* Has its machine no network, as its status says? */
bool tl_daemon_is_offline(const json_t *status);
/* Prints that, and what to do. */
void tl_daemon_tell_offline(void);
/* Can the node look for others anywhere? */
bool tl_daemon_can_look(const json_t *status);
/* Prints why no model can be asked, as the answer of /control/status shows it. */
void tl_daemon_tell_no_model(const json_t *status);
/* Prints which models of share_models the model server of a running daemon does not serve. */
void tl_daemon_tell_missing(const tl_cli *cli);
/* --timeout (seconds, or "5m"), or the fallback. False: it was wrong, and this function has printed why. */
bool tl_daemon_timeout(const tl_cli *cli, const tl_args *args, tl_time fallback, tl_time *ret);

#endif
