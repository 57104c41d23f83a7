#include "cli/daemon.h"

#include "base/when.h"
#include "cli/lock.h"
#include "cli/reach.h"
#include "cli/waiting.h"
#include "io/httpclient.h"

#include <poll.h>
#include <signal.h>

#define JSON_MAX     (16u << 20)  /* of an answer: /control/peers with 10,000 peers is smaller */
#define TIMEOUT_MAX  86400        /* a day */
#define CONNECT_TIME (5 * TL_SEC) /* a Unix socket answers at once, unless the daemon hangs */

/* One request on a loop of its own. */
typedef struct {
    tl_loop *loop;
    tl_http *http;
    tl_http_request *request; /* NULL after its end */
    tl_timer deadline, tick;
    tl_time began;
    void (*on_tick)(void *user, tl_time waited);
    const bool *given_up;
    tl_waiting waiting; /* without on_tick */
    tl_sigwatch *interrupt;
    void (*on_body)(void *user, tl_slice bytes);
    void *user;
    tl_daemon_answer *answer;
} call;

static void copy_field(char *ret, size_t size, const tl_http_head *head, const char *name)
{
    const char *value = tl_http_head_field(head, name);
    snprintf(ret, size, "%s", value ? value : "");
}

static void on_head(void *user, int status, const tl_http_head *head)
{
    call *c = user;
    c->answer->status = status;
    copy_field(c->answer->peer, sizeof c->answer->peer, head, "X-Teale-Peer");
    copy_field(c->answer->path, sizeof c->answer->path, head, "X-Teale-Path");
    copy_field(c->answer->price, sizeof c->answer->price, head, "X-Teale-Price");
    copy_field(c->answer->type, sizeof c->answer->type, head, "Content-Type");
}

static void end(call *c, tl_err e, const char *why)
{
    if (c->request)
        tl_http_cancel(c->request);
    c->request = NULL;
    c->answer->e = tl_why_set(&c->answer->why, e, "%s", why);
    tl_loop_stop(c->loop);
}

static void on_body(void *user, tl_slice bytes)
{
    call *c = user;
    tl_waiting_say(&c->waiting, "%s", "");
    tl_waiting_end(&c->waiting);
    bool good = c->answer->status >= 200 && c->answer->status < 300;
    if (good && c->on_body)
        c->on_body(c->user, bytes);
    else if (c->answer->body.len + bytes.n > JSON_MAX)
        end(c, TL_ERR_TOO_LARGE, "the daemon's answer is too large");
    else if (tl_buf_append(&c->answer->body, bytes))
        end(c, TL_ERR_NOMEM, "out of memory");
}

static void on_done(void *user, tl_err e, const char *why)
{
    call *c = user;
    c->request = NULL;
    end(c, e, why);
}

static void on_deadline(void *user)
{
    end(user, TL_ERR_TIMEOUT, "no answer in time");
}

static void on_tick(void *user)
{
    call *c = user;
    tl_time now = tl_loop_now(c->loop);
    if (c->on_tick)
        c->on_tick(c->user, now - c->began);
    else
        tl_waiting_tick(&c->waiting, now - c->began);
    if (c->given_up && *c->given_up)
        end(c, TL_ERR_CANCELLED, "given up");
    else
        tl_timer_set(&c->tick, now + TL_DAEMON_TICK);
}

static void on_interrupt(void *user, int signo)
{
    call *c = user;
    (void)signo;
    c->answer->interrupted = true;
    end(c, TL_ERR_CANCELLED, "interrupted");
}

static tl_err start(call *c, const tl_cli *cli, const tl_daemon_ask *ask, tl_slice body,
                    tl_why *why)
{
    static const tl_http_events events = {
        .on_head = on_head, .on_body = on_body, .on_done = on_done};
    char url[512];
    snprintf(url, sizeof url, "http://localhost%s", ask->path);
    tl_http_ask http = tl_http_ask_default();
    http.method = ask->method;
    http.url = url;
    http.unix_path = tl_reach_socket(&cli->paths);
    http.body = body;
    http.connect = CONNECT_TIME;
    http.first_byte = TL_NEVER;
    http.silence = TL_NEVER;
    size_t n = 0;
    for (; n < TL_DAEMON_FIELDS_MAX && ask->names[n]; n++)
        http.fields[n] = (tl_http_field){ask->names[n], ask->values[n]};
    if (ask->body)
        http.fields[n] = (tl_http_field){"Content-Type", "application/json"};
    return tl_http_start(c->http, &http, &events, c, &c->request, why);
}

void tl_daemon_run(const tl_cli *cli, const tl_daemon_ask *ask,
                   void (*take_body)(void *user, tl_slice bytes), void *user, tl_daemon_answer *ret)
{
    *ret = (tl_daemon_answer){.e = TL_ERR_NOMEM};
    call c = {.on_body = take_body, .user = user, .answer = ret};
    tl_buf body = {0};
    tl_err e = ask->body ? tl_json_write(&body, ask->body) : TL_OK;
    if (!e)
        e = tl_loop_new(&c.loop);
    if (!e)
        e = tl_http_new(c.loop, &c.http);
    if (!e)
        e = start(&c, cli, ask, tl_buf_slice(&body), &ret->why);
    if (!e && ask->interruptible)
        e = tl_sigwatch_new(c.loop, SIGINT, on_interrupt, &c, &c.interrupt);
    if (!e) {
        tl_timer_init(&c.deadline, c.loop, on_deadline, &c);
        if (ask->timeout != TL_NEVER)
            tl_timer_set(&c.deadline, tl_loop_now(c.loop) + ask->timeout);
        tl_timer_init(&c.tick, c.loop, on_tick, &c);
        c.began = tl_loop_now(c.loop);
        c.on_tick = ask->on_tick;
        c.given_up = ask->given_up;
        c.waiting = tl_waiting_for(cli, "%s", ask->waits_for ? ask->waits_for : "");
        if (c.on_tick || ask->waits_for)
            tl_timer_set(&c.tick, c.began + TL_DAEMON_TICK);
        tl_loop_run(c.loop);
        tl_waiting_end(&c.waiting);
        tl_timer_stop(&c.tick);
        tl_timer_stop(&c.deadline);
        tl_sigwatch_free(c.interrupt);
    } else {
        ret->e = e;
    }
    if (c.http)
        tl_http_free(c.http);
    if (c.loop)
        tl_loop_free(c.loop);
    tl_buf_clear(&body);
}

void tl_daemon_answer_clear(tl_daemon_answer *a)
{
    tl_buf_clear(&a->body);
}

typedef struct {
    const char *code;
    int exit;
    const char *remedy;
} remedy;

static const remedy remedies[] = {
    {"model_not_found", TL_EXIT_FAILED, "`teale models` lists the models that can be asked."},
    {"peer_failed", TL_EXIT_UNREACHABLE, "Try again, or see how it is connected: teale peers"},
    {"backend_unreachable", TL_EXIT_FAILED,
     "At the node that shares it, `teale status` says what to do."},
    {"backend_auth", TL_EXIT_DENIED, "The model server wants another key: see backend_key_file."},
    {"queue_full", TL_EXIT_FAILED, "Try again later."},
    {"own_node", TL_EXIT_USAGE, "Name another node: teale peers lists them."},
    {"invalid_node_id", TL_EXIT_USAGE, "`teale peers --long` lists the known IDs."},
    {"ambiguous_peer", TL_EXIT_USAGE, "`teale peers --long` lists the known IDs."},
    {"forbidden", TL_EXIT_DENIED,
     "`teale ptn list` shows your private networks, `teale doctor` what is wrong with one."},
    {"ambiguous_network", TL_EXIT_USAGE, "Or call one otherwise here: teale ptn rename ID NAME"},
    {"payment_required", TL_EXIT_DENIED,
     "`teale models` shows prices, `teale wallet` what is owed; price.max_micro is the most that "
     "this node pays."},
    {"timeout", TL_EXIT_TIMEOUT, "Try again, or raise the timeouts: teale config list"},
};

/* Text from the daemon, harmless to a terminal and never cut. The caller frees it with
 * tl_buf_clear; "" when there is no memory. */
static const char *plain(tl_buf *b, const char *text)
{
    if (tl_out_clean(b, text) || tl_buf_append(b, tl_slice_of("", 1)))
        return "";
    return (const char *)tl_buf_begin(b);
}

/* Says so if this machine's own model server should be shared and is not. */
static void tell_own_server(const json_t *status)
{
    const json_t *sharing = json_object_get(status, "sharing");
    tl_buf cause = {0}, advice = {0};
    if (!strcmp(tl_json_string(sharing, "state", ""), "nothing"))
        tl_out_note("Nothing is shared here: %s. %s",
                    plain(&cause, tl_json_string(sharing, "cause", "")),
                    plain(&advice, tl_json_string(sharing, "remedy", "")));
    tl_buf_clear(&cause);
    tl_buf_clear(&advice);
}

bool tl_daemon_is_on_lan(const json_t *status)
{
    const char *by = tl_json_string(json_object_get(status, "lan"), "discovery", "off");
    return strcmp(by, "off") != 0 && strcmp(by, "failed") != 0;
}

void tl_daemon_write_announced(char ret_text[TL_DAEMON_ANNOUNCED_MAX], const json_t *status)
{
    int nodes = (int)tl_json_number(json_object_get(status, "lan"), "nodes", 0);
    if (nodes)
        snprintf(ret_text, TL_DAEMON_ANNOUNCED_MAX, "%d node%s announced there", nodes,
                 nodes == 1 ? " is" : "s are");
    else
        snprintf(ret_text, TL_DAEMON_ANNOUNCED_MAX, "nobody is announced there yet");
}

bool tl_daemon_is_offline(const json_t *status)
{
    return tl_json_bool(status, "offline", false);
}

void tl_daemon_tell_offline(void)
{
    tl_out_note("This machine has no network: no interface has an address. Connect it to one; the "
                "node notices by itself.");
}

bool tl_daemon_can_look(const json_t *status)
{
    return tl_json_bool(json_object_get(status, "wan"), "enabled", false) ||
           (tl_daemon_is_on_lan(status) && !tl_daemon_is_offline(status));
}

void tl_daemon_tell_no_model(const json_t *status)
{
    const json_t *wan = json_object_get(status, "wan");
    tl_buf url = {0}, error = {0};
    bool wan_on = tl_json_bool(wan, "enabled", false);
    char announced[TL_DAEMON_ANNOUNCED_MAX];
    tl_daemon_write_announced(announced, status);
    if (!wan_on && tl_daemon_is_offline(status))
        tl_daemon_tell_offline();
    else if (!wan_on && tl_daemon_is_on_lan(status))
        tl_out_note("No model is known yet: this node finds others on the local network alone, and "
                    "%s. A question asks all: teale chat \"Why is the sky blue?\"",
                    announced);
    else if (!wan_on)
        tl_out_note("No model can be asked: no relay is used. Name one on which others share a "
                    "model (teale down, then teale up --relay URL), or share a model server of "
                    "this machine (--share URL). Machines on the same local network need no relay: "
                    "teale config set lan_enabled true");
    else if (!strcmp(tl_json_string(wan, "state", ""), "none"))
        tl_out_note("No model can be asked: no relay is set, and no node that shares one is known. "
                    "Connect to one by its ID, of 64 digits: teale ping NODE_ID");
    else if (!strcmp(tl_json_string(wan, "state", ""), "aside"))
        tl_out_note("No model of others can be asked: %s",
                    plain(&error, tl_json_string(wan, "error", "")));
    else if (strcmp(tl_json_string(wan, "state", ""), "connected") != 0)
        tl_out_note("No model can be asked: the relay %s is not reached: %s. The node keeps "
                    "trying. See: teale doctor",
                    plain(&url, tl_json_string(wan, "relay", "")),
                    plain(&error, tl_json_string(wan, "error", "no answer yet")));
    else if (!tl_json_bool(status, "asks_others", true))
        tl_out_note(
            "No model can be asked: ask is \"networks\", and this node is in no private "
            "network. Join one: teale join CODE. Or ask anyone on the relay: teale config set "
            "ask any");
    else
        tl_out_note("No model can be asked: nobody on this relay shares one with this node now.");
    tell_own_server(status);
    tl_buf_clear(&url);
    tl_buf_clear(&error);
}

json_t *tl_daemon_status(const tl_cli *cli, tl_time within)
{
    tl_daemon_answer a;
    tl_daemon_ask ask = {.method = "GET", .path = "/control/status", .timeout = within};
    json_t *status = NULL;
    tl_daemon_run(cli, &ask, NULL, NULL, &a);
    if (!a.e && a.status == 200 && tl_json_parse(tl_buf_slice(&a.body), 16, &status, NULL))
        status = NULL;
    tl_daemon_answer_clear(&a);
    return status;
}

/* Says why there is no provider, and what to do: the relay is off, away, or has none. */
static int explain_no_provider(const tl_cli *cli)
{
    json_t *status = tl_daemon_status(cli, CONNECT_TIME);
    int code = TL_EXIT_FAILED;
    const json_t *wan = json_object_get(status, "wan");
    bool here = json_array_size(json_object_get(json_object_get(status, "backend"), "models")) > 0;
    bool off = wan && !here && !tl_json_bool(wan, "enabled", false);
    if (!here && tl_daemon_is_offline(status)) {
        tl_daemon_tell_offline();
        code = TL_EXIT_UNREACHABLE;
    } else if (off && tl_daemon_is_on_lan(status)) {
        tl_out_note("Share a model on a machine of the same local network (there: teale up --share "
                    "URL), or name a relay: teale down, then teale up --relay URL");
    } else if (off) {
        tl_out_note(
            "For machines on the same local network: teale config set lan_enabled true. For "
            "others: teale down, then teale up --relay URL. Or share a model server of this "
            "machine: --share URL");
    } else if (tl_json_bool(wan, "enabled", false) &&
               !strcmp(tl_json_string(wan, "state", ""), "none")) {
        tl_out_note("No relay is set. Connect to a node that serves the model by its ID, of 64 "
                    "digits: teale ping NODE_ID. `teale models` lists what is known.");
    } else if (tl_json_bool(wan, "enabled", false) &&
               strcmp(tl_json_string(wan, "state", ""), "connected") != 0) {
        tl_out_note("The relay is not reached; the node keeps trying. See: teale doctor");
        code = TL_EXIT_UNREACHABLE;
    } else {
        tl_out_note("`teale models` lists the models that can be asked, and who has paused.");
    }
    tell_own_server(status);
    json_decref(status);
    return code;
}

/* A peer that failed, while this machine has no network: the remedy is here. */
static bool explain_offline(const tl_cli *cli, const char *code)
{
    if (strcmp(code, "peer_failed") != 0)
        return false;
    json_t *status = tl_daemon_status(cli, CONNECT_TIME);
    bool is = tl_daemon_is_offline(status);
    if (is)
        tl_daemon_tell_offline();
    json_decref(status);
    return is;
}

int tl_daemon_explain_error(const tl_cli *cli, const json_t *error)
{
    tl_buf message = {0};
    const char *code = tl_json_string(error, "code", "");
    if (tl_out_clean(&message, tl_json_string(error, "message", "the daemon did not say why")) ||
        tl_buf_append(&message, tl_slice_of("", 1)))
        return TL_EXIT_FAILED;
    tl_out_error("%s", (const char *)tl_buf_begin(&message));
    tl_buf_clear(&message);
    if (!strcmp(code, "no_provider"))
        return explain_no_provider(cli);
    if (explain_offline(cli, code))
        return TL_EXIT_UNREACHABLE;
    for (size_t i = 0; i < sizeof remedies / sizeof *remedies; i++)
        if (!strcmp(code, remedies[i].code)) {
            tl_out_note("%s", remedies[i].remedy);
            return remedies[i].exit;
        }
    return TL_EXIT_FAILED;
}

static int explain_status(const tl_cli *cli, const tl_daemon_answer *a)
{
    json_t *body = NULL;
    int code;
    if (!tl_json_parse(tl_buf_slice(&a->body), 16, &body, NULL) && json_object_get(body, "error")) {
        code = tl_daemon_explain_error(cli, json_object_get(body, "error"));
    } else {
        tl_out_error("the daemon answered with status %d", a->status);
        code = TL_EXIT_FAILED;
    }
    json_decref(body);
    if (a->status == 401 || a->status == 402 || a->status == 403)
        code = TL_EXIT_DENIED;
    return a->status == 504 ? TL_EXIT_TIMEOUT : code;
}

/* True if no process is the node any more. One that was killed keeps its lock for a moment. */
static bool has_ended(const tl_cli *cli)
{
    for (int i = 0; i < 10 && tl_lock_is_taken(cli->paths.lock); i++)
        poll(NULL, 0, 50);
    return !tl_lock_is_taken(cli->paths.lock);
}

int tl_daemon_explain(const tl_cli *cli, const tl_daemon_answer *a)
{
    if (a->e == TL_ERR_UNREACHABLE)
        return tl_reach_explain(&cli->paths);
    if (a->e == TL_ERR_TIMEOUT) {
        tl_out_error("the daemon gave no answer in time");
        return TL_EXIT_TIMEOUT;
    }
    if (a->e && a->status && has_ended(cli)) {
        tl_out_error("the node ended before its answer was complete");
        tl_out_note("Start it again: teale up. Its log: %s", cli->paths.log);
        return TL_EXIT_NOT_RUNNING;
    }
    if (a->e) {
        tl_out_error("asking the daemon failed: %s", a->why.text);
        return TL_EXIT_FAILED;
    }
    return a->status >= 200 && a->status < 300 ? TL_EXIT_OK : explain_status(cli, a);
}

/* What the node does, or asks, before it answers. */
static const char *waits_for(const char *path)
{
    static const char *const words[][2] = {{"/control/models", "the relay's and the peers' models"},
                                           {"/control/netcheck", "the STUN servers"},
                                           {"/control/doctor", "the node's tests"},
                                           {"/control/peers", "the relay's list of peers"}};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (!strncmp(path, words[i][0], strlen(words[i][0])))
            return words[i][1];
    return "the node";
}

int tl_daemon_get(const tl_cli *cli, const char *path, tl_time timeout, json_t **ret)
{
    tl_daemon_answer a;
    tl_daemon_run(
        cli,
        &(tl_daemon_ask){
            .method = "GET", .path = path, .timeout = timeout, .waits_for = waits_for(path)},
        NULL, NULL, &a);
    int code = tl_daemon_explain(cli, &a);
    tl_why why;
    if (!code && tl_json_parse(tl_buf_slice(&a.body), 16, ret, &why)) {
        tl_out_error("the daemon's answer is not understood: %s", why.text);
        code = TL_EXIT_FAILED;
    }
    tl_daemon_answer_clear(&a);
    return code;
}

void tl_daemon_tell_missing(const tl_cli *cli)
{
    json_t *status = tl_daemon_status(cli, CONNECT_TIME), *model;
    const json_t *sharing = json_object_get(status, "sharing");
    size_t i;
    json_array_foreach (json_object_get(sharing, "missing"), i, model) {
        tl_buf name = {0};
        tl_out_note("not shared: the model server does not serve \"%s\"",
                    plain(&name, json_is_string(model) ? json_string_value(model) : ""));
        tl_buf_clear(&name);
    }
    tell_own_server(status);
    json_decref(status);
}

bool tl_daemon_setting_changed(const tl_cli *cli, const char *key)
{
    json_t *body = json_pack("{s:s}", "key", key), *said = NULL;
    tl_daemon_ask ask = {
        .method = "POST", .path = "/control/setting", .body = body, .timeout = CONNECT_TIME};
    tl_daemon_answer a;
    tl_daemon_run(cli, &ask, NULL, NULL, &a);
    bool understood = !a.e && !tl_json_parse(tl_buf_slice(&a.body), 16, &said, NULL);
    const json_t *error = json_object_get(said, "error");
    bool refused = understood && !strcmp(tl_json_string(error, "code", ""), "invalid_setting");
    tl_buf cause = {0};
    if (a.e == TL_ERR_UNREACHABLE)
        ; /* no daemon: the change of the file is enough */
    else if (refused)
        tl_out_error("the running daemon cannot take it: %s",
                     plain(&cause, tl_json_string(error, "message", "it did not say why")));
    else if (!understood || a.status != 200)
        tl_out_note("Saved. The running daemon did not say that it took it up; see its log: %s",
                    cli->paths.log);
    else if (!tl_json_bool(said, "applied", false))
        tl_out_note("Saved. %s", tl_json_string(said, "message",
                                                "It takes effect after a restart: teale restart"));
    tl_buf_clear(&cause);
    json_decref(said);
    json_decref(body);
    tl_daemon_answer_clear(&a);
    return !refused;
}

bool tl_daemon_timeout(const tl_cli *cli, const tl_args *args, tl_time fallback, tl_time *ret)
{
    const char *text = tl_args_value(args, "timeout");
    int64_t secs;
    if (!text) {
        *ret = fallback;
        return true;
    }
    if ((!tl_args_whole(text, 1, TIMEOUT_MAX, &secs) && tl_span_parse(tl_slice_str(text), &secs)) ||
        secs > TIMEOUT_MAX) {
        tl_cli_usage(cli,
                     "--timeout must be a whole number of seconds from 1 to %d, or a time such "
                     "as 30s or 5m",
                     TIMEOUT_MAX);
        return false;
    }
    *ret = (tl_time)secs * TL_SEC;
    return true;
}
