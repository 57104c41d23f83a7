/* test_kill.c - what was acknowledged outlives kill -9 at any moment. In a child fifty nodes spend each
 * invite at once, and it tells who won; its parent kills it in the middle. TEALE_KILLS (100) says how
 * often. */
#include "home.h"

#include "base/rand.h"
#include "store/networks.h"

#include <errno.h>
#include <signal.h>

#define NUMBERS_MAX 2000 /* then a new network: so its rows stay below their bound */
#define BATCH_MAX   4
#define SPENDERS    50 /* nodes that spend each invite at once */

static const uint64_t seed = 20261129;

static tl_node_id network_id(void)
{
    tl_node_id id;
    memset(id.key, 'n', sizeof id.key);
    return id;
}

static tl_node_id node_of(unsigned number, unsigned spender)
{
    tl_node_id id;
    memset(id.key, 'p', sizeof id.key);
    id.key[0] = (uint8_t)number;
    id.key[1] = (uint8_t)(number >> 8);
    id.key[2] = (uint8_t)spender;
    return id;
}

static tl_invite_row invite_of(unsigned number)
{
    tl_invite_row row = {.network = network_id(), .expires_at = 1000};
    row.nonce[0] = (uint8_t)number;
    row.nonce[1] = (uint8_t)(number >> 8);
    return row;
}

/* --- the child --- */

/* What it tells its parent: this one won. */
typedef struct {
    unsigned number, spender;
} ack;

typedef struct {
    ack ack;
    int pipe;
    unsigned *won;
} spend;

/* The acknowledgement: from now on the other side relies on it. */
static void on_spent(void *user, tl_err e, const char *certificate, const char *why)
{
    spend *s = user;
    (void)certificate;
    (void)why;
    if (e && e != TL_ERR_EXISTS)
        _exit(2);
    if (e)
        return;
    ++*s->won;
    if (write(s->pipe, &s->ack, sizeof s->ack) != sizeof s->ack)
        _exit(3);
}

/* Makes one invite, and has all spend it at once; `first` comes first. */
static void submit_one(tl_store *store, unsigned number, unsigned first, spend spends[SPENDERS],
                       unsigned *won, int to_parent)
{
    const tl_invite_row row = invite_of(number);
    if (tl_store_put_invite(store, &row, 500, NULL, NULL))
        _exit(4);
    for (unsigned i = 0; i < SPENDERS; i++) {
        unsigned spender = (first + i) % SPENDERS;
        const tl_member_row m = {network_id(), node_of(number, spender), "{}", "", 1};
        spends[i] = (spend){{number, spender}, to_parent, won};
        if (tl_store_spend_invite(store, row.nonce, &m, on_spent, &spends[i]))
            _exit(5);
    }
}

static void run_child(const home *h, unsigned number, tl_rand rand, int to_parent)
{
    tl_store *store = open_at(h->db);
    for (;;) {
        static spend spends[BATCH_MAX][SPENDERS];
        unsigned won[BATCH_MAX] = {0}, n = 1 + (unsigned)tl_rand_below(&rand, BATCH_MAX);
        for (unsigned i = 0; i < n; i++)
            submit_one(store, number++, (unsigned)tl_rand_below(&rand, SPENDERS), spends[i],
                       &won[i], to_parent);
        row_job last = {.job.work = read_row};
        if (tl_store_do(store, &last.job))
            _exit(6);
        tl_store_collect(store);
        for (unsigned i = 0; i < n; i++)
            if (won[i] != 1)
                _exit(7);
    }
}

/* --- the parent --- */

typedef struct {
    unsigned acked[NUMBERS_MAX + 1000]; /* by number: the winner + 1; 0: nobody was told */
    unsigned next;                      /* the lowest number that no child has used */
    unsigned kills, acks;
    unsigned used; /* invites that are, at the last look */
} record;

static bool take_ack(int fd, record *r)
{
    ack a;
    if (read(fd, &a, sizeof a) != sizeof a)
        return false;
    assert_true(a.number < sizeof r->acked / sizeof *r->acked);
    assert_int_equal(r->acked[a.number], 0); /* nobody before */
    r->acked[a.number] = a.spender + 1;
    r->acks++;
    if (a.number >= r->next)
        r->next = a.number + 1;
    return true;
}

/* Passes a little time, without sleeping. */
static void spin(uint64_t rounds)
{
    for (uint64_t i = 0; i < rounds; i++)
        (void)getppid();
}

static void kill_one(const home *h, record *r, tl_rand *rand)
{
    int fd[2], status;
    unsigned wait_for = (unsigned)tl_rand_below(rand, 16);
    uint64_t and_then = tl_rand_below(rand, 20000), child_seed = tl_rand_u64(rand);
    assert_int_equal(pipe(fd), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        close(fd[0]);
        run_child(h, r->next, tl_rand_seeded(child_seed), fd[1]);
    }
    close(fd[1]);
    for (unsigned i = 0; i < wait_for && take_ack(fd[0], r); i++)
        ;
    spin(and_then);
    kill(child, SIGKILL);
    while (take_ack(fd[0], r)) /* told before it died */
        ;
    close(fd[0]);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status)); /* it never ended by itself */
    r->kills++;
}

static void on_listed(void *user, tl_err e, const tl_invite_row *rows, size_t n)
{
    record *r = user;
    unsigned acked = 0;
    r->used = 0;
    assert_int_equal(e, TL_OK);
    for (size_t i = 0; i < n; i++) {
        unsigned number = rows[i].nonce[0] | (unsigned)rows[i].nonce[1] << 8;
        assert_true(number < sizeof r->acked / sizeof *r->acked);
        if (r->acked[number]) { /* whoever was told that it won is the one */
            const tl_node_id node = node_of(number, r->acked[number] - 1);
            assert_int_equal(rows[i].state, TL_INVITE_USED);
            assert_memory_equal(&rows[i].used_by, &node, sizeof node);
            acked++;
        }
        r->used += rows[i].state == TL_INVITE_USED;
        if (number >= r->next)
            r->next = number + 1;
    }
    for (unsigned i = 0; i < r->next; i++)
        acked -= r->acked[i] != 0;
    assert_int_equal(acked, 0); /* none of them is missing */
}

static void expect_exists(void *user, tl_err e, const char *certificate, const char *why)
{
    (void)certificate;
    (void)why;
    assert_int_equal(e, TL_ERR_EXISTS);
    ++*(int *)user;
}

static void expect_ok(void *user, tl_err e, const char *certificate, const char *why)
{
    (void)why;
    assert_int_equal(e, TL_OK);
    assert_string_equal(certificate, "{}");
    ++*(int *)user;
}

/* After the kill the invite is still spent, and its winner may come again. */
static void spend_again(tl_store *store, const record *r, unsigned number, int *came)
{
    const tl_invite_row row = invite_of(number);
    unsigned winner = r->acked[number] - 1;
    const tl_member_row other = {network_id(), node_of(number, (winner + 1) % SPENDERS), "x", "",
                                 1};
    const tl_member_row same = {network_id(), node_of(number, winner), "x", "", 1};
    assert_int_equal(tl_store_spend_invite(store, row.nonce, &other, expect_exists, came), TL_OK);
    assert_int_equal(tl_store_spend_invite(store, row.nonce, &same, expect_ok, came), TL_OK);
}

static tl_err count_member(void *user, const tl_member_row *row)
{
    (void)row;
    ++*(unsigned *)user;
    return TL_OK;
}

static void begin_network(const home *h, record *r)
{
    tl_store *store = open_at(h->db);
    const tl_node_id id = network_id();
    const tl_network_row row = {.network = id, .name = "lab", .certificate = "{}"};
    assert_int_equal(tl_store_drop_network(store, &id, NULL, NULL), TL_OK);
    assert_int_equal(tl_store_put_network(store, &row, NULL, NULL), TL_OK);
    tl_store_close(store);
    memset(r->acked, 0, sizeof r->acked);
    r->next = 0;
}

/* The file is whole (tl_store_open checks that), it is not behind what was acknowledged, and each
 * invite that is used has its member. */
static void check(const home *h, record *r)
{
    tl_store *store = open_at(h->db);
    const tl_node_id id = network_id();
    unsigned members = 0;
    const tl_store_visitor v = {.member = count_member, .user = &members};
    tl_store_state st;
    tl_store_state_of(store, &st);
    assert_false(st.restored);
    assert_int_equal(tl_store_each(store, &v, NULL), TL_OK);
    assert_int_equal(tl_store_list_invites(store, &id, on_listed, r), TL_OK);
    int came = 0, want = 0;
    for (unsigned number = r->next; number-- && want < 20;)
        if (r->acked[number]) {
            spend_again(store, r, number, &came);
            want += 2;
        }
    tl_store_close(store);
    assert_int_equal(came, want);
    assert_int_equal(members, r->used);
}

static unsigned kills_wanted(void)
{
    const char *text = getenv("TEALE_KILLS");
    unsigned n = text ? (unsigned)strtoul(text, NULL, 10) : 100;
    assert_true(n > 0);
    return n;
}

static void
of_fifty_who_spend_an_invite_at_once_one_wins_and_stays_the_winner_through_kills(void **state)
{
    const home *h = *state;
    static record r;
    tl_rand rand = tl_rand_seeded(seed);
    begin_network(h, &r);
    for (unsigned n = kills_wanted(); r.kills < n;) {
        kill_one(h, &r, &rand);
        check(h, &r);
        if (r.next > NUMBERS_MAX)
            begin_network(h, &r);
    }
    print_message("%u kills, %u spends acknowledged\n", r.kills, r.acks);
    assert_true(r.acks > r.kills); /* the children did work */
}

/* Not even its making leaves a file that the next start refuses. */
static void a_node_that_is_killed_while_it_makes_its_store_starts_again(void **state)
{
    const home *h = *state;
    tl_rand rand = tl_rand_seeded(seed + 1);
    unsigned made = 0, rounds = kills_wanted() / 4 + 1;
    for (unsigned i = 0; i < rounds; i++) {
        home one = *h;
        int status;
        snprintf(one.db, sizeof one.db, "%s/%u.db", h->dir, i);
        pid_t child = fork();
        assert_true(child >= 0);
        if (child == 0) {
            tl_store *store = open_at(one.db);
            _exit(put_row(store, 1, 1) ? 1 : 0);
        }
        spin(tl_rand_below(&rand, 60000));
        kill(child, SIGKILL);
        assert_int_equal(waitpid(child, &status, 0), child);
        made += WIFEXITED(status) ? 1 : 0;
        tl_store *store = open_at(one.db);
        if (WIFEXITED(status))
            assert_int_equal(row_of(store, 1), 1);
        assert_int_equal(put_row(store, 2, 1), TL_OK);
        tl_store_close(store);
    }
    print_message("%u of %u were killed before they were done\n", rounds - made, rounds);
    assert_true(made < rounds);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_HOME(of_fifty_who_spend_an_invite_at_once_one_wins_and_stays_the_winner_through_kills),
        IN_HOME(a_node_that_is_killed_while_it_makes_its_store_starts_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
