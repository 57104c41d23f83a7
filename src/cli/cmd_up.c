/* cmd_up.c - `teale up` and `teale down`: start and stop the daemon in the background. */
#include "base/log.h"
#include "cli/commands.h"
#include "cli/daemon.h"
#include "cli/lock.h"
#include "cli/nattext.h"
#include "cli/overrides.h"
#include "cli/reach.h"
#include "cli/spawn.h"

#include <poll.h>
#include <time.h>
#include <unistd.h>

#define STEPS        5
#define START_TIME   (3 * TL_SEC) /* a node that starts answers well before */
#define ASK_TIME     (5 * TL_SEC)
#define NAT_TIME     (1 * TL_SEC) /* not worth a longer wait: the node works all the same */
#define POLL_MS      100
#define STOP_TIME_MS 45000 /* 30 s for running questions, and 15 s to close */

static tl_time now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (tl_time)t.tv_sec * TL_SEC + (tl_time)t.tv_nsec;
}

static int already_running(const tl_cli *cli, const tl_args *args)
{
    json_t *status;
    int code = tl_daemon_get(cli, "/control/status", ASK_TIME, &status);
    if (code)
        return code;
    tl_out_note("already running: node %.64s", tl_json_string(status, "node_id", "?"));
    if (tl_overrides_any(args))
        tl_out_note("The options given are not applied to it. To run with them: teale down, then "
                    "teale up again.");
    json_decref(status);
    return TL_EXIT_OK;
}

/* Asks for the status until `is_settled` returns true or `until` is past. Returns the last status;
 * NULL if the daemon does not answer any more. */
static json_t *wait_status(const tl_cli *cli, tl_time until,
                           bool (*is_settled)(const json_t *status))
{
    for (;;) {
        json_t *status;
        if (tl_daemon_get(cli, "/control/status", ASK_TIME, &status))
            return NULL;
        if (is_settled(status) || now() >= until)
            return status;
        json_decref(status);
        poll(NULL, 0, POLL_MS);
    }
}

static bool is_backend_settled(const json_t *status)
{
    const json_t *backend = json_object_get(status, "backend");
    return !strcmp(tl_json_string(backend, "state", ""), "up");
}

static bool is_relay_settled(const json_t *status)
{
    const json_t *wan = json_object_get(status, "wan");
    return !strcmp(tl_json_string(wan, "state", ""), "connected") ||
           *tl_json_string(wan, "error", "");
}

static void models_text(const json_t *models, char *ret, size_t size)
{
    size_t i, n = 0;
    const json_t *model;
    *ret = 0;
    json_array_foreach (models, i, model) {
        const char *name = json_is_string(model) ? json_string_value(model) : "";
        n += (size_t)snprintf(ret + n, size - n, "%s%.60s", i ? ", " : "",
                              tl_log_safe(tl_slice_str(name)).text);
        if (n + 80 > size)
            break;
    }
}

static int show_backend(const tl_cli *cli, const tl_settings *s, tl_time until)
{
    char models[512];
    if (!*s->share) {
        tl_progress_done(2, STEPS, "backend", "none shared (--share URL shares a model server)");
        return TL_EXIT_OK;
    }
    tl_progress_live(2, STEPS, "backend", "asking %s ...", s->share);
    json_t *status = wait_status(cli, until, is_backend_settled);
    if (!status)
        return TL_EXIT_FAILED;
    const json_t *backend = json_object_get(status, "backend");
    const char *url = tl_json_string(backend, "url", "");
    models_text(json_object_get(backend, "models"), models, sizeof models);
    if (is_backend_settled(status))
        tl_progress_done(2, STEPS, "backend", "%s at %.200s: %s",
                         tl_json_string(backend, "kind", "model server"), url,
                         *models ? models : "no model loaded");
    else
        tl_progress_done(2, STEPS, "backend", "no answer yet from %.200s; the node keeps asking",
                         *url ? url : s->share);
    json_decref(status);
    return TL_EXIT_OK;
}

static int show_relay(const tl_cli *cli, const tl_settings *s, tl_time until)
{
    if (!s->wan_enabled) {
        tl_progress_done(3, STEPS, "relay",
                         "off (--relay URL, or: teale config set wan_enabled true)");
        return TL_EXIT_OK;
    }
    tl_progress_live(3, STEPS, "relay", "connecting to %s ...", s->wan_relay_url.item[0]);
    json_t *status = wait_status(cli, until, is_relay_settled);
    if (!status)
        return TL_EXIT_FAILED;
    const json_t *wan = json_object_get(status, "wan");
    const char *relay = tl_json_string(wan, "relay", s->wan_relay_url.item[0]);
    tl_safe error = tl_log_safe(tl_slice_str(tl_json_string(wan, "error", "")));
    double rtt = tl_json_number(wan, "relay_rtt_ms", 0);
    int code = TL_EXIT_OK;
    if (!strcmp(tl_json_string(wan, "state", ""), "connected") && rtt > 0) {
        tl_progress_done(3, STEPS, "relay", "%.200s connected, %.1f ms", relay, rtt);
    } else if (!strcmp(tl_json_string(wan, "state", ""), "connected")) {
        tl_progress_done(3, STEPS, "relay", "%.200s connected", relay);
    } else {
        tl_progress_done(3, STEPS, "relay", "%.200s not connected: %s", relay,
                         *error.text ? error.text : "no answer yet");
        code = *error.text ? TL_EXIT_UNREACHABLE : TL_EXIT_TIMEOUT;
    }
    json_decref(status);
    return code;
}

static bool is_nat_settled(const json_t *status)
{
    const json_t *nat = json_object_get(status, "nat");
    return tl_nattext_is_settled(nat);
}

static int show_network(const tl_cli *cli, const tl_settings *s)
{
    char text[TL_NATTEXT_MAX];
    if (!s->wan_enabled || !s->nat_direct) {
        tl_progress_done(4, STEPS, "network",
                         s->wan_enabled ? "relayed only: nat.direct is false"
                                        : "this machine only");
        return TL_EXIT_OK;
    }
    tl_progress_live(4, STEPS, "network", "asking the STUN servers ...");
    json_t *status = wait_status(cli, now() + NAT_TIME, is_nat_settled);
    if (!status)
        return TL_EXIT_FAILED;
    tl_nattext_step(json_object_get(status, "nat"), text);
    tl_progress_done(4, STEPS, "network", "%s", text);
    json_decref(status);
    return TL_EXIT_OK;
}

static void show_identity(const tl_cli *cli, const char *node, bool is_new)
{
    size_t n = strlen(node);
    if (is_new)
        tl_progress_done(1, STEPS, "identity", "%.4s...%s (new, kept in %s)", node,
                         node + (n > 2 ? n - 2 : 0), cli->paths.data);
    else
        tl_progress_done(1, STEPS, "identity", "%.4s...%s", node, node + (n > 2 ? n - 2 : 0));
}

static int show_progress(const tl_cli *cli, const tl_settings *s, const tl_spawn_ready *ready,
                         bool is_new, tl_time timeout)
{
    tl_time until = now() + timeout;
    show_identity(cli, ready->node, is_new);
    int code = show_backend(cli, s, until);
    if (code)
        return code;
    code = show_relay(cli, s, until);
    if (code == TL_EXIT_FAILED)
        return code;
    if (show_network(cli, s))
        return TL_EXIT_FAILED;
    tl_progress_done(5, STEPS, "ready", "API %s", ready->api);
    if (*s->share && !strcmp(s->share_with, "public") && s->wan_enabled)
        tl_out_note("serving anyone on this relay; --private serves only your networks");
    if (s->legacy_plaintext && s->wan_enabled)
        tl_out_note("legacy_plaintext is true: questions and answers exchanged with nodes of the "
                    "old protocol pass in clear; the relay can read and change them");
    if (code)
        tl_out_note("The node runs and keeps trying to reach the relay. See: teale status");
    else
        tl_out_note("Next: teale chat \"Why is the sky blue?\"");
    return code;
}

/* Another process has the lock: it is being started, or it ends. */
static bool wait_up(const tl_cli *cli)
{
    tl_time until = now() + START_TIME;
    while (now() < until && tl_lock_is_taken(cli->paths.lock)) {
        if (tl_daemon_is_up(cli))
            return true;
        poll(NULL, 0, POLL_MS);
    }
    return !tl_lock_is_taken(cli->paths.lock);
}

int tl_cmd_up(tl_cli *cli, const tl_args *args)
{
    tl_settings s;
    tl_spawn_ready ready;
    tl_why why;
    long secs;
    if (tl_args_has(args, "foreground"))
        return tl_cmd_serve(cli, args);
    if (tl_args_number(args, "timeout", 10, 1, 86400, &secs, &why))
        return tl_cli_usage(cli, "%s", why.text);
    if (tl_daemon_is_up(cli))
        return already_running(cli, args);
    if (tl_reach_is_barred(&cli->paths))
        return tl_reach_explain(&cli->paths);
    if (tl_lock_is_taken(cli->paths.lock) && !wait_up(cli))
        return tl_reach_explain(&cli->paths);
    if (tl_lock_is_taken(cli->paths.lock))
        return already_running(cli, args);
    if (tl_overrides_load(cli->paths.config, args, &s, &why))
        return tl_cli_usage(cli, "%s", why.text);
    if (tl_paths_make_data(&cli->paths, &why)) {
        tl_out_error("%s", why.text);
        return TL_EXIT_FAILED;
    }
    bool is_new = access(cli->paths.key, F_OK) != 0;
    int code = tl_spawn_daemon(cli, args, &ready);
    return code ? code : show_progress(cli, &s, &ready, is_new, (tl_time)secs * TL_SEC);
}

/* How many requests still run; 0 also if the daemon does not answer any more. */
static int still_active(const tl_cli *cli)
{
    tl_daemon_answer a;
    tl_daemon_ask ask = {.method = "GET", .path = "/control/status", .timeout = ASK_TIME};
    json_t *status = NULL;
    tl_daemon_run(cli, &ask, NULL, NULL, &a);
    int active = 0;
    if (!a.e && !tl_json_parse(tl_buf_slice(&a.body), 16, &status, NULL))
        active = (int)tl_json_number(json_object_get(status, "requests"), "active", 0);
    json_decref(status);
    tl_daemon_answer_clear(&a);
    return active;
}

static int wait_stopped(const tl_cli *cli, tl_time until)
{
    int told = 0;
    while (tl_lock_is_taken(cli->paths.lock)) {
        if (now() >= until) {
            tl_out_error("the node has not stopped yet");
            tl_out_note("It finishes what runs, 30 s at most. Its log: %s", cli->paths.log);
            return TL_EXIT_TIMEOUT;
        }
        int active = still_active(cli);
        if (active && active != told)
            tl_out_note("waiting for %d running request%s ...", active, active == 1 ? "" : "s");
        told = active;
        poll(NULL, 0, POLL_MS);
    }
    return TL_EXIT_OK;
}

int tl_cmd_down(tl_cli *cli, const tl_args *args)
{
    tl_daemon_answer a;
    tl_time timeout;
    if (!tl_daemon_timeout(cli, args, STOP_TIME_MS * TL_MS, &timeout))
        return TL_EXIT_USAGE;
    tl_time until = now() + timeout;
    tl_daemon_run(cli,
                  &(tl_daemon_ask){.method = "POST", .path = "/control/stop", .timeout = ASK_TIME},
                  NULL, NULL, &a);
    int code = tl_daemon_explain(cli, &a);
    tl_daemon_answer_clear(&a);
    if (!code)
        code = wait_stopped(cli, until);
    if (!code)
        tl_out_note("stopped");
    return code;
}
