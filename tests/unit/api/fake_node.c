#include "fake_node.h"

#include "base/json.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

static void on_cancel(tl_exchange *x)
{
    fake_ask *a = (fake_ask *)(void *)x;
    assert(!a->over);
    a->over = a->cancelled = true;
    tl_loop_stop(a->loop);
}

static void on_paused(tl_exchange *x, bool on)
{
    fake_ask *a = (fake_ask *)(void *)x;
    assert(!a->over && a->paused != on);
    a->paused = on;
    a->pauses += on;
    tl_loop_stop(a->loop);
}

static tl_progress progress(const tl_exchange *x)
{
    return ((const fake_ask *)(const void *)x)->progress;
}

void tl_node_tell_waiting(tl_node *n, const char *request, const char *model, const tl_progress *p,
                          tl_time waited)
{
    assert(*request && *model && waited > 0);
    n->told_waiting++;
    snprintf(n->waits_for, sizeof n->waits_for, "%s", tl_progress_waits_for(p));
    tl_loop_stop(n->loop);
}

tl_err tl_node_ask(tl_node *n, const tl_ask *ask, const tl_exchange_sink *sink, void *user,
                   tl_exchange **ret_exchange)
{
    assert(n->ask_n < FAKE_ASKS_MAX);
    fake_ask *a = calloc(1, sizeof *a);
    uint8_t *body = malloc(ask->body.n + 1);
    if (!a || !body) {
        free(a);
        free(body);
        return TL_ERR_NOMEM;
    }
    a->base.cancel = on_cancel;
    a->base.set_paused = on_paused;
    a->base.progress = progress;
    a->sink = *sink;
    a->user = user;
    a->loop = n->loop;
    a->ask = *ask;
    a->body = body;
    memcpy(a->body, ask->body.p, ask->body.n);
    a->ask.body.p = a->body;
    n->asks[n->ask_n++] = a;
    *ret_exchange = &a->base;
    tl_loop_stop(n->loop);
    return TL_OK;
}

void fake_node_init(tl_node *n, tl_loop *loop)
{
    *n = (tl_node){.loop = loop, .models = "{\"models\":[]}"};
    memset(n->id.key, 0x3F, sizeof n->id.key);
    if (tl_networks_new(&n->id, &n->book))
        abort();
}

void fake_node_clear(tl_node *n)
{
    for (size_t i = 0; i < n->ask_n; i++) {
        free(n->asks[i]->body);
        free(n->asks[i]);
    }
    n->ask_n = 0;
    json_decref(n->args);
    n->args = NULL;
    tl_networks_free(n->book);
    n->book = NULL;
}

void fake_head(fake_ask *a, int status, const char *type)
{
    tl_answer_head head = {.status = status, .via = TL_VIA_RELAYED};
    assert(!a->over);
    memset(head.peer.key, 0xA5, sizeof head.peer.key);
    memcpy(head.content_type, type, strlen(type));
    if (status == 429)
        memcpy(head.retry_after, "7", 1);
    a->sink.on_head(a->user, &head);
}

void fake_body_bytes(fake_ask *a, tl_slice bytes)
{
    assert(!a->over && !a->paused);
    a->sink.on_body(a->user, bytes);
}

void fake_body(fake_ask *a, const char *text)
{
    fake_body_bytes(a, tl_slice_str(text));
}

void fake_end(fake_ask *a)
{
    assert(!a->over);
    a->over = true;
    a->sink.on_end(a->user, &(tl_answer_end){0});
}

void fake_fail(fake_ask *a, tl_fail f, const char *message)
{
    assert(!a->over);
    a->over = true;
    a->sink.on_fail(a->user,
                    &(tl_failure){.fail = f, .message = message, .retry_after = a->retry_after});
}

void fake_event(tl_node *n, const char *name, const char *json)
{
    json_t *data = json_loads(json, 0, NULL);
    tl_node_listener *next;
    for (tl_node_listener *l = n->listeners; l; l = next) {
        next = l->next;
        l->on_event(l->user, name, data);
    }
    json_decref(data);
}

/* --- the rest of node.h --- */

const tl_networks *tl_node_networks(const tl_node *n)
{
    return n->book;
}

const tl_node_id *tl_node_id_of(const tl_node *n)
{
    return &n->id;
}

tl_err tl_node_ping_start(tl_node *n, const tl_node_id *peer, unsigned count, bool until_direct,
                          void (*on_result)(void *user, tl_time rtt, tl_via via, bool more,
                                            const char *why),
                          void *user, tl_node_ping **ret_ping)
{
    (void)peer;
    n->on_ping = on_result;
    n->ping_user = user;
    n->ping_count = count;
    n->ping_until_direct = until_direct;
    n->ping_freed = false;
    *ret_ping = (tl_node_ping *)(void *)n;
    tl_loop_stop(n->loop);
    return TL_OK;
}

void tl_node_ping_free(tl_node_ping *p)
{
    tl_node *n = (tl_node *)(void *)p;
    n->ping_freed = true;
    tl_loop_stop(n->loop);
}

json_t *tl_node_status(const tl_node *n)
{
    (void)n;
    return json_pack("{s:s}", "version", "fake");
}

json_t *tl_node_peers(const tl_node *n)
{
    (void)n;
    return json_pack("{s:[]}", "peers");
}

json_t *tl_node_traffic(const tl_node *n)
{
    (void)n;
    return json_pack("{s:i, s:[]}", "at_ms", 5, "peers");
}

/* A whole ID is known; "mum" is one node, "bob" are two. */
tl_err tl_node_find_peer(const tl_node *n, tl_slice text, tl_node_id *ret_peer, tl_why *why)
{
    (void)n;
    if (tl_slice_eq(text, TL_SLICE_LIT("mum")))
        text = TL_SLICE_LIT("d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a");
    if (tl_slice_eq(text, TL_SLICE_LIT("bob")))
        return tl_why_set(why, TL_ERR_EXISTS, "2 nodes are called bob");
    if (tl_slice_eq(text, TL_SLICE_LIT("nobody")))
        return tl_why_set(why, TL_ERR_NOT_FOUND, "no known node is called nobody");
    return tl_node_id_parse(text, ret_peer)
               ? tl_why_set(why, TL_ERR_INVALID, "a digit is missing or mistyped")
               : TL_OK;
}

tl_err tl_node_find_other(const tl_node *n, tl_slice text, tl_node_id *ret_peer, tl_why *why)
{
    tl_err e = tl_node_find_peer(n, text, ret_peer, why);
    return !e && tl_node_id_eq(ret_peer, &n->id)
               ? tl_why_set(why, TL_ERR_FORBIDDEN, "that is this node itself")
               : e;
}

const char *tl_node_name_of(const tl_node *n)
{
    (void)n;
    return "me";
}

bool tl_node_has_backend(const tl_node *n)
{
    (void)n;
    return false;
}

bool tl_node_lists(const tl_node *n, const char *model)
{
    size_t i;
    const json_t *m;
    json_t *list = tl_node_models(n);
    bool found = false;
    json_array_foreach (json_object_get(list, "models"), i, m)
        found |= !strcmp(tl_json_string(m, "id", ""), model);
    json_decref(list);
    return found;
}

json_t *tl_node_models(const tl_node *n)
{
    return json_loads(n->models, 0, NULL);
}

void tl_node_listen(tl_node *n, tl_node_listener *l)
{
    l->next = n->listeners;
    n->listeners = l;
}

void tl_node_unlisten(tl_node *n, tl_node_listener *l)
{
    tl_node_listener **at = &n->listeners;
    while (*at != l)
        at = &(*at)->next;
    *at = l->next;
}

void tl_node_facts_of(const tl_node *n, tl_node_facts *ret_facts)
{
    *ret_facts = n->facts;
}

static void on_look(void *user)
{
    tl_node_look *l = user;
    tl_node *n = l->node;
    l->node = NULL;
    if (n->models_after_look)
        n->models = n->models_after_look;
    l->on_done(l->user);
}

void tl_node_look_start(tl_node *n, tl_node_look *l, void (*on_done)(void *user), void *user)
{
    *l = (tl_node_look){.node = n, .on_done = on_done, .user = user};
    tl_timer_init(&l->timer, n->loop, on_look, l);
    tl_timer_set(&l->timer, tl_loop_now(n->loop) + n->look_takes);
    n->looks++;
    tl_loop_stop(n->loop);
}

void tl_node_unlook(tl_node_look *l)
{
    if (!l->node)
        return;
    tl_timer_stop(&l->timer);
    l->node->unlooked++;
    l->node = NULL;
    tl_loop_stop(l->timer.loop);
}

json_t *tl_node_netcheck(const tl_node *n)
{
    return json_pack("{s:i}", "netlooks", (int)n->netlooks);
}

json_t *tl_node_doctor(const tl_node *n)
{
    (void)n;
    return json_pack("{s:[{s:s}]}", "checks", "id", "fake");
}

json_t *tl_node_why(const tl_node *n, const tl_node_id *peer)
{
    ((tl_node *)(uintptr_t)n)->why_asked = *peer;
    return json_pack("{s:s}", "reason", "fake");
}

static void on_netlook(void *user)
{
    tl_node_netlook *l = user;
    l->node = NULL;
    l->on_done(l->user);
}

void tl_node_netlook_start(tl_node *n, tl_node_netlook *l, void (*on_done)(void *user), void *user)
{
    *l = (tl_node_netlook){.node = n, .on_done = on_done, .user = user};
    tl_timer_init(&l->timer, n->loop, on_netlook, l);
    tl_timer_set(&l->timer, tl_loop_now(n->loop) + n->netlook_takes);
    n->netlooks++;
    tl_loop_stop(n->loop);
}

void tl_node_unnetlook(tl_node_netlook *l)
{
    if (!l->node)
        return;
    tl_timer_stop(&l->timer);
    l->node->unnetlooked++;
    l->node = NULL;
    tl_loop_stop(l->timer.loop);
}

/* --- commands --- */

struct tl_call {
    tl_node *node;
};
static tl_call the_call;

tl_err tl_node_call(tl_node *n, const char *verb, const json_t *args, tl_node_done on_done,
                    void *user, tl_call **ret_call)
{
    if (strcmp(verb, "unknown") == 0)
        return TL_ERR_NOT_FOUND;
    if (strcmp(verb, "busy") == 0)
        return TL_ERR_BUSY;
    snprintf(n->verb, sizeof n->verb, "%s", verb);
    json_decref(n->args);
    n->args = json_deep_copy(args);
    n->on_call = on_done;
    n->call_user = user;
    the_call.node = n;
    *ret_call = &the_call;
    tl_loop_stop(n->loop);
    return TL_OK;
}

void tl_node_uncall(tl_call *call)
{
    assert(call->node->on_call);
    call->node->on_call = NULL;
    call->node->uncalled = true;
    tl_loop_stop(call->node->loop);
}

void fake_call_answer(tl_node *n, const char *json, const char *code, int exit, int status)
{
    json_t *result = code ? NULL : json_loads(json, 0, NULL);
    tl_node_failure f = {code, exit, status, json};
    tl_node_done on_call = n->on_call;
    assert(on_call && (code || result));
    n->on_call = NULL;
    on_call(n->call_user, result, code ? &f : NULL);
    json_decref(result);
}
