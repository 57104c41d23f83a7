#include "ask/rank.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* A known, idle candidate of the public, of which all is known. */
static const tl_rank_facts plain = {.price = {true, 100},
                                    .slots = 4,
                                    .speed = 30000,
                                    .connected = true,
                                    .rtt = 20 * TL_MS,
                                    .tier = 2};

/* The first of two that is asked, 0 or 1; `*ret_reason` is that of the first asked. */
static size_t first_of(tl_rank_facts a, tl_rank_facts b, bool any_model,
                       char ret_reason[TL_RANK_REASON_MAX])
{
    tl_rank_facts both[2] = {a, b};
    size_t order[2];
    tl_rank_field field = tl_rank_begin(any_model, tl_maybe_of(1000));
    both[1].known = 1;
    for (int i = 0; i < 2; i++)
        tl_rank_see(&field, &both[i]);
    assert_int_equal(tl_rank_sort(&field, both, 2, order), TL_OK);
    tl_rank_reason(&field, &both[order[0]], NULL, &both[order[1]], ret_reason);
    return order[0];
}

/* --- each rule alone, and each before those behind it --- */

typedef void change(tl_rank_facts *f);

static void no_member_at_all(tl_rank_facts *f)
{
    f->may = TL_RANK_NO_MEMBER;
}
static void clear(tl_rank_facts *f)
{
    f->in_clear = true;
}
static void failed(tl_rank_facts *f)
{
    f->behind_until = 7;
}
static void of_the_public(tl_rank_facts *f)
{
    f->member = false;
}
static void latest(tl_rank_facts *f)
{
    f->fit = TL_MODEL_LATEST;
}
static void dear(tl_rank_facts *f)
{
    f->price.value++;
}
static void busy(tl_rank_facts *f)
{
    f->load += 4;
}
static void strange(tl_rank_facts *f)
{
    f->stranger = true;
}
static void slow(tl_rank_facts *f)
{
    f->speed = f->speed * 3 / 4;
}
static void away(tl_rank_facts *f)
{
    f->connected = false;
}
static void far(tl_rank_facts *f)
{
    f->rtt++;
}
static void weak(tl_rank_facts *f)
{
    f->tier++;
}

typedef struct {
    const char *name;
    change *worsen;
    const char *reason; /* of the better one */
} row;

static const row named[] = {
    {"may", no_member_at_all, "nobody else may be asked"},
    {"in clear", clear, "it is asked with encryption from end to end"},
    {"failed", failed, "it has not failed lately"},
    {"member", of_the_public, "it is a member of a network of yours"},
    {"fit", latest, "it lists this very name"},
    {"price", dear, "its price is lower: 100 against 101"},
    {"wait", busy, "the wait there is shorter: 0.0 against 0.2 questions"},
    {"stranger", strange, "it has served you before, or is of your networks"},
    {"speed", slow, "it is faster: 30.0 tokens a second against 22.5"},
    {"connected", away, "it is connected"},
    {"round trip", far, "it is nearer: 20.0 ms against 20.0 ms"},
    {"tier", weak, "its machine is better"},
};

static const row any_model[] = {
    {"may", no_member_at_all, "nobody else may be asked"},
    {"in clear", clear, "it is asked with encryption from end to end"},
    {"failed", failed, "it has not failed lately"},
    {"member", of_the_public, "it is a member of a network of yours"},
    {"price", dear, "its price is lower: 100 against 101"},
    {"slot", busy, "a slot is free"},
    {"stranger", strange, "it has served you before, or is of your networks"},
    {"connected", away, "it is connected"},
    {"tier", weak, "its machine is better"},
    {"round trip", far, "it is nearer: 20.0 ms against 20.0 ms"},
};

static void check_pair(const row *r, const tl_rank_facts *better, const tl_rank_facts *worse,
                       bool any, bool alone)
{
    char reason[TL_RANK_REASON_MAX];
    if (first_of(*better, *worse, any, reason) != 0 || (alone && strcmp(reason, r->reason) != 0))
        fail_msg("%s: \"%s\"", r->name, reason);
    if (first_of(*worse, *better, any, reason) != 1)
        fail_msg("%s, exchanged: \"%s\"", r->name, reason);
}

static void check_rules(const row *rows, size_t n, bool any)
{
    for (size_t i = 0; i < n; i++) {
        tl_rank_facts better = plain, worse = plain;
        better.member = worse.member = true;
        rows[i].worsen(&worse);
        check_pair(&rows[i], &better, &worse, any, true);
        for (size_t j = i + 1; j < n; j++)
            if (!(rows[i].worsen == busy && rows[j].worsen == strange)) /* which counts as load */
                rows[j].worsen(&better);
        check_pair(&rows[i], &better, &worse, any, false);
    }
}

static void of_two_with_the_model_the_rules_decide_in_their_order(void **state)
{
    (void)state;
    check_rules(named, sizeof named / sizeof *named, false);
}

static void of_any_model_the_rules_decide_in_another_order(void **state)
{
    (void)state;
    check_rules(any_model, sizeof any_model / sizeof *any_model, true);
}

static void of_equals_the_one_known_first_is_asked(void **state)
{
    (void)state;
    char reason[TL_RANK_REASON_MAX];
    assert_int_equal(first_of(plain, plain, false, reason), 0);
    assert_string_equal(reason, "it was known first");
    assert_int_equal(first_of(plain, plain, true, reason), 0);
}

/* --- what is not known --- */

/* It is asked at none, so that it costs nothing that was not agreed on. */
static void a_node_that_tells_no_price_counts_as_free(void **state)
{
    (void)state;
    char reason[TL_RANK_REASON_MAX];
    tl_rank_facts unknown = plain, known = plain, without = plain;
    unknown.price = (tl_maybe){0};
    assert_int_equal(first_of(known, unknown, false, reason), 1);
    assert_string_equal(reason, "it tells no price, and is asked at none: 0 against 100");
    assert_int_equal(first_of(unknown, known, false, reason), 0);
    without.price = tl_maybe_of(0); /* the twin: 0 that is told, and none, are alike */
    assert_int_equal(first_of(without, unknown, false, reason), 0);
    assert_int_equal(first_of(unknown, without, false, reason), 0);
    tl_rank_facts three[3] = {plain, plain, plain}; /* dear, unknown, cheap */
    size_t order[3];
    three[1].price = (tl_maybe){0};
    three[1].connected = false;
    three[2].price = tl_maybe_of(50);
    tl_rank_field field = tl_rank_begin(false, (tl_maybe){0});
    for (size_t i = 0; i < 3; i++) {
        three[i].known = i;
        tl_rank_see(&field, &three[i]);
    }
    assert_int_equal(tl_rank_sort(&field, three, 3, order), TL_OK);
    assert_int_equal(order[0], 1);
    assert_int_equal(order[1], 2);
    assert_int_equal(order[2], 0);
}

static void an_unknown_speed_counts_as_the_highest_and_unknown_slots_as_one(void **state)
{
    (void)state;
    char reason[TL_RANK_REASON_MAX];
    tl_rank_facts fast = plain, unknown = plain;
    unknown.speed = 0;
    assert_int_equal(first_of(fast, unknown, false, reason), 0);
    assert_int_equal(first_of(unknown, fast, false, reason), 0);
    fast.speed = 37499; /* a little less than a quarter more is no difference */
    assert_int_equal(first_of(plain, fast, false, reason), 0);
    fast.speed = 37501;
    assert_int_equal(first_of(plain, fast, false, reason), 1);
    tl_rank_facts four = plain, one = plain;
    one.slots = 0;
    assert_int_equal(first_of(one, four, false, reason), 0);
    one.load = four.load = 1;
    assert_int_equal(first_of(one, four, false, reason), 1);
}

/* --- the wait --- */

static void a_longer_queue_at_more_slots_may_be_the_shorter_wait(void **state)
{
    (void)state;
    static const struct {
        uint32_t slots_a, slots_b;
        uint64_t load_a, load_b;
        size_t first;
    } rows[] = {
        {4, 1, 3, 0, 0},                     /* both begin at once: equal */
        {4, 1, 4, 1, 0},                     /* a quarter of a question, and a whole one */
        {4, 1, 6, 1, 0},                     /* three quarters */
        {4, 1, 8, 1, 1},                     /* five quarters */
        {1, 4, 1, 3, 1},                     /* one, and none */
        {1, 1, 60, 61, 0}, {8, 2, 15, 3, 0}, /* equal: 8 / 8, 2 / 2 */
        {8, 2, 16, 3, 1},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char reason[TL_RANK_REASON_MAX];
        tl_rank_facts a = plain, b = plain;
        a.slots = rows[i].slots_a;
        a.load = rows[i].load_a;
        b.slots = rows[i].slots_b;
        b.load = rows[i].load_b;
        if (first_of(a, b, false, reason) != rows[i].first)
            fail_msg("row %zu: %s", i, reason);
    }
}

static void a_stranger_is_asked_when_the_known_one_is_so_much_busier(void **state)
{
    (void)state;
    char reason[TL_RANK_REASON_MAX];
    tl_rank_facts known = plain, stranger = plain;
    known.slots = stranger.slots = 0;
    stranger.stranger = true;
    known.load = TL_RANK_STRANGER;
    assert_int_equal(first_of(known, stranger, false, reason), 0);
    known.load = TL_RANK_STRANGER + 1;
    assert_int_equal(first_of(known, stranger, false, reason), 1);
    assert_string_equal(reason, "the wait there is shorter: 2.0 against 3.0 questions");
}

static void
a_conversation_goes_back_while_its_node_is_not_busier_by_more_than_that_saves(void **state)
{
    (void)state;
    char reason[TL_RANK_REASON_MAX];
    tl_rank_facts cold = plain, warm = plain;
    cold.slots = warm.slots = 1;
    cold.unread = 3 * TL_RANK_QUESTION;
    warm.load = 2;
    assert_int_equal(first_of(cold, warm, false, reason), 1);
    assert_string_equal(reason, "it has this conversation in its cache, and it is not too busy");
    warm.load = 4;
    assert_int_equal(first_of(cold, warm, false, reason), 0);
    assert_string_equal(reason, "it does not have this conversation in its cache, and the other is "
                                "too busy");
    cold.unread = TL_RANK_QUESTION / 10; /* a short one: only of equals */
    warm.load = 1;
    assert_int_equal(first_of(cold, warm, false, reason), 0);
    warm.load = 0;
    assert_int_equal(first_of(cold, warm, false, reason), 1);
}

static void no_number_is_too_large_for_the_order(void **state)
{
    (void)state;
    char reason[TL_RANK_REASON_MAX];
    tl_rank_facts a = plain, b = plain;
    b.load = b.unread = UINT64_MAX;
    b.stranger = true;
    assert_int_equal(first_of(b, a, false, reason), 1);
    b = plain;
    b.speed = UINT64_MAX;
    assert_int_equal(first_of(a, b, false, reason), 1);
    a.rtt = TL_NEVER;
    assert_int_equal(first_of(a, plain, true, reason), 1);
}

/* --- who may not be asked --- */

static void each_that_may_not_be_asked_is_last_and_says_why(void **state)
{
    (void)state;
    static const struct {
        tl_rank_may may;
        int64_t price;
        const char *reason;
    } rows[] = {
        {TL_RANK_NO_MEMBER, 0, "not asked: it has shown no valid certificate of the network"},
        {TL_RANK_PRIVATE, 0,
         "not asked: it or you keep to members, and it has shown no valid certificate of a network "
         "of yours"},
        {TL_RANK_CLEAR, 0, "not asked: it speaks the old protocol alone, in clear"},
        {TL_RANK_CLOSED, 0, "not asked: it takes no questions now"},
        {TL_RANK_PAUSED, 0, "not asked: its owner has paused it"},
        {TL_RANK_TRIED, 0, "not asked again: it has had this question"},
        {TL_RANK_MAY, 101, "not asked: its price, 101, is above the maximum, 100"},
        {TL_RANK_MAY, 100, "its price is lower: 100 against 0"}, /* the accepted twin */
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        tl_rank_facts both[2] = {plain, plain};
        size_t order[2];
        char reason[TL_RANK_REASON_MAX];
        tl_rank_field field = tl_rank_begin(false, tl_maybe_of(100));
        both[0].may = rows[i].may;
        both[0].price = tl_maybe_of(rows[i].price);
        both[1].price = tl_maybe_of(i == 7 ? 0 : 100);
        both[1].known = 1;
        tl_rank_see(&field, &both[0]);
        tl_rank_see(&field, &both[1]);
        assert_int_equal(both[0].may != TL_RANK_MAY, i < 7);
        assert_int_equal(tl_rank_sort(&field, both, 2, order), TL_OK);
        assert_int_equal(order[0], 1);
        tl_rank_reason(&field, &both[0], &both[1], NULL, reason);
        if (i < 7)
            assert_string_equal(reason, rows[i].reason);
        else
            assert_string_equal(reason, "its price is higher: 100 against 0");
    }
}

static void who_may_not_be_asked_sets_no_measure(void **state)
{
    (void)state;
    tl_rank_field field = tl_rank_begin(false, (tl_maybe){0});
    tl_rank_facts closed = plain, open = plain;
    closed.may = TL_RANK_CLOSED;
    closed.price = tl_maybe_of(1);
    closed.speed = 90000;
    tl_rank_see(&field, &closed);
    assert_int_equal(field.fastest, 0);
    tl_rank_see(&field, &open);
    assert_int_equal(field.fastest, 30000);
}

static void the_only_one_says_so(void **state)
{
    (void)state;
    char reason[TL_RANK_REASON_MAX];
    tl_rank_field field = tl_rank_begin(false, (tl_maybe){0});
    tl_rank_facts one = plain;
    tl_rank_see(&field, &one);
    tl_rank_reason(&field, &one, NULL, NULL, reason);
    assert_string_equal(reason, "nobody else may be asked");
}

/* --- the order as a whole --- */

static uint64_t seed = 7;

static uint64_t below(uint64_t n)
{
    seed = seed * 6364136223846793005 + 1442695040888963407;
    return (seed >> 33) % n;
}

static tl_rank_facts some(size_t known)
{
    return (tl_rank_facts){.may = below(4) ? TL_RANK_MAY : (tl_rank_may)below(6),
                           .in_clear = !below(4),
                           .behind_until = below(3) ? 0 : below(3),
                           .member = below(2),
                           .fit = (tl_model_fit)below(2),
                           .price = {below(4) != 0, (int64_t)below(3)},
                           .slots = (uint32_t)below(4),
                           .load = below(6),
                           .unread = below(2) * below(9000),
                           .stranger = below(2),
                           .speed = below(3) * 10000,
                           .connected = below(2),
                           .rtt = below(3),
                           .tier = (int)below(3),
                           .known = known};
}

static void the_order_is_total_and_the_same_however_the_candidates_come(void **state)
{
    (void)state;
    enum { N = 60 };
    for (int round = 0; round < 40; round++) {
        tl_rank_facts f[N], turned[N];
        size_t order[N], other[N];
        bool any = round % 2;
        tl_rank_field field = tl_rank_begin(any, tl_maybe_of(2)), again = field;
        for (size_t i = 0; i < N; i++)
            f[i] = some(i);
        for (size_t i = 0; i < N; i++)
            turned[i] = f[N - 1 - i];
        for (size_t i = 0; i < N; i++) {
            tl_rank_see(&field, &f[i]);
            tl_rank_see(&again, &turned[i]);
        }
        assert_int_equal(tl_rank_sort(&field, f, N, order), TL_OK);
        assert_int_equal(tl_rank_sort(&again, turned, N, other), TL_OK);
        for (size_t i = 0; i < N; i++) {
            assert_int_equal(f[order[i]].known, turned[other[i]].known);
            for (size_t j = i + 1; j < N; j++) {
                tl_rank_key a = tl_rank_key_of(&field, &f[order[i]]),
                            b = tl_rank_key_of(&field, &f[order[j]]);
                if (!tl_rank_before(&a, &b) || tl_rank_before(&b, &a))
                    fail_msg("seed 7, round %d: places %zu and %zu", round, i, j);
            }
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(of_two_with_the_model_the_rules_decide_in_their_order),
        cmocka_unit_test(of_any_model_the_rules_decide_in_another_order),
        cmocka_unit_test(of_equals_the_one_known_first_is_asked),
        cmocka_unit_test(a_node_that_tells_no_price_counts_as_free),
        cmocka_unit_test(an_unknown_speed_counts_as_the_highest_and_unknown_slots_as_one),
        cmocka_unit_test(a_longer_queue_at_more_slots_may_be_the_shorter_wait),
        cmocka_unit_test(a_stranger_is_asked_when_the_known_one_is_so_much_busier),
        cmocka_unit_test(
            a_conversation_goes_back_while_its_node_is_not_busier_by_more_than_that_saves),
        cmocka_unit_test(no_number_is_too_large_for_the_order),
        cmocka_unit_test(each_that_may_not_be_asked_is_last_and_says_why),
        cmocka_unit_test(who_may_not_be_asked_sets_no_measure),
        cmocka_unit_test(the_only_one_says_so),
        cmocka_unit_test(the_order_is_total_and_the_same_however_the_candidates_come),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
