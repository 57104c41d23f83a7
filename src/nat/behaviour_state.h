/* behaviour_state.h - what the sources of nat/behaviour share. Not for other modules. */
#ifndef TL_NAT_BEHAVIOUR_STATE_H
#define TL_NAT_BEHAVIOUR_STATE_H

#include "nat/behaviour_judge.h"

#define ASKS_MAX    32 /* one for each server, at most 9 tests; a look's two never run in a round */
#define VOICES_MAX  (TL_STUN_SERVERS_MAX + 4)
#define PROBERS     2  /* servers whose CHANGE-REQUEST is used: silence of one may be its fault */
#define PAST_MAX    64 /* transactions remembered after their end, to know a late answer */
#define TRACES_MAX  48 /* addresses we sent to: servers, their others */
/* So long may a NAT let in what we once sent to: two minutes by RFC 4787, five in many NATs. */
#define TRACE_FADES (300 * TL_SEC)

#define TEST_RTO_MIN  (100 * TL_MS) /* of tests, at a server whose round trip is known */
#define TEST_RTO_MAX  (500 * TL_MS)
#define SETTLE_MIN    (100 * TL_MS) /* how long others have to disagree after the first answer */
#define SETTLE_MAX    (1 * TL_SEC)
#define KEEPALIVE_MIN (5 * TL_SEC)
#define BLIND_FIRST   (2 * TL_SEC) /* nobody answers: wait before the next try, doubling */

typedef enum {
    ASK_SERVER,      /* the plain question of a round */
    ASK_BOTH,        /* answer from your other address and port */
    ASK_PORT,        /* answer from your other port */
    ASK_MAP_ADDRESS, /* a plain question to the other address, same port, */
    ASK_MAP_OTHER,   /* to the other address and port, */
    ASK_MAP_PORT,    /* and to the other port alone */
    ASK_HAIRPIN,     /* to our own public address */
    ASK_LOOK,        /* has our address changed? quickly */
    ASK_FRESH,       /* the same, to keep the mapping as well */
} ask_kind;

#define KIND(k)      (1u << (k))
#define SERVER_KINDS KIND(ASK_SERVER)
#define FILTER_KINDS (KIND(ASK_BOTH) | KIND(ASK_PORT))
#define MAP_KINDS    (KIND(ASK_MAP_ADDRESS) | KIND(ASK_MAP_OTHER) | KIND(ASK_MAP_PORT))
#define LOOK_KINDS   (KIND(ASK_LOOK) | KIND(ASK_FRESH))
#define ROUND_KINDS  (SERVER_KINDS | FILTER_KINDS | MAP_KINDS | KIND(ASK_HAIRPIN))

typedef struct {
    bool used;
    ask_kind kind;
    size_t server; /* index */
    tl_stun_id id;
    tl_sock sock;
    tl_addr to;
    unsigned sent, tries;
    tl_time wait, last_wait; /* until the next try, doubling; after the last one */
    tl_time first_at, next_at;
} ask;

typedef enum {
    TEST_NOT,    /* not possible: no other address or port, or we have sent there */
    TEST_RUNS,   /* asked; the answer may still come */
    TEST_PASSED, /* the answer came through */
    TEST_SILENT, /* asked, and no answer came */
} test_state;

typedef struct {
    tl_stun_server info;
    bool asked, answered, ended;
    unsigned sent;
    tl_time rtt;
    tl_addr mapped; /* what it said last; family NONE: nothing yet */
    tl_addr other;  /* OTHER-ADDRESS, believable; else family NONE */
    bool prober;
    bool deaf; /* ignores CHANGE-REQUEST */
    test_state both, port;
    bool spoiled;                          /* a test was left out: we had sent to that address */
    bool map_address, map_other, map_port; /* asked already in this round */
} server;

typedef struct {
    tl_addr to;
    tl_time at;
} trace;

struct tl_behaviour {
    tl_rand *rand;
    tl_behaviour_events events;
    void *user;
    tl_sock sock4, sock6;
    uint16_t port4, port6;
    size_t n_own;
    tl_interface own[TL_INTERFACES_MAX];
    size_t n_was4; /* our last IPv4 addresses: `traces` are of that network */
    tl_addr was4[TL_INTERFACES_MAX];
    size_t n_servers;
    server servers[TL_STUN_SERVERS_MAX];

    bool round;   /* one is under way */
    bool heard;   /* anything at all came back in it */
    bool hairpin; /* was tested in it */
    bool settled; /* servers that have not spoken yet are not waited for */
    tl_time settle_at;
    size_t n4, n6;
    tl_voice voice4[VOICES_MAX], voice6[VOICES_MAX];
    ask asks[ASKS_MAX];

    tl_time fresh_at, retest_at;
    tl_time arrived_at; /* the first round on this network; 0: none yet */
    tl_time asked_at;   /* the last plain question to a server, of any kind */
    tl_time keepalive, blind;
    size_t next_blind;

    size_t next_past;
    tl_stun_id past[PAST_MAX];
    trace traces[TRACES_MAX];

    bool tell;
    tl_nat_facts facts;
    tl_nat_facts last; /* of the last round that found a public IPv4 address */
    tl_behaviour_counters counters;
};

/* --- behaviour_ask.c: transactions --- */

/* Starts a question to or about server `i`. False: all places are taken, or there is no socket for
 * it. */
bool tl_behaviour_ask_start(tl_behaviour *b, ask_kind kind, size_t i, const tl_addr *to,
                            tl_time now);
void tl_behaviour_ask_end(tl_behaviour *b, ask *a);
void tl_behaviour_ask_end_all(tl_behaviour *b);
/* Is any of these kinds under way? `kinds` has one bit for each kind. */
bool tl_behaviour_ask_runs(const tl_behaviour *b, unsigned kinds);
ask *tl_behaviour_ask_find(tl_behaviour *b, const tl_stun_id *id);
bool tl_behaviour_ask_is_past(const tl_behaviour *b, const tl_stun_id *id);
/* Did we send to this IP (or to the very port) so lately that a NAT may still let answers in? */
bool tl_trace_found(const tl_behaviour *b, const tl_addr *to, bool any_port, tl_time now);

/* --- behaviour_round.c --- */

bool tl_round_may_see(const server *s, const tl_addr *a);
bool tl_round_may_be_other(const server *s, const tl_addr *other);
bool tl_round_is_own(const tl_behaviour *b, const tl_addr *a);
/* Server `i` told its other address: tests the filtering, if it is among the first PROBERS. */
void tl_round_test_filter(tl_behaviour *b, size_t i, tl_time now);
/* Do most others contradict it? */
bool tl_round_outvoted(const tl_behaviour *b, const server *s);
/* Does whatever follows from what is known now; ends the round when nothing is open. */
void tl_round_advance(tl_behaviour *b, tl_time now);

#endif
