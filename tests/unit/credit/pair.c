#include "pair.h"

#include <utlist.h>

party *other(party *p)
{
    return p == &p->pair->a ? &p->pair->b : &p->pair->a;
}

/* --- the world of one party --- */

static tl_err submit(void *user, tl_book_op *op)
{
    party *p = user;
    if (!p->disk_fails)
        return tl_ledger_submit(p->store, op);
    assert_true(p->failing_n < sizeof p->failing / sizeof *p->failing);
    p->failing[p->failing_n++] = op;
    return TL_OK;
}

static tl_err tell(void *user, const tl_node_id *peer, const char *name, json_t *payload)
{
    party *p = user;
    assert_true(tl_node_id_eq(peer, &other(p)->self.id));
    if (p->pair->cut)
        return TL_ERR_NOT_FOUND;
    p->told++;
    if (!p->is_silent)
        say(p, name, payload);
    return TL_OK;
}

static bool is_member(void *user, const tl_node_id *peer, const tl_node_id *network)
{
    static const tl_node_id no_network;
    const party *p = user;
    (void)peer;
    return p->is_member && (!network || tl_node_id_eq(&p->network, network) ||
                            tl_node_id_eq(&p->network, &no_network));
}

static void on_served_us(void *user, const tl_node_id *peer, int64_t tokens, tl_unix at)
{
    party *p = user;
    assert_true(tl_node_id_eq(peer, &other(p)->self.id));
    assert_true(at <= p->pair->wall);
    p->served_n++;
    p->served += tokens;
}

static tl_time env_now(void *user)
{
    return ((party *)user)->pair->now;
}

static tl_unix env_wall(void *user)
{
    return ((party *)user)->pair->wall;
}

static void env_wake(void *user)
{
    (void)user;
}

static void on_peer(void *user, const tl_node_id *peer, const tl_ledger_sums *sums,
                    unsigned unsigned_n, unsigned paid_n)
{
    tl_credit_on_loaded_peer(user, peer, sums, unsigned_n, paid_n);
}

static void on_served(void *user, const tl_node_id *peer, const char *request, tl_unix at)
{
    tl_credit_on_loaded_served(user, peer, request, at);
}

static void on_named(void *user, const char *request, tl_unix at)
{
    tl_credit_on_loaded_name(user, request, at);
}

static void on_restored(void *user, tl_unix at, tl_unix from)
{
    tl_credit_on_loaded_restored(user, at, from);
}

static void start(party *p)
{
    static const tl_credit_world world = {submit, tell, is_member, on_served_us};
    static const tl_ledger_loaded loaded = {on_peer, on_served, on_named, on_restored};
    tl_env env = {env_now, env_wall, env_wake, p};
    tl_credit_limits limits = {1000000, 100000000};
    p->store = open_at(p->path);
    assert_int_equal(tl_credit_new(&env, &p->pair->rand, &p->self, &world, p, &p->credit), TL_OK);
    tl_credit_set_limits(p->credit, &limits);
    assert_int_equal(tl_ledger_load(p->store, p->pair->wall, &loaded, p->credit), TL_OK);
}

static void fail_all(party *p);

static void stop(party *p)
{
    fail_all(p);
    tl_store_close(p->store);
    tl_credit_free(p->credit);
}

static void make_party(pair *p, party *one, const char *name, uint8_t first)
{
    uint8_t seed[32] = {first};
    one->pair = p;
    assert_int_equal(tl_identity_from_seed(seed, &one->self), TL_OK);
    snprintf(one->path, sizeof one->path, "%s/%s", p->home->dir, name);
    start(one);
}

int make_pair(void **state)
{
    pair *p = calloc(1, sizeof *p);
    void *h;
    assert_int_equal(tl_crypto_init(), TL_OK);
    make_home(&h);
    p->home = h;
    p->rand = tl_rand_seeded(5);
    p->now = TL_SEC;
    p->wall = WALL;
    make_party(p, &p->a, "a.db", 1);
    make_party(p, &p->b, "b.db", 2);
    *state = p;
    return 0;
}

static void drop_messages(pair *p)
{
    message *m, *next;
    DL_FOREACH_SAFE (p->messages, m, next) {
        DL_DELETE(p->messages, m);
        json_decref(m->payload);
        free(m);
    }
}

int remove_pair(void **state)
{
    pair *p = *state;
    void *h = p->home;
    p->cut = true;
    stop(&p->a);
    stop(&p->b);
    drop_messages(p);
    remove_home(&h);
    free(p);
    return 0;
}

void say(party *from, const char *name, json_t *payload)
{
    message *m = calloc(1, sizeof *m);
    m->to = other(from);
    snprintf(m->name, sizeof m->name, "%s", name);
    m->payload = json_deep_copy(payload); /* what is on the wire is nobody's */
    DL_APPEND(from->pair->messages, m);
}

static void fail_all(party *p)
{
    for (size_t i = 0; i < p->failing_n; i++) /* none adds one: that would be a busy loop */
        p->failing[i]->done(p->failing[i], p->disk_error ? p->disk_error : TL_ERR_IO);
    p->failing_n = 0;
}

static void deliver(pair *p)
{
    message *m = p->messages;
    DL_DELETE(p->messages, m);
    tl_credit_on_told(m->to->credit, &other(m->to)->self.id, m->name, m->payload);
    json_decref(m->payload);
    free(m);
}

/* Something waits for its turn to be told: its time comes. */
static bool pace(pair *p)
{
    tl_time at = tl_time_min(tl_credit_expiry(p->a.credit), tl_credit_expiry(p->b.credit));
    if (at == TL_NEVER || at > p->now + 4 * TL_SEC)
        return false;
    p->now = tl_time_max(p->now, at);
    tl_credit_on_timer(p->a.credit);
    tl_credit_on_timer(p->b.credit);
    return true;
}

static bool is_quiet(pair *p)
{
    return !p->messages && tl_store_is_idle(p->a.store) && tl_store_is_idle(p->b.store) && !pace(p);
}

void settle_down(pair *p)
{
    do {
        while (p->messages)
            deliver(p);
        fail_all(&p->a);
        fail_all(&p->b);
        tl_credit_run(p->a.credit);
        tl_credit_run(p->b.credit);
        tl_store_collect(p->a.store);
        tl_store_collect(p->b.store);
    } while (!is_quiet(p));
}

void connect_pair(pair *p)
{
    p->cut = false;
    tl_credit_on_hello(p->a.credit, &p->b.self.id);
    tl_credit_on_hello(p->b.credit, &p->a.self.id);
    settle_down(p);
}

void restart(party *p)
{
    p->pair->cut = true;
    drop_messages(p->pair);
    stop(p);
    start(p);
}

content keep_books(party *p)
{
    settle_down(p->pair);
    stop(p);
    content c = read_file(p->path);
    start(p);
    return c;
}

void put_books_back(party *p, content *c)
{
    char mark[160];
    snprintf(mark, sizeof mark, "%s.mark", p->path);
    p->pair->cut = true;
    drop_messages(p->pair);
    stop(p);
    write_file(p->path, c);
    free(c->p);
    remove(mark);
    start(p);
}

void pass_time(pair *p, tl_time by)
{
    p->now += by;
    p->wall += (tl_unix)(by / TL_SEC);
    tl_credit_on_timer(p->a.credit);
    tl_credit_on_timer(p->b.credit);
    settle_down(p);
}

tl_credit_question question_to(const party *asker, const char *request, int64_t price)
{
    const party *b = asker == &asker->pair->a ? &asker->pair->b : &asker->pair->a;
    return (tl_credit_question){.request = request,
                                .peer = b->self.id,
                                .model = "llama",
                                .price = price,
                                .body_bytes = 40,
                                .max_tokens = 100,
                                .order = ""};
}

bool trade(pair *p, const char *request, int64_t in, int64_t out)
{
    tl_credit_question q = question_to(&p->a, request, 1000);
    char order[TL_ORDER_MAX];
    tl_credit_asked *asked;
    tl_credit_served *served;
    tl_why why;
    assert_int_equal(tl_credit_ask(p->a.credit, &q, order, &asked), TL_OK);
    q.peer = p->a.self.id;
    q.order = order;
    if (tl_credit_serve(p->b.credit, &q, &served, &why)) {
        tl_credit_over(asked, TL_CREDIT_FAILED, (tl_tokens){0, 0}, 0);
        settle_down(p);
        return false;
    }
    tl_credit_charge(served, (tl_tokens){in, out});
    tl_credit_over(asked, TL_CREDIT_ANSWERED, (tl_tokens){in, out}, 0);
    settle_down(p);
    return true;
}

void charge_at_once(pair *p, const char *request)
{
    tl_credit_question q = question_to(&p->a, request, 1000);
    char order[TL_ORDER_MAX];
    tl_credit_asked *asked;
    tl_credit_served *s;
    tl_why why;
    assert_int_equal(tl_credit_ask(p->a.credit, &q, order, &asked), TL_OK);
    q.peer = p->a.self.id;
    q.order = order;
    assert_int_equal(tl_credit_serve(p->b.credit, &q, &s, &why), TL_OK);
    tl_credit_charge(s, (tl_tokens){1, 1});
    tl_credit_over(asked, TL_CREDIT_ANSWERED, (tl_tokens){1, 1}, 0);
}

tl_err serve(pair *p, const char *request, int64_t price, uint64_t max_tokens,
             tl_credit_served **ret)
{
    tl_credit_question q = question_to(&p->b, request, price);
    tl_why why;
    q.max_tokens = max_tokens;
    return tl_credit_serve(p->b.credit, &q, ret, &why);
}

void say_receipt(party *from, const tl_receipt *r)
{
    json_t *o, *payload;
    assert_int_equal(tl_receipt_write(r, &o), TL_OK);
    payload = json_pack("{s:[{s:o}]}", "receipts", "receipt", o);
    say(from, "receipts", payload);
    json_decref(payload);
    settle_down(from->pair);
}

/* --- what came of it --- */

int64_t balance(const party *p)
{
    const party *o = p == &p->pair->a ? &p->pair->b : &p->pair->a;
    tl_ledger_sums s = tl_credit_sums_of(p->credit, &o->self.id);
    return tl_ledger_balance(&s);
}

static void note_report(tl_report *r, tl_err e)
{
    assert_int_equal(e, TL_OK);
    *(bool *)r->user = true;
}

json_t *report(party *p, tl_report_what what)
{
    bool done = false;
    tl_report r = {.what = what, .self = p->self.id, .done = note_report, .user = &done};
    tl_report_submit(p->store, &r);
    while (!done)
        tl_store_collect(p->store);
    return r.result;
}

static json_int_t figure_in(party *p, tl_report_what what, const char *key)
{
    json_t *o = report(p, what);
    json_int_t n = json_integer_value(json_object_get(o, key));
    json_decref(o);
    return n;
}

unsigned unsigned_at(party *p)
{
    return (unsigned)figure_in(p, TL_REPORT_AUDIT, "unsigned");
}

static void assert_clean(party *p)
{
    json_t *audit = report(p, TL_REPORT_AUDIT), *problems = json_object_get(audit, "problems");
    if (json_array_size(problems))
        fail_msg("%s", json_string_value(json_array_get(problems, 0)));
    assert_true(json_is_true(json_object_get(audit, "ok")));
    json_decref(audit);
}

void assert_even(pair *p, int64_t owed)
{
    assert_int_equal(balance(&p->b), owed);
    assert_int_equal(balance(&p->a), -owed);
    assert_int_equal(figure_in(&p->b, TL_REPORT_WALLET, "balance_micro"), owed);
    assert_int_equal(figure_in(&p->a, TL_REPORT_WALLET, "balance_micro"), -owed);
    assert_clean(&p->a);
    assert_clean(&p->b);
}
