/* What a stream notes of the packets that bring it, without a library below. */
#include "quic/events.h"
#include "quic/stream.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

typedef struct {
    tl_quic quic;
    tl_quic_conn conn;
} scene;

static void setup(scene *s)
{
    memset(s, 0, sizeof *s);
    s->conn.quic = &s->quic;
    tl_quic_source_init(&s->conn.source, &s->conn, NULL);
}

static tl_frames_streams one(uint64_t id, uint64_t begin, uint64_t end)
{
    return (tl_frames_streams){.v = {{id, begin, end}}, .n = 1};
}

static void the_packet_that_opens_a_stream_is_noted_too(void **state)
{
    (void)state;
    static scene s;
    setup(&s);
    tl_quic_stream *a, *b;
    tl_frames_streams opening = {.v = {{4, 0, 100}, {0, 500, 600}, {4, 300, 400}}, .n = 3};
    assert_true(tl_qstream_admits(&s.conn, &opening)); /* neither stream is open yet */
    assert_int_equal(tl_qstream_accept(&s.conn, 0, &a), TL_OK);
    assert_int_equal(tl_qstream_accept(&s.conn, 4, &b), TL_OK);
    assert_int_equal(a->holes.front, 0);
    assert_int_equal(a->holes.n, 1); /* a hole, and then 500 to 600 */
    assert_int_equal(a->holes.v[0].begin, 500);
    assert_int_equal(b->holes.front, 100);
    assert_int_equal(b->holes.n, 1);

    /* the next packet fills the hole: nothing is left to note */
    tl_frames_streams next = one(0, 0, 500);
    assert_true(tl_qstream_admits(&s.conn, &next));
    assert_int_equal(a->holes.front, 600);
    assert_int_equal(a->holes.n, 0);
    next = one(4, 100, 300);
    assert_true(tl_qstream_admits(&s.conn, &next));
    assert_int_equal(b->holes.front, 400);

    /* what a packet brought is not noted of a stream that another one opens */
    tl_quic_stream *c;
    next = one(8, 700, 800);
    assert_true(tl_qstream_admits(&s.conn, &next)); /* and the library drops it */
    next = one(12, 5, 10);
    assert_true(tl_qstream_admits(&s.conn, &next));
    assert_int_equal(tl_qstream_accept(&s.conn, 8, &c), TL_OK);
    assert_int_equal(c->holes.n, 0);
    tl_qstream_free(a);
    tl_qstream_free(b);
    tl_qstream_free(c);
    assert_int_equal(s.conn.memory.n, 0);
}

static void a_packet_beyond_the_last_hole_that_is_allowed_is_lost(void **state)
{
    (void)state;
    static scene s;
    setup(&s);
    tl_quic_stream *a;
    tl_frames_streams first = one(0, 10, 15);
    assert_true(tl_qstream_admits(&s.conn, &first));
    assert_int_equal(tl_qstream_accept(&s.conn, 0, &a), TL_OK);
    for (uint64_t i = 1; i < TL_HOLES_MAX; i++) {
        tl_frames_streams next = one(0, 10 + 10 * i, 15 + 10 * i);
        assert_true(tl_qstream_admits(&s.conn, &next));
    }
    assert_int_equal(a->holes.n, TL_HOLES_MAX); /* the first counts */
    tl_frames_streams more = one(0, 20 + 10 * TL_HOLES_MAX, 25 + 10 * TL_HOLES_MAX);
    assert_false(tl_qstream_admits(&s.conn, &more));
    tl_frames_streams fills = one(0, 0, 10);
    assert_true(tl_qstream_admits(&s.conn, &fills));
    assert_true(tl_qstream_admits(&s.conn, &more));
    tl_qstream_free(a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_packet_that_opens_a_stream_is_noted_too),
        cmocka_unit_test(a_packet_beyond_the_last_hole_that_is_allowed_is_lost),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
