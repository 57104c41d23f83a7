/* tokens_state.h - what tokens.c and tokens_move.c share. No other source includes it. */
#ifndef TL_RELAY_TOKENS_STATE_H
#define TL_RELAY_TOKENS_STATE_H

#include "relay/tokens.h"

/* A side that changes its address. set_move (tokens_move.c) alone assigns `state`:
 *
 *   STILL --RelayMigrate--> ASKED --RelayPathReply--> STILL
 *                             |  \--RelayMigrate (a newer one)--> ASKED
 *                             \--3 RelayPaths unanswered--> STILL                            */
typedef enum {
    MOVE_STILL, /* nothing is under way */
    MOVE_ASKED, /* RelayPaths go to `way` until it answers */
} move_state;

typedef struct {
    move_state state;
    unsigned tries;    /* RelayPaths that were sent */
    uint64_t sequence; /* the highest that was taken, pending or done */
    uint64_t done;     /* the sequence of the last move */
    tl_burst_way way;
    uint8_t nonce[TL_CONTROL_NONCE_SIZE]; /* of the pending move, or of the last one */
    tl_relay_timer timer;
    tl_ratelimit proofs; /* signatures that may still be checked */
} side_move;

typedef struct token_pair token_pair;

struct tl_tokens_side {
    uint8_t token[TL_TOKEN_SIZE];
    tl_tokens_side *next, *other; /* next: of its bucket */
    token_pair *pair;
    tl_limit *limit;
    void *user;
    const void *stream;
    const tl_node_id *node;
    bool by_udp;      /* its last valid packet came by UDP */
    tl_burst_way way; /* remote.family NONE: no packet came by UDP yet */
    side_move move;
};

struct token_pair {
    tl_tokens_side side[2];
    tl_time heard;
};

typedef struct {
    tl_tokens_side *first;
} token_bucket;

struct tl_relay_tokens {
    tl_tokens_config config;
    tl_rand *rand;
    token_bucket *buckets;
    size_t bucket_count; /* a power of two */
    size_t side_count;
    tl_tokens_side *recent; /* of the last packet: packets come in trains */
    tl_relay_timers timers; /* of sides that move */
    tl_ratelimit proofs;    /* signatures of all sides that may still be checked */
    tl_tokens_counters counters;
};

/* The side is bound to that address from now on. */
void tl_tokens_bind(tl_relay_tokens *t, tl_tokens_side *side, const tl_burst_way *way);
/* Forgets a move under way, because its side goes. */
void tl_tokens_stop_move(tl_relay_tokens *t, tl_tokens_side *side);

#endif
