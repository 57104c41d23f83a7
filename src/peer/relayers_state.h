/* relayers_state.h - what relayers.c, relayers_attach.c and relayers_sessions.c share. No other source
 * includes it. */
#ifndef TL_PEER_RELAYERS_STATE_H
#define TL_PEER_RELAYERS_STATE_H

#include "base/ratelimit.h"
#include "peer/attach.h"
#include "peer/relayers.h"
#include "relay/signed.h"

#include <utlist.h>

/* What was sent is not answered for so long, three times a long round trip: is the node there, and where
 * does it see us? */
#define TL_RELAYER_QUIET   (600 * TL_MS)
/* Nodes that say that they relay may be invented by the hundred, at a victim's address. So 8 are tried at
 * once, and then one a minute: four datagrams, where nobody answers. In tokens, of which one comes a second. */
#define TL_RELAYERS_TRIAL  60
#define TL_RELAYERS_TRIALS (8 * TL_RELAYERS_TRIAL)
#define TL_RELAYERS_MUTE   16 /* dials that go on side by side are fewer */
#define TL_RELAYERS_PAST   64 /* nonces of offers that were taken lately; one waits 61 s at most */

/* One node that relays. It is kept while this node is attached to it, or tries to be, or has sessions or
 * requests there. */
typedef struct {
    bool taken; /* the place is in use */
    tl_relayer_name name;
    tl_leg leg; /* its questions are Attaches */
    tl_attach_mark mark;
    bool attach;      /* we are attached to it for others to reach us, or try to be */
    bool fellow;      /* it was of a network of ours when it was chosen */
    bool requested;   /* a RelayRequest went there */
    size_t sessions;  /* with requests under way */
    uint64_t arrived; /* bytes that on_relayed was not told of */
    tl_time asked_at; /* the first datagram that went there since anything came; 0: none did */
    tl_time heard_at; /* when something came from there; 0: never */
} tl_relayer;

/* ASKING --its RelayOffer--> OPEN
 * A session that a peer asked for is OPEN from the start. A session ends with its node, when its time is
 * over, when no offer comes, or when its owner closes it; then it is freed. */
typedef enum {
    TL_SESSION_ASKING, /* RelayRequests are under way */
    TL_SESSION_OPEN,   /* datagrams may go */
} tl_session_state;

typedef struct tl_relayer_session {
    tl_path_id path;
    tl_node_id peer;
    tl_session_state state;
    bool ours, guess;
    bool heard;  /* something of a connection came over it */
    bool warned; /* its owner knows that it ends; it is told once */
    /* ASKING; also of an OPEN session of ours over which nothing came yet: the peer's offer may be lost */
    unsigned tries;
    tl_time try_at;
    tl_addr but; /* not the node there; family NONE: any */
    struct {
        tl_relayer *at;
        uint8_t nonce[TL_CONTROL_NONCE_SIZE];
    } asked[TL_RELAYER_TRIES];
    /* OPEN */
    tl_relayer *at;
    char id[TL_CONTROL_SESSION_MAX + 1];
    uint8_t token[TL_CONTROL_TOKEN_SIZE];
    tl_time token_at; /* the next token alone */
    tl_time ends_at;  /* TL_NEVER: nobody said */
    tl_addr bound_as; /* our address when the token was last sent; family NONE: not known */
    uint64_t sequence;
    unsigned moves;  /* RelayMigrates that were sent for the present move */
    tl_time move_at; /* the next one; TL_NEVER: the session does not move */
    UT_hash_handle hh;
} tl_relayer_session;

struct tl_relayers {
    tl_relayers_config config;
    tl_relayers_events events;
    void *user;
    bool relaying;
    tl_relayer all[TL_RELAYERS_MAX];
    tl_relayer_session *sessions;
    size_t n_sessions;
    tl_relayer_name remembered[TL_RELAYERS_TRIED]; /* of an earlier run, not tried yet */
    size_t n_remembered;
    /* Nodes that did not answer, or were left for better ones: others come first for a while. */
    struct {
        tl_node_id id;
        tl_time until;
    } left[TL_RELAYERS_MAX];
    size_t left_next;
    tl_time look_at;   /* for nodes to attach to */
    tl_time looked_at; /* the last time; 0: never */
    tl_ratelimit requests, proofs, trials, warnings;
    /* Sessions of ours over which nothing came: for that peer, others are asked first. */
    struct {
        tl_node_id node, peer;
        tl_time until;
    } mute[TL_RELAYERS_MUTE];
    size_t mute_next;
    struct {
        uint8_t nonce[TL_CONTROL_NONCE_SIZE];
        tl_time until;
    } past[TL_RELAYERS_PAST];
    size_t past_next;
    uint64_t sequence; /* of RelayMigrates, of all sessions together */
    tl_time due;
    tl_relayers_counters counters;
};

static inline tl_time tl_relayers_now(const tl_relayers *r)
{
    return tl_env_now(&r->config.env);
}
static inline tl_unix tl_relayers_wall(const tl_relayers *r)
{
    return r->config.env.wall(r->config.env.user);
}
/* Something is to be done at `at`. */
static inline void tl_relayers_due(tl_relayers *r, tl_time at)
{
    r->due = tl_time_min(r->due, at);
}

/* relayers.c */
/* NULL: no relayer of ours is there. */
tl_relayer *tl_relayer_at(tl_relayers *r, const tl_addr *addr);
/* Finds it, or gives it a place. NULL: TL_RELAYERS_MAX, or it may not be asked (a loop, an address to which
 * nothing is sent). */
tl_relayer *tl_relayer_get(tl_relayers *r, const tl_relayer_name *name);
/* Gives the place back where nothing needs it. */
void tl_relayer_tidy(tl_relayers *r, tl_relayer *at);
bool tl_relayer_may_ask(const tl_relayers *r, const tl_relayer_name *name);
/* Sends to it, `prefix` in front of each datagram. */
TL_CHECK tl_err tl_relayer_send(tl_relayers *r, tl_relayer *at, tl_slice prefix,
                                const uint8_t *data, size_t n, size_t segment);
/* Signs and sends. */
void tl_relayer_say(tl_relayers *r, tl_relayer *at, tl_control *c);
bool tl_relayer_is_attached(const tl_relayer *at);
/* May peers open sessions with us there? */
bool tl_relayer_may_open(const tl_relayers *r, const tl_relayer *at);

/* Calls on_relayed, if there is something to tell. */
void tl_relayer_tell_arrived(tl_relayers *r, tl_relayer *at);

/* Did the node give a session with this peer lately, and passed nothing on? */
bool tl_relayers_is_mute(const tl_relayers *r, const tl_node_id *node, const tl_node_id *peer);
/* `s` is OPEN. */
void tl_relayers_note_mute(tl_relayers *r, const tl_relayer_session *s);

/* relayers_attach.c */
/* Sends the Attach that is due. */
void tl_relayer_ask(tl_relayers *r, tl_relayer *at, tl_time now);
void tl_relayer_doubt(tl_relayers *r, tl_relayer *at, tl_time now);
void tl_relayers_on_attached(tl_relayers *r, tl_relayer *at, const tl_control *c);
/* Returns when to call it again. */
tl_time tl_relayers_attach_on_timer(tl_relayers *r, tl_time now);

/* relayers_sessions.c */
tl_relayer_session *tl_relayers_find(const tl_relayers *r, tl_path_id path);
void tl_relayers_on_offer(tl_relayers *r, tl_relayer *at, const tl_control *c);
void tl_relayers_on_warning(tl_relayers *r, tl_relayer *at, const tl_control *c);
/* Does the offer bear the nonce of a request of ours? Only the node there can know it. */
bool tl_relayers_is_answer(const tl_relayers *r, const tl_relayer *at, const tl_control *c);
/* A RelayPath or a RelayMigrated. */
void tl_relayers_on_move(tl_relayers *r, tl_relayer *at, const tl_control *c);
/* The node that relays sees us elsewhere than before. */
void tl_relayers_move(tl_relayers *r, tl_relayer *at, tl_time now);
/* The node does not answer any more. */
void tl_relayers_lose(tl_relayers *r, tl_relayer *at);
tl_time tl_relayers_sessions_on_timer(tl_relayers *r, tl_time now);

#endif
