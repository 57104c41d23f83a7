/* Memory that runs out at each allocation in turn: the caller, the sink or the peer is told, and
 * nothing stays behind. */
#include "../support/failalloc.h"
#include "ask/router.h"
#include "ask/server.h"
#include "asker_scene.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

/* Its own memory is there before any runs out. */
static tl_quic_stream *roomy_stream(void)
{
    tl_quic_stream *s = fake_stream_new();
    uint8_t *room;
    assert_int_equal(tl_buf_reserve(&s->out, 4096, &room), TL_OK);
    assert_int_equal(tl_buf_reserve(&s->in, 4096, &room), TL_OK);
    return s;
}

static void reuse(tl_quic_stream *s)
{
    tl_buf out = s->out, in = s->in;
    tl_buf_consume(&out, out.len);
    tl_buf_consume(&in, in.len);
    *s = (tl_quic_stream){.out = out, .in = in, .room = SIZE_MAX};
}

/* --- the asker --- */

static tl_err ask_a_peer(void *user)
{
    tl_quic_stream *stream = user;
    asker_scene s = {0};
    tl_asker_times times = {FIRST_BYTE, SILENCE};
    tl_env env = fake_env_of(&s.env);
    listener l = {0};
    tl_ask ask = {.id = "r1", .path = "/v1/x", .body = TL_SLICE_LIT(QUESTION), .peer = {{7}}};
    reuse(stream);
    tl_err e = tl_asker_new(&env, &s.peers, &times, &s.asker);
    if (!e)
        e = tl_asker_ask(s.asker, &ask, "m", &listener_sink, &l, &l.exchange);
    if (!e) {
        asker_scene_grant(&s, stream);
        if (l.calls[ON_FAIL])
            e = TL_ERR_NOMEM;
        assert_int_equal(stream->out_fin, !e);
        assert_int_equal(stream->reset, e != TL_OK);
    }
    asker_scene_clear(&s);
    return e;
}

static void the_asker_tells_that_memory_is_out(void **state)
{
    (void)state;
    tl_quic_stream *stream = roomy_stream();
    assert_in_range(failalloc_sweep(ask_a_peer, stream), 4, 100);
    fake_stream_free(stream);
}

/* --- the server --- */

static const char *serves(void *user, const char *model)
{
    (void)user;
    return model;
}

static tl_err refuse(void *user, const tl_ask *ask, const tl_exchange_sink *sink, void *sink_user,
                     tl_exchange **ret_exchange)
{
    (void)user, (void)ask, (void)sink, (void)sink_user, (void)ret_exchange;
    return TL_ERR_NOMEM;
}

static void ignore_done(void *user, const tl_ask *ask, tl_fail fail, const tl_answer_end *end)
{
    (void)user, (void)ask, (void)fail, (void)end;
}

/* Every way ends in an error message, or in a reset when there is no memory for it. */
static tl_err serve_a_peer(void *user)
{
    static const tl_server_backend backend = {serves, refuse, ignore_done};
    static const tl_access access = {.share_public = true, .sharing = true, .running = true};
    static const tl_server_policy policy = {1, TL_SEC};
    static const tl_node_id peer = {{2}};
    static const char request[] =
        "\0\0\0\x77\0{\"inferenceRequest\":{\"requestID\":\"r1\",\"model\":\"m\","
        "\"streaming\":true,\"path\":\"/rerank\",\"contentType\":\"application/json\"}}"
        "\0\0\0\x0e\1{\"model\":\"m\"}";
    tl_quic_stream *stream = user;
    fake_env time = {0};
    tl_env env = fake_env_of(&time);
    tl_server *s = NULL;
    reuse(stream);
    stream->piece = 50; /* the message is put together from pieces */
    fake_lay(stream, tl_slice_of(request, sizeof request - 1));
    tl_err e = tl_server_new(&env, &access, &policy, &backend, NULL, &s);
    if (e)
        return e;
    tl_server_on_stream(s, &peer, stream);
    assert_true(stream->user || failalloc_failed());
    fake_ends(stream);
    assert_true(stream->out_fin || stream->reset);
    assert_int_equal(tl_server_running(s), stream->out_fin && tl_server_counters_of(s)->failed);
    /* Without memory for the body the peer may hear "queue_full": nothing else failed. */
    e = failalloc_failed() ? TL_ERR_NOMEM : TL_OK;
    assert_true(e || tl_server_counters_of(s)->failed == 1);
    tl_server_free(s);
    assert_null(stream->user);
    return e;
}

static void the_server_tells_the_peer_or_resets_when_memory_is_out(void **state)
{
    (void)state;
    tl_quic_stream *stream = roomy_stream();
    assert_in_range(failalloc_sweep(serve_a_peer, stream), 6, 200);
    fake_stream_free(stream);
}

/* --- the router --- */

size_t tl_peers_warm(const tl_peers *peers)
{
    (void)peers;
    return 0;
}

bool tl_peers_facts(const tl_peers *p, const tl_peer *peer, tl_peer_facts *ret_facts)
{
    (void)p, (void)peer, (void)ret_facts;
    return false;
}

static size_t one(void *user)
{
    (void)user;
    return 1;
}

static const char *its_name(void *user, size_t i)
{
    (void)user, (void)i;
    return "theirs";
}

static void nothing_is_answered(void *user, const tl_ask *ask, const tl_answer_head *head,
                                tl_fail fail)
{
    (void)user, (void)ask, (void)head;
    assert_int_equal(fail, TL_FAIL_UNAVAILABLE); /* not a word about the body */
}

static tl_err ask_a_router(void *user)
{
    static const tl_router_world world = {.local_count = one,
                                          .local_model = its_name,
                                          .local_ask = refuse,
                                          .on_done = nothing_is_answered};
    static const tl_access access = {.running = true};
    static const tl_node_id own = {{1}};
    tl_peer_table table = {0};
    fake_env time = {0};
    tl_env env = fake_env_of(&time);
    tl_router *r = NULL;
    listener l = {0};
    tl_ask ask = {.id = "r1", .model = TL_MODEL_AUTO, .body = TL_SLICE_LIT(QUESTION)};
    (void)user;
    tl_err e = tl_router_new(&own, &env, &access, &table, NULL, NULL, &world, NULL, &r);
    if (!e)
        e = tl_router_ask(r, &ask, &listener_sink, &l, &l.exchange);
    if (!e) {
        tl_router_run(r); /* the model server refuses, or there is no memory to ask it */
        assert_int_equal(l.fail, TL_FAIL_UNAVAILABLE);
        e = failalloc_failed() ? TL_ERR_NOMEM : TL_OK;
    }
    if (r)
        assert_int_equal(tl_router_running(r), 0);
    tl_router_free(r);
    return e;
}

static void the_router_tells_that_memory_is_out(void **state)
{
    (void)state;
    assert_in_range(failalloc_sweep(ask_a_router, NULL), 4, 100);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_asker_tells_that_memory_is_out),
        cmocka_unit_test(the_server_tells_the_peer_or_resets_when_memory_is_out),
        cmocka_unit_test(the_router_tells_that_memory_is_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
