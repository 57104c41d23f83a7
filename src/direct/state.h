/* state.h - what the sources of direct/direct share: direct.c (peers, driving, reports),
 * session.c (sessions of checks), ways.c (path ids and addresses), signal.c
 * (offers, answers, candidates). Nobody else's. */
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

/* Names are free: in the sessions that others offered, so many checks a second, of all peers
 * together, go to addresses that have not answered. Beyond, they are lost. */
#define TL_DIRECT_UNHEARD_SECOND 500
#define TL_DIRECT_UNHEARD_BURST  1000

typedef struct tl_direct_peer tl_direct_peer;
typedef struct tl_session tl_session;

/* One signalled session: its checks, and what was said in it. */
struct tl_session {
    tl_direct_peer *peer;
    tl_checks *checks;
    bool ours;
    bool started; /* both sides' addresses are known: checks run */
    tl_time began, first_valid;
    tl_time answer_by; /* TL_NEVER: answered */
    tl_time search_at; /* TL_NEVER: no search, or begun */
    bool searching;
    tl_addr reflexive; /* the peer's, as its connectionInfo says */
    unsigned refused;
    size_t n_told;
    tl_candidate told[2 * TL_CANDIDATES_MAX];
    size_t n_search;
    tl_sock *search; /* sockets of the birthday search; NULL: none */
    uint32_t tag;
    char username[TL_CHECK_USERNAME + 1];
    UT_hash_handle hh, hh_name; /* by tag, by username */
};

/* Where a path id leads. */
typedef struct tl_way_entry {
    tl_path_id path;
    tl_direct_peer *peer;
    tl_session *session;
    uint16_t pair;
    bool up;
    tl_time since;
    unsigned losses;
    UT_hash_handle hh;
    struct tl_way_entry *prev, *next; /* of the peer */
} tl_way_entry;

/* Who sends from there. Zeroed before it is filled: it is a hash key. */
typedef struct {
    uint32_t sock, scope;
    uint16_t port, family;
    uint8_t bytes[16];
} tl_source_key;
typedef struct tl_source {
    tl_source_key key;
    tl_way_entry *way;
    UT_hash_handle hh;
} tl_source;

struct tl_direct_peer {
    tl_direct *direct;
    tl_node_id id;
    tl_direct_state state;
    tl_session *now, *old; /* old: replaced, kept while its ways are better than none */
    tl_way_entry *ways;
    tl_path_id used;
    bool active;
    bool wanted;
    bool changed; /* on_ways is due */
    bool moved;   /* the network changed, and no way was found since */
    tl_time again_at, pause;
    unsigned attempts;
    char our_nat[16], peer_nat[16];
    tl_time answers_since;
    unsigned answers;
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
    tl_session *by_tag, *by_name;
    tl_way_entry *ways;
    tl_source *sources;
    tl_nonces nonces;
    tl_ratelimit offers, candidates, unheard;
    tl_time due;
    bool any_changed;
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

/* direct.c */
tl_direct_peer *tl_direct_peer_find(const tl_direct *d, const tl_node_id *id);
/* NULL: out of memory, or TL_DIRECT_PEERS_MAX. */
tl_direct_peer *tl_direct_peer_get(tl_direct *d, const tl_node_id *id);
/* The attempt came to nothing: when the next one may be. */
void tl_direct_give_up(tl_direct_peer *p, tl_direct_state state);
/* To the debug log; `a` may be NULL. */
void tl_direct_note(const tl_direct_peer *p, const char *what, const tl_addr *a);
/* on_ways follows. */
void tl_direct_changed(tl_direct_peer *p);

/* session.c */
tl_session *tl_session_new_for(tl_direct_peer *p, const char *session, bool ours);
void tl_session_free(tl_session *s);
/* Makes `s` the peer's session; what was there goes, or stays as the old one while it is used. */
void tl_direct_take(tl_direct_peer *p, tl_session *s);
/* Sends what the checks want sent, and does what they tell. */
void tl_session_pump(tl_session *s);
void tl_session_start(tl_session *s);
void tl_session_search(tl_session *s);
/* Does a way of its stand, or carry the connection? */
bool tl_session_carries(const tl_session *s);
/* The network changed since the last offer, and no way stands: what failed before may work now. If
 * the relay is not there, it is tried again when it is. */
void tl_direct_again_if_moved(tl_direct_peer *p);

/* ways.c */
/* The pair's way, made if need be. NULL: out of memory or ids. */
tl_way_entry *tl_way_get(tl_session *s, const tl_pair *pair);
tl_way_entry *tl_way_of_pair(const tl_direct_peer *p, const tl_session *s, uint16_t pair);
void tl_ways_of_session_free(tl_session *s);
void tl_ways_pace(tl_direct_peer *p);

/* signal.c */
/* Tells the peer our present addresses and asks for its own. */
void tl_direct_offer(tl_direct_peer *p);
/* Candidates that this session's peer was not told of yet. */
void tl_session_tell_candidates(tl_session *s);

#endif
