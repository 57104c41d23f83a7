#include "api/state.h"

#include <stdlib.h>

/* One client of /v1/events. */
struct tl_api_stream {
    tl_api *api;
    tl_httpd_req *r;
    bool foreign;
    tl_api_stream *next, *prev;
};

static void unlink_and_free(tl_api_stream *s)
{
    tl_api *api = s->api;
    if (s->prev)
        s->prev->next = s->next;
    else
        api->streams = s->next;
    if (s->next)
        s->next->prev = s->prev;
    api->counters.event_streams--;
    api->foreign_streams -= s->foreign;
    free(s);
    if (!api->streams)
        tl_timer_set(&api->heartbeat, TL_NEVER);
}

static void on_gone(void *user)
{
    unlink_and_free(user);
}

/* A client that does not read its events is disconnected, so that it never misses one without
 * knowing it. It connects again and reads the whole state. */
static void send_all(tl_api *api, tl_slice text)
{
    tl_api_stream *next;
    for (tl_api_stream *s = api->streams; s; s = next) {
        next = s->next;
        if (!tl_httpd_write(s->r, text)) {
            tl_httpd_abort(s->r);
            unlink_and_free(s);
        }
    }
}

static void on_event(void *user, const char *name, const json_t *data)
{
    tl_api *api = user;
    tl_buf text = {0};
    if (!api->streams)
        return;
    tl_err e = tl_buf_printf(&text, "event: %s\ndata: ", name);
    if (!e)
        e = tl_json_write(&text, data);
    if (!e)
        e = tl_buf_append_str(&text, "\n\n");
    if (!e)
        send_all(api, tl_buf_slice(&text));
    else
        tl_api_events_end(api); /* out of memory: no stream may miss an event */
    tl_buf_clear(&text);
}

static void on_heartbeat(void *user)
{
    tl_api *api = user;
    send_all(api, TL_SLICE_LIT(": still here\n\n"));
    if (api->streams)
        tl_timer_set(&api->heartbeat, tl_loop_now(api->loop) + api->config.heartbeat);
}

/* Other users of this machine, and pages of other origins, leave the owner a part of the places. */
static bool has_room(const tl_api *api, bool foreign)
{
    return api->counters.event_streams < TL_API_EVENT_STREAMS_MAX &&
           (!foreign || api->foreign_streams < TL_API_EVENT_FOREIGN_MAX);
}

void tl_api_on_events(tl_api *api, tl_httpd_req *r)
{
    static const tl_httpd_watch_events watch = {.on_gone = on_gone};
    static const char type[] = "text/event-stream; charset=utf-8";
    if (tl_slice_eq(tl_httpd_head(r)->method, TL_SLICE_LIT("HEAD"))) {
        tl_api_count(api, r, 200);
        tl_httpd_respond(r, 200, type, (tl_slice){NULL, 0});
        return;
    }
    bool foreign = !tl_api_is_owners(api, r);
    if (api->draining || !has_room(api, foreign)) {
        tl_api_error(api, r, 503, api->draining ? "unavailable" : "queue_full", NULL,
                     api->draining ? "this node is stopping" : "too many event streams are open");
        return;
    }
    tl_api_stream *s = calloc(1, sizeof *s);
    if (!s) {
        tl_api_error(api, r, 500, "internal_error", NULL, "out of memory");
        return;
    }
    s->api = api;
    s->r = r;
    s->foreign = foreign;
    s->next = api->streams;
    if (s->next)
        s->next->prev = s;
    else
        tl_timer_set(&api->heartbeat, tl_loop_now(api->loop) + api->config.heartbeat);
    api->streams = s;
    api->counters.event_streams++;
    api->foreign_streams += foreign;
    tl_httpd_watch(r, &watch, s);
    tl_api_count(api, r, 200);
    tl_httpd_begin(r, 200, type);
    (void)tl_httpd_write(r, TL_SLICE_LIT(": connected\n\n"));
}

void tl_api_events_init(tl_api *api)
{
    tl_timer_init(&api->heartbeat, api->loop, on_heartbeat, api);
    api->listener = (tl_node_listener){.on_event = on_event, .user = api};
    tl_node_listen(api->node, &api->listener);
}

void tl_api_events_end(tl_api *api)
{
    tl_api_stream *next;
    for (tl_api_stream *s = api->streams; s; s = next) {
        next = s->next;
        tl_httpd_close_after(s->r);
        tl_httpd_end(s->r);
        unlink_and_free(s);
    }
}

void tl_api_events_clear(tl_api *api)
{
    tl_timer_stop(&api->heartbeat);
    tl_node_unlisten(api->node, &api->listener);
}
