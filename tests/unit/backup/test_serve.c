/* Streams of peers with requests about fragments: how long each may stay, and what a peer is told for which there
 * is no place. */
#include "backup/serve.h"

#include "fake_stream.h"
#include "holder_scene.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static tl_fragment_server *server;

static int begin(void **state)
{
    return hold_begin(state) || tl_fragment_server_new(&hold_env, holder, &server);
}

static int end(void **state)
{
    tl_fragment_server_free(server);
    return hold_end(state);
}

static tl_quic_stream *open_stream(const tl_identity *by, const tl_talk *m)
{
    tl_quic_stream *s = fake_stream_new();
    tl_buf text = {0};
    tl_cluster_message message;
    tl_frame_reader reader = {0};
    assert_int_equal(tl_talk_write(&text, m), TL_OK);
    assert_int_equal(tl_cluster_parse(tl_buf_slice(&text), &message), TL_OK);
    assert_int_equal(message.type, TL_CLUSTER_OTHER);
    tl_fragment_server_on_stream(server, &by->id, s, &message.u.other, &reader);
    tl_cluster_message_clear(&message);
    tl_buf_clear(&text);
    return s;
}

static tl_quic_stream *open_put(const tl_identity *by, size_t n, unsigned mark)
{
    tl_talk m = {
        .type = TL_TALK_PUT,
        .u.put = {.fragment = hold_id_of(n, mark), .size = (uint32_t)n, .recovery = recovery.id}};
    return open_stream(by, &m);
}

/* The type of what was said; of an error its code + 100; -1: nothing was. */
static int said(tl_quic_stream *s)
{
    size_t at = 0;
    tl_frame_kind kind;
    tl_slice bytes;
    tl_talk m;
    if (!fake_next_said(s, &at, &kind, &bytes))
        return -1;
    assert_int_equal(tl_talk_parse(bytes, &m), TL_OK);
    return m.type == TL_TALK_ERROR ? 100 + (int)m.u.error.code : (int)m.type;
}

static void wait_for(tl_time t)
{
    now += t;
    tl_fragment_server_on_timer(server);
    tl_holder_on_timer(holder);
    hold_settle();
}

static void send_body(tl_quic_stream *s, size_t n, unsigned mark, size_t from, size_t to)
{
    tl_buf b = hold_content_of(n, mark);
    fake_lay_frame(s, TL_FRAME_BODY, tl_slice_of(tl_buf_begin(&b) + from, to - from));
    if (to == n)
        fake_ends(s);
    else
        fake_arrives(s);
    tl_buf_clear(&b);
}

static void a_put_that_sends_nothing_goes_after_five_seconds(void **state)
{
    (void)state;
    tl_quic_stream *hushed = open_put(&people[9], 5000, 1),
                   *slow_one = open_put(&people[9], 5000, 2);
    wait_for(4 * TL_SEC);
    assert_false(hushed->reset);
    send_body(slow_one, 5000, 2, 0, 100);
    wait_for(TL_SEC);
    assert_true(hushed->reset);
    assert_false(slow_one->reset);
    send_body(slow_one, 5000, 2, 100, 5000);
    hold_settle();
    assert_int_equal(said(slow_one), TL_TALK_RECEIPT);
    fake_closes(slow_one, "");
    assert_int_equal(hold_counts().bytes, TL_HOLDER_BLOCK);
    fake_stream_free(hushed);
    fake_stream_free(slow_one);
}

static void a_put_that_trickles_goes_in_the_end(void **state)
{
    (void)state;
    tl_quic_stream *s = open_put(&people[9], 5000, 1);
    unsigned i = 0;
    for (; i < 100 && !s->reset; i++) {
        send_body(s, 5000, 1, i, i + 1);
        wait_for(4 * TL_SEC);
    }
    assert_in_range(i, 7, 9); /* TL_FRAGMENT_SERVE_SLACK */
    assert_int_equal(hold_counts().bytes, 0);
    fake_stream_free(s);
}

static void an_answer_that_is_taken_a_little_at_a_time_goes_in_the_end(void **state)
{
    (void)state;
    tl_talk m = {.type = TL_TALK_GET};
    tl_fragment_id id = hold_id_of(MIB, 1);
    memcpy(m.u.get, id.bytes, sizeof m.u.get);
    assert_int_equal(hold_put(&people[9], MIB, 1), TL_TALK_RECEIPT);
    tl_quic_stream *s = open_stream(&people[9], &m);
    s->room = 100;
    hold_settle();
    unsigned i = 0;
    for (; i < 100 && !s->reset; i++) {
        fake_makes_room(s, 100);
        wait_for(4 * TL_SEC);
    }
    assert_in_range(i, 14, 17); /* 30 s + 1 MiB / 32 KiB */
    fake_stream_free(s);
}

static void who_finds_no_place_is_told_so_and_goes(void **state)
{
    (void)state;
    tl_quic_stream *s[TL_HOLDER_OPS_OF_STRANGER + 4];
    unsigned n = 0;
    for (; n < TL_HOLDER_OPS_OF_STRANGER; n++)
        s[n] = open_put(&people[9], 100, n);
    for (unsigned i = 0; i < 2; i++) {
        s[n] = open_put(&people[9], 100, 50 + i);
        assert_int_equal(said(s[n]), REFUSED(UNAVAILABLE));
        assert_true(s[n]->out_fin);
        assert_false(s[n]->reset); /* what it sends is read, and thrown away */
        fake_lay_text(s[n], TL_FRAME_BODY, "bytes");
        fake_arrives(s[n]);
        assert_int_equal(s[n]->in.len, 0);
        n++;
    }
    s[n++] = open_put(&people[9], 100, 60); /* TL_FRAGMENT_SERVE_TOLD_OF_PEER */
    assert_true(s[n - 1]->reset);
    s[n++] = open_put(&people[10], 100, 61); /* another one has a place */
    assert_int_equal(said(s[n - 1]), -1);
    assert_int_equal(hold_counts().refused_rate, 2);
    wait_for(5 * TL_SEC);
    for (unsigned i = 0; i < n; i++) {
        assert_true(s[i]->reset);
        fake_stream_free(s[i]);
    }
    tl_quic_stream *again = open_put(&people[9], 100, 1);
    send_body(again, 100, 1, 0, 100);
    hold_settle();
    assert_int_equal(said(again), TL_TALK_RECEIPT);
    fake_closes(again, "");
    fake_stream_free(again);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_put_that_sends_nothing_goes_after_five_seconds),
        TEST(a_put_that_trickles_goes_in_the_end),
        TEST(an_answer_that_is_taken_a_little_at_a_time_goes_in_the_end),
        TEST(who_finds_no_place_is_told_so_and_goes),
    };
    return cmocka_run_group_tests(tests, hold_set_up, NULL);
}
