/* federation.h - several relays act as one (docs/protocol.md "Between relays"): they share who is
 * registered, and carry messages and sessions between nodes of different relays. Sans-IO, as
 * relay/relay.h, whose tl_relay it belongs to; never touches what carries its messages.
 *
 * There are two kinds of carrier. `near` ones are the other loops of this process: they neither
 * fail nor lose anything. `far` ones are other machines, by way of Redis: it decides which relay
 * has a node (an epoch for each registration, which grows whatever relay it is at), and it may be
 * away. Then local nodes go on, and nodes of far relays are `busy`.
 *
 * A relay may speak for its nodes only while it has a lease: so long after the last time that it
 * asked whether they are still its own. Other relays forget a silent one half a lease later than
 * its lease ends, so a relay that was stopped cannot answer for a node that has moved.
 *
 * The driver drains tl_fed_next_output wherever it drains tl_relay_next_output. */
#ifndef TL_RELAY_FEDERATION_H
#define TL_RELAY_FEDERATION_H

#include "crypto/identity.h"
#include "relay/relay.h"

#define TL_FED_PEERS_MAX       256        /* other relays, with all loops of each */
#define TL_FED_AWAY_MAX        (1u << 18) /* nodes of other relays */
/* A node of a relay that is not alone may register again, with other capabilities, so many times: what
 * it says goes to all relays, and a few nodes with long lists would keep Redis busy for them all. */
#define TL_FED_CHANGES_PER_SEC 1
#define TL_FED_CHANGES_BURST   10

typedef struct {
    const char *id; /* of this relay; no other has it */
    tl_time ttl;    /* how long a lease holds */
    bool far;       /* there are far relays; their carrier is away at first */
} tl_fed_config;

/* To call once, before the first connection. TL_ERR_INVALID: not an ID. TL_ERR_NOMEM. */
TL_CHECK tl_err tl_relay_federate(tl_relay *r, const tl_fed_config *config, tl_time now);

/* --- input --- */
/* What another relay says; `near`: by which carrier. Anything that is no message is dropped and
 * counted. */
void tl_fed_on_message(tl_relay *r, tl_slice bytes, bool near, tl_time now);
/* The answer to a CLAIM: the node is ours with this epoch. */
void tl_fed_on_claimed(tl_relay *r, const tl_node_id *node, uint64_t ticket, uint64_t epoch,
                       tl_time now);
/* The answer to a REFRESH for one node: it is at another relay. */
void tl_fed_on_lost(tl_relay *r, const tl_node_id *node, uint64_t epoch, tl_time now);
/* The answer to a REFRESH when all nodes were asked for. `since`: when the driver began. */
void tl_fed_on_refreshed(tl_relay *r, tl_time since, tl_time now);
/* A SEND to that relay reached nobody: it is gone. `bytes` is what was sent. */
void tl_fed_on_unheard(tl_relay *r, const char *relay, tl_slice bytes, tl_time now);
/* The far carrier is there, or away. */
void tl_fed_on_far(tl_relay *r, bool there, tl_time now);
/* So many bytes wait in the carrier. Beyond 8 MiB their senders wait, too. */
void tl_fed_on_waiting(tl_relay *r, bool near, size_t bytes, tl_time now);

/* --- output --- */
typedef enum {
    TL_FED_SEND,    /* `bytes` to the relay `to` */
    TL_FED_TO_NEAR, /* `bytes` to all near ones, */
    TL_FED_TO_FAR,  /* or to all far ones */
    TL_FED_CLAIM, /* decide the epoch of `node`: above every earlier one and at least `epoch`; send
                       `bytes` to all far ones with that epoch in its place (relay/fedwire.h), in one
                       step; then tl_fed_on_claimed with `ticket` */
    TL_FED_RELEASE, /* if `node` still has this `epoch`, forget it, and send `bytes` to all far ones
                       (no chunk: nothing) */
    TL_FED_REFRESH, /* ask for each of tl_fed_node_after whether it is still ours, and keep it */
} tl_fed_output_kind;

typedef struct {
    tl_fed_output_kind kind;
    bool near;      /* SEND */
    const char *to; /* SEND; valid until the next call */
    tl_node_id node;
    uint64_t ticket, epoch;
    tl_relay_chunk *chunk; /* the driver owns the reference; NULL: there are no bytes */
    tl_slice bytes;        /* of the chunk */
} tl_fed_output;
bool tl_fed_next_output(tl_relay *r, tl_fed_output *ret_output);

/* Each node of this relay that has an agreed epoch. `at` NULL: the first. NULL: no more. */
const tl_relay_node *tl_fed_node_after(const tl_relay *r, const tl_relay_node *at,
                                       tl_node_id *ret_node, uint64_t *ret_epoch);

/* --- what operators see --- */
typedef struct {
    /* near ones are not counted in these two and the next two */
    uint64_t relays, away;                /* now: other relays, and their nodes */
    uint64_t forwarded_out, forwarded_in; /* messages between nodes, to and from other relays */
    uint64_t stale;                       /* messages dropped for an older epoch, */
    uint64_t malformed;                   /* or because they were none */
    uint64_t moved;                       /* nodes that registered at another relay */
    uint64_t lost;                        /* relays that went silent, or whom nothing reached */
    uint64_t refused;                     /* nodes of others for whom there was no room */
    uint64_t resyncs;                     /* times that another relay was asked for all its nodes */
} tl_fed_counters;
/* NULL: it stands alone. */
const tl_fed_counters *tl_fed_counters_of(const tl_relay *r);
/* True: there are far relays, whether they can be reached or not. */
bool tl_fed_has_far(const tl_relay *r);
/* True: far relays can be reached, and this relay has its lease. */
bool tl_fed_is_up(const tl_relay *r, tl_time now);

#endif
