/* What the store keeps of deeds, and what it makes of the ledger for them. */
#include "books.h"

#include "store/deeds.h"

#define DAY 86400

typedef struct {
    tl_reciprocity_kept kept[8];
    tl_deeds deeds[600];
    int64_t tokens[8];
    tl_node_id by[8];
    tl_unix at[8];
    size_t n_kept, n_deeds, n_served;
} loaded;

static void on_served(void *user, const tl_node_id *node, int64_t tokens, tl_unix at)
{
    loaded *l = user;
    assert_true(l->n_served < 8);
    l->by[l->n_served] = *node;
    l->at[l->n_served] = at;
    l->tokens[l->n_served++] = tokens;
}

static void on_kept(void *user, const tl_reciprocity_kept *kept)
{
    loaded *l = user;
    assert_true(l->n_kept < 8);
    l->kept[l->n_kept++] = *kept;
}

static void on_deeds(void *user, const tl_deeds *d)
{
    loaded *l = user;
    assert_true(l->n_deeds < 600);
    l->deeds[l->n_deeds++] = *d;
}

static loaded load_at(tl_store *s, tl_unix now)
{
    static const tl_deeds_loaded calls = {on_served, on_kept, on_deeds};
    loaded l;
    memset(&l, 0, sizeof l);
    assert_int_equal(tl_store_load_deeds(s, now, &calls, &l), TL_OK);
    tl_store_collect(s);
    return l;
}

static tl_deeds statement(const book *by, uint32_t on, int64_t sequence)
{
    tl_deeds d = {.by = by->self.id,
                  .count = {1, 2, 3},
                  .sequence = sequence,
                  .issued_at = NOW + sequence,
                  .expires_at = NOW + sequence + 1000};
    memcpy(d.node.key, &on, sizeof on);
    assert_int_equal(tl_deeds_sign(&d, &by->self), TL_OK);
    return d;
}

static void put(tl_store *s, const tl_deeds *d, tl_unix now)
{
    assert_int_equal(tl_store_put_deeds(s, d, now), TL_OK);
}

static void statements_come_back_as_they_were_signed(void **state)
{
    const books *b = *state;
    tl_store *s = b->consumer.store;
    tl_deeds first = statement(&b->provider, 1, 7), second = statement(&b->consumer, 1, 5);
    put(s, &first, NOW);
    put(s, &second, NOW);
    loaded l = load_at(s, NOW);
    assert_int_equal(l.n_deeds, 2);
    assert_memory_equal(&l.deeds[0], &second, sizeof second); /* the oldest first */
    assert_memory_equal(&l.deeds[1], &first, sizeof first);
    assert_int_equal(tl_deeds_verify(&l.deeds[1]), TL_OK);
    assert_int_equal(tl_store_drop_deeds(s, &b->provider.self.id), TL_OK);
    l = load_at(s, NOW);
    assert_int_equal(l.n_deeds, 1);
    assert_true(tl_node_id_eq(&l.deeds[0].by, &b->consumer.self.id));
}

static void the_higher_number_stays_and_what_has_ended_goes(void **state)
{
    const books *b = *state;
    tl_store *s = b->consumer.store;
    tl_deeds old = statement(&b->provider, 1, 7), new = statement(&b->provider, 1, 8),
             other = statement(&b->provider, 2, 2000);
    put(s, &new, NOW);
    put(s, &old, NOW);
    loaded l = load_at(s, NOW);
    assert_int_equal(l.n_deeds, 1);
    assert_memory_equal(&l.deeds[0], &new, sizeof new);
    put(s, &other, new.expires_at - 1);
    assert_int_equal(load_at(s, NOW).n_deeds, 2);
    put(s, &other, new.expires_at);
    assert_int_equal(load_at(s, NOW).n_deeds, 1);
}

static void a_signer_has_so_many_rows_and_the_oldest_go(void **state)
{
    const books *b = *state;
    tl_store *s = b->consumer.store;
    tl_deeds mine = statement(&b->consumer, 1, 1);
    put(s, &mine, NOW);
    for (uint32_t i = 1; i <= 2 * TL_RECIPROCITY_OF_SIGNER; i++) {
        tl_deeds d = statement(&b->provider, i, 10 + i);
        put(s, &d, NOW);
    }
    loaded l = load_at(s, NOW);
    assert_int_equal(l.n_deeds, TL_RECIPROCITY_OF_SIGNER + 1);
    assert_memory_equal(&l.deeds[0], &mine, sizeof mine);
    assert_int_equal(l.deeds[1].sequence, 10 + TL_RECIPROCITY_OF_SIGNER + 1);
}

static void all_rows_are_bounded(void **state)
{
    books *b = *state;
    char sql[600];
    tl_store_close(b->consumer.store);
    snprintf(
        sql, sizeof sql,
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < %d) "
        "INSERT INTO statements SELECT randomblob(32), randomblob(32), 1, 1, 1, 1, i, i + 9e9, "
        "zeroblob(64) FROM n",
        TL_RECIPROCITY_ALL + 5);
    alter(b->consumer.path, sql);
    snprintf(sql, sizeof sql,
             "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < %d) "
             "INSERT INTO deeds SELECT randomblob(32), 1, 1, i FROM n",
             TL_RECIPROCITY_OWN_MAX + 5);
    alter(b->consumer.path, sql);
    b->consumer.store = open_at(b->consumer.path);
    tl_deeds d = statement(&b->provider, 1, 7);
    put(b->consumer.store, &d, NOW);
    tl_reciprocity_kept k = {b->provider.self.id, 5, 1, NOW};
    assert_int_equal(tl_store_put_kept(b->consumer.store, &k), TL_OK);
    tl_store_close(b->consumer.store);
    assert_int_equal(number_in(b->consumer.path, "SELECT count(*) FROM statements"),
                     TL_RECIPROCITY_ALL);
    assert_int_equal(number_in(b->consumer.path, "SELECT min(issued_at) FROM statements"), 7);
    assert_int_equal(number_in(b->consumer.path, "SELECT count(*) FROM deeds"),
                     TL_RECIPROCITY_OWN_MAX);
    assert_int_equal(number_in(b->consumer.path, "SELECT count(*) FROM deeds WHERE relayed = 5"),
                     1);
    b->consumer.store = open_at(b->consumer.path);
}

static void own_deeds_come_back_and_the_last_word_counts(void **state)
{
    const books *b = *state;
    tl_store *s = b->consumer.store;
    tl_reciprocity_kept k = {b->provider.self.id, 12345.9, 2.5, NOW};
    assert_int_equal(tl_store_put_kept(s, &k), TL_OK);
    k = (tl_reciprocity_kept){b->provider.self.id, 99999, 1.25, NOW + 60};
    assert_int_equal(tl_store_put_kept(s, &k), TL_OK);
    loaded l = load_at(s, NOW);
    assert_int_equal(l.n_kept, 1);
    assert_true(tl_node_id_eq(&l.kept[0].node, &k.node));
    assert_true(l.kept[0].relayed == 99999 && l.kept[0].held == 1.25);
    assert_int_equal(l.kept[0].at, NOW + 60);
}

static void tokens_are_those_that_this_node_signed_for_as_the_consumer(void **state)
{
    const books *b = *state;
    trade(b, "one", 10, 20);
    trade(b, "two", 5, 5);
    tl_receipt r;
    assert_int_equal(begin(b, TL_LEDGER_ASKED, "unclaimed"), TL_OK);
    assert_int_equal(over(b, "unclaimed", 1000, 1000), TL_OK);
    assert_int_equal(begin(b, TL_LEDGER_SERVED, "unsigned"), TL_OK);
    assert_int_equal(post(b, "unsigned", 7, 7, &r), TL_OK);
    loaded l = load_at(b->consumer.store, NOW + DAY);
    assert_int_equal(l.n_served, 1);
    assert_int_equal(l.tokens[0], 40);
    assert_true(tl_node_id_eq(&l.by[0], &b->provider.self.id));
    assert_true(l.at[0] <= NOW && l.at[0] > NOW - DAY);
    assert_int_equal(load_at(b->provider.store, NOW + DAY).n_served, 0); /* it did the work */
    assert_int_equal(load_at(b->consumer.store, NOW + 299 * DAY).n_served, 1);
    assert_int_equal(load_at(b->consumer.store, NOW + 300 * DAY).n_served, 0);
}

/* A claim of nothing that is forgotten may be signed again and again; as a deed it is counted with its
 * entry. */
static void a_free_claim_that_comes_again_without_its_entry_is_no_deed(void **state)
{
    const books *b = *state;
    tl_receipt r;
    tl_ledger_entry e = question_of(b, TL_LEDGER_ASKED, "free");
    e.price = 0;
    e.cap = (tl_tokens){50, 50};
    tl_ledger_entry served = question_of(b, TL_LEDGER_SERVED, "free");
    served.price = 0;
    tl_book_op start = {.what = TL_BOOK_BEGIN, .entry = served};
    assert_int_equal(run_op(&b->provider, &start), TL_OK);
    assert_int_equal(post(b, "free", 0, 0, &r), TL_OK);
    for (int i = 0; i < 3; i++) {
        tl_book_op again = {.what = TL_BOOK_CLAIM, .entry = e, .has_order = true};
        again.entry.receipt = r;
        assert_int_equal(run_op(&b->consumer, &again), TL_OK);
        assert_int_equal(again.claim, TL_CLAIM_OK);
        assert_false(again.entered);
    }
    tl_book_op first = {.what = TL_BOOK_CLAIM, .entry = e, .has_order = true, .waits = true};
    first.entry.receipt = r; /* its twin: the consumer waits for it */
    assert_int_equal(run_op(&b->consumer, &first), TL_OK);
    assert_int_equal(first.claim, TL_CLAIM_OK);
    assert_true(first.entered);
    tl_book_op second = {.what = TL_BOOK_CLAIM, .entry = e, .has_order = true, .waits = true};
    second.entry.receipt = r;
    second.entry.receipt.by_consumer = false;
    assert_int_equal(run_op(&b->consumer, &second), TL_OK);
    assert_int_equal(second.claim, TL_CLAIM_AGAIN);
    assert_false(second.entered);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_BOOKS(statements_come_back_as_they_were_signed),
        WITH_BOOKS(the_higher_number_stays_and_what_has_ended_goes),
        WITH_BOOKS(a_signer_has_so_many_rows_and_the_oldest_go),
        WITH_BOOKS(all_rows_are_bounded),
        WITH_BOOKS(own_deeds_come_back_and_the_last_word_counts),
        WITH_BOOKS(tokens_are_those_that_this_node_signed_for_as_the_consumer),
        WITH_BOOKS(a_free_claim_that_comes_again_without_its_entry_is_no_deed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
