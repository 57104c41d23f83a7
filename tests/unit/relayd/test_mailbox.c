/* Letters between loops: each arrives once, in the order of its sender, whatever the threads do. */
#include "relayd/mailbox.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define SENDERS 4
#define LETTERS 20000

typedef struct {
    tl_loop *loop;
    tl_mailbox *box;
    uint32_t next[SENDERS]; /* the number that must come next of each */
    size_t letters, calls, reads, dropped;
    size_t released_at; /* how many reads had been when the last release came */
    bool in_order;
} scene;

typedef struct {
    scene *s;
    uint32_t number;
} sender;

static void on_letter(void *user, tl_slice bytes)
{
    scene *s = user;
    uint32_t said[2];
    assert_int_equal(bytes.n, sizeof said);
    memcpy(said, bytes.p, sizeof said);
    s->in_order &= s->next[said[0]]++ == said[1];
    if (++s->letters == (size_t)SENDERS * LETTERS)
        tl_loop_stop(s->loop);
}

static void on_read(void *user)
{
    ((scene *)user)->reads++;
}

static void *send_all(void *arg)
{
    sender *from = arg;
    for (uint32_t i = 0; i < LETTERS; i++) {
        uint32_t said[2] = {from->number, i};
        if (tl_mailbox_put(from->s->box, tl_slice_of(said, sizeof said)))
            abort();
    }
    return NULL;
}

static void begin(scene *s)
{
    *s = (scene){.in_order = true};
    assert_int_equal(tl_loop_new(&s->loop), TL_OK);
    assert_int_equal(tl_mailbox_new(s->loop, on_letter, on_read, s, &s->box), TL_OK);
}

static void end(scene *s)
{
    tl_mailbox_free(s->box);
    tl_loop_free(s->loop);
}

static void letters_of_many_threads_all_arrive_and_in_order(void **state)
{
    (void)state;
    scene s;
    pthread_t threads[SENDERS];
    sender senders[SENDERS];
    begin(&s);
    for (uint32_t i = 0; i < SENDERS; i++) {
        senders[i] = (sender){&s, i};
        assert_int_equal(pthread_create(&threads[i], NULL, send_all, &senders[i]), 0);
    }
    tl_loop_run(s.loop);
    for (size_t i = 0; i < SENDERS; i++)
        pthread_join(threads[i], NULL);
    assert_true(s.in_order);
    assert_int_equal(s.letters, SENDERS * LETTERS);
    assert_true(s.reads < s.letters); /* woken for many at once */
    assert_int_equal(tl_mailbox_bytes(s.box), 0);
    end(&s);
}

static void count_call(void *arg)
{
    scene *s = arg;
    s->calls++;
    tl_loop_stop(s->loop);
}

static void count_drop(void *arg)
{
    ((scene *)arg)->dropped++;
}

static void what_is_in_the_box_at_its_end_is_dropped(void **state)
{
    (void)state;
    scene s;
    begin(&s);
    assert_int_equal(tl_mailbox_call(s.box, count_call, count_drop, &s), TL_OK);
    tl_loop_run(s.loop);
    assert_true(s.calls == 1 && s.dropped == 0);
    assert_int_equal(tl_mailbox_call(s.box, count_call, count_drop, &s), TL_OK);
    assert_int_equal(tl_mailbox_put(s.box, TL_SLICE_LIT("left over")), TL_OK);
    assert_int_equal(tl_mailbox_bytes(s.box), 9);
    end(&s);
    assert_true(s.calls == 1 && s.dropped == 1);
}

static void release(void *arg)
{
    scene *s = arg;
    s->dropped++;
    s->released_at = s->reads;
}

static void what_is_lent_is_released_after_the_read_and_has_a_bound(void **state)
{
    (void)state;
    scene s;
    size_t third = TL_MAILBOX_LENT_MAX / 3;
    begin(&s);
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(tl_mailbox_lend(s.box, count_call, release, &s, third), TL_OK);
    assert_int_equal(tl_mailbox_lend(s.box, count_call, release, &s, third), TL_ERR_BUSY);
    assert_int_equal(tl_mailbox_bytes(s.box), 0); /* letters have their own count */
    tl_loop_run(s.loop);
    assert_true(s.calls == 3 && s.dropped == 3);
    assert_true(s.reads > 0 && s.released_at == s.reads);
    assert_int_equal(tl_mailbox_lend(s.box, count_call, release, &s, third), TL_OK);
    assert_int_equal(tl_mailbox_lend(s.box, count_call, release, &s, SIZE_MAX), TL_ERR_BUSY);
    end(&s);
    assert_true(s.calls == 3 && s.dropped == 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(letters_of_many_threads_all_arrive_and_in_order),
        cmocka_unit_test(what_is_in_the_box_at_its_end_is_dropped),
        cmocka_unit_test(what_is_lent_is_released_after_the_read_and_has_a_bound),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
