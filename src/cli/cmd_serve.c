/* cmd_serve.c - `teale serve`: the daemon in the foreground. Wires settings, identity, node and API
 * to one loop, says when it is ready, and drains when it is told to end. */
#include "api/api.h"
#include "api/key.h"
#include "base/log.h"
#include "cli/commands.h"
#include "cli/homerestore.h"
#include "cli/keyhome.h"
#include "cli/lock.h"
#include "cli/logfile.h"
#include "cli/overrides.h"
#include "config/config_change.h"
#include "config/config_show.h"
#include "io/sdnotify.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#define DRAIN_TIME      (30 * TL_SEC) /* teale(1): how long running questions may go on */
#define SIGNALS         3
#define DESCRIPTORS_MAX 65536 /* more than all our bounds together need */

typedef struct {
    const tl_cli *cli;
    const tl_args *args;
    tl_settings settings;
    int lock;
    tl_identity identity;
    tl_loop *loop;
    tl_node *node;
    tl_api *api;
    tl_sigwatch *signals[SIGNALS];
    tl_sdwatchdog watchdog;
    enum {
        RUNNING,
        FINISHING, /* the node finishes running questions */
        CLOSING,   /* the API sends what is queued */
        ENDED,
    } stage; /* RUNNING -> FINISHING -> CLOSING -> ENDED; only set_stage assigns it */
} server;

static void set_stage(server *s, int stage)
{
    s->stage = stage;
    if (stage == ENDED)
        tl_loop_stop(s->loop);
}

static void on_api_drained(void *user)
{
    set_stage(user, ENDED);
}

static void on_node_drained(void *user)
{
    server *s = user;
    if (s->stage != FINISHING)
        return;
    set_stage(s, CLOSING);
    tl_api_drain(s->api, tl_loop_now(s->loop) + 2 * TL_SEC, on_api_drained, s);
}

static void stop(void *user)
{
    server *s = user;
    if (s->stage == RUNNING) {
        tl_log(TL_LOG_INFO, "stopping: finishing what runs, at most %d s",
               (int)(DRAIN_TIME / TL_SEC));
        (void)!tl_sdnotify("STOPPING=1");
        set_stage(s, FINISHING);
        tl_node_drain(s->node, tl_loop_now(s->loop) + DRAIN_TIME, on_node_drained, s);
    }
}

static void on_signal(void *user, int signo)
{
    server *s = user;
    (void)signo;
    if (s->stage == RUNNING) {
        stop(s);
    } else {
        tl_log(TL_LOG_WARN, "second signal: ending at once");
        set_stage(s, ENDED);
    }
}

static void apply_log_level(const tl_settings *s)
{
    static const char *const names[] = {"error", "warn", "info", "debug"};
    for (int i = 0; i < 4; i++)
        if (!strcmp(s->log_level, names[i]))
            tl_log_set_level((tl_log_level)i);
}

/* Puts `changed`, which differs from what is in force in this setting alone, into force. */
static tl_err put_into_force(server *s, const tl_settings *changed, const char *key, tl_why *why)
{
    tl_err e;
    if (!strcmp(key, "log_level")) {
        apply_log_level(changed);
    } else if (!strcmp(key, "api_allowed_hosts") || !strcmp(key, "api_allowed_origins")) {
        tl_api_set_allowed(s->api, &changed->api_allowed_hosts, &changed->api_allowed_origins);
    } else if ((e = tl_node_setting_changed(s->node, changed, key, why))) {
        if (e == TL_ERR_AGAIN)
            return tl_why_set(why, e, "It takes effect after a restart: teale restart");
        return why->text[0] ? e : tl_why_set(why, e, "%s", tl_err_name(e));
    }
    s->settings = *changed;
    return TL_OK;
}

/* The setting `key` has changed in the file. */
static tl_err on_setting_changed(void *user, const char *key, tl_why *why)
{
    server *s = user;
    const char *option = tl_overrides_option(s->args, key);
    tl_settings loaded, changed = s->settings;
    tl_err e = tl_overrides_load(s->cli->paths.config, s->args, &loaded, why);
    if (!e) /* what else changed in the file is not in force before it is applied */
        e = tl_settings_copy(&changed, &loaded, key, why);
    if (e)
        return e;
    if (option)
        return tl_why_set(why, TL_ERR_AGAIN, "While this node runs, its option --%s wins.", option);
    return put_into_force(s, &changed, key, why);
}

static const char *option_of(void *user, const char *key)
{
    return tl_overrides_option(((server *)user)->args, key);
}

static json_t *settings_now(void *user)
{
    server *s = user;
    return tl_settings_json(&s->settings);
}

typedef struct {
    server *s;
    tl_settings before; /* what was in force */
} page_change;

static tl_err take(void *user, const char *key, tl_why *why)
{
    return on_setting_changed(((page_change *)user)->s, key, why);
}

static tl_err give_back(void *user, const char *key, tl_why *why)
{
    const page_change *c = user;
    tl_settings changed = c->s->settings;
    tl_err e = tl_settings_copy(&changed, &c->before, key, why);
    return e ? e : put_into_force(c->s, &changed, key, why);
}

/* The page changes settings. */
static tl_err set_settings(void *user, tl_setting_change *changes, size_t n, size_t *ret_refused,
                           tl_why *why)
{
    server *s = user;
    page_change change = {s, s->settings};
    const tl_setting_taker taker = {take, give_back, &change};
    *ret_refused = n;
    tl_err e = tl_paths_make_config(&s->cli->paths, why);
    return e ? e
             : tl_settings_change_all(s->cli->paths.config, changes, n, &taker, ret_refused, why);
}

static json_t *explain_settings(void *user)
{
    server *s = user;
    const char *file = s->cli->paths.config;
    tl_settings saved = s->settings;
    tl_why why;
    tl_err e = tl_settings_load(file, &saved, &why);
    json_t *all = tl_settings_explain(&saved, &s->settings, option_of, s);
    json_t *more = json_pack("{s:s, s:s?}", "file", file, "error", e ? why.text : NULL);
    if (!more || json_object_update(all, more)) {
        json_decref(all);
        all = NULL;
    }
    json_decref(more);
    return all;
}

/* A question under way needs two or three descriptors, and the usual limit is 1024. */
static void allow_descriptors(void)
{
    struct rlimit rl;
    if (getrlimit(RLIMIT_NOFILE, &rl))
        return;
    rl.rlim_cur = rl.rlim_max < DESCRIPTORS_MAX ? rl.rlim_max : DESCRIPTORS_MAX;
    if (setrlimit(RLIMIT_NOFILE, &rl))
        tl_log(TL_LOG_WARN, "the limit of open files stays as it is: %s", strerror(errno));
}

/* The addresses that HOST:PORT means. */
static tl_err find_addresses(const char *text, tl_api_config *config, tl_why *why)
{
    char host[TL_HOST_MAX], port_text[8];
    uint16_t port;
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE}, *all;
    tl_err e = tl_hostport_parse(tl_slice_str(text), 0, host, &port);
    if (e)
        return tl_why_set(why, e, "api_listen must be HOST:PORT");
    snprintf(port_text, sizeof port_text, "%u", port);
    int rc = getaddrinfo(host, port_text, &hints, &all);
    if (rc)
        return tl_why_set(why, TL_ERR_UNREACHABLE, "cannot listen on %s: %s", text,
                          gai_strerror(rc));
    for (const struct addrinfo *a = all; a && config->listen_n < TL_API_LISTEN_MAX; a = a->ai_next)
        config->listen[config->listen_n++] = tl_addr_from_sockaddr(a->ai_addr);
    freeaddrinfo(all);
    /* With port 0 and several addresses, each address would get a different port. */
    if (port == 0)
        config->listen_n = 1;
    return TL_OK;
}

static tl_err open_api(server *s, tl_why *why)
{
    const tl_settings *from = &s->settings;
    tl_api_config config = tl_api_config_default();
    tl_err e = find_addresses(from->api_listen, &config, why);
    if (!e)
        e = tl_api_key_load_or_create(s->cli->paths.api_key, config.client_key, why);
    if (!e)
        e = tl_api_key_load_or_create(s->cli->paths.owner_key, config.key, why);
    if (e)
        return e;
    config.unix_path[0] = s->cli->paths.socket;
    if (*s->cli->paths.socket_beside)
        config.unix_path[1] = s->cli->paths.socket_beside;
    config.allowed_hosts = from->api_allowed_hosts;
    config.allowed_origins = from->api_allowed_origins;
    config.head_timeout = from->timeout_request_head_secs * TL_SEC;
    config.body_timeout = from->timeout_body_idle_secs * TL_SEC;
    config.stalled_timeout = from->timeout_stalled_client_secs * TL_SEC;
    config.hooks = (tl_api_hooks){.stop = stop,
                                  .setting_changed = on_setting_changed,
                                  .set_settings = set_settings,
                                  .explain_settings = explain_settings,
                                  .settings = settings_now,
                                  .user = s};
    return tl_api_new(s->loop, s->node, &config, &s->api, why);
}

static tl_err watch_signals(server *s, tl_why *why)
{
    static const int numbers[SIGNALS] = {SIGTERM, SIGINT, SIGHUP};
    signal(SIGPIPE, SIG_IGN);
    for (int i = 0; i < SIGNALS; i++)
        if (tl_sigwatch_new(s->loop, numbers[i], on_signal, s, &s->signals[i]))
            return tl_why_set(why, TL_ERR_IO, "cannot watch for signals");
    return TL_OK;
}

static tl_err open_all(server *s, tl_why *why)
{
    const tl_paths *p = &s->cli->paths;
    bool created, finished;
    tl_err e = tl_paths_make_data(p, why);
    if (!e)
        e = tl_lock_take(p->lock, &s->lock, why);
    if (!e && tl_crypto_init())
        e = tl_why_set(why, TL_ERR_IO, "libsodium cannot start");
    if (!e)
        e = tl_homerestore_finish(p, &finished, why);
    if (!e)
        e = tl_keyhome_open(p, &s->settings, s->lock, &s->identity, &created, why);
    if (!e && tl_loop_new(&s->loop))
        e = tl_why_set(why, TL_ERR_NOMEM, "out of memory");
    if (!e)
        e = watch_signals(s, why);
    if (!e)
        e = tl_node_new(s->loop, &s->settings, &s->identity, p->port, p->db, &s->node, why);
    if (!e) {
        tl_node_set_option_of(s->node, option_of, s);
        tl_node_set_settings_file(s->node, p->config);
        e = open_api(s, why);
    }
    return e ? e : tl_node_start(s->node, why);
}

static void close_all(server *s)
{
    if (s->loop)
        tl_sdwatchdog_stop(&s->watchdog);
    if (s->api)
        tl_api_free(s->api);
    if (s->node)
        tl_node_free(s->node);
    for (int i = 0; i < SIGNALS; i++)
        if (s->signals[i])
            tl_sigwatch_free(s->signals[i]);
    if (s->loop)
        tl_loop_free(s->loop);
    tl_identity_clear(&s->identity);
    if (s->lock >= 0)
        close(s->lock);
}

/* Prints the ready line. An error if it cannot be written: the program that waits for the line
 * would wait for ever. */
static tl_err say_ready(const server *s, tl_why *why)
{
    char id[TL_NODE_ID_HEX + 1];
    tl_node_id_write(id, &s->identity.id);
    printf("ready api=%s node=%s\n", tl_api_base_url(s->api), id);
    if (fflush(stdout) || ferror(stdout)) {
        tl_err e = tl_why_set(why, TL_ERR_IO, "cannot write the ready line to standard output: %s",
                              strerror(errno));
        clearerr(stdout); /* the error is reported by the caller */
        return e;
    }
    tl_log(TL_LOG_INFO, "teale %s ready, node %s, API %s", TL_VERSION, id, tl_api_base_url(s->api));
    if (s->settings.share[0] && !strcmp(s->settings.share_with, "public"))
        tl_log(TL_LOG_INFO, "serving anyone %s; --private serves only your networks",
               s->settings.wan_relay_url.n ? "on this relay" : "who finds this node");
    (void)!tl_sdnotify("READY=1");
    return TL_OK;
}

int tl_cmd_serve(tl_cli *cli, const tl_args *args)
{
    static server s;
    tl_why why;
    s = (server){.cli = cli, .args = args, .lock = -1};
    tl_err e = tl_overrides_load(cli->paths.config, args, &s.settings, &why);
    if (!e)
        e = tl_overrides_check(args, &s.settings, &why);
    if (e)
        return tl_cli_usage(cli, "%s", why.text);
    const char *log_file = tl_args_value(args, "log-file");
    int told = -1; /* standard error as it was: `up` reads there why the node did not start */
    if (log_file) {
        told = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
        e = tl_logfile_use(log_file, &why);
    }
    apply_log_level(&s.settings);
    allow_descriptors();
    if (!e)
        e = open_all(&s, &why);
    if (!e)
        e = say_ready(&s, &why);
    if (told >= 0) {
        if (e)
            dprintf(told, "%s\n", why.text);
        close(told);
    }
    if (!e) {
        tl_sdwatchdog_start(&s.watchdog, s.loop);
        tl_loop_run(s.loop);
        tl_log(TL_LOG_INFO, "stopped");
    } else {
        tl_out_error("%s", why.text);
    }
    close_all(&s);
    return e ? TL_EXIT_FAILED : TL_EXIT_OK;
}
