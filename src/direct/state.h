/* state.h - what the sources of direct/ share. Never touches a socket or a clock, and nothing
 * outside direct/ includes it. Each file uses only those above it:
 *
 *   introbudget.c  how many signatures of introductions are checked
 *   strangers.c  how many introductions by nodes that nobody knows are answered
 *   ways.c     path ids and the addresses behind them
 *   session.c  one session and its checks; the events of the checks wait for events.c
 *   attempt.c  what the attempts at one peer came to, and when the next one may be
 *   table.c    the peers
 *   near.c     the local network: where peers are there, and pipes to them
 *   introduced.c  introductions by another node, and greetings of neighbours
 *   signal.c   offers, answers, candidates
 *   events.c   what follows from the events of the checks
 *   direct.c   time, what comes in, and what the owner wants and sees */
#ifndef TL_DIRECT_STATE_H
#define TL_DIRECT_STATE_H

#include "base/ratelimit.h"
#include "base/table.h"
#include "direct/direct.h"
#include "direct/introbudget.h"
#include "direct/strangers.h"
#include "relay/nonces.h"

#define TL_DIRECT_PEERS_MAX         4096          /* as many as the peer table holds */
#define TL_DIRECT_ANSWER_WITHIN     (5 * TL_SEC)  /* how long an offer waits for its answer */
#define TL_DIRECT_SEARCH_AFTER      (500 * TL_MS) /* the ordinary checks come first */
#define TL_DIRECT_SEARCHES_MAX      2 /* at once, begun by peers' offers: 200 packets a second */
#define TL_DIRECT_SEARCH_WAIT       (10 * TL_SEC) /* then it is given up; the peer's lasts 12 s */
#define TL_DIRECT_OFFERS_SECOND     200 /* of all peers together: each costs two verifications */
#define TL_DIRECT_CANDIDATES_SECOND 2000
/* PunchReadys whose signature is checked in one session of ours: each of the four that were asked may send two. */
#define TL_DIRECT_READIES           8
#define TL_DIRECT_INTROS_VIA        4 /* introducers that get the answer to one PunchRequest */
/* A stranger opened a way and has no connection over it: it is of no use. */
#define TL_DIRECT_IDLE_STRANGER     (30 * TL_SEC)

/* Node IDs cost nothing, so a limit for each peer is not enough. In the sessions that peers
 * offered, all peers together make us send this many checks a second to addresses that have not
 * answered. Checks beyond that are not sent. */
#define TL_DIRECT_UNHEARD_SECOND 500
#define TL_DIRECT_UNHEARD_BURST  1000

/* Of one peer: every pair of its two sessions. */
#define TL_WAYS_OF_PEER_MAX (2 * TL_CHECKS_PAIRS_MAX)

typedef struct tl_direct_peer tl_direct_peer;
typedef struct tl_session tl_session;

/* The state of a session. One function in session.c assigns it, and asserts these arrows:
 *
 *   NEW ──our offer──► OFFERED ──answered──► CHECKING ──not found soon──► SEARCHING
 *   NEW ──the peer's offer, answered──► CHECKING
 *   OFFERED, CHECKING, SEARCHING ──a pair answers, or none does──► SETTLED
 *   CHECKING, SEARCHING, SETTLED ──the network moved──► CHECKING
 */
typedef enum {
    TL_SESSION_NEW,       /* no message was sent in it yet */
    TL_SESSION_OFFERED,   /* our offer is sent; the peer has not answered */
    TL_SESSION_CHECKING,  /* both sides' addresses are known: checks run */
    TL_SESSION_SEARCHING, /* the birthday search runs beside the checks */
    TL_SESSION_SETTLED,   /* a pair answered, or none did: the session waits for nothing more */
} tl_session_state;

/* One session: its checks, and what was signalled in it. */
struct tl_session {
    tl_direct_peer *peer;
    tl_checks *checks;
    tl_session_state state;
    bool ours;
    bool introduced; /* its ID is the nonce of a PunchIntro */
    size_t n_via;    /* of a peer's: the introducers that handed it on */
    tl_addr via[TL_DIRECT_INTROS_VIA];
    bool failed; /* and that is counted */
    /* For the counters. Each session has its own: the next one may begin behind other NATs. */
    tl_control_nat our_nat, peer_nat;
    tl_time began, first_valid;
    tl_time answer_by; /* TL_NEVER: our offer is answered, or we sent none */
    tl_time search_at; /* TL_NEVER: there is no search, or it has begun */
    tl_addr reflexive; /* the peer's public address, as its connectionInfo says */
    unsigned refused;
    unsigned readies; /* PunchReadys whose signature was checked in vain */
    size_t n_told;
    tl_candidate told[2 * TL_CANDIDATES_MAX];
    size_t n_search;
    tl_sock *search; /* sockets of the birthday search; NULL: none */
    bool pending;    /* on the list of sessions whose checks have events */
    tl_session *prev, *next;
    uint32_t tag;
    char username[TL_CHECK_USERNAME + 1];
    UT_hash_handle hh, hh_name; /* by tag, by username */
};

typedef struct tl_way_entry tl_way_entry;

/* One of our sockets and an address that sends to it. Zeroed before it is filled: it is a hash
 * key. */
typedef struct {
    uint32_t sock, scope;
    uint16_t port, family;
    uint8_t bytes[16];
} tl_source_key;
typedef struct tl_source {
    tl_source_key key;
    tl_way_entry *way;             /* never NULL */
    struct tl_source *prev, *next; /* the way's list */
    UT_hash_handle hh;
} tl_source;

/* Where a path id leads: to the remote address of a pair. */
struct tl_way_entry {
    tl_path_id path;
    tl_direct_peer *peer;
    tl_session *session;
    uint16_t pair;
    bool up;    /* the pair answers: the way may be chosen */
    bool waits; /* the pair answers, but its address belongs to another peer's way that stands */
    bool freed; /* that way is gone, and events.c has not acted on this yet */
    tl_time since;
    unsigned losses;
    tl_source *sources; /* datagrams from these belong to this way */
    UT_hash_handle hh;
    tl_way_entry *prev, *next; /* the peer's list */
};

struct tl_direct_peer {
    tl_direct *direct;
    tl_node_id id;
    tl_direct_state state;
    tl_session *now, *old; /* old: replaced by now, and kept while one of its ways is of use */
    tl_way_entry *ways;
    size_t n_ways;
    tl_path_id used;
    bool active;
    bool wanted;
    bool moved;    /* the network changed, and no way has been found since then */
    bool stranger; /* on the list of strangers: it asked us, and we do not know it */
    tl_time again_at, pause;
    unsigned attempts;
    unsigned introductions; /* of the present attempt */
    uint64_t greeted_at;    /* by its own clock: when it last greeted us through a pipe */
    bool hurried; /* the present attempt began by tl_direct_hurry: it lengthens no pause */
    tl_nat_type our_nat, peer_nat; /* as told in offer and answer */
    tl_time answers_since;
    unsigned answers;
    /* what the owner is to be told */
    bool tell_ways, tell_silent;
    tl_direct_peer *prev, *next;     /* the list of peers with something to tell */
    tl_direct_peer *older, *younger; /* the list of strangers */
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
    tl_direct_peer *telling, *strange;
    size_t n_strange;
    tl_session *by_tag, *by_name;
    tl_session *pending;
    tl_way_entry *ways;
    tl_source *sources;
    tl_nonces nonces;
    tl_seen_nonces nonces_of_intros;
    tl_introbudget intros;
    tl_ratelimit offers, candidates, unheard;
    tl_strangers strangers, neighbours; /* neighbours: those of the local network */
    bool any_freed;                     /* a way has `freed` */
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
/* The pair's way; makes it if there is none. Datagrams from the pair's address belong to that way
 * from now on, unless the address is another peer's: see may_take. NULL: there is no memory, path
 * id or room, or the address is another peer's and the pair has not answered. */
tl_way_entry *tl_way_get(tl_session *s, const tl_pair *pair);
/* Do datagrams from the pair's address belong to the way, or to another way of the same peer? */
bool tl_way_hears(const tl_way_entry *way, const tl_pair *pair);
/* A way that waits for an address of `lost`, which is not up any more; NULL: none. */
tl_way_entry *tl_way_waiting(const tl_direct *d, const tl_way_entry *lost);
/* NULL: none. */
tl_way_entry *tl_way_find(const tl_direct *d, tl_path_id path);
tl_way_entry *tl_way_of_pair(const tl_session *s, uint16_t pair);
tl_way_entry *tl_way_of_source(const tl_direct *d, tl_sock sock, const tl_addr *from);
/* NULL: the pair was forgotten. */
const tl_pair *tl_way_pair(const tl_way_entry *way);
/* Another way, with a path id of its own, takes the place of `way`, which stands, and is freed. No effect
 * where there is no memory, path id or room. */
void tl_way_renew(tl_way_entry *way);
/* From now on the way leads to the same address as `to`. */
void tl_way_rebind(tl_way_entry *way, const tl_way_entry *to);
void tl_ways_of_session_free(tl_session *s);
/* Does one of the peer's ways stand? */
bool tl_ways_any(const tl_direct_peer *p);
/* Sets how often each pair of the peer's ways is asked: as its use needs it. */
void tl_ways_pace(tl_direct_peer *p);

/* --- session.c --- */
/* NULL: out of memory, or a session of that name exists. */
tl_session *tl_session_new_for(tl_direct_peer *p, const char *session, bool ours);
/* Frees the session and its ways. Never called from inside session.c. */
void tl_session_free(tl_session *s);
/* Makes `s` the peer's session. The session before it becomes the old one while it is used; else it
 * is freed. */
void tl_session_take(tl_direct_peer *p, tl_session *s);
/* Our offer is sent. */
void tl_session_offered(tl_session *s);
/* Both sides' addresses are known. */
void tl_session_start(tl_session *s);
/* Asks every pair anew: the network moved. */
void tl_session_restart(tl_session *s);
/* A search is wanted: plans it for TL_DIRECT_SEARCH_AFTER from now. */
void tl_session_search_later(tl_session *s);
/* Begins the birthday search. False: no socket could be opened for it, so it cannot succeed. */
TL_CHECK bool tl_session_search(tl_session *s);
/* The session waits for nothing more from its checks. */
void tl_session_settle(tl_session *s);
/* Closes all sockets of the search except `but` (0: all of them). */
void tl_session_close_search(tl_session *s, tl_sock but);
/* Sends what the checks have to send. A session whose checks have events joins direct's list. */
void tl_session_pump(tl_session *s);
/* Does what is due in the checks, and returns when to call again. */
tl_time tl_session_on_timer(tl_session *s, tl_time now);
/* Does one of the session's ways stand, or carry the connection? */
bool tl_session_carries(const tl_session *s);
static inline bool tl_session_started(const tl_session *s)
{
    return s->state >= TL_SESSION_CHECKING;
}

/* --- attempt.c --- */
/* The attempt came to `state`. While a way stands, the peer's state is STANDS all the same. Sets
 * the time of the next attempt. */
void tl_attempt_is(tl_direct_peer *p, tl_direct_state state);
/* The peer's ways or sessions have changed: sets STANDS, or ends it. */
void tl_attempt_look(tl_direct_peer *p);
/* The attempt came to nothing: `state` is UNANSWERED or FAILED. */
void tl_attempt_give_up(tl_direct_peer *p, tl_direct_state state);
/* Is an attempt under way, or does a way stand? */
bool tl_attempt_is_on(const tl_direct_peer *p);
/* Counts, by the two NATs, an attempt that began or succeeded. */
void tl_attempt_count(const tl_session *s, bool success);
/* Writes to the debug log; `a` may be NULL. */
void tl_attempt_note(const tl_direct_peer *p, const char *what, const tl_addr *a);
/* Puts TL_DIRECT_WAYS or TL_DIRECT_SILENT on the list for the owner (tl_direct_next_event). */
void tl_attempt_tell(tl_direct_peer *p, tl_direct_event_type what);
/* Asserts what must hold between two calls. */
void tl_attempt_check(const tl_direct_peer *p);

/* --- events.c --- */
/* Acts on the events of every session that has some. The last step of every call that drives a
 * session. No caller uses a session after it: it may free any. */
void tl_direct_settle(tl_direct *d);
/* The pair answers. Frees no session. */
void tl_direct_on_valid(tl_session *s, uint16_t pair);
/* The ordinary checks have had their time: begins the birthday search, or ends the attempt. */
void tl_direct_search(tl_session *s);
/* The network changed since the last offer, and no way stands: what failed before may work now.
 * Makes an offer then; while the relay is away, the offer waits until it is back. May free a
 * session. */
void tl_direct_again_if_moved(tl_direct_peer *p);

/* --- table.c --- */
tl_direct_peer *tl_direct_peer_find(const tl_direct *d, const tl_node_id *id);
/* NULL: out of memory, or TL_DIRECT_PEERS_MAX. */
tl_direct_peer *tl_direct_peer_get(tl_direct *d, const tl_node_id *id);
/* That of somebody who asks us. A stranger's may take the place of another stranger's. NULL as above. */
tl_direct_peer *tl_direct_peer_asking(tl_direct *d, const tl_node_id *id);
/* We want something of it: it is no stranger. */
void tl_direct_peer_known(tl_direct_peer *p);
/* Is it a stranger to which no way stands? */
bool tl_direct_peer_is_strange(const tl_direct_peer *p);
/* Frees a stranger whose attempt is over. When to look again; TL_NEVER: not of itself, or it is freed. */
tl_time tl_direct_peer_tidy(tl_direct_peer *p, tl_time now);
void tl_direct_peer_forget(tl_direct_peer *p);
bool tl_direct_knows(const tl_direct *d, const tl_node_id *id);
void tl_direct_peers_free(tl_direct *d);

/* --- near.c --- */
/* Does somebody announce the peer on the local network? */
bool tl_near_is(const tl_direct *d, const tl_node_id *peer);
/* Did this come from a neighbour, where neighbours are answered? */
bool tl_near_came(const tl_direct *d, tl_sock sock, const tl_addr *from);
/* Our own address for a neighbour there. False: we have none. */
bool tl_near_own(const tl_direct *d, const tl_addr *neighbour, tl_addr *ret_own);
/* The peer answers there: `sock` and `from` of a greeting, or of its answer, which names the UDP port `port`. False:
 * no datagram is ever sent there. */
bool tl_near_add(tl_session *s, tl_sock sock, const tl_addr *from, uint16_t port);
/* What is known of the peer there joins a session of ours that has begun. */
void tl_near_join(tl_session *s);

/* --- introduced.c --- */
/* Begins a session by being introduced. False: nobody can be asked, or this attempt has asked
 * TL_DIRECT_INTRODUCTIONS times. */
bool tl_direct_introduce(tl_direct_peer *p);

/* --- signal.c --- */
/* May one more offer of this node be answered? Returns its peer, or NULL. Cheap: makes no signature check. */
tl_direct_peer *tl_direct_may_answer(tl_direct *d, const tl_node_id *from);
/* The peer named this address. False: no datagram is ever sent there. */
bool tl_session_add_remote(tl_session *s, tl_candidate_kind kind, const tl_addr *addr,
                           uint32_t priority);
/* The addresses of both sides are known. */
void tl_session_begin(tl_session *s);
/* The first half of tl_direct_on_signal: reads the message and acts on it. */
void tl_direct_signalled(tl_direct *d, tl_signal_type type, const tl_node_id *from,
                         tl_slice payload);
/* Makes an offer through the relay. False: the relay is not connected. */
bool tl_direct_offer_by_relay(tl_direct_peer *p);
/* Tells the peer our present addresses and asks for the peer's. */
void tl_direct_offer(tl_direct_peer *p);
/* Sends the candidates that the peer of `s` has not been told yet. */
void tl_session_tell_candidates(tl_session *s);

#endif
