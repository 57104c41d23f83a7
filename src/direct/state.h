/* state.h - what the sources of direct/direct share. Each file uses only those above it:
 *
 *   ways.c     path ids and the addresses behind them
 *   session.c  one signalled session and its checks; what they tell waits for direct.c
 *   attempt.c  what the attempts at one peer came to, and when the next one may be
 *   table.c    the peers
 *   signal.c   offers, answers, candidates
 *   direct.c   what follows from what the checks tell, time, and what the owner sees
 *
 * Nobody else includes it. */
#ifndef TL_DIRECT_STATE_H
#define TL_DIRECT_STATE_H

#include "base/ratelimit.h"
#include "base/table.h"
#include "direct/direct.h"

#define TL_DIRECT_PEERS_MAX         4096          /* as many as the peer table holds */
#define TL_DIRECT_ANSWER_WITHIN     (5 * TL_SEC)  /* an offer waits so long for its answer */
#define TL_DIRECT_SEARCH_AFTER      (500 * TL_MS) /* the ordinary checks come first */
#define TL_DIRECT_SEARCHES_MAX      2 /* at once, that peers' offers began: 200 packets a second */
#define TL_DIRECT_SEARCH_WAIT       (10 * TL_SEC) /* for one of them to end; the peer's lasts 12 s */
#define TL_DIRECT_OFFERS_SECOND     200 /* of all peers together: each costs two verifications */
#define TL_DIRECT_CANDIDATES_SECOND 2000

/* Names are free: in the sessions that others offered, this many checks a second, of all peers
 * together, go to addresses that have not answered. Those beyond are lost. */
#define TL_DIRECT_UNHEARD_SECOND 500
#define TL_DIRECT_UNHEARD_BURST  1000

/* Of one peer: every pair of its two sessions. */
#define TL_WAYS_OF_PEER_MAX (2 * TL_CHECKS_PAIRS_MAX)

typedef struct tl_direct_peer tl_direct_peer;
typedef struct tl_session tl_session;

/* What a session is at. In session.c one function assigns it, and asserts these arrows:
 *
 *   NEW ──our offer──► OFFERED ──answered──► CHECKING ──not found soon──► SEARCHING
 *   NEW ──the peer's offer, answered──► CHECKING
 *   OFFERED, CHECKING, SEARCHING ──a pair answers, or none does──► SETTLED
 *   CHECKING, SEARCHING, SETTLED ──the network moved──► CHECKING
 */
typedef enum {
    TL_SESSION_NEW,       /* nothing was said in it yet */
    TL_SESSION_OFFERED,   /* ours; the peer has not answered */
    TL_SESSION_CHECKING,  /* both sides' addresses are known: checks run */
    TL_SESSION_SEARCHING, /* the birthday search runs beside them */
    TL_SESSION_SETTLED,   /* a pair answered, or none did: nothing more is awaited */
} tl_session_state;

/* One signalled session: its checks, and what was said in it. */
struct tl_session {
    tl_direct_peer *peer;
    tl_checks *checks;
    tl_session_state state;
    bool ours;
    tl_time began, first_valid;
    tl_time answer_by; /* TL_NEVER: answered, or not asked */
    tl_time search_at; /* TL_NEVER: no search, or begun */
    tl_addr reflexive; /* the peer's, as its connectionInfo says */
    unsigned refused;
    size_t n_told;
    tl_candidate told[2 * TL_CANDIDATES_MAX];
    size_t n_search;
    tl_sock *search; /* sockets of the birthday search; NULL: none */
    bool pending;    /* on the list of those whose checks have something to tell */
    tl_session *prev, *next;
    uint32_t tag;
    char username[TL_CHECK_USERNAME + 1];
    UT_hash_handle hh, hh_name; /* by tag, by username */
};

typedef struct tl_way_entry tl_way_entry;

/* Who sends from there. Zeroed before it is filled: it is a hash key. */
typedef struct {
    uint32_t sock, scope;
    uint16_t port, family;
    uint8_t bytes[16];
} tl_source_key;
typedef struct tl_source {
    tl_source_key key;
    tl_way_entry *way;             /* never NULL */
    struct tl_source *prev, *next; /* of the way */
    UT_hash_handle hh;
} tl_source;

/* Where a path id leads: to the remote address of a pair. */
struct tl_way_entry {
    tl_path_id path;
    tl_direct_peer *peer;
    tl_session *session;
    uint16_t pair;
    bool up; /* the pair answers: the way may be chosen */
    tl_time since;
    unsigned losses;
    tl_source *sources; /* datagrams from there belong to it */
    UT_hash_handle hh;
    tl_way_entry *prev, *next; /* of the peer */
};

struct tl_direct_peer {
    tl_direct *direct;
    tl_node_id id;
    tl_direct_state state;
    tl_session *now, *old; /* old: replaced, kept while its ways are better than none */
    tl_way_entry *ways;
    size_t n_ways;
    tl_path_id used;
    bool active;
    bool wanted;
    bool moved; /* the network changed, and no way was found since */
    tl_time again_at, pause;
    unsigned attempts;
    tl_nat_type our_nat, peer_nat; /* as told in offer and answer */
    tl_time answers_since;
    unsigned answers;
    /* what the owner is to be told */
    bool tell_ways, tell_silent;
    tl_direct_peer *prev, *next; /* of those with either */
    UT_hash_handle hh;
};

struct tl_direct {
    const tl_identity *identity;
    tl_rand *rand;
    tl_env env;
    tl_direct_world world;
    void *user;
    bool enabled;
    tl_direct_peer *peers;
    tl_direct_peer *telling;
    tl_session *by_tag, *by_name;
    tl_session *pending;
    tl_way_entry *ways;
    tl_source *sources;
    tl_nonces nonces;
    tl_ratelimit offers, candidates, unheard;
    tl_time due;
    tl_direct_counters counters;
    tl_punch_counters punches;
};

static inline tl_time tl_direct_now(const tl_direct *d)
{
    return tl_env_now(&d->env);
}
static inline void tl_direct_due(tl_direct *d, tl_time at)
{
    d->due = tl_time_min(d->due, at);
}

/* --- ways.c --- */
/* The pair's way, made if need be. What comes from the pair's address belongs to it from now on.
 * NULL: the address is another peer's (tl_way_blocker), or there is no memory, id or room. */
tl_way_entry *tl_way_get(tl_session *s, const tl_pair *pair);
/* NULL: none. */
tl_way_entry *tl_way_find(const tl_direct *d, tl_path_id path);
tl_way_entry *tl_way_of_pair(const tl_session *s, uint16_t pair);
tl_way_entry *tl_way_of_source(const tl_direct *d, tl_sock sock, const tl_addr *from);
/* NULL: the pair was forgotten. */
const tl_pair *tl_way_pair(const tl_way_entry *way);
/* The way leads where `to` does from now on. */
void tl_way_rebind(tl_way_entry *way, const tl_way_entry *to);
void tl_ways_of_session_free(tl_session *s);
/* Does one of the peer's ways stand? */
bool tl_ways_any(const tl_direct_peer *p);
/* Asks the pairs of the peer's ways as often as each way's use wants. */
void tl_ways_pace(tl_direct_peer *p);

/* --- session.c --- */
/* NULL: out of memory, or a session of that name is there. */
tl_session *tl_session_new_for(tl_direct_peer *p, const char *session, bool ours);
/* Its ways go with it. Never called from inside session.c. */
void tl_session_free(tl_session *s);
/* Makes `s` the peer's session. What was there goes, or stays as the old one while it is used. */
void tl_session_take(tl_direct_peer *p, tl_session *s);
/* Our offer is out. */
void tl_session_offered(tl_session *s);
/* Both sides' addresses are known. */
void tl_session_start(tl_session *s);
/* Asks every pair anew: the network moved. */
void tl_session_restart(tl_session *s);
/* A search is wanted: some time from now. */
void tl_session_search_later(tl_session *s);
/* Begins the birthday search. False: no socket can be had for it, so that nothing will come of it. */
TL_CHECK bool tl_session_search(tl_session *s);
/* Its checks have said what they had to say. */
void tl_session_settle(tl_session *s);
/* Closes the sockets of the search, but one (0: all). */
void tl_session_close_search(tl_session *s, tl_sock but);
/* Sends what the checks want sent. What they tell waits in direct's list. */
void tl_session_pump(tl_session *s);
/* Does what is due in the checks, and returns when to come back. */
tl_time tl_session_on_timer(tl_session *s, tl_time now);
/* Does a way of its stand, or carry the connection? */
bool tl_session_carries(const tl_session *s);
static inline bool tl_session_started(const tl_session *s)
{
    return s->state >= TL_SESSION_CHECKING;
}

/* --- attempt.c --- */
/* `state` is what the attempt came to; if a way stands, it is STANDS nevertheless. Sets when the
 * next attempt may be. */
void tl_attempt_is(tl_direct_peer *p, tl_direct_state state);
/* The peer's ways or sessions are others: is it STANDS now, or no longer? */
void tl_attempt_look(tl_direct_peer *p);
/* The attempt came to nothing: UNANSWERED or FAILED. */
void tl_attempt_give_up(tl_direct_peer *p, tl_direct_state state);
/* Is one under way, or a way standing? */
bool tl_attempt_is_on(const tl_direct_peer *p);
/* For the counters by NATs: an attempt began, or succeeded. */
void tl_attempt_count(tl_direct_peer *p, const tl_session *s, bool success);
/* To the debug log; `a` may be NULL. */
void tl_attempt_note(const tl_direct_peer *p, const char *what, const tl_addr *a);
/* TL_DIRECT_WAYS, TL_DIRECT_SILENT: the owner is told when it drains. */
void tl_attempt_tell(tl_direct_peer *p, tl_direct_event_type what);
/* Asserts what must hold between two calls. */
void tl_attempt_check(const tl_direct_peer *p);

/* --- table.c --- */
tl_direct_peer *tl_direct_peer_find(const tl_direct *d, const tl_node_id *id);
/* NULL: out of memory, or TL_DIRECT_PEERS_MAX. */
tl_direct_peer *tl_direct_peer_get(tl_direct *d, const tl_node_id *id);
void tl_direct_peers_free(tl_direct *d);

/* --- signal.c --- */
/* As tl_direct_on_signal. */
void tl_direct_signalled(tl_direct *d, tl_signal_type type, const tl_node_id *from,
                         tl_slice payload);
/* Tells the peer our present addresses and asks for its own. */
void tl_direct_offer(tl_direct_peer *p);
/* Candidates that this session's peer was not told of yet. */
void tl_session_tell_candidates(tl_session *s);

#endif
