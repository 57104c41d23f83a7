#include "whole_credit.h"

#include "node/till.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct whole_accounts {
    char path[128];
    tl_store *store;
    tl_credit *credit; /* NULL between stop and start */
    tl_pay pay;
    tl_book_op *ops[1024]; /* in order; the first n of them */
    size_t n;
};

static tl_err submit(void *user, tl_book_op *op)
{
    struct whole_accounts *a = ((whole_node *)user)->accounts;
    if (a->n == sizeof a->ops / sizeof *a->ops)
        return TL_ERR_BUSY;
    a->ops[a->n++] = op;
    return TL_OK;
}

static tl_err tell(void *user, const tl_node_id *peer, const char *name, json_t *payload)
{
    whole_node *n = user;
    return tl_peers_tell(n->peers, peer, name, payload);
}

static bool is_member(void *user, const tl_node_id *peer, const tl_node_id *network)
{
    const tl_access *access = &((whole_node *)user)->access;
    return network ? tl_access_is_member_of(access, peer, network)
                   : tl_access_is_member(access, peer);
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

static void must_ok(tl_err e)
{
    if (!e)
        return;
    fprintf(stderr, "whole_credit: %s\n", tl_err_name(e));
    abort();
}

void whole_credit_start(whole_node *n)
{
    if (!n->accounts)
        return;
    static const tl_credit_world world = {submit, tell, is_member};
    static const tl_ledger_loaded loaded = {on_peer, on_served, on_named, on_restored};
    struct whole_accounts *a = n->accounts;
    tl_credit_limits limits = {1000000, 100000000};
    must_ok(tl_credit_new(&n->env, &n->rand, &n->identity, &world, n, &a->credit));
    tl_credit_set_limits(a->credit, &limits);
    must_ok(tl_ledger_load(a->store, n->env.wall(n), &loaded, a->credit));
    tl_till_init(&a->pay, a->credit);
    tl_server_set_pay(n->server, &a->pay);
    tl_asker_set_pay(n->asker, &a->pay);
}

void whole_credit_stop(whole_node *n)
{
    struct whole_accounts *a = n->accounts;
    if (!a)
        return;
    for (size_t i = 0; i < a->n; i++)
        a->ops[i]->done(a->ops[i], TL_ERR_CLOSED); /* may add some */
    a->n = 0;
    tl_credit_free(a->credit);
    a->credit = NULL;
}

void whole_node_keep_accounts(whole_node *n, const char *path)
{
    tl_why why;
    tl_store_config config = tl_store_config_default();
    n->accounts = calloc(1, sizeof *n->accounts);
    if (!n->accounts)
        abort();
    snprintf(n->accounts->path, sizeof n->accounts->path, "%s", path);
    must_ok(tl_store_open(path, &config, &n->accounts->store, &why));
    whole_credit_start(n);
}

void whole_node_close_accounts(whole_node *n)
{
    struct whole_accounts *a = n->accounts;
    if (!a)
        return;
    tl_store_close(a->store);
    n->accounts = NULL;
    free(a);
}

/* --- the store --- */

typedef struct {
    tl_store_job job; /* first */
    tl_book_op *op;
} one_op;

static tl_err work(tl_store_job *j, tl_db *db)
{
    return tl_ledger_run(db, ((one_op *)j)->op);
}

static void run_first(struct whole_accounts *a)
{
    one_op o = {.job.work = work, .op = a->ops[0]};
    memmove(a->ops, a->ops + 1, --a->n * sizeof *a->ops);
    tl_err e = tl_store_do(a->store, &o.job);
    o.op->done(o.op, e);
}

bool whole_credit_step(whole_node *n)
{
    struct whole_accounts *a = n->accounts;
    bool did = false;
    if (a)
        tl_credit_run(a->credit);
    for (; a && a->n; did = true)
        run_first(a);
    return did;
}

void whole_credit_on_timer(whole_node *n)
{
    if (n->accounts)
        tl_credit_on_timer(n->accounts->credit);
}

tl_time whole_credit_expiry(const whole_node *n)
{
    return n->accounts ? tl_credit_expiry(n->accounts->credit) : TL_NEVER;
}

void whole_credit_on_hello(whole_node *n, const tl_node_id *peer)
{
    if (!n->accounts)
        return;
    tl_credit_on_hello(n->accounts->credit, peer);
    sim_wake(n->host);
}

void whole_credit_on_told(whole_node *n, const tl_node_id *peer, const char *name,
                          const json_t *payload)
{
    bool ours = strncmp(name, "receipt", 7) == 0 || strncmp(name, "settle", 6) == 0;
    if (ours && n->accounts)
        tl_credit_on_told(n->accounts->credit, peer, name, payload);
    sim_wake(n->host);
}

/* --- what came of it --- */

int64_t whole_node_balance(const whole_node *n, const whole_node *peer)
{
    tl_ledger_sums s = tl_credit_sums_of(n->accounts->credit, &peer->identity.id);
    return tl_ledger_balance(&s);
}

static void note(tl_report *r, tl_err e)
{
    must_ok(e);
    *(bool *)r->user = true;
}

json_t *whole_node_audit(whole_node *n)
{
    bool done = false;
    tl_report r = {.what = TL_REPORT_AUDIT, .self = n->identity.id, .done = note, .user = &done};
    tl_report_submit(n->accounts->store, &r);
    while (!done)
        tl_store_collect(n->accounts->store);
    return r.result;
}
