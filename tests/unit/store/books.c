#include "books.h"

static void open_book(const home *h, book *b, const char *name, uint8_t first)
{
    uint8_t seed[32] = {first};
    assert_int_equal(tl_identity_from_seed(seed, &b->self), TL_OK);
    snprintf(b->path, sizeof b->path, "%s/%s", h->dir, name);
    b->store = open_at(b->path);
}

int make_books(void **state)
{
    books *s = calloc(1, sizeof *s);
    void *h;
    assert_int_equal(tl_crypto_init(), TL_OK);
    make_home(&h);
    s->home = h;
    open_book(s->home, &s->consumer, "consumer.db", 1);
    open_book(s->home, &s->provider, "provider.db", 2);
    *state = s;
    return 0;
}

int remove_books(void **state)
{
    books *s = *state;
    void *h = s->home;
    tl_store_close(s->consumer.store);
    tl_store_close(s->provider.store);
    remove_home(&h);
    free(s);
    return 0;
}

typedef struct {
    tl_store_job job;
    tl_book_op *op;
} one_op;

static tl_err work(tl_store_job *j, tl_db *db)
{
    return tl_ledger_run(db, ((one_op *)j)->op);
}

tl_err run_op(const book *b, tl_book_op *op)
{
    one_op o = {.job.work = work, .op = op};
    op->identity = &b->self;
    return tl_store_do(b->store, &o.job);
}

tl_ledger_entry question_of(const books *s, tl_ledger_role role, const char *request)
{
    bool served = role == TL_LEDGER_SERVED;
    tl_ledger_entry e = {.role = role,
                         .peer = served ? s->consumer.self.id : s->provider.self.id,
                         .model = "llama",
                         .at = NOW,
                         .price = 1000,
                         .held = 1027,
                         .cap = {served ? 0 : 3, served ? 0 : 1024}};
    snprintf(e.request, sizeof e.request, "%s", request);
    return e;
}

tl_err begin(const books *s, tl_ledger_role role, const char *request)
{
    tl_book_op op = {.what = TL_BOOK_BEGIN, .entry = question_of(s, role, request)};
    return run_op(role == TL_LEDGER_SERVED ? &s->provider : &s->consumer, &op);
}

tl_err over(const books *s, const char *request, int64_t in, int64_t out)
{
    tl_book_op op = {.what = TL_BOOK_OVER, .entry = question_of(s, TL_LEDGER_ASKED, request)};
    op.entry.cap = (tl_tokens){in, out};
    op.answered = in || out;
    return run_op(&s->consumer, &op);
}

tl_err void_it(const books *s, const char *request)
{
    tl_book_op op = {.what = TL_BOOK_VOID, .entry = question_of(s, TL_LEDGER_SERVED, request)};
    return run_op(&s->provider, &op);
}

tl_err post(const books *s, const char *request, int64_t in, int64_t out, tl_receipt *ret)
{
    tl_book_op op = {.what = TL_BOOK_POST, .entry = question_of(s, TL_LEDGER_SERVED, request)};
    tl_receipt *r = &op.entry.receipt;
    *r = (tl_receipt){.consumer = s->consumer.self.id,
                      .provider = s->provider.self.id,
                      .model = "llama",
                      .tokens_in = in,
                      .tokens_out = out,
                      .at = NOW + 5};
    snprintf(r->request, sizeof r->request, "%s", request);
    assert_int_equal(tl_ledger_amount(in, out, op.entry.price, &r->amount), TL_OK);
    tl_err e = run_op(&s->provider, &op);
    if (!e && ret)
        *ret = *r;
    return e;
}

tl_claim claim(const books *s, tl_receipt *r)
{
    tl_book_op op = {.what = TL_BOOK_CLAIM, .entry.receipt = *r};
    assert_int_equal(run_op(&s->consumer, &op), TL_OK);
    *r = op.entry.receipt;
    return op.claim;
}

tl_err sign(const books *s, const tl_receipt *r)
{
    tl_book_op op = {.what = TL_BOOK_SIGN, .entry.receipt = *r};
    return run_op(&s->provider, &op);
}

void trade(const books *s, const char *request, int64_t in, int64_t out)
{
    tl_receipt r;
    assert_int_equal(begin(s, TL_LEDGER_ASKED, request), TL_OK);
    assert_int_equal(begin(s, TL_LEDGER_SERVED, request), TL_OK);
    assert_int_equal(post(s, request, in, out, &r), TL_OK);
    assert_int_equal(over(s, request, in, out), TL_OK);
    assert_int_equal(claim(s, &r), TL_CLAIM_OK);
    assert_int_equal(sign(s, &r), TL_OK);
}

/* --- reports --- */

static void note_report(tl_report *r, tl_err e)
{
    assert_int_equal(e, TL_OK);
    *(bool *)r->user = true;
}

json_t *report(const book *b, tl_report_what what)
{
    bool done = false;
    tl_report r = {.what = what, .self = b->self.id, .done = note_report, .user = &done};
    tl_report_submit(b->store, &r);
    while (!done)
        tl_store_collect(b->store);
    return r.result;
}

json_t *audit(const book *b)
{
    return report(b, TL_REPORT_AUDIT);
}

const char *first_problem(const json_t *a)
{
    const json_t *problems = json_object_get(a, "problems");
    assert_true(json_is_true(json_object_get(a, "ok")) == (json_array_size(problems) == 0));
    return json_array_size(problems) ? json_string_value(json_array_get(problems, 0)) : "";
}

json_int_t balance_of(const book *b)
{
    json_t *w = report(b, TL_REPORT_WALLET);
    json_int_t n = json_integer_value(json_object_get(w, "balance_micro"));
    json_decref(w);
    return n;
}
