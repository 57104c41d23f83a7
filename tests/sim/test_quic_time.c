/* The times that libngtcp2 is told, seen at its door: the linker puts the functions here in front of
 * the library's own (-Wl,--wrap). */
#include "quic/quic_compat.h"
#include "quic_world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define CONNS_MAX 16

typedef struct {
    ngtcp2_conn *ng; /* NULL: free */
    tl_time told;    /* last */
    tl_time sent;    /* a packet, last */
} door;

static struct {
    door doors[CONNS_MAX];
    uint64_t calls, pauses;
    uint64_t late_pauses; /* which began after their packets were sent */
} seen;

static door *door_of(ngtcp2_conn *ng)
{
    door *unused = NULL;
    for (door *d = seen.doors; d < seen.doors + CONNS_MAX; d++) {
        if (d->ng == ng)
            return d;
        if (!d->ng)
            unused = d;
    }
    assert_non_null(unused);
    *unused = (door){.ng = ng};
    return unused;
}

static void note(ngtcp2_conn *ng, tl_time ts)
{
    door *d = door_of(ng);
    seen.calls++;
    if (ts < d->told)
        fail_msg("told %llu after %llu", (unsigned long long)ts, (unsigned long long)d->told);
    d->told = ts;
}

/* --- in front of the library --- */

int __real_ngtcp2_conn_read_pkt_versioned(ngtcp2_conn *, const ngtcp2_path *, int,
                                          const ngtcp2_pkt_info *, const uint8_t *, size_t,
                                          ngtcp2_tstamp);
int __wrap_ngtcp2_conn_read_pkt_versioned(ngtcp2_conn *, const ngtcp2_path *, int,
                                          const ngtcp2_pkt_info *, const uint8_t *, size_t,
                                          ngtcp2_tstamp);
int __wrap_ngtcp2_conn_read_pkt_versioned(ngtcp2_conn *ng, const ngtcp2_path *path, int version,
                                          const ngtcp2_pkt_info *pi, const uint8_t *data, size_t n,
                                          ngtcp2_tstamp ts)
{
    note(ng, ts);
    return __real_ngtcp2_conn_read_pkt_versioned(ng, path, version, pi, data, n, ts);
}

ngtcp2_ssize __real_ngtcp2_conn_writev_stream_versioned(ngtcp2_conn *, ngtcp2_path *, int,
                                                        ngtcp2_pkt_info *, uint8_t *, size_t,
                                                        ngtcp2_ssize *, uint32_t, int64_t,
                                                        const ngtcp2_vec *, size_t, ngtcp2_tstamp);
ngtcp2_ssize __wrap_ngtcp2_conn_writev_stream_versioned(ngtcp2_conn *, ngtcp2_path *, int,
                                                        ngtcp2_pkt_info *, uint8_t *, size_t,
                                                        ngtcp2_ssize *, uint32_t, int64_t,
                                                        const ngtcp2_vec *, size_t, ngtcp2_tstamp);
ngtcp2_ssize __wrap_ngtcp2_conn_writev_stream_versioned(ngtcp2_conn *ng, ngtcp2_path *path,
                                                        int version, ngtcp2_pkt_info *pi,
                                                        uint8_t *dest, size_t cap,
                                                        ngtcp2_ssize *taken, uint32_t flags,
                                                        int64_t id, const ngtcp2_vec *vec,
                                                        size_t count, ngtcp2_tstamp ts)
{
    note(ng, ts);
    ngtcp2_ssize n = __real_ngtcp2_conn_writev_stream_versioned(ng, path, version, pi, dest, cap,
                                                                taken, flags, id, vec, count, ts);
    if (n > 0)
        door_of(ng)->sent = ts;
    return n;
}

ngtcp2_ssize __real_ngtcp2_conn_write_connection_close_versioned(ngtcp2_conn *, ngtcp2_path *, int,
                                                                 ngtcp2_pkt_info *, uint8_t *,
                                                                 size_t, const ngtcp2_ccerr *,
                                                                 ngtcp2_tstamp);
ngtcp2_ssize __wrap_ngtcp2_conn_write_connection_close_versioned(ngtcp2_conn *, ngtcp2_path *, int,
                                                                 ngtcp2_pkt_info *, uint8_t *,
                                                                 size_t, const ngtcp2_ccerr *,
                                                                 ngtcp2_tstamp);
ngtcp2_ssize __wrap_ngtcp2_conn_write_connection_close_versioned(ngtcp2_conn *ng, ngtcp2_path *path,
                                                                 int version, ngtcp2_pkt_info *pi,
                                                                 uint8_t *dest, size_t cap,
                                                                 const ngtcp2_ccerr *err,
                                                                 ngtcp2_tstamp ts)
{
    note(ng, ts);
    return __real_ngtcp2_conn_write_connection_close_versioned(ng, path, version, pi, dest, cap,
                                                               err, ts);
}

int __real_ngtcp2_conn_handle_expiry(ngtcp2_conn *, ngtcp2_tstamp);
int __wrap_ngtcp2_conn_handle_expiry(ngtcp2_conn *, ngtcp2_tstamp);
int __wrap_ngtcp2_conn_handle_expiry(ngtcp2_conn *ng, ngtcp2_tstamp ts)
{
    note(ng, ts);
    return __real_ngtcp2_conn_handle_expiry(ng, ts);
}

int __real_ngtcp2_conn_initiate_immediate_migration(ngtcp2_conn *, const ngtcp2_path *,
                                                    ngtcp2_tstamp);
int __wrap_ngtcp2_conn_initiate_immediate_migration(ngtcp2_conn *, const ngtcp2_path *,
                                                    ngtcp2_tstamp);
int __wrap_ngtcp2_conn_initiate_immediate_migration(ngtcp2_conn *ng, const ngtcp2_path *path,
                                                    ngtcp2_tstamp ts)
{
    note(ng, ts);
    return __real_ngtcp2_conn_initiate_immediate_migration(ng, path, ts);
}

void __real_ngtcp2_conn_update_pkt_tx_time(ngtcp2_conn *, ngtcp2_tstamp);
void __wrap_ngtcp2_conn_update_pkt_tx_time(ngtcp2_conn *, ngtcp2_tstamp);
void __wrap_ngtcp2_conn_update_pkt_tx_time(ngtcp2_conn *ng, ngtcp2_tstamp ts)
{
    note(ng, ts);
    seen.pauses++;
    seen.late_pauses += ts > door_of(ng)->sent;
    __real_ngtcp2_conn_update_pkt_tx_time(ng, ts);
}

void __real_ngtcp2_conn_del(ngtcp2_conn *);
void __wrap_ngtcp2_conn_del(ngtcp2_conn *);
void __wrap_ngtcp2_conn_del(ngtcp2_conn *ng)
{
    if (ng)
        door_of(ng)->ng = NULL;
    __real_ngtcp2_conn_del(ng);
}

/* --- what is seen --- */

/* A connection's life: bytes, rest, a question, another path, another dial, the end. */
static void live(tl_time unsteady)
{
    memset(&seen, 0, sizeof seen);
    world w = world_new(NULL, NULL);
    sim_faults f = {.delay = 3 * DELAY, .bytes_per_sec = 3000000, .loss = 0.01};
    sim_link_new(w.s, w.a->host, 100, w.b->host, 200, &f);
    w.a->clock_unsteady = w.b->clock_unsteady = unsteady;
    world_connect(&w);
    tl_quic_conn *c = quic_node_conn(w.a);
    for (int i = 0; i < 2; i++) {
        quic_node_send(w.a, c, 3000000);
        assert_true(sim_run_while(w.s, quic_node_all_done, w.a, 20 * TL_SEC));
        sim_run_for(w.s, 40 * TL_SEC); /* a keepalive in it */
        quic_node_send(w.a, c, 200);
        assert_true(sim_run_while(w.s, quic_node_all_done, w.a, 20 * TL_SEC));
        assert_int_equal(tl_quic_conn_migrate(c, i ? PATH_A : 100, sim_now(w.s) - unsteady), TL_OK);
        sim_wake(w.a->host);
    }
    assert_non_null(quic_node_dial(w.b, w.a, PATH_B));
    quic_node_send(w.a, c, 3000000);
    sim_run_for(w.s, 100 * TL_MS);
    tl_quic_conn_close(c, 1, "enough", sim_now(w.s) - unsteady);
    sim_wake(w.a->host);
    sim_run_for(w.s, TL_SEC);
    assert_int_equal(w.a->closed, 1);
    world_free(&w);
    assert_true(seen.calls > 10000);
    assert_true(seen.pauses > 100);
}

static void time_never_goes_back_for_libngtcp2(void **state)
{
    (void)state;
    live(0);
}

static void time_never_goes_back_even_where_the_callers_clock_does(void **state)
{
    (void)state;
    live(3 * TL_MS);
}

static void a_pause_begins_when_its_packets_were_sent(void **state)
{
    (void)state;
    live(0);
    assert_int_equal(seen.late_pauses, 0);
}

/* --- what leaves at once --- */

typedef struct {
    sim *s;
    tl_time at;
    size_t bytes, largest; /* bytes at one time */
} burst;

static void note_burst(void *user, sim_link *l, bool from_a, uint8_t *data, size_t *n, size_t cap)
{
    (void)l, (void)data, (void)cap;
    burst *b = user;
    if (!from_a)
        return;
    b->bytes = sim_now(b->s) == b->at ? b->bytes + *n : *n;
    b->at = sim_now(b->s);
    b->largest = b->bytes > b->largest ? b->bytes : b->largest;
}

static size_t largest_burst(world *w)
{
    burst b = {.s = w->s};
    sim_link_set_tap(w->link, note_burst, &b);
    quic_node_send(w->a, quic_node_conn(w->a), 20000000);
    sim_run_for(w->s, TL_SEC);
    sim_link_set_tap(w->link, NULL, NULL);
    return b.largest;
}

/* libngtcp2 1.x lets a sender catch up on what it lost by waking late from a pause. A node that had
 * nothing to send lost nothing. */
static void a_rest_is_not_made_up_for_in_one_burst(void **state)
{
    (void)state;
    world w = world_new(NULL, NULL);
    sim_faults f = {.delay = 4 * DELAY, .bytes_per_sec = 5000000, .queue_bytes = 200000};
    sim_link_set_faults(w.link, &f);
    world_connect(&w);
    quic_node_send(w.a, quic_node_conn(w.a), 10000000);
    assert_true(sim_run_while(w.s, quic_node_all_done, w.a, 60 * TL_SEC));
    assert_in_range(largest_burst(&w), 1, 2 * TL_QUIC_OUTPUT_MAX);
    assert_true(sim_run_while(w.s, quic_node_all_done, w.a, 60 * TL_SEC));
    sim_run_for(w.s, 100 * TL_SEC);
    assert_in_range(largest_burst(&w), 1, 2 * TL_QUIC_OUTPUT_MAX);
    world_free(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(time_never_goes_back_for_libngtcp2),
        cmocka_unit_test(time_never_goes_back_even_where_the_callers_clock_does),
        cmocka_unit_test(a_pause_begins_when_its_packets_were_sent),
        cmocka_unit_test(a_rest_is_not_made_up_for_in_one_burst),
    };
    sim_each_test(tests);
    return sim_result();
}
