#include "home.h"

#include "store/networks.h"

#include <pthread.h>

static tl_node_id id_of(uint8_t kind, uint8_t number)
{
    tl_node_id id;
    memset(id.key, kind, sizeof id.key);
    id.key[0] = number;
    return id;
}

#define LAB     id_of('n', 1)
#define HOME    id_of('n', 2)
#define NODE(i) id_of('p', (uint8_t)(i))
/* Its address, until the end of the block. */
#define AT(id)  ((const tl_node_id[]){id})

/* --- answers --- */

typedef struct {
    int came;
    tl_err e;
    char why[256], certificate[64];
} answer;

static void on_told(void *user, tl_err e, const char *why)
{
    answer *a = user;
    a->came++;
    a->e = e;
    snprintf(a->why, sizeof a->why, "%.255s", why);
}

static void on_spent(void *user, tl_err e, const char *certificate, const char *why)
{
    answer *a = user;
    on_told(a, e, why);
    assert_int_equal(certificate == NULL, e != TL_OK);
    snprintf(a->certificate, sizeof a->certificate, "%s", certificate ? certificate : "");
}

/* Waits until all that was submitted is done, and has it told. */
static void settle(tl_store *s)
{
    row_job last = {.job.work = read_row};
    assert_int_equal(tl_store_do(s, &last.job), TL_OK);
    tl_store_collect(s);
    assert_true(tl_store_is_idle(s));
}

static tl_err done(tl_store *s, answer *a, tl_err submitted)
{
    assert_int_equal(submitted, TL_OK);
    settle(s);
    assert_int_equal(a->came, 1);
    return a->e;
}

/* The answer to one call: DO(s, a, tl_store_put_member(s, &row, on_told, &a)). */
#define DO(s, a, call) ((a) = (answer){.came = 0}, done(s, &(a), (call)))

static void put_lab(tl_store *s)
{
    const tl_network_row row = {
        .network = LAB, .name = "lab", .certificate = "{\"ours\":1}", .at = 10};
    answer a;
    assert_int_equal(DO(s, a, tl_store_put_network(s, &row, on_told, &a)), TL_OK);
}

static tl_invite_row invite_of(uint8_t number)
{
    tl_invite_row row = {.network = LAB, .role = TL_ROLE_CONSUMER, .expires_at = 1000};
    memset(row.nonce, number, sizeof row.nonce);
    return row;
}

static tl_err put_invite(tl_store *s, uint8_t number)
{
    const tl_invite_row row = invite_of(number);
    answer a;
    return DO(s, a, tl_store_put_invite(s, &row, 500, on_told, &a));
}

static tl_err spend(tl_store *s, uint8_t number, const tl_node_id *node, const char *certificate,
                    answer *ret)
{
    const tl_invite_row row = invite_of(number);
    const tl_member_row m = {LAB, *node, certificate, "", 600};
    return DO(s, *ret, tl_store_spend_invite(s, row.nonce, &m, on_spent, ret));
}

/* --- all rows, as one text: a line each --- */

typedef struct {
    char text[4096];
    size_t n;
} lines;

static void add(lines *l, const char *fmt, ...) TL_PRINTF(2, 3);
static void add(lines *l, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(l->text + l->n, sizeof l->text - l->n, fmt, ap);
    va_end(ap);
    assert_true(n >= 0 && l->n + (size_t)n < sizeof l->text);
    l->n += (size_t)n;
}

static tl_err visit_network(void *user, const tl_network_row *r)
{
    add(user, "network %d %s %s seed=%d key=%s left=%d at=%d\n", r->network.key[0], r->name,
        r->certificate ? r->certificate : "-", r->ca_seed ? r->ca_seed[31] : -1,
        r->api_key ? r->api_key : "-", r->has_left, (int)r->at);
    return TL_OK;
}

static tl_err visit_objects(void *user, const tl_objects_row *r)
{
    add(user, "objects %d %d %s\n", r->network.key[0], (int)r->kind, r->objects);
    return TL_OK;
}

static tl_err visit_member(void *user, const tl_member_row *r)
{
    add(user, "member %d %d %s '%s' %d\n", r->network.key[0], r->node.key[0], r->certificate,
        r->name, (int)r->last_seen);
    return TL_OK;
}

static tl_err visit_departed(void *user, const tl_departed_row *r)
{
    add(user, "left %d %d %d\n", r->network.key[0], r->node.key[0], (int)r->issued_at);
    return TL_OK;
}

static tl_err visit_join(void *user, const tl_join_row *r)
{
    add(user, "join %d %s '%s' %d\n", r->network.key[0], r->invite, r->name, (int)r->at);
    return TL_OK;
}

static void assert_rows(tl_store *s, const char *want)
{
    lines l = {.n = 0};
    const tl_store_visitor all = {visit_network, NULL, visit_objects, visit_member, visit_departed,
                                  visit_join,    &l};
    tl_why why;
    assert_int_equal(tl_store_each(s, &all, &why), TL_OK);
    assert_string_equal(l.text, want);
}

static void rows_come_back_as_they_were_put_also_after_a_restart(void **state)
{
    const home *h = *state;
    tl_store *s = open_at(h->db);
    uint8_t seed[32] = {[31] = 9};
    answer a;
    tl_network_row lab = {.network = LAB,
                          .name = "lab",
                          .certificate = "{}",
                          .ca_seed = seed,
                          .api_key = "tl-1",
                          .at = 5};
    const tl_network_row away = {.network = HOME, .name = "home", .has_left = true, .at = 4};
    const tl_member_row m = {LAB, NODE(3), "{\"c\":3}", "Anna", 77};
    const tl_join_row join = {HOME, "teale:inv1:x", "again", 8};
    assert_int_equal(DO(s, a, tl_store_put_network(s, &lab, on_told, &a)), TL_OK);
    assert_int_equal(DO(s, a, tl_store_put_network(s, &away, on_told, &a)), TL_OK);
    assert_int_equal(DO(s, a, tl_store_put_member(s, &m, on_told, &a)), TL_OK);
    assert_int_equal(DO(s, a, tl_store_put_join(s, &join, on_told, &a)), TL_OK);
    assert_int_equal(
        DO(s, a, tl_store_put_objects(s, AT(LAB), TL_OBJECTS_REVOCATIONS, "[1]", on_told, &a)),
        TL_OK);
    assert_int_equal(DO(s, a, tl_store_put_objects(s, AT(LAB), TL_OBJECTS_KEY, "[2]", on_told, &a)),
                     TL_OK);
    assert_int_equal(
        DO(s, a, tl_store_put_objects(s, AT(LAB), TL_OBJECTS_REVOCATIONS, "[3]", on_told, &a)),
        TL_OK);
    const char *want = "network 2 home - seed=-1 key=- left=1 at=4\n"
                       "network 1 lab {} seed=9 key=tl-1 left=0 at=5\n"
                       "objects 1 2 [2]\nobjects 1 0 [3]\n"
                       "member 1 3 {\"c\":3} 'Anna' 77\n"
                       "join 2 teale:inv1:x 'again' 8\n";
    assert_rows(s, want);
    tl_store_close(s);
    s = open_at(h->db);
    assert_rows(s, want);

    lab.ca_seed = NULL; /* all of a row is replaced, and its members stay */
    lab.api_key = NULL;
    lab.at = 6;
    assert_int_equal(DO(s, a, tl_store_put_network(s, &lab, on_told, &a)), TL_OK);
    assert_int_equal(DO(s, a, tl_store_drop_join(s, AT(HOME), on_told, &a)), TL_OK);
    assert_int_equal(DO(s, a, tl_store_drop_join(s, AT(HOME), on_told, &a)), TL_OK);
    assert_int_equal(DO(s, a, tl_store_drop_network(s, AT(HOME), on_told, &a)), TL_OK);
    assert_rows(s, "network 1 lab {} seed=-1 key=- left=0 at=6\n"
                   "objects 1 2 [2]\nobjects 1 0 [3]\n"
                   "member 1 3 {\"c\":3} 'Anna' 77\n");
    const tl_departed_row left = {LAB, NODE(3), 70}, older = {LAB, NODE(3), 60},
                          elsewhere = {HOME, NODE(3), 70};
    assert_int_equal(DO(s, a, tl_store_drop_member(s, &left, 78, on_told, &a)), TL_OK);
    assert_int_equal(DO(s, a, tl_store_drop_member(s, &older, 79, on_told, &a)), TL_OK);
    assert_int_equal(DO(s, a, tl_store_drop_member(s, &elsewhere, 79, on_told, &a)), TL_OK);
    assert_rows(s, "network 1 lab {} seed=-1 key=- left=0 at=6\n"
                   "objects 1 2 [2]\nobjects 1 0 [3]\nleft 1 3 70\n");
    tl_store_close(s);
}

static void on_members(void *user, tl_err e, const tl_member_seen *rows, size_t n)
{
    lines *l = user;
    assert_int_equal(e, TL_OK);
    for (size_t i = 0; i < n; i++)
        add(l, "%d '%s' %d\n", rows[i].node.key[0], rows[i].name, (int)rows[i].last_seen);
}

static void assert_members(tl_store *s, const char *want)
{
    lines l = {.n = 0};
    assert_int_equal(tl_store_list_members(s, AT(LAB), on_members, &l), TL_OK);
    settle(s);
    assert_string_equal(l.text, want);
}

static void members_are_listed_with_the_last_that_was_seen_of_them(void **state)
{
    const home *h = *state;
    tl_store *s = open_at(h->db);
    tl_member_row anna = {LAB, NODE(4), "first", "Anna", 100}, other = {LAB, NODE(3), "{}", "", 0};
    put_lab(s);
    assert_members(s, "");
    assert_int_equal(tl_store_put_member(s, &anna, NULL, NULL), TL_OK);
    assert_int_equal(tl_store_put_member(s, &other, NULL, NULL), TL_OK);
    assert_members(s, "3 '' 0\n4 'Anna' 100\n");
    anna.certificate =
        "second"; /* a renewal tells no name, and comes from one that was seen before */
    anna.name = "";
    anna.last_seen = 50;
    assert_int_equal(tl_store_put_member(s, &anna, NULL, NULL), TL_OK);
    assert_int_equal(tl_store_see_member(s, AT(LAB), AT(NODE(3)), "Otto", 90), TL_OK);
    assert_int_equal(tl_store_see_member(s, AT(LAB), AT(NODE(4)), "", 120), TL_OK);
    assert_int_equal(tl_store_see_member(s, AT(LAB), AT(NODE(4)), "", 110), TL_OK);
    assert_int_equal(tl_store_see_member(s, AT(LAB), AT(NODE(9)), "Stranger", 120), TL_OK);
    assert_members(s, "3 'Otto' 90\n4 'Anna' 120\n");
    assert_rows(s, "network 1 lab {\"ours\":1} seed=-1 key=- left=0 at=10\n"
                   "member 1 3 {} 'Otto' 90\nmember 1 4 second 'Anna' 120\n");
    tl_store_close(s);
}

static void a_dropped_network_takes_all_its_rows_along(void **state)
{
    const home *h = *state;
    tl_store *s = open_at(h->db);
    answer a;
    const tl_member_row m = {LAB, NODE(3), "{}", "", 0};
    put_lab(s);
    assert_int_equal(put_invite(s, 1), TL_OK);
    assert_int_equal(DO(s, a, tl_store_put_member(s, &m, on_told, &a)), TL_OK);
    assert_int_equal(
        DO(s, a, tl_store_put_objects(s, AT(LAB), TL_OBJECTS_PRICE, "[]", on_told, &a)), TL_OK);
    assert_int_equal(DO(s, a, tl_store_drop_network(s, AT(LAB), on_told, &a)), TL_OK);
    assert_rows(s, "");
    put_lab(s);
    assert_int_equal(spend(s, 1, AT(NODE(3)), "{}", &a), TL_ERR_NOT_FOUND);
    tl_store_close(s);
}

static void what_the_schema_forbids_is_invalid_and_its_twin_is_not(void **state)
{
    const home *h = *state;
    tl_store *s = open_at(h->db);
    answer a;
    const tl_member_row m = {LAB, NODE(3), "{}", "", 0};
    assert_int_equal(DO(s, a, tl_store_put_member(s, &m, on_told, &a)), TL_ERR_INVALID);
    assert_string_not_equal(a.why, "");
    put_lab(s);
    assert_int_equal(DO(s, a, tl_store_put_member(s, &m, on_told, &a)), TL_OK);
    assert_string_equal(a.why, "");

    tl_network_row row = {.network = HOME, .name = "", .certificate = "{}", .api_key = "tl-1"};
    assert_int_equal(DO(s, a, tl_store_put_network(s, &row, on_told, &a)), TL_ERR_INVALID);
    snprintf(row.name, sizeof row.name, "home");
    assert_int_equal(DO(s, a, tl_store_put_network(s, &row, on_told, &a)), TL_OK);
    row.has_left = true; /* and keeps its keys */
    assert_int_equal(DO(s, a, tl_store_put_network(s, &row, on_told, &a)), TL_ERR_INVALID);
    row.has_left = false;
    row.network = id_of('n', 3); /* another network with the same API key */
    assert_int_equal(DO(s, a, tl_store_put_network(s, &row, on_told, &a)), TL_ERR_EXISTS);
    row.api_key = "tl-2";
    assert_int_equal(DO(s, a, tl_store_put_network(s, &row, on_told, &a)), TL_OK);
    tl_store_close(s);
}

static tl_err refuse(void *user, const tl_network_row *r)
{
    (void)r;
    ++*(int *)user;
    return TL_ERR_NOMEM;
}

static void a_visitor_that_fails_ends_the_reading(void **state)
{
    const home *h = *state;
    tl_store *s = open_at(h->db);
    tl_why why;
    int calls = 0;
    const tl_network_row other = {.network = HOME, .name = "home"};
    put_lab(s);
    assert_int_equal(tl_store_put_network(s, &other, NULL, NULL), TL_OK);
    const tl_store_visitor v = {.network = refuse, .user = &calls};
    assert_int_equal(tl_store_each(s, &v, &why), TL_ERR_NOMEM);
    assert_int_equal(calls, 1);
    tl_store_close(s);
}

/* --- invites --- */

static void an_invite_is_spent_once_and_its_node_may_come_again(void **state)
{
    const home *h = *state;
    tl_store *s = open_at(h->db);
    answer a;
    put_lab(s);
    assert_int_equal(put_invite(s, 1), TL_OK);
    assert_int_equal(put_invite(s, 1), TL_ERR_EXISTS);
    assert_int_equal(spend(s, 2, AT(NODE(3)), "{}", &a), TL_ERR_NOT_FOUND);
    assert_int_equal(spend(s, 1, AT(NODE(3)), NULL, &a),
                     TL_ERR_NOT_FOUND); /* it has ended unused */
    assert_int_equal(spend(s, 1, AT(NODE(3)), "first", &a), TL_OK);
    assert_string_equal(a.certificate, "first");
    assert_int_equal(spend(s, 1, AT(NODE(4)), NULL, &a), TL_ERR_EXISTS);
    assert_int_equal(spend(s, 1, AT(NODE(3)), NULL, &a), TL_OK);
    assert_string_equal(a.certificate, "first");
    assert_int_equal(spend(s, 1, AT(NODE(4)), "other", &a), TL_ERR_EXISTS);
    assert_int_equal(spend(s, 1, AT(NODE(3)), "second", &a), TL_OK);
    assert_string_equal(a.certificate, "first");
    tl_store_close(s);
    s = open_at(h->db); /* and over a restart */
    assert_int_equal(spend(s, 1, AT(NODE(4)), "other", &a), TL_ERR_EXISTS);
    assert_int_equal(spend(s, 1, AT(NODE(3)), "second", &a), TL_OK);
    assert_string_equal(a.certificate, "first");
    const tl_departed_row left = {LAB, NODE(3), 70};
    assert_int_equal(DO(s, a, tl_store_drop_member(s, &left, 78, on_told, &a)), TL_OK);
    assert_int_equal(spend(s, 1, AT(NODE(4)), "other", &a), TL_ERR_EXISTS);
    /* who left, or was dropped as its certificate had ended, does not come back with what it used */
    assert_int_equal(spend(s, 1, AT(NODE(3)), "third", &a), TL_ERR_EXISTS);
    assert_int_equal(put_invite(s, 2), TL_OK);
    assert_int_equal(spend(s, 2, AT(NODE(3)), "third", &a), TL_OK);
    assert_string_equal(a.certificate, "third");
    assert_rows(s, "network 1 lab {\"ours\":1} seed=-1 key=- left=0 at=10\n"
                   "member 1 3 third '' 600\n");
    tl_store_close(s);
}

static void a_member_with_a_new_invite_gets_the_new_certificate(void **state)
{
    const home *h = *state;
    tl_store *s = open_at(h->db);
    answer a;
    put_lab(s);
    assert_int_equal(put_invite(s, 1), TL_OK);
    assert_int_equal(put_invite(s, 2), TL_OK);
    assert_int_equal(spend(s, 1, AT(NODE(3)), "consumer", &a), TL_OK);
    assert_int_equal(spend(s, 2, AT(NODE(3)), "provider", &a), TL_OK);
    assert_string_equal(a.certificate, "provider");
    tl_store_close(s);
}

static void a_withdrawn_invite_is_not_spent_and_a_spent_one_not_withdrawn(void **state)
{
    const home *h = *state;
    tl_store *s = open_at(h->db);
    answer a;
    const tl_invite_row one = invite_of(1), two = invite_of(2), three = invite_of(3);
    put_lab(s);
    assert_int_equal(put_invite(s, 1), TL_OK);
    assert_int_equal(put_invite(s, 2), TL_OK);
    for (int i = 0; i < 2; i++)
        assert_int_equal(DO(s, a, tl_store_withdraw_invite(s, AT(LAB), one.nonce, on_told, &a)),
                         TL_OK);
    assert_int_equal(spend(s, 1, AT(NODE(3)), "{}", &a), TL_ERR_FORBIDDEN);
    assert_int_equal(spend(s, 2, AT(NODE(3)), "{}", &a), TL_OK);
    assert_int_equal(DO(s, a, tl_store_withdraw_invite(s, AT(LAB), two.nonce, on_told, &a)),
                     TL_ERR_EXISTS);
    assert_int_equal(DO(s, a, tl_store_withdraw_invite(s, AT(LAB), three.nonce, on_told, &a)),
                     TL_ERR_NOT_FOUND);
    tl_store_close(s);
}

static void on_listed(void *user, tl_err e, const tl_invite_row *rows, size_t n)
{
    lines *l = user;
    assert_int_equal(e, TL_OK);
    for (size_t i = 0; i < n; i++)
        add(l, "%d %s %d %d %s %d %d\n", rows[i].nonce[0], tl_role_name(rows[i].role),
            (int)rows[i].expires_at, (int)rows[i].valid_seconds,
            tl_invite_state_name(rows[i].state), rows[i].bound ? rows[i].bound_to.key[0] : -1,
            rows[i].state == TL_INVITE_USED ? rows[i].used_by.key[0] : -1);
}

static void assert_invites(tl_store *s, const char *want)
{
    lines l = {.n = 0};
    assert_int_equal(tl_store_list_invites(s, AT(LAB), on_listed, &l), TL_OK);
    settle(s);
    assert_string_equal(l.text, want);
}

static void invites_are_listed_with_their_states_and_forgotten_a_week_after_their_end(void **state)
{
    const home *h = *state;
    tl_store *s = open_at(h->db);
    answer a;
    put_lab(s);
    assert_invites(s, "");
    tl_invite_row full = invite_of(3);
    full.role = TL_ROLE_ADMIN;
    full.valid_seconds = 60;
    full.bound = true;
    full.bound_to = NODE(9);
    full.expires_at = 2000;
    assert_int_equal(DO(s, a, tl_store_put_invite(s, &full, 500, on_told, &a)), TL_OK);
    assert_int_equal(put_invite(s, 1), TL_OK);
    assert_int_equal(put_invite(s, 2), TL_OK);
    assert_int_equal(spend(s, 1, AT(NODE(5)), "{}", &a), TL_OK);
    full = invite_of(2);
    assert_int_equal(DO(s, a, tl_store_withdraw_invite(s, AT(LAB), full.nonce, on_told, &a)),
                     TL_OK);
    assert_invites(s, "1 consumer 1000 0 used -1 5\n2 consumer 1000 0 withdrawn -1 -1\n"
                      "3 admin 2000 60 open 9 -1\n");
    full = invite_of(4);
    full.expires_at = 999999999;
    const tl_unix week = 7 * 24 * 3600;
    assert_int_equal(DO(s, a, tl_store_put_invite(s, &full, 1000 + week, on_told, &a)), TL_OK);
    assert_int_equal(spend(s, 1, AT(NODE(6)), "{}", &a), TL_ERR_EXISTS);
    full = invite_of(5);
    full.expires_at = 999999999;
    assert_int_equal(DO(s, a, tl_store_put_invite(s, &full, 1001 + week, on_told, &a)), TL_OK);
    assert_invites(s, "3 admin 2000 60 open 9 -1\n4 consumer 999999999 0 open -1 -1\n"
                      "5 consumer 999999999 0 open -1 -1\n");
    tl_store_close(s);
}

/* --- at once --- */

#define AT_ONCE 50

typedef struct {
    tl_store *store;
    pthread_barrier_t *start;
    int number;
    answer answer;
} racer;

static void *race(void *user)
{
    racer *r = user;
    const tl_invite_row row = invite_of(1);
    const tl_member_row m = {LAB, NODE(r->number), "{}", "", 0};
    pthread_barrier_wait(r->start);
    return tl_store_spend_invite(r->store, row.nonce, &m, on_spent, &r->answer) ? r : NULL;
}

static void of_fifty_spends_at_once_exactly_one_wins(void **state)
{
    const home *h = *state;
    tl_store *s = open_at(h->db);
    pthread_t threads[AT_ONCE];
    pthread_barrier_t start;
    racer racers[AT_ONCE];
    put_lab(s);
    assert_int_equal(put_invite(s, 1), TL_OK);
    assert_int_equal(pthread_barrier_init(&start, NULL, AT_ONCE), 0);
    for (int i = 0; i < AT_ONCE; i++) {
        racers[i] = (racer){.store = s, .start = &start, .number = i};
        assert_int_equal(pthread_create(&threads[i], NULL, race, &racers[i]), 0);
    }
    for (int i = 0; i < AT_ONCE; i++) {
        void *failed;
        pthread_join(threads[i], &failed);
        assert_null(failed);
    }
    settle(s);
    int won = 0, winner = -1;
    for (int i = 0; i < AT_ONCE; i++) {
        assert_int_equal(racers[i].answer.came, 1);
        if (racers[i].answer.e)
            assert_int_equal(racers[i].answer.e, TL_ERR_EXISTS);
        else
            won++, winner = i;
    }
    assert_int_equal(won, 1);
    char want[256];
    snprintf(want, sizeof want,
             "network 1 lab {\"ours\":1} seed=-1 key=- left=0 at=10\nmember 1 %d {} '' 0\n",
             winner);
    assert_rows(s, want); /* and no row of a loser is there */
    pthread_barrier_destroy(&start);
    tl_store_close(s);
}

/* --- set back --- */

static void a_copy_that_is_taken_back_has_no_open_invites(void **state)
{
    const home *h = *state;
    answer a;
    tl_store *s = open_at(h->db);
    put_lab(s);
    assert_int_equal(put_invite(s, 1), TL_OK);
    assert_int_equal(put_invite(s, 2), TL_OK);
    assert_int_equal(spend(s, 2, AT(NODE(3)), "{}", &a), TL_OK);
    tl_store_close(s);
    content copy = read_file(h->db);
    s = open_at(h->db);
    assert_int_equal(spend(s, 1, AT(NODE(4)), "{}", &a), TL_OK);
    tl_store_close(s);

    write_file(h->db, &copy); /* here invite 1 is open */
    tl_why why;
    assert_int_equal(refused_at(h->db, &why), TL_ERR_REPLAY);
    remove(h->mark);
    s = open_at(h->db);
    assert_int_equal(spend(s, 1, AT(NODE(5)), "{}", &a), TL_ERR_FORBIDDEN);
    assert_invites(s, "1 consumer 1000 0 withdrawn -1 -1\n2 consumer 1000 0 used -1 3\n");
    assert_int_equal(spend(s, 2, AT(NODE(3)), "new", &a), TL_OK); /* a member stays one */
    assert_int_equal(put_invite(s, 6), TL_OK);                    /* new ones are open */
    assert_int_equal(spend(s, 6, AT(NODE(6)), "{}", &a), TL_OK);
    tl_store_close(s);
    free(copy.p);
}

/* --- bounds --- */

static void members_beyond_the_bound_take_the_place_of_those_unseen_for_longest(void **state)
{
    const home *h = *state;
    tl_store *s = open_at(h->db);
    put_lab(s);
    tl_member_row m = {LAB, NODE(0), "{}", "", 0};
    for (int i = 0; i < TL_STORE_MEMBERS_MAX + 2; i++) {
        m.node.key[0] = (uint8_t)i;
        m.node.key[1] = (uint8_t)(i >> 8);
        m.last_seen = 100000 - i; /* the last one of all is unseen for longest */
        assert_int_equal(tl_store_put_member(s, &m, NULL, NULL), TL_OK);
    }
    settle(s);
    tl_store_close(s);
    assert_int_equal(number_in(h->db, "SELECT count(*) FROM members"), TL_STORE_MEMBERS_MAX);
    assert_int_equal(number_in(h->db, "SELECT min(last_seen) FROM members"),
                     100000 - TL_STORE_MEMBERS_MAX - 1);
    assert_int_equal(number_in(h->db, "SELECT max(last_seen) FROM members"), 100000);
}

static void networks_beyond_the_bound_are_refused(void **state)
{
    const home *h = *state;
    tl_store *s = open_at(h->db);
    tl_network_row row = {.network = LAB, .name = "n", .certificate = "{}"};
    answer a;
    for (int i = 0; i < TL_STORE_NETWORKS_MAX; i++) {
        row.network.key[1] = (uint8_t)i;
        assert_int_equal(tl_store_put_network(s, &row, NULL, NULL), TL_OK);
    }
    settle(s);
    assert_int_equal(DO(s, a, tl_store_put_network(s, &row, on_told, &a)), TL_OK); /* one of them */
    row.network.key[2] = 1;
    assert_int_equal(DO(s, a, tl_store_put_network(s, &row, on_told, &a)), TL_ERR_BUSY);
    tl_store_close(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_HOME(rows_come_back_as_they_were_put_also_after_a_restart),
        IN_HOME(members_are_listed_with_the_last_that_was_seen_of_them),
        IN_HOME(a_dropped_network_takes_all_its_rows_along),
        IN_HOME(what_the_schema_forbids_is_invalid_and_its_twin_is_not),
        IN_HOME(a_visitor_that_fails_ends_the_reading),
        IN_HOME(an_invite_is_spent_once_and_its_node_may_come_again),
        IN_HOME(a_member_with_a_new_invite_gets_the_new_certificate),
        IN_HOME(a_withdrawn_invite_is_not_spent_and_a_spent_one_not_withdrawn),
        IN_HOME(invites_are_listed_with_their_states_and_forgotten_a_week_after_their_end),
        IN_HOME(of_fifty_spends_at_once_exactly_one_wins),
        IN_HOME(a_copy_that_is_taken_back_has_no_open_invites),
        IN_HOME(members_beyond_the_bound_take_the_place_of_those_unseen_for_longest),
        IN_HOME(networks_beyond_the_bound_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
