/* router_state.h - what the files of the router share: a question's route, its attempts, and the
 * calls between them. router.c owns the routes and searches, router_try.c asks providers and hears
 * them, router_choice.c says which one is next, router_learn.c notes what a question teaches, router_scope.c knows private networks. */
#ifndef TL_ASK_ROUTER_STATE_H
#define TL_ASK_ROUTER_STATE_H

#include "ask/meet.h"
#include "ask/merit.h"
#include "ask/rank.h"
#include "ask/router.h"
#include "ask/standby.h"
#include "ask/warmth.h"

/*  NEW --a provider is known--> TRYING --the answer--> ANSWERING --its end--> freed
 *  NEW, TRYING --none is known--> FINDING --the relay answered, came or went, or a member was met--> NEW
 *  FINDING --it took too long, and one is known that has failed--> TRYING
 *  TRYING --all that were asked failed--> TRYING (another one)
 *  NEW, FINDING, TRYING --none is left, but one has refused--> ANSWERING (its refusal)
 *  ANSWERING --its end, while the sink is paused--> ENDING --resumed--> freed
 *  any of them --failed or cancelled--> freed
 *
 * One or two attempts are under way in TRYING, the winner alone in ANSWERING, none in the others. An
 * answer that is live goes on with its first byte, any other when it is whole: until then another
 * provider can take over. */
typedef enum {
    TL_ROUTE_NEW,       /* the next tl_router_run looks for a provider */
    TL_ROUTE_FINDING,   /* the relay is asked who serves the model, or members are met */
    TL_ROUTE_TRYING,    /* providers have the question; the sink knows of nothing yet */
    TL_ROUTE_ANSWERING, /* bytes go to the sink: no other provider can take over */
    TL_ROUTE_ENDING,    /* the provider is done; the sink, paused, has not all of it */
} tl_route_state;

/* The last sign of life of a provider. */
typedef enum {
    TL_SIGN_NONE,
    TL_SIGN_WORKS, /* it says so */
    TL_SIGN_HEAD,  /* the answer's head is here: held back until the first byte or the end */
} tl_sign;

/* The private network for which a node is asked; not given: it is asked in public. */
typedef struct {
    bool given;
    tl_node_id id;
} tl_route_network;

/* One provider that has the question. */
typedef struct {
    struct tl_route *route;
    tl_exchange *exchange; /* NULL: this place is free */
    tl_node_id id;
    bool local;    /* the model server of this machine */
    bool in_clear; /* a peer that is asked by the old protocol */
    tl_route_network network;
    char model[TL_MODEL_MAX]; /* the name under which it serves it */
    tl_sign sign;
    tl_answer_head head; /* TL_SIGN_HEAD */
    tl_time begun;
    tl_time works_from;   /* when it was asked, or was last in the provider's queue */
    tl_progress progress; /* as the provider told it last */
    tl_time heard;        /* the last sign of life; before the first: when it was asked */
    tl_time body_at;      /* the answer's first byte; 0: none yet */
    bool held_up;         /* the sink was slower than the answer, at some time */
    tl_buf body;          /* the question with the model's name replaced; empty when it was not */
    tl_buf held;          /* of an answer that is not live, or a refusal: what has come of it */
} tl_attempt;

/* A connection to the peer that was named, made so that its hello says what it serves:
 *   NOT --> DIALLING --it stands--> HELLO --its hello came--> OVER;  DIALLING --it failed--> OVER */
typedef enum { TL_REACH_NOT, TL_REACH_DIALLING, TL_REACH_HELLO, TL_REACH_OVER } tl_reach;

typedef struct tl_route {
    tl_exchange exchange; /* first: the handle */
    tl_router *router;
    tl_exchange_sink sink;
    void *user;
    tl_route_state state;
    tl_ask ask;        /* its body is `body` */
    tl_buf body;       /* as asked */
    unsigned searched; /* for so many of its names the relay has answered (tl_route_search_name) */
    bool searching;    /* TRYING: the relay was asked for somebody beside those who have it */
    bool waited;       /* FINDING took too long */
    tl_reach reach;
    bool near, near_over; /* strangers of the local network are being asked what they serve; were */
    tl_peer_wish wish;    /* DIALLING: waits */
    size_t n_tried, n_repriced;
    tl_node_id tried[TL_ROUTE_TRIES_MAX];
    struct {
        tl_node_id id;
        unsigned times; /* that it was asked again at a new price */
    } repriced[TL_ROUTE_TRIES_MAX];
    bool talk_read; /* the two below are known */
    tl_talk talk;
    tl_warm_place warm;
    tl_attempt attempts[TL_ROUTE_TRIES_AT_ONCE];
    tl_attempt *winner;  /* ANSWERING */
    tl_answer_head head; /* ANSWERING, ENDING */
    tl_buf held;         /* the first bytes, while the sink is paused; then they go first */
    tl_answer_end end;   /* ENDING */
    bool paused;
    bool resumed;       /* with `held`: tl_router_run goes on */
    bool *gone;         /* set when the route is freed inside a call of the sink */
    bool second_chance; /* the one that a question has was used: a provider was asked again */
    tl_node_id lost;    /* the peer whose connection broke while it had the question; 0: none */
    tl_time asked_at;
    tl_time heard_at; /* the last sign of life of any provider; before the first: asked_at */
    /* FINDING: when it has taken too long. TRYING: when it is looked at whether another provider
     * shall be asked. NEW: that of FINDING before it. TL_NEVER in the others. */
    tl_time deadline;
    tl_fail fail; /* of the last provider that failed */
    char why[256];
    unsigned retry_after; /* the least of those whose queues are full, in seconds; 0: unknown */
    /* The last failure was a refusal of its model server: this is shown, and not `why`. */
    bool has_refusal, refused; /* there is one; it is what the sink was told */
    tl_answer_head refusal_head;
    tl_buf refusal;
    struct tl_route *prev, *next;
} tl_route;

/* What is known of one that lists the model. */
typedef struct {
    const tl_peer *peer;
    const char *model; /* the name under which it serves it; the peer's */
    tl_route_network network;
    tl_maybe price_version;
    tl_rank_facts facts;
} tl_route_candidate;

struct tl_router {
    tl_node_id own;
    tl_env env;
    const tl_access *access;
    tl_peer_table *table;
    tl_peers *peers;
    tl_asker *asker;
    tl_router_world world;
    void *user;
    bool draining;
    tl_merits merits;
    tl_paces paces;
    tl_warmth warmth;
    tl_route_candidate *candidates; /* TL_PEERS_MAX, of the question that is looked at; or NULL */
    tl_maybe price_max;
    tl_meet *meet;
    tl_standby *standby;
    tl_route *routes;
    size_t running;
    size_t held;  /* bytes in `held` of all attempts */
    bool any_new; /* or resumed */
    tl_time due;  /* may be too early */
    tl_router_counters counters;
};

/* --- router.c --- */
void tl_route_set_state(tl_route *x, tl_route_state to);
void tl_route_set_deadline(tl_route *x, tl_time at);
/* The two ends of a route; each makes the sink's last call. */
void tl_route_fail(tl_route *x, tl_fail f, const char *why);
void tl_route_finish(tl_route *x, const tl_answer_end *end);
/* Fails with what the last provider said: its refusal or its failure. */
void tl_route_give_in(tl_route *x);
/* The name for which the relay is asked next, "" for any. False: it has answered for all. */
bool tl_route_search_name(const tl_route *x, char ret_name[TL_MODEL_MAX]);
/* Nobody has the question: asks a provider, searches for one, or fails. */
void tl_route_go_on(tl_route *x);

/* --- router_choice.c --- */
typedef struct {
    tl_node_id id;
    char model[TL_MODEL_MAX]; /* the name under which it serves what is asked for */
    bool local;
    bool in_clear; /* by the old protocol */
    bool failing;  /* it has failed a moment ago */
    tl_route_network network;
    tl_maybe price, price_version; /* as it is known */
} tl_provider;
/* The best provider that was not asked yet. False: none is known. */
bool tl_route_choose(tl_route *x, tl_provider *ret_provider);
bool tl_route_is_auto(const tl_route *x);
/* Does the peer list what is asked for? */
bool tl_route_serves(const tl_route *x, const tl_peer *p);
bool tl_route_was_tried(const tl_route *x, const tl_node_id *id);
/* Known nodes of the old protocol that serve what is asked for, and that this node does not ask. */
size_t tl_route_left_alone(const tl_route *x);

/* Who would be asked if it were not too dear: the cheapest of them, and its price. NULL: nobody. */
const tl_peer *tl_route_too_dear(const tl_route *x, int64_t *ret_price);

/* --- router_queue.c --- */
/* The provider has told how far the question is. */
void tl_route_told(tl_attempt *a, const tl_progress *p);
/* From when on another provider is asked beside it, where it counts as silent from `quiet_from` on. */
tl_time tl_route_beside_from(const tl_attempt *a, tl_time quiet_from);
/* Where nobody is left to ask, but nodes that may be asked serve the model and take no questions now (their
 * owners have paused): fails so. False: there is none. */
bool tl_route_fail_resting(tl_route *x);
/* Of the handle: the shortest wait of the queues in which the question stands. */
tl_progress tl_route_progress(const tl_exchange *x);

/* --- router_learn.c --- */
/* The node may be asked again. */
void tl_route_untry(tl_route *x, const tl_node_id *id);
/* True: the attempt failed for its price alone, which is noted; the node is asked again where that may
 * help. */
bool tl_route_take_price(tl_route *x, const tl_attempt *a, const tl_failure *failure);
void tl_route_fail_too_dear(tl_route *x, const tl_peer *p, int64_t price);
/* The attempt was answered whole. */
void tl_route_learn(const tl_attempt *a, const tl_answer_end *end);

/* --- router_words.c --- */
/* "the model server of peer "anna" (0123456789abcdef)"; of this machine: "the model server". */
void tl_route_whose(const tl_attempt *a, char *ret, size_t cap);
/* The message of a failure, with the name of the node that it is of. */
void tl_route_say_whose(const tl_attempt *a, const char *message, char *ret, size_t cap);

/* --- router_reach.c --- */
/* The peer that was named is not known. True: it is being connected to, and the route is FINDING. */
bool tl_route_reach(tl_route *x);
/* Nobody known serves the model: has the node connect to strangers of its local network. `waits`: the question waits
 * for somebody already. False: there are none that could. */
bool tl_route_look_near(tl_route *x, bool waits);
/* The route ends. */
void tl_route_unreach(tl_route *x);

/* --- router_scope.c --- */
/* May the peer be asked this question, and for which network? */
bool tl_route_may_ask(const tl_route *x, const tl_peer *p, tl_route_network *ret_network);
/* Nobody who may be asked is known. True: nodes that claim to be members are met, and the route is
 * FINDING. */
bool tl_route_wait_for_members(tl_route *x);
/* A scoped question that nobody can answer: fails, and names the network. */
void tl_route_no_member(tl_route *x);
/* True: the question belongs to a network in which we are not, and has failed. */
bool tl_route_is_out(tl_route *x);

/* --- router_words.c --- */
/* "the model server of peer "anna" (0123456789abcdef)"; of this machine: "the model server". */
void tl_route_whose(const tl_attempt *a, char *ret, size_t cap);
/* The message, with whose trouble it tells of. */
void tl_route_say_whose(const tl_attempt *a, const char *message, char *ret, size_t cap);

/* --- router_try.c --- */
/* Ends its exchange without a word. */
void tl_route_drop(tl_attempt *a);
size_t tl_route_under_way(const tl_route *x);
void tl_route_try(tl_route *x, const tl_provider *c);
/* TRYING: asks another provider when those under way have been silent for too long. */
void tl_route_look(tl_route *x);
/* Hands the head on. False: the sink has cancelled. */
bool tl_route_tell_head(tl_route *x);
/* Hands on the answer's last bytes, which it takes, and its end; both wait while the sink is paused. */
void tl_route_tell_rest(tl_route *x, tl_buf *rest, const tl_answer_end *end);
/* Hands on what waited for the sink to resume. */
void tl_route_resume(tl_route *x);
/* Ends the attempt for a reason of our own. */
void tl_route_end_attempt(tl_attempt *a, tl_fail f, const char *why);
/* Ends all attempts without a word. */
void tl_route_cancel_attempts(tl_route *x);

#endif
