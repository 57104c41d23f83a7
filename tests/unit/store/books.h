/* books.h - a consumer and a provider, each with a ledger in a store of its own, for tests. */
#ifndef TL_TEST_STORE_BOOKS_H
#define TL_TEST_STORE_BOOKS_H

#include "home.h"
#include "store/ledger.h"

#define NOW 1800000000

typedef struct {
    tl_identity self;
    char path[128];
    tl_store *store;
} book;

typedef struct {
    home *home;
    book consumer, provider;
} books;

int make_books(void **state);
int remove_books(void **state);
#define WITH_BOOKS(name) cmocka_unit_test_setup_teardown(name, make_books, remove_books)

/* Runs one operation with the store's thread, and waits. Nothing is freed. */
tl_err run_op(const book *b, tl_book_op *op);

/* The usual question: 10 bytes of prompt, price 1000. `b` of either role. */
tl_ledger_entry question_of(const books *s, tl_ledger_role role, const char *request);
tl_err begin(const books *s, tl_ledger_role role, const char *request);
/* The consumer saw so many tokens. */
tl_err over(const books *s, const char *request, int64_t in, int64_t out);
tl_err void_it(const books *s, const char *request);
/* The provider charges; *ret is what it signed. */
tl_err post(const books *s, const char *request, int64_t in, int64_t out, tl_receipt *ret);
/* The consumer takes the claim; *r is signed by both then. */
tl_claim claim(const books *s, tl_receipt *r);
tl_err sign(const books *s, const tl_receipt *r);
/* All of it. */
void trade(const books *s, const char *request, int64_t in, int64_t out);

json_t *report(const book *b, tl_report_what what);
json_t *audit(const book *b);
/* "" when the audit finds nothing. */
const char *first_problem(const json_t *audit);
/* The sum of the wallet with the one peer there is. */
json_int_t balance_of(const book *b);

#endif
