/* cmd_down.c - `teale down`: let the node finish what runs, then see it end. */
#include "cli/boot.h"
#include "cli/commands.h"
#include "cli/daemon.h"
#include "cli/lock.h"
#include "cli/presence.h"
#include "cli/reach.h"
#include "cli/waiting.h"

#include <poll.h>
#include <signal.h>
#include <time.h>

#define ASK_TIME     (5 * TL_SEC)
#define POLL_MS      100
#define MUTE_TIME    (2 * TL_SEC) /* for a start or an end that is under way */
#define STOP_TIME_MS 45000        /* 30 s for running questions, and 15 s to close */

static tl_time now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (tl_time)t.tv_sec * TL_SEC + (tl_time)t.tv_nsec;
}

static int not_stopped(const tl_cli *cli)
{
    tl_out_error("the node has not stopped yet (process %ld)", tl_lock_holder(cli->paths.lock));
    tl_out_note("It finishes what runs, 30 s at most. Its log: %s. If it hangs: kill -9 %ld",
                cli->paths.log, tl_lock_holder(cli->paths.lock));
    return TL_EXIT_TIMEOUT;
}

/* Waits until `pid` has given the lock back. An `up` that waits may have taken it since. */
static int wait_stopped(const tl_cli *cli, long pid, tl_time until)
{
    int told = 0;
    tl_time began = now();
    tl_waiting waiting = tl_waiting_for(cli, "the node to end");
    while (tl_lock_is_taken(cli->paths.lock) && tl_lock_holder(cli->paths.lock) == pid) {
        json_t *status;
        if (now() >= until)
            return not_stopped(cli);
        tl_presence_look(cli, &status);
        int active = (int)tl_json_number(json_object_get(status, "requests"), "active", 0);
        json_decref(status);
        if (active && active != told && !cli->json && !tl_out_is_live(stderr))
            tl_out_note("waiting for %d running request%s ...", active, active == 1 ? "" : "s");
        if (active)
            tl_waiting_say(&waiting, "%d running request%s, 30 s at most", active,
                           active == 1 ? "" : "s");
        else if (told)
            tl_waiting_say(&waiting, "the node to end");
        told = active;
        tl_waiting_tick(&waiting, now() - began);
        poll(NULL, 0, POLL_MS);
    }
    tl_waiting_end(&waiting);
    return TL_EXIT_OK;
}

/* A process has the lock, and nothing answers on the socket. If it was starting or ending, it is
 * given the time for that; else its socket is gone or it hangs, and a signal tells it to end.
 * Returns true when the node answers now, so that it can be asked. */
static bool wait_or_signal(const tl_cli *cli)
{
    tl_time began = now(), until = began + MUTE_TIME;
    tl_waiting waiting = tl_waiting_for(cli, "the node, which is starting or ending");
    while (now() < until) {
        json_t *status;
        tl_presence p = tl_presence_look(cli, &status);
        json_decref(status);
        tl_waiting_tick(&waiting, now() - began);
        if (p != TL_PRESENCE_MUTE || !tl_lock_is_taken(cli->paths.lock))
            return p != TL_PRESENCE_NONE;
        poll(NULL, 0, POLL_MS);
    }
    long pid = tl_lock_holder(cli->paths.lock);
    /* The process that holds the lock wrote its number when it took it. */
    if (pid && !kill((pid_t)pid, SIGTERM))
        tl_out_note("nothing answers at %s: told process %ld to end by a signal", cli->paths.socket,
                    pid);
    return false;
}

/* Returns an exit code. */
static int ask_to_stop(const tl_cli *cli)
{
    tl_daemon_answer a;
    tl_daemon_run(cli,
                  &(tl_daemon_ask){.method = "POST", .path = "/control/stop", .timeout = ASK_TIME},
                  NULL, NULL, &a);
    int code = tl_daemon_explain(cli, &a);
    tl_daemon_answer_clear(&a);
    return code;
}

int tl_cmd_down(tl_cli *cli, const tl_args *args)
{
    tl_time timeout;
    json_t *status;
    if (!tl_daemon_timeout(cli, args, STOP_TIME_MS * TL_MS, &timeout))
        return TL_EXIT_USAGE;
    if (tl_args_has(args, "boot"))
        return tl_boot_down(cli);
    tl_time until = now() + timeout;
    tl_presence p = tl_presence_look(cli, &status);
    json_decref(status);
    int code = TL_EXIT_OK;
    long pid = tl_lock_holder(cli->paths.lock);
    bool locked = p == TL_PRESENCE_MUTE && tl_lock_is_taken(cli->paths.lock) &&
                  !tl_reach_is_barred(&cli->paths);
    if (!locked || wait_or_signal(cli))
        code = ask_to_stop(cli);
    if (!code)
        code = wait_stopped(cli, pid, until);
    if (!code)
        tl_out_note("stopped");
    return code;
}
