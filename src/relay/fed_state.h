/* fed_state.h - what the sources of the federation share, and its few calls for the rest of the
 * relay. No other room includes it.
 *
 *   federation.c    carriers, other relays, time
 *   fedpresence.c   which node is where: claims, leases, the lists of all nodes
 *   fedroute.c      messages from node to node, and who must wait
 *   fedwire.c       the messages as bytes */
#ifndef TL_RELAY_FED_STATE_H
#define TL_RELAY_FED_STATE_H

#include "relay/federation.h"
#include "relay/fedwire.h"
#include "relay/state.h"

/* Sends all nodes, a few at a time. */
typedef struct {
    bool active;
    uint64_t cursor; /* sequence of the node that went last */
    uint32_t count;
} tl_fed_sync;

typedef enum { TL_FED_TO_ALL, TL_FED_TO_ONE, TL_FED_SCOPES } tl_fed_scope;

typedef struct tl_fed_peer {
    char id[TL_FED_ID_MAX + 1];
    uint64_t incarnation;
    bool near;
    bool gone;     /* nothing more is sent to it */
    tl_time heard; /* when its last message came */
    tl_time asked; /* when it was asked for all its nodes; 0: never */
    struct tl_fed_seat *seats;
    uint32_t count;
    unsigned mismatches; /* how often in turn its digest was not that of `seats` */
    struct {
        tl_time since; /* TL_NEVER: no such list is coming */
        uint32_t ups;
    } list[TL_FED_SCOPES];
    tl_fed_sync sync; /* our list for it alone */
    UT_hash_handle hh;
} tl_fed_peer;

/* Where a node of another relay is. */
typedef struct tl_fed_seat {
    tl_relay_node *node;
    tl_fed_peer *peer;
    uint64_t group, number; /* as of a connection: whose line it is (lines.h) */
    tl_time seen;           /* when it was told last */
    struct tl_fed_seat *prev, *next;
} tl_fed_seat;

/* A node of ours whose epoch the far relays have not agreed to yet. */
typedef struct tl_fed_claim {
    tl_relay_node *node;
    uint64_t ticket; /* 0: not asked for, because the carrier is away */
    uint64_t rival;  /* the highest epoch that another relay has told meanwhile */
    tl_time ack_by;  /* the node is told then at the latest; TL_NEVER: it knows */
    struct tl_fed_claim *prev, *next;
} tl_fed_claim;

/* Why a member is held (tl_relay_member.held). */
enum {
    TL_FED_HELD_THERE = 1, /* its data waits at the other node's relay */
    TL_FED_HELD_HERE = 2,  /* the carrier does not keep up */
};

typedef struct {
    tl_fed_output out;
    char to[TL_FED_ID_MAX + 1];
} tl_fed_item;

typedef struct tl_fed {
    char id[TL_FED_ID_MAX + 1];
    uint64_t incarnation, last_epoch, last_ticket;
    tl_time ttl;
    bool far;            /* there is such a carrier */
    bool far_there;      /* and it can be reached, */
    tl_time far_since;   /* since then */
    tl_time awake_since; /* this relay itself stood still until then: it heard nobody */
    tl_time lease_until;
    tl_time alive_at; /* when to tell the others next */
    bool ended;       /* BYE was said */
    tl_relay_timer timer;
    tl_fed_peer *peers;
    tl_fed_claim *claims;
    tl_fed_sync all; /* our list for all far ones */
    tl_time sync_at;
    size_t memory, away; /* of the nodes of others, near and far; and how many there are */
    size_t waiting[2];
    bool congested[2];        /* by near or not */
    tl_relay_member *stalled; /* utlist of those HELD_HERE */
    tl_fed_item *items;
    size_t head, n, cap;
    tl_fed_counters counters;
} tl_fed;

/* --- for the rest of the relay; all may be called where there is no federation --- */
void tl_fed_free(tl_relay *r);
void tl_fed_on_timer(tl_relay *r);
/* The relay ends: tells all others. */
void tl_fed_end(tl_relay *r);
/* A node registered, on a new socket or with a new profile. True: its ack is sent later. */
bool tl_fed_registered(tl_relay *r, tl_relay_node *n, bool is_new);
/* A node of another relay registers here: forgets where it was. */
void tl_fed_came(tl_relay *r, tl_relay_node *n);
void tl_fed_left(tl_relay *r, tl_relay_node *n);
/* Can `from` (a node of ours) send to `to` (of another relay) now? */
bool tl_fed_reaches(const tl_relay *r, const tl_relay_node *from, const tl_relay_node *to);
bool tl_fed_is_congested(const tl_relay *r, const tl_relay_node *to);
/* TL_ERR_BUSY: it cannot be reached, or too much waits. TL_ERR_NOMEM. */
TL_CHECK tl_err tl_fed_forward(tl_relay *r, tl_signal_type type, const tl_relay_node *from,
                               const tl_relay_node *to, tl_slice session, tl_slice text);
/* The payload of a token packet; the same errors. */
TL_CHECK tl_err tl_fed_packet(tl_relay *r, const tl_relay_node *from, const tl_relay_node *to,
                              tl_slice session, tl_slice payload);
/* Tells a node of another relay that its message could not be taken. */
void tl_fed_refuse(tl_relay *r, const tl_relay_node *to, tl_signal_code code, const char *words,
                   tl_signal_type about, tl_slice session);
/* The data of `sender`, a node of another relay, waits here: its relay is to read no more of it. */
void tl_fed_hold(tl_relay *r, const tl_relay_member *sender, bool on);
/* The carrier is congested: `sender`, a node of ours, is not read. */
void tl_fed_stall(tl_relay *r, tl_relay_member *sender);
void tl_fed_unstall(tl_relay *r, tl_relay_member *m);

/* --- between its sources --- */
/* Takes over the chunk. False: there is no memory. */
bool tl_fed_push(tl_relay *r, const tl_fed_output *out, const char *to);
/* Fills in the sender and writes; NULL: no memory. */
tl_relay_chunk *tl_fed_chunk(tl_relay *r, tl_fed_message *m);
bool tl_fed_send(tl_relay *r, const tl_fed_peer *to, tl_fed_message *m);
void tl_fed_tell(tl_relay *r, tl_fed_output_kind kind, tl_fed_message *m);
bool tl_fed_may_send(const tl_relay *r, const tl_fed_peer *to);
bool tl_fed_has_lease(const tl_relay *r);
void tl_fed_wake(tl_relay *r, tl_time at);
/* All nodes of the peer are gone. */
void tl_fed_clear_peer(tl_relay *r, tl_fed_peer *p);
void tl_fed_drop_peer(tl_relay *r, tl_fed_peer *p);
void tl_fed_ask(tl_relay *r, tl_fed_peer *p);
tl_fed_peer *tl_fed_find_peer(const tl_fed *f, tl_slice id);
/* fedpresence.c */
void tl_fed_on_up(tl_relay *r, tl_fed_peer *p, const tl_fed_message *m, bool near);
void tl_fed_on_down(tl_relay *r, tl_fed_peer *p, const tl_fed_message *m);
void tl_fed_on_list(tl_relay *r, tl_fed_peer *p, const tl_fed_message *m);
void tl_fed_on_alive(tl_relay *r, tl_fed_peer *p, const tl_fed_message *m);
void tl_fed_fill_alive(const tl_relay *r, bool near, tl_fed_message *m);
void tl_fed_claim_all(tl_relay *r);
void tl_fed_ack_all(tl_relay *r, tl_time by);
/* Sends the next part of the lists that are under way. False: none is. */
bool tl_fed_sync_some(tl_relay *r);
/* fedroute.c */
void tl_fed_on_between(tl_relay *r, tl_fed_peer *p, const tl_fed_message *m);
void tl_fed_release(tl_relay *r, bool near);

#endif
