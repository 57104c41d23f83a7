/* cmd_up.c - `teale up`: start the node in the background, or join what another process does to it. */
#include "cli/boot.h"
#include "cli/commands.h"
#include "cli/daemon.h"
#include "cli/keyhome.h"
#include "cli/lock.h"
#include "cli/overrides.h"
#include "cli/owner.h"
#include "cli/presence.h"
#include "cli/reach.h"
#include "cli/spawn.h"
#include "cli/upshow.h"
#include "cli/waiting.h"

#include <poll.h>
#include <time.h>
#include <unistd.h>

#define POLL_MS   100
#define MUTE_SAID (500 * TL_MS) /* a start or an end usually takes less */
#define MUTE_TIME (20 * TL_SEC) /* a start takes less, even from a slow disk */
#define LOST_TIME (5 * TL_SEC)  /* after this time a start has made its socket */
#define STOP_TIME (45 * TL_SEC) /* 30 s for running questions, and 15 s to close */
#define TRIES     3             /* starts that lose the lock to another process */

static tl_time now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (tl_time)t.tv_sec * TL_SEC + (tl_time)t.tv_nsec;
}

/* Waiting for a node that another process starts or ends. */
typedef struct {
    tl_time began, limit;
    bool told_mute, told_stopping;
    tl_waiting waiting;
} wait_of;

static int give_up(const tl_cli *cli, tl_presence p)
{
    if (p != TL_PRESENCE_STOPPING)
        return tl_reach_explain(&cli->paths);
    tl_out_error("the node has not stopped yet (process %ld)", tl_lock_holder(cli->paths.lock));
    tl_out_note("Its log: %s", cli->paths.log);
    return TL_EXIT_TIMEOUT;
}

static void tell(const tl_cli *cli, wait_of *w, tl_presence p, const json_t *status)
{
    if (p == TL_PRESENCE_STOPPING && !w->told_stopping) {
        int active = (int)tl_json_number(json_object_get(status, "requests"), "active", 0);
        tl_out_note("the node is stopping: %d running request%s may finish, within 30 s. It is "
                    "started again after that ...",
                    active, active == 1 ? "" : "s");
        w->told_stopping = true;
    }
    if (p == TL_PRESENCE_MUTE && !w->told_mute && !w->told_stopping &&
        now() - w->began >= MUTE_SAID) {
        tl_out_note("another process is starting or ending the node (process %ld); waiting for it "
                    "...",
                    tl_lock_holder(cli->paths.lock));
        w->told_mute = true;
    }
}

static bool has_no_socket(const tl_paths *p)
{
    return access(p->socket, F_OK) && (!*p->socket_beside || access(p->socket_beside, F_OK));
}

/* Waits until a node runs, whose status it returns, or until one can be started: then *ret_status
 * is NULL. Returns an exit code. */
static int settle(const tl_cli *cli, wait_of *w, json_t **ret_status)
{
    for (;;) {
        tl_presence p = tl_presence_look(cli, ret_status);
        if (p != TL_PRESENCE_RUNNING && !*ret_status && tl_reach_is_barred(&cli->paths))
            return tl_reach_explain(&cli->paths);
        if (p == TL_PRESENCE_NONE || p == TL_PRESENCE_RUNNING)
            return TL_EXIT_OK;
        tell(cli, w, p, *ret_status);
        tl_waiting_say(&w->waiting, p == TL_PRESENCE_STOPPING ? "the node to end"
                                                              : "the process that has the node");
        tl_waiting_tick(&w->waiting, now() - w->began);
        json_decref(*ret_status);
        *ret_status = NULL;
        if (p == TL_PRESENCE_STOPPING)
            w->limit = STOP_TIME;
        bool lost = p == TL_PRESENCE_MUTE && !w->told_stopping && has_no_socket(&cli->paths);
        if (now() - w->began >= (lost ? LOST_TIME : w->limit))
            return give_up(cli, p);
        poll(NULL, 0, POLL_MS);
    }
}

static int already_running(const tl_cli *cli, const tl_args *args, const json_t *status)
{
    tl_out_note("already running: node %.64s", tl_json_string(status, "node_id", "?"));
    if (tl_overrides_any(args))
        tl_out_note("The options given are not applied to it. To run with them: teale down, then "
                    "teale up again.");
    int code = tl_upshow_running(status);
    if (cli->json)
        tl_out_json(status);
    return code;
}

/* Another `teale up` was quicker. */
static int join(const tl_cli *cli, const tl_args *args, const tl_settings *s, tl_time timeout)
{
    tl_out_note("another process has started the node");
    if (tl_overrides_any(args))
        tl_out_note("The options given here are not applied to it. To run with them: teale down, "
                    "then teale up again.");
    return tl_upshow(cli, NULL, s->legacy_plaintext, timeout);
}

static int check(tl_cli *cli, const tl_args *args, tl_settings *ret_settings)
{
    tl_why why;
    if (tl_overrides_load(cli->paths.config, args, ret_settings, &why) ||
        tl_overrides_check(args, ret_settings, &why))
        return tl_cli_usage(cli, "%s", why.text);
    static const char *const of_sharing[] = {"model", "private", "share-key-file"};
    for (size_t i = 0; !*ret_settings->share && i < 3; i++)
        if (tl_args_has(args, of_sharing[i]))
            tl_out_note("--%s changes nothing: no model server is shared (--share URL)",
                        of_sharing[i]);
    return TL_EXIT_OK;
}

/* The node as a service, and then what `up` shows of any node. */
static int up_as_service(tl_cli *cli, const tl_args *args, tl_time timeout)
{
    tl_settings s;
    tl_why why;
    const char *new_key = NULL;
    int code = tl_boot_up(cli, args, &new_key);
    if (code)
        return code;
    if (tl_owner_become(cli->paths.data, &why) || tl_settings_load(cli->paths.config, &s, &why)) {
        tl_out_error("%s", why.text);
        return TL_EXIT_FAILED;
    }
    return tl_upshow(cli, new_key, s.legacy_plaintext, timeout);
}

/* Where a new key went. */
static const char *kept_in(const tl_paths *p)
{
    return access(p->key, F_OK) ? "the keychain" : p->data;
}

int tl_cmd_up(tl_cli *cli, const tl_args *args)
{
    tl_settings s;
    tl_spawn_ready ready = {.taken = true};
    tl_why why;
    long secs;
    json_t *status;
    wait_of w = {
        .began = now(), .limit = MUTE_TIME, .waiting = tl_waiting_for(cli, "the node to end")};
    int code;
    if (tl_args_has(args, "foreground") && tl_args_has(args, "boot"))
        return tl_cli_usage(cli, "--boot starts a service, which is not in the foreground");
    if (tl_args_has(args, "foreground"))
        return tl_cmd_serve(cli, args);
    if (tl_args_number(args, "timeout", 10, 1, 86400, &secs, &why))
        return tl_cli_usage(cli, "%s", why.text);
    if (tl_args_has(args, "boot"))
        return up_as_service(cli, args, (tl_time)secs * TL_SEC);
    bool joined = false;
    for (int i = 0; i < TRIES; i++) {
        if ((code = settle(cli, &w, &status)))
            return code;
        joined |= w.told_mute && !w.told_stopping;
        if (status && !joined) {
            code = already_running(cli, args, status);
            json_decref(status);
            return code;
        }
        bool running = status != NULL;
        json_decref(status);
        if ((code = check(cli, args, &s)))
            return code;
        if (running)
            return join(cli, args, &s, (tl_time)secs * TL_SEC);
        if (tl_paths_make_data(&cli->paths, &why)) {
            tl_out_error("%s", why.text);
            return TL_EXIT_FAILED;
        }
        tl_err e = tl_keyhome_unlock(cli, &why);
        if (e) {
            tl_out_error("the node did not start: %s", why.text);
            return tl_keyhome_exit_of(e);
        }
        bool is_new = access(cli->paths.key, F_OK) && access(cli->paths.key_note, F_OK);
        code = tl_spawn_daemon(cli, args, &ready);
        if (!code)
            return tl_upshow(cli, is_new ? kept_in(&cli->paths) : NULL, s.legacy_plaintext,
                             (tl_time)secs * TL_SEC);
        if (!ready.taken)
            return code;
        joined = true;
    }
    return give_up(cli, TL_PRESENCE_MUTE);
}
