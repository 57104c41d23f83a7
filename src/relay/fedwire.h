/* fedwire.h - what relays that act as one say to each other (docs/protocol.md "Between relays"), as
 * bytes. Whatever carries them (Redis, a mailbox between two loops) keeps them whole. Keeps no
 * state, and sends nothing. */
#ifndef TL_RELAY_FEDWIRE_H
#define TL_RELAY_FEDWIRE_H

#include "crypto/identity.h"
#include "wire/signal.h"

#define TL_FED_ID_MAX       64 /* characters of a relay's ID */
/* Place of the epoch. Redis sets it there, because it is known only when the claim is decided. */
#define TL_FED_EPOCH_AT     2
#define TL_FED_EPOCH_SIZE   8
#define TL_FED_NAME_MAX     256 /* as TL_SIGNAL_NAME_MAX */
#define TL_FED_OVERHEAD_MAX 512 /* what an envelope adds to the message that it carries */

typedef enum {
    TL_FED_HELLO = 1,  /* send me all your nodes */
    TL_FED_ALIVE,      /* I live; so many nodes are here, and this is their digest */
    TL_FED_BYE,        /* I end; none of my nodes is here any more */
    TL_FED_SYNC_BEGIN, /* all my nodes follow, */
    TL_FED_SYNC_END,   /* and these were all */
    TL_FED_UP,         /* the node is here, with this epoch and this profile */
    TL_FED_DOWN,       /* the node with this epoch is not here any more */
    TL_FED_FORWARD,    /* a message from a node of mine to one of yours */
    TL_FED_REFUSAL,    /* such a message could not be taken */
    TL_FED_HOLD,       /* do not read from the node: what it sends in that session waits here */
    TL_FED_GO,         /* read from it again */
    TL_FED_PACKET,     /* the payload of a token packet of that session */
    TL_FED_KINDS,
} tl_fed_kind;

/* When read, every slice borrows from the bytes. */
typedef struct {
    tl_fed_kind kind;
    uint64_t epoch;       /* UP, DOWN */
    tl_slice relay;       /* the sender: 1 to TL_FED_ID_MAX of [A-Za-z0-9._-] */
    uint64_t incarnation; /* of the sender; another number after each start */
    /* ALIVE */
    uint32_t count;
    uint64_t digest;
    /* UP, DOWN */
    tl_node_id node;
    /* UP */
    bool relay_token;
    uint64_t group; /* number of its address (relay/addresses.h) */
    tl_slice name;  /* UTF-8 without NUL, at most TL_FED_NAME_MAX */
    tl_slice wg;    /* 64 hex digits, or empty */
    tl_slice capabilities;
    /* FORWARD, REFUSAL, HOLD, GO, PACKET: from and to are nodes, with their epochs */
    tl_node_id from, to;
    uint64_t from_epoch, to_epoch;
    tl_signal_type type; /* FORWARD, REFUSAL: of the message */
    tl_signal_code code; /* REFUSAL */
    tl_slice session;    /* may be empty in REFUSAL and FORWARD (offers need none) */
    tl_slice bytes;      /* FORWARD: the text; PACKET: the payload; REFUSAL: the words */
} tl_fed_message;

bool tl_fed_id_is(tl_slice id);
/* Appends. TL_ERR_NOMEM: `out` is as before. */
TL_CHECK tl_err tl_fed_write(tl_buf *out, const tl_fed_message *m);
/* Everything before `bytes` of a FORWARD or PACKET, so that those need not be copied twice. */
TL_CHECK tl_err tl_fed_write_head(tl_buf *out, const tl_fed_message *m);
/* TL_ERR_PROTO: not such a message. */
TL_CHECK tl_err tl_fed_read(tl_slice bytes, tl_fed_message *ret_message);

#endif
