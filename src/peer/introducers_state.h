/* introducers_state.h - what introducers.c and introducers_ask.c share. No other source includes it. */
#ifndef TL_PEER_INTRODUCERS_STATE_H
#define TL_PEER_INTRODUCERS_STATE_H

#include "base/ratelimit.h"
#include "base/table.h"
#include "peer/attach.h"
#include "peer/introducers.h"
#include "relay/signed.h"

#include <utlist.h>

#define TL_INTRODUCERS_WAITING 16           /* PunchIntros that wait for an Attached */
#define TL_INTRODUCERS_WAIT    (3 * TL_SEC) /* so long */
#define TL_INTRODUCERS_NAMES   8            /* found, and not tried yet; the oldest makes room */
/* Peers that say that they introduce may be invented by the hundred, at a victim's address. So 8 are tried at once,
 * and then one a minute: four datagrams, where nobody answers. In tokens, of which one comes a second. */
#define TL_INTRODUCERS_TRIAL   60
#define TL_INTRODUCERS_TRIALS  (8 * TL_INTRODUCERS_TRIAL)
#define TL_INTRODUCERS_LEFT    16
#define TL_INTRODUCERS_IDLE                                                                        \
    (60 * TL_MIN) /* a stranger by whom nothing came is left then, for another one */

/* One node to which this node attaches, or attached in order to learn its own address. */
typedef struct {
    bool taken;        /* the place is in use */
    bool given;        /* by the setting */
    bool kept;         /* this node is attached to it for others to find us there, or tries to be */
    tl_time ask_until; /* else: it is asked for an introduction */
    bool served;       /* this node was attached to it once */
    bool stranger;     /* the DHT named it */
    tl_time since; /* when something came by it last, or, where nothing did, when it was taken */
    tl_relayer_name name;
    tl_leg leg; /* its questions are Attaches */
    tl_attach_mark mark;
} tl_introducer_place;

/* What is remembered of where a peer is. */
typedef struct tl_known {
    tl_node_id peer;
    tl_whereabouts where;
    struct tl_known *prev, *next; /* utlist, the oldest first */
    UT_hash_handle hh;
} tl_known;

typedef struct {
    tl_time until; /* 0: the place is free */
    tl_relayer_name at;
    tl_node_id peer;
    uint8_t nonce[TL_CONTROL_NONCE_SIZE];
} tl_waiting_intro;

/* One that was found, and is not tried now. */
typedef struct {
    tl_relayer_name name;
    bool served;   /* this node was attached to it: it is tried again and again */
    bool stranger; /* the DHT named it */
} tl_found_introducer;

struct tl_introducers {
    tl_introducers_config config;
    tl_introducer_place all[TL_INTRODUCERS_MAX];
    tl_relayer_name given[TL_INTRODUCERS_GIVEN_MAX];
    tl_found_introducer found[TL_INTRODUCERS_NAMES];
    size_t n_given, n_found;
    tl_known *known, *first;
    tl_waiting_intro waiting[TL_INTRODUCERS_WAITING];
    tl_ratelimit limit, trials;
    /* They did not answer: neither they, nor others at their address, are tried for a while. */
    struct {
        tl_relayer_name name;
        tl_time until;
    } left[TL_INTRODUCERS_LEFT];
    size_t left_next;
    bool published; /* by our record strangers find those to which we are attached */
    tl_time look_at, doubt_at, due;
    tl_introducers_counters counters;
};

static inline tl_time tl_introducers_now(const tl_introducers *r)
{
    return tl_env_now(&r->config.env);
}
static inline void tl_introducers_due(tl_introducers *r, tl_time at)
{
    r->due = tl_time_min(r->due, at);
}

/* introducers.c */
bool tl_introducers_same(const tl_relayer_name *a, const tl_relayer_name *b);
/* May datagrams go there: to no relay, no address of ours, and none that is not public? */
bool tl_introducers_may_send(const tl_introducers *r, const tl_relayer_name *name);
/* NULL: this node does not attach there. */
tl_introducer_place *tl_introducers_at(tl_introducers *r, const tl_relayer_name *name);
/* Finds a place for it, until then. NULL: there is none. */
tl_introducer_place *tl_introducers_borrow(tl_introducers *r, const tl_relayer_name *name,
                                           tl_time until);
/* Signs and sends. */
void tl_introducers_say(tl_introducers *r, const tl_addr *to, tl_control *c);

/* introducers_choice.c */
/* Is the node in the setting, or kept already, here or elsewhere? Who names a node that we know at another address
 * stands between, or would like to. */
bool tl_introducers_has(const tl_introducers *r, const tl_node_id *id);
/* The next one to attach to; forgets it among those found. False: none. */
bool tl_introducers_pick(tl_introducers *r, tl_found_introducer *ret_found);
/* The one to leave, because a better one is known. NULL: none. */
tl_introducer_place *tl_introducers_to_leave(tl_introducers *r);
/* Would one be left if another one were found? */
bool tl_introducers_has_idle(const tl_introducers *r);
/* As the next one of its kind; as the last one. */
void tl_introducers_remember(tl_introducers *r, const tl_found_introducer *found);
void tl_introducers_remember_last(tl_introducers *r, const tl_found_introducer *found);
void tl_introducers_forget_found(tl_introducers *r, size_t i);

/* introducers_ask.c */
/* It is known now how that node sees us: what waited for it goes. */
void tl_introducers_ask_waiting(tl_introducers *r, const tl_relayer_name *at, const tl_addr *seen);
void tl_introducers_forget(tl_introducers *r);

#endif
