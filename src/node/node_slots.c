/* The queue before the model server: its settings, and the owner who takes the machine back. */
#include "node/pausefile.h"
#include "node/state.h"
#include "node/verbs.h"

#include "base/log.h"

#include <stdio.h>

/* Of a model server that does not tell how many questions it answers at once. */
#define SLOTS_DEFAULT 4

static const char paused_words[] = "it is paused: its owner serves nobody else now";

/* --- asking the model server, when a question has its slot --- */

static tl_err ask_shared(void *user, const tl_ask *ask, const tl_exchange_sink *sink,
                         void *sink_user, tl_exchange **ret_exchange)
{
    tl_node *n = user;
    if (!n->backend || tl_backend_state_of(n->backend) != TL_BACKEND_UP)
        return TL_ERR_CLOSED;
    if (!tl_node_serves(n, ask->model))
        return TL_ERR_NOT_FOUND;
    return tl_backend_ask(n->backend, ask, sink, sink_user, ret_exchange);
}

tl_err tl_node_ask_for_others(void *user, const tl_ask *ask, const tl_exchange_sink *sink,
                              void *sink_user, tl_exchange **ret_exchange)
{
    return tl_slots_ask(((tl_node *)user)->slots, ask, sink, sink_user, ret_exchange);
}

/* --- settings --- */

static tl_slots_config config_of(const tl_node *n)
{
    const tl_settings *s = &n->settings;
    unsigned told = n->backend ? tl_backend_slots(n->backend) : 0;
    return (tl_slots_config){.slots = s->share_slots ? s->share_slots
                                      : told         ? told
                                                     : SLOTS_DEFAULT,
                             .queue_max = s->share_queue_max,
                             .wait_max = s->share_queue_wait_secs * TL_SEC};
}

tl_err tl_node_wire_slots(tl_node *n)
{
    tl_slots_config config = config_of(n);
    return tl_slots_new(&n->env, &config, ask_shared, n, &n->slots);
}

/* --- the owner takes the machine back --- */

/* False: there is no place for the file; then a pause ends with the program. */
static bool pause_path(const tl_node *n, char *ret, size_t cap)
{
    const char *slash = strrchr(n->port_file, '/');
    int dir = slash ? (int)(slash - n->port_file) + 1 : 0;
    return n->port_file[0] && (size_t)snprintf(ret, cap, "%.*spaused", dir, n->port_file) < cap;
}

bool tl_node_is_paused(const tl_node *n)
{
    return n->settings.share_pause || n->pause.on;
}

void tl_node_apply_slots(tl_node *n, bool now)
{
    tl_slots_config config = config_of(n);
    tl_places *places = tl_server_places(n->server);
    bool leaving = n->stage >= TL_NODE_DRAINING;
    const char *why = leaving                ? "this node is shutting down"
                      : tl_node_is_paused(n) ? paused_words
                                             : NULL;
    tl_slots_set_config(n->slots, &config);
    places->closed = tl_node_is_paused(n) ? paused_words : NULL;
    if (why)
        tl_slots_close(n->slots, why, now);
    else
        tl_slots_open(n->slots);
}

static void pause_changed(tl_node *n, bool now)
{
    tl_node_apply_slots(n, now);
    tl_node_tell_capabilities(n);
    tl_node_wake(n);
}

static void set_pause(tl_node *n, bool on, tl_unix until)
{
    tl_unix left = until - tl_loop_unix();
    bool has_end = on && until != TL_PAUSE_NO_END && left <= TL_PAUSE_MAX_SECS;
    n->pause.on = on;
    n->pause.until = until;
    n->pause.ends =
        has_end ? tl_loop_now(n->loop) + (tl_time)(left > 0 ? left : 0) * TL_SEC : TL_NEVER;
}

void tl_node_read_pause(tl_node *n)
{
    char path[sizeof n->port_file + 8];
    tl_unix until;
    n->pause.ends = TL_NEVER;
    if (!pause_path(n, path, sizeof path) || !tl_pausefile_read(path, &until))
        return;
    if (until != TL_PAUSE_NO_END && until <= tl_loop_unix())
        (void)!tl_pausefile_remove(path, NULL);
    else
        set_pause(n, true, until);
}

static tl_err end_pause(tl_node *n, tl_why *why)
{
    char path[sizeof n->port_file + 8];
    tl_err e = pause_path(n, path, sizeof path) ? tl_pausefile_remove(path, why) : TL_OK;
    if (!e)
        set_pause(n, false, TL_PAUSE_NO_END);
    return e;
}

void tl_node_slots_on_timer(tl_node *n)
{
    tl_why why;
    tl_slots_on_timer(n->slots);
    if (tl_loop_now(n->loop) < n->pause.ends)
        return;
    tl_log(TL_LOG_INFO, "the pause is over: others are served again");
    if (end_pause(n, &why)) {
        tl_log(TL_LOG_WARN, "%s", why.text);
        set_pause(n, false, TL_PAUSE_NO_END); /* its end stands in the file */
    }
    pause_changed(n, false);
}

tl_time tl_node_slots_expiry(const tl_node *n)
{
    return tl_time_min(tl_slots_expiry(n->slots), n->pause.ends);
}

/* --- what is told of it --- */

static json_t *until_json(const tl_node *n)
{
    if (!n->pause.on || n->settings.share_pause || n->pause.until == TL_PAUSE_NO_END)
        return json_null();
    return tl_json_time(n->pause.until);
}

static json_t *pause_json(const tl_node *n)
{
    return json_pack("{s:b, s:o}", "paused", tl_node_is_paused(n), "until", until_json(n));
}

json_t *tl_node_share_json(const tl_node *n)
{
    tl_slots_facts f;
    tl_slots_facts_of(n->slots, &f);
    return json_pack("{s:b, s:o, s:I, s:I, s:{s:I, s:I}}", "paused", tl_node_is_paused(n), "until",
                     until_json(n), "slots", (json_int_t)f.slots, "running", (json_int_t)f.running,
                     "queued", "private", (json_int_t)f.queued[TL_SCHED_PRIVATE], "public",
                     (json_int_t)f.queued[TL_SCHED_PUBLIC]);
}

/* --- `teale pause`, `teale resume` --- */

void tl_node_do_pause(tl_node *n, const json_t *args, tl_call *call)
{
    const json_t *for_s = json_object_get(args, "for_s"), *now = json_object_get(args, "now");
    json_int_t seconds = json_integer_value(for_s);
    char path[sizeof n->port_file + 8];
    tl_why why;
    if ((for_s && !json_is_null(for_s) &&
         (!json_is_integer(for_s) || seconds < 1 || seconds > TL_PAUSE_MAX_SECS)) ||
        (now && !json_is_null(now) && !json_is_boolean(now))) {
        tl_call_fail(call, "E_INVALID", "a pause lasts from 1 second to 10 years");
        return;
    }
    tl_unix until = seconds ? tl_loop_unix() + seconds : TL_PAUSE_NO_END;
    if (pause_path(n, path, sizeof path) && tl_pausefile_write(path, until, &why)) {
        tl_call_fail(call, "E_STORE", "%s", why.text);
        return;
    }
    set_pause(n, true, until);
    pause_changed(n, json_is_true(now));
    tl_call_ok(call, pause_json(n));
}

void tl_node_do_resume(tl_node *n, const json_t *args, tl_call *call)
{
    tl_why why;
    (void)args;
    if (end_pause(n, &why)) {
        tl_call_fail(call, "E_STORE", "%s", why.text);
        return;
    }
    pause_changed(n, false);
    if (n->settings.share_pause)
        tl_call_fail(
            call, "E_SETTING",
            "the setting share_pause is true, so others are still not served: teale config "
            "set share_pause false");
    else
        tl_call_ok(call, pause_json(n));
}
