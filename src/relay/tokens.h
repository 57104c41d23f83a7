/* tokens.h - relayed datagrams (docs/protocol.md "Relayed datagrams"): each side of a session has a
 * token, which stands in front of what it sends; the relay takes it off and passes the rest on over
 * what the other side used last. Decides where a packet goes, and moves sides that change their
 * address. Sans-IO, and without a notion of what a session is: it knows pairs of sides. Neither
 * copies nor allocates for a packet.
 *
 *   token (16)                        a keep-alive: nothing is passed on
 *   token (16) || payload             a datagram for the other side
 *
 * A side's packets come by UDP, or in binary messages of its node's own connection (a stream). The
 * first valid packet by UDP binds the side to its source. From then on only this source counts, until
 * a RelayMigrate that the side's node signed names another, and that other one answers:
 *
 *   side                            relay                        new address
 *    | RelayMigrate(newAddr, seq) --> |                                |
 *    |                                | -- RelayPath(nonce, seq) ----> |    at most 3 times,
 *    |                                | <- RelayPathReply(nonce) ----- |    over a second
 *    |                                | -- RelayMigrated(seq) -------> |
 *
 * What goes out towards an address that has not answered is bounded by what came in: a payload is
 * shorter than its packet, and three RelayPaths are shorter than a RelayMigrate. */
#ifndef TL_RELAY_TOKENS_H
#define TL_RELAY_TOKENS_H

#include "base/rand.h"
#include "crypto/identity.h"
#include "relay/bursts.h"
#include "relay/limits.h"
#include "relay/timers.h"
#include "wire/control.h"

#define TL_TOKEN_SIZE                TL_CONTROL_TOKEN_SIZE
#define TL_TOKENS_SOCKETS_MAX        8
#define TL_TOKENS_PAYLOAD_MAX        65507 /* of a UDP datagram over IPv4 */
#define TL_TOKENS_TRIES              3     /* RelayPaths for one RelayMigrate */
#define TL_TOKENS_TRY_EVERY          (500 * TL_MS)
#define TL_TOKENS_REPLY_MAX          64 /* bytes of what the relay itself sends */
/* Signatures of RelayMigrates that are checked: of one side, which moves once in minutes, and of
 * all, so that holders of tokens can take at most a twentieth of a processor. */
#define TL_TOKENS_PROOFS_PER_SEC     4
#define TL_TOKENS_PROOFS_BURST       8
#define TL_TOKENS_ALL_PROOFS_PER_SEC 1000
#define TL_TOKENS_ALL_PROOFS_BURST   2000

/* Can this be a token's first byte? QUIC, STUN, control datagrams and KRPC begin with others. */
static inline bool tl_token_is_first(uint8_t byte)
{
    return byte >= 0x80 && byte <= 0xBF;
}

typedef struct {
    size_t socket_count;                    /* 0: no UDP; packets come by streams alone */
    tl_addr sockets[TL_TOKENS_SOCKETS_MAX]; /* as they are bound; a wildcard may be among them */
    /* The loop that owns this table, of so many: a token's second byte tells it
     * (token[1] % loops == loop). 0 loops: as 1. */
    unsigned loop, loops;
    /* Nobody has a stream: what goes to a side that has not come yet counts as sent by UDP, and it is
     * for the caller to keep it or to drop it. */
    bool udp_alone;
} tl_tokens_config;

typedef struct tl_relay_tokens tl_relay_tokens;
typedef struct tl_tokens_side tl_tokens_side;

/* A member of a session, to be. */
typedef struct {
    const tl_node_id *node; /* who signs its RelayMigrates; borrowed while the pair lives */
    void *user;             /* comes back as tl_tokens_user */
    const void *stream;     /* in which stream alone its packets may come */
    tl_limit *limit;        /* pays for what this side sends; borrowed; NULL: no limit */
} tl_tokens_member;

typedef struct {
    tl_tokens_side *side[2];
} tl_tokens_pair;

typedef enum {
    TL_TOKENS_DROP_TOKEN,   /* no such token */
    TL_TOKENS_DROP_SOURCE,  /* not from the address, or the stream, that this side has */
    TL_TOKENS_DROP_SHORT,   /* shorter than a token */
    TL_TOKENS_DROP_SIZE,    /* longer than a UDP datagram */
    TL_TOKENS_DROP_RATE,    /* its node has had its bytes, */
    TL_TOKENS_DROP_SLOW,    /* or the other side takes no more now */
    TL_TOKENS_DROP_CONTROL, /* a control datagram that is malformed, or that says nothing here */
    TL_TOKENS_DROPS,
} tl_tokens_drop;

typedef enum { TL_TOKENS_BY_UDP, TL_TOKENS_BY_STREAM, TL_TOKENS_CARRIERS } tl_tokens_carrier;

typedef struct {
    uint64_t packets[TL_TOKENS_CARRIERS][TL_TOKENS_CARRIERS]; /* [from][to], of those passed on */
    uint64_t bytes[TL_TOKENS_CARRIERS][TL_TOKENS_CARRIERS];   /* of their payloads */
    uint64_t dropped[TL_TOKENS_DROPS];
    uint64_t moved, refused, unanswered; /* RelayMigrates */
    uint64_t udp_sides;                  /* bound to an address now */
} tl_tokens_counters;

/* Copies the configuration; `rand` is borrowed for life. TL_ERR_NOMEM. */
TL_CHECK tl_err tl_tokens_new(const tl_tokens_config *config, tl_rand *rand, tl_time now,
                              tl_relay_tokens **ret_tokens);
/* All pairs must be closed before. */
void tl_tokens_free(tl_relay_tokens *t);

/* Makes the tokens of a new session; how many there may be is the caller's to bound. TL_ERR_NOMEM. */
TL_CHECK tl_err tl_tokens_open(tl_relay_tokens *t, const tl_tokens_member members[2], tl_time now,
                               tl_tokens_pair *ret_pair);
/* Both tokens are dead at once. Nothing happens for a pair of zeros. */
void tl_tokens_close(tl_relay_tokens *t, tl_tokens_pair *pair);
const uint8_t *tl_tokens_token(const tl_tokens_side *side);
void *tl_tokens_user(const tl_tokens_side *side);
tl_tokens_side *tl_tokens_other(const tl_tokens_side *side);
/* Where the side is, as its packets by UDP have shown. NULL: none has come. */
const tl_burst_way *tl_tokens_way(const tl_tokens_side *side);
/* The side that has this token. NULL: nobody has it. */
tl_tokens_side *tl_tokens_find(tl_relay_tokens *t, const uint8_t token[TL_TOKEN_SIZE]);
/* When a packet of either side was last taken. */
tl_time tl_tokens_heard(const tl_tokens_pair *pair);

typedef enum {
    TL_TOKENS_DONE,      /* dropped and counted, or a keep-alive */
    TL_TOKENS_TO_UDP,    /* pass the payload on to `way` */
    TL_TOKENS_TO_STREAM, /* pass the payload on to the stream of `to`, if there are streams */
} tl_tokens_verdict;

/* A packet came by UDP: `way` says from where, to which address of ours and socket. The payload is
 * what stands behind the token. */
tl_tokens_verdict tl_tokens_on_datagram(tl_relay_tokens *t, const tl_burst_way *way,
                                        tl_slice packet, tl_time now, const tl_burst_way **ret_way,
                                        tl_tokens_side **ret_to);
/* A packet came in a binary message of that stream. */
tl_tokens_verdict tl_tokens_on_message(tl_relay_tokens *t, const void *stream, tl_slice packet,
                                       tl_time now, const tl_burst_way **ret_way,
                                       tl_tokens_side **ret_to);
/* The payload of a packet that `from` sent to another table, which took it, comes for the other side
 * of the pair. */
tl_tokens_verdict tl_tokens_on_payload(tl_relay_tokens *t, tl_tokens_side *from, size_t n,
                                       tl_time now, const tl_burst_way **ret_way,
                                       tl_tokens_side **ret_to);
/* What was to be passed on was dropped after all: there was no room for it. */
void tl_tokens_was_dropped(tl_relay_tokens *t, tl_tokens_carrier from, tl_tokens_carrier to,
                           size_t n);

/* A packet was dropped before anybody looked at its token: where it belongs there was no room. */
void tl_tokens_lost(tl_relay_tokens *t);

/* A datagram that the relay itself sends. */
typedef struct {
    tl_burst_way way;
    uint8_t bytes[TL_TOKENS_REPLY_MAX];
    size_t n;
} tl_tokens_reply;

/* A control datagram came; `way` NULL: by a stream. `wall`: Unix time. True: send the reply. */
bool tl_tokens_on_control(tl_relay_tokens *t, const tl_burst_way *way, tl_slice datagram,
                          tl_time now, tl_unix wall, tl_tokens_reply *ret_reply);
/* To be called again until false: true gives a RelayPath to send. */
bool tl_tokens_on_timer(tl_relay_tokens *t, tl_time now, tl_tokens_reply *ret_reply);
/* When to call tl_tokens_on_timer; TL_NEVER: nobody moves. */
tl_time tl_tokens_expiry(const tl_relay_tokens *t);

const tl_tokens_counters *tl_tokens_counters_of(const tl_relay_tokens *t);

#endif
