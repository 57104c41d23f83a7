/* pair.h - two nodes' accounts with each other, over stores of their own and a wire that can be cut or
 * lied on, for tests. Time is the test's. */
#ifndef TL_TEST_CREDIT_PAIR_H
#define TL_TEST_CREDIT_PAIR_H

#include "../store/home.h"
#include "base/json.h"
#include "credit/credit.h"
#include "store/ledger.h"

#include <string.h>

#define WALL 1800000000

typedef struct pair pair;

typedef struct {
    pair *pair;
    tl_identity self;
    char path[128];
    tl_store *store;
    tl_credit *credit;
    bool is_member;     /* the other one is, to this one */
    tl_node_id network; /* of this network alone; zero: of all */
    bool disk_fails;    /* operations end with TL_ERR_IO, or with: */
    tl_err disk_error;
    tl_book_op *failing[16];
    size_t failing_n;
    bool is_silent;    /* says nothing back: a partner that never signs */
    unsigned told;     /* messages that it sent */
    unsigned served_n; /* questions of which its world heard that the other served them, */
    int64_t served;    /* and their tokens */
} party;

typedef struct message {
    party *to;
    char name[32];
    json_t *payload;
    struct message *prev, *next;
} message;

struct pair {
    home *home;
    tl_rand rand;
    tl_time now;
    tl_unix wall;
    party a, b; /* a asks, b answers, as a rule */
    bool cut;   /* no connection */
    message *messages;
};

int make_pair(void **state);
int remove_pair(void **state);
#define WITH_PAIR(name) cmocka_unit_test_setup_teardown(name, make_pair, remove_pair)

party *other(party *p);
/* Until no message is under way and both stores are idle. */
void settle_down(pair *p);
/* A connection stands; both say hello. Settles down. */
void connect_pair(pair *p);
/* As kill -9, then a start: what the disk does not have is gone. Cuts the connection. */
void restart(party *p);
/* A copy of its books, and that copy in place of them, as a restore does. Cuts the connection. */
content keep_books(party *p);
void put_books_back(party *p, content *c);
void pass_time(pair *p, tl_time by);

tl_credit_question question_to(const party *asker, const char *request, int64_t price);
/* Delivers one message, as if `from` had sent it. */
void say(party *from, const char *name, json_t *payload);

/* A whole question at 1000 a token: `a` asks `b`, which delivers so many tokens. False: refused. */
bool trade(pair *p, const char *request, int64_t in, int64_t out);

/* As trade, of two tokens; the stores and the messages are still to do their part. */
void charge_at_once(pair *p, const char *request);
/* `a` asks `b`. */
tl_err serve(pair *p, const char *request, int64_t price, uint64_t max_tokens,
             tl_credit_served **ret);
/* Says a receipt, as it is, and settles down. */
void say_receipt(party *from, const tl_receipt *r);

int64_t balance(const party *p);
json_t *report(party *p, tl_report_what what);
/* Both audits are clean, and each side's balance is minus the other's, and `owed` at b. */
void assert_even(pair *p, int64_t owed);
unsigned unsigned_at(party *p);

#endif
