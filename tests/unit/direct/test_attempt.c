/* The attempts at one peer: what each came to, when the next may be, and who is told. */
#include "direct/state.h"

#include "base/log.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <utlist.h>

#include <cmocka.h>

#define T0 (100 * TL_SEC)

static tl_direct direct;
static tl_direct_peer peer, other;
static tl_way_entry way;
static tl_session session;
static tl_time now;
static unsigned wakes, lines;

static tl_time env_now(void *user)
{
    (void)user;
    return now;
}

static void env_wake(void *user)
{
    (void)user;
    wakes++;
}

static int setup(void **state)
{
    (void)state;
    now = T0;
    wakes = lines = 0;
    direct = (tl_direct){.env = {.now = env_now, .wake = env_wake}, .due = TL_NEVER};
    peer = other =
        (tl_direct_peer){.direct = &direct, .again_at = TL_NEVER, .pause = TL_DIRECT_AGAIN_FIRST};
    way = (tl_way_entry){.peer = &peer};
    session = (tl_session){.peer = &peer};
    DL_APPEND(peer.ways, &way);
    return 0;
}

static void give_way(bool stands)
{
    way.up = stands; /* a pair may also be there and not answer */
}

static void become(tl_direct_state state)
{
    tl_attempt_is(&peer, state);
    assert_int_equal(peer.state, state);
}

/* --- when the next attempt may be --- */

static void an_attempt_in_vain_is_followed_by_a_pause_that_doubles_up_to_five_minutes(void **state)
{
    (void)state;
    static const unsigned pauses_s[] = {10, 20, 40, 80, 160, 300, 300, 300};
    for (size_t n = 0; n < sizeof pauses_s / sizeof *pauses_s; n++) {
        bool answered = n % 2;
        become(TL_DIRECT_OFFERED);
        assert_int_equal(peer.again_at, TL_NEVER);
        direct.due = TL_NEVER;
        if (answered)
            become(TL_DIRECT_CHECKING);
        tl_attempt_give_up(&peer, answered ? TL_DIRECT_FAILED : TL_DIRECT_UNANSWERED);
        assert_int_equal(peer.again_at, now + pauses_s[n] * TL_SEC);
        assert_int_equal(direct.due, peer.again_at);
        now = peer.again_at;
    }
}

static void a_way_that_stands_makes_the_next_pause_the_shortest(void **state)
{
    (void)state;
    for (unsigned n = 0; n < 4; n++) {
        become(TL_DIRECT_OFFERED);
        become(TL_DIRECT_UNANSWERED);
    }
    assert_true(peer.pause > TL_DIRECT_AGAIN_FIRST);
    give_way(true);
    tl_attempt_look(&peer);
    assert_int_equal(peer.state, TL_DIRECT_STANDS);
    assert_int_equal(peer.again_at, TL_NEVER);
    give_way(false);
    tl_attempt_look(&peer);
    assert_int_equal(peer.state, TL_DIRECT_LOST);
    assert_int_equal(peer.again_at, now + TL_DIRECT_AGAIN_FIRST);
    assert_int_equal(peer.pause, TL_DIRECT_AGAIN_FIRST); /* a loss is no attempt in vain */
}

static void a_peer_let_go_keeps_its_pause(void **state)
{
    (void)state;
    static const tl_direct_state ends[] = {TL_DIRECT_NEVER, TL_DIRECT_OFF};
    become(TL_DIRECT_OFFERED);
    become(TL_DIRECT_UNANSWERED);
    for (size_t i = 0; i < 2; i++) {
        become(ends[i]);
        assert_int_equal(peer.pause, 2 * TL_DIRECT_AGAIN_FIRST);
    }
}

/* --- the state --- */

static void while_a_way_stands_no_attempt_shows(void **state)
{
    (void)state;
    static const tl_direct_state tries[] = {TL_DIRECT_OFFERED, TL_DIRECT_CHECKING,
                                            TL_DIRECT_SEARCHING, TL_DIRECT_FAILED};
    give_way(true);
    for (size_t i = 0; i < 4; i++) {
        tl_attempt_is(&peer, tries[i]);
        assert_int_equal(peer.state, TL_DIRECT_STANDS);
        assert_int_equal(peer.again_at, TL_NEVER);
    }
}

static void when_the_last_way_is_lost_the_present_attempt_shows(void **state)
{
    (void)state;
    static const struct {
        tl_session_state session;
        tl_direct_state state;
    } rows[] = {
        {TL_SESSION_NEW, TL_DIRECT_LOST},          {TL_SESSION_OFFERED, TL_DIRECT_OFFERED},
        {TL_SESSION_CHECKING, TL_DIRECT_CHECKING}, {TL_SESSION_SEARCHING, TL_DIRECT_SEARCHING},
        {TL_SESSION_SETTLED, TL_DIRECT_LOST},
    };
    peer.now = &session;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        give_way(true);
        tl_attempt_look(&peer);
        give_way(false);
        session.state = rows[i].session;
        tl_attempt_look(&peer);
        assert_int_equal(peer.state, rows[i].state);
    }
}

static void to_look_changes_nothing_where_no_way_stood(void **state)
{
    (void)state;
    become(TL_DIRECT_OFFERED);
    tl_attempt_look(&peer);
    assert_int_equal(peer.state, TL_DIRECT_OFFERED);
}

static void an_attempt_is_on_until_it_came_to_something(void **state)
{
    (void)state;
    static const struct {
        tl_direct_state state;
        bool on;
    } rows[] = {
        {TL_DIRECT_NEVER, false},    {TL_DIRECT_OFFERED, true}, {TL_DIRECT_CHECKING, true},
        {TL_DIRECT_SEARCHING, true}, {TL_DIRECT_STANDS, true},  {TL_DIRECT_UNANSWERED, false},
        {TL_DIRECT_FAILED, false},   {TL_DIRECT_LOST, false},   {TL_DIRECT_OFF, false},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        peer.state = rows[i].state;
        assert_int_equal(tl_attempt_is_on(&peer), rows[i].on);
    }
}

/* Does this step end the process? Tried in another one. */
static bool is_a_bug(tl_direct_state to)
{
    int status = 0;
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (!pid) {
        (void)!freopen("/dev/null", "w", stderr);
        signal(SIGABRT, SIG_DFL);
        tl_attempt_is(&peer, to);
        _exit(0);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT;
}

static void a_search_follows_checks(void **state)
{
    (void)state;
    become(TL_DIRECT_OFFERED);
    become(TL_DIRECT_CHECKING);
    become(TL_DIRECT_SEARCHING);
    become(TL_DIRECT_FAILED);
    become(TL_DIRECT_OFFERED);
    assert_true(is_a_bug(TL_DIRECT_LOST));
    assert_true(is_a_bug(TL_DIRECT_SEARCHING));
    become(TL_DIRECT_UNANSWERED);
    assert_true(is_a_bug(TL_DIRECT_SEARCHING));
    become(TL_DIRECT_CHECKING);
    assert_true(is_a_bug(TL_DIRECT_UNANSWERED));
    assert_false(is_a_bug(TL_DIRECT_SEARCHING));
}

/* --- telling --- */

static size_t telling(void)
{
    const tl_direct_peer *p;
    size_t n = 0;
    DL_FOREACH (direct.telling, p)
        n++;
    return n;
}

static void a_peer_stands_once_on_the_list_whatever_there_is_to_tell(void **state)
{
    (void)state;
    tl_attempt_tell(&peer, TL_DIRECT_WAYS);
    assert_true(peer.tell_ways && !peer.tell_silent);
    tl_attempt_tell(&other, TL_DIRECT_SILENT);
    assert_true(!other.tell_ways && other.tell_silent);
    for (int n = 0; n < 2; n++) {
        tl_attempt_tell(&peer, TL_DIRECT_WAYS);
        assert_ptr_equal(peer.next, &other);
        tl_attempt_tell(&peer, TL_DIRECT_SILENT);
        tl_attempt_tell(&other, TL_DIRECT_SILENT);
        tl_attempt_tell(&other, TL_DIRECT_WAYS);
    }
    assert_int_equal(telling(), 2);
    assert_ptr_equal(direct.telling, &peer);
    assert_ptr_equal(peer.next, &other);
    assert_int_equal(wakes, 10);
}

static void on_log(void *user, tl_log_level level, const char *line)
{
    (void)user;
    assert_int_equal(level, TL_LOG_DEBUG);
    assert_non_null(strstr(line, "direct: 00000000: tried: 192.0.2.1:7"));
    lines++;
}

static void notes_are_for_the_log_at_its_finest(void **state)
{
    (void)state;
    tl_addr a;
    assert_int_equal(tl_addr_parse(TL_SLICE_LIT("192.0.2.1:7"), &a), TL_OK);
    tl_log_set_sink(on_log, NULL);
    tl_attempt_note(&peer, "tried:", &a);
    assert_int_equal(lines, 0);
    tl_log_set_level(TL_LOG_DEBUG);
    tl_attempt_note(&peer, "tried:", &a);
    tl_log_set_level(TL_LOG_INFO);
    tl_log_set_sink(NULL, NULL);
    assert_int_equal(lines, 1);
}

/* --- counting --- */

static void attempts_are_counted_by_the_nat_of_the_one_who_offered(void **state)
{
    (void)state;
    enum { PUBLIC = TL_CONTROL_NAT_PUBLIC, SYMMETRIC = TL_CONTROL_NAT_SYMMETRIC };
    const tl_punch_counters *n = &direct.punches;
    session.our_nat = TL_CONTROL_NAT_SYMMETRIC;
    session.peer_nat = TL_CONTROL_NAT_PUBLIC;
    session.ours = true;
    tl_attempt_count(&session, false);
    tl_attempt_count(&session, true);
    tl_attempt_count(&session, false);
    assert_int_equal(n->attempts[SYMMETRIC][PUBLIC], 2);
    assert_int_equal(n->successes[SYMMETRIC][PUBLIC], 1);
    session.ours = false;
    tl_attempt_count(&session, true);
    assert_int_equal(n->successes[PUBLIC][SYMMETRIC], 1);
    assert_int_equal(n->attempts[PUBLIC][SYMMETRIC], 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(
            an_attempt_in_vain_is_followed_by_a_pause_that_doubles_up_to_five_minutes, setup),
        cmocka_unit_test_setup(a_way_that_stands_makes_the_next_pause_the_shortest, setup),
        cmocka_unit_test_setup(a_peer_let_go_keeps_its_pause, setup),
        cmocka_unit_test_setup(while_a_way_stands_no_attempt_shows, setup),
        cmocka_unit_test_setup(when_the_last_way_is_lost_the_present_attempt_shows, setup),
        cmocka_unit_test_setup(to_look_changes_nothing_where_no_way_stood, setup),
        cmocka_unit_test_setup(an_attempt_is_on_until_it_came_to_something, setup),
        cmocka_unit_test_setup(a_search_follows_checks, setup),
        cmocka_unit_test_setup(a_peer_stands_once_on_the_list_whatever_there_is_to_tell, setup),
        cmocka_unit_test_setup(notes_are_for_the_log_at_its_finest, setup),
        cmocka_unit_test_setup(attempts_are_counted_by_the_nat_of_the_one_who_offered, setup),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
