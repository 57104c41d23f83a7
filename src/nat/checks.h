/* checks.h - connectivity checks between us and one peer (in the spirit of RFC 8445;
 * docs/protocol.md "Direct paths"): which of the peer's addresses answers, how fast, and whether it
 * still does (consent, RFC 7675). One object is one session. Sans-IO: datagrams go out through
 * tl_checks_next_output and come in through tl_checks_on_stun. Never decides which pair carries
 * traffic.
 *
 * Our sockets are bound to any address. So a pair begins as one of our sockets and one remote
 * address, and the kernel chooses where we send from. The first authentic message of the peer settles
 * which address of ours it is, until the pair is lost. What comes to another one is another pair. A
 * check is a Binding request with USERNAME (first 16 hex digits of the session), PRIORITY,
 * MESSAGE-INTEGRITY-SHA256 and FINGERPRINT; its answer carries XOR-MAPPED-ADDRESS and the same
 * last two. Each direction has its own key, so a reflected check is a forgery. A pair is valid when
 * a check of ours was answered from the very address asked. A check from an address that we do not
 * know makes a peer-reflexive pair, which is asked at once. */
#ifndef TL_NAT_CHECKS_H
#define TL_NAT_CHECKS_H

#include "base/rand.h"
#include "base/time.h"
#include "crypto/identity.h"
#include "nat/candidate.h"
#include "wire/stun.h"

#define TL_CHECK_KEY          32
#define TL_CHECK_USERNAME     16
#define TL_CHECKS_PAIRS_MAX   48 /* candidates of two families, and pairs learned from checks */
#define TL_CHECKS_PACE        (5 * TL_MS) /* between two new probes */
#define TL_CHECKS_UNHEARD_MAX 5           /* packets to an address:port before it proves itself */
#define TL_CHECKS_ATTEMPT_MAX 85          /* such packets of one attempt, in all */
/* After so long without an answer a pair is lost, however slow the way. */
#define TL_CHECKS_CONSENT_MAX (2 * TL_SEC)

/* The two keys of a session: HKDF-SHA256 over X25519(our static, their static), the session ID, and
 * the sender. TL_ERR_AUTH: the peer's key gives no secret. TL_ERR_NOMEM. */
TL_CHECK tl_err tl_check_keys(const tl_identity *self, const tl_node_id *peer, const char *session,
                              uint8_t ret_send[TL_CHECK_KEY], uint8_t ret_receive[TL_CHECK_KEY]);
/* The first 16 hex digits of a session ID, in lower case; shorter IDs are hashed. */
void tl_check_username(const char *session, char ret_name[TL_CHECK_USERNAME + 1]);

/* In checks_pairs.c one function assigns it, and asserts what is drawn here:
 *
 *   WAITING ──asked──► PROBING ──answered──► VALID ──silent──► LOST ──silent for long──► FAILED
 *                                              ▲───answered────┘
 *   PROBING ──its packets are spent──► FAILED
 *   PROBING, FAILED ──restart──► WAITING
 *   FAILED ──a hint, or the peer asks──► PROBING
 *
 * A pair without a socket goes to FAILED from WAITING, PROBING and LOST, and from VALID to LOST. An
 * answer leads to VALID from every state: it may come late, or be the search's. */
typedef enum {
    TL_PAIR_WAITING, /* its turn has not come */
    TL_PAIR_PROBING, /* asked, and not answered yet */
    TL_PAIR_VALID,   /* answered, and asked again at its pace */
    TL_PAIR_FAILED,  /* it never answered, or was lost for too long; asked no more */
    TL_PAIR_LOST,    /* it was valid and answers no more; asked now and then */
} tl_pair_state;

typedef enum {
    TL_PACE_REST,   /* not asked any more; stays VALID until asked in vain */
    TL_PACE_KEEP,   /* often enough to keep the mapping open (tl_checks_set_keepalive) */
    TL_PACE_ACTIVE, /* traffic flows over it: 4 a second, lost when silent for three round trips,
                       at least 750 ms and three checks, at most TL_CHECKS_CONSENT_MAX */
} tl_pair_pace;

typedef struct {
    uint16_t id; /* within its session, from 1; never used again */
    tl_sock sock;
    tl_addr remote;
    tl_candidate_kind kind; /* of the remote candidate */
    tl_pair_state state;
    tl_pair_pace pace;
    tl_addr seen_as; /* our address as the peer saw it; family NONE before an answer */
    tl_time rtt;     /* smoothed; 0 before an answer */
    tl_time least;   /* the shortest round trip since it is valid; 0 before an answer */
    tl_time heard;   /* the last authenticated packet, check or answer; 0 = never */
    tl_time valid_since;
    unsigned sent, answered, asked_by_peer;
    bool birthday; /* found by the search */
} tl_pair;

typedef struct tl_checks tl_checks;

typedef struct {
    tl_rand *rand; /* borrowed for life */
    const tl_identity *self;
    const tl_node_id *peer;
    const char *session;
    uint32_t tag;         /* first four bytes of every transaction ID: whose answer it is */
    tl_sock sock4, sock6; /* 0: none of that family */
    tl_time keepalive;
} tl_checks_config;

TL_CHECK tl_err tl_checks_new(const tl_checks_config *config, tl_checks **ret_checks);
void tl_checks_free(tl_checks *c);
uint32_t tl_checks_tag(const tl_checks *c);
const char *tl_checks_username(const tl_checks *c);
const char *tl_checks_session(const tl_checks *c);
/* The tag in a transaction ID: its first four bytes, the most significant first. */
uint32_t tl_checks_tag_of(const tl_stun *stun);

/* A remote candidate, already allowed by tl_candidate_allowed. The same address twice is one
 * candidate; one at a relay is ignored and counted. Beyond TL_CANDIDATES_MAX, a new one takes the
 * place of one that was named before the last restart; if there is none, it is ignored and counted.
 * Starts at once after tl_checks_start. */
void tl_checks_add_remote(tl_checks *c, const tl_candidate *candidate, tl_time now);
/* A pipe to the peer (net/lantcp), which reaches `remote`: asked as a candidate of the peer's is. */
void tl_checks_add_pipe(tl_checks *c, tl_sock pipe, const tl_addr *remote, tl_time now);
/* The pipe is gone. A pair over it that was valid is lost at once, and each is forgotten. */
void tl_checks_drop_pipe(tl_checks *c, tl_sock pipe, tl_time now);
/* A packet that is no check goes to this candidate: it counts as one of TL_CHECKS_UNHEARD_MAX. False: it must
 * not go. */
TL_CHECK bool tl_checks_may_tell(tl_checks *c, const tl_addr *remote);
void tl_checks_start(tl_checks *c, tl_time now);
/* The network changed, or the peer said where it is now: asks every pair again, the valid ones
 * first. Those that have not answered get a fresh budget. Valid ones stay valid until they fail. */
void tl_checks_restart(tl_checks *c, tl_sock sock4, tl_sock sock6, tl_time now);

/* The birthday search (docs/protocol.md "Direct paths") between a symmetric and a port-restricted
 * NAT. OPEN: we are behind the symmetric one; every socket given (opened by the caller, at most
 * TL_BIRTHDAY_SOCKETS) sends to the peer's reflexive address. GUESS: from our own socket we ask
 * random ports of the peer's reflexive address, at most TL_BIRTHDAY_PROBES, at most 100 a
 * second. */
#define TL_BIRTHDAY_SOCKETS 256
#define TL_BIRTHDAY_PROBES  1024
#define TL_BIRTHDAY_PACE    (10 * TL_MS)
#define TL_BIRTHDAY_WITHIN  (12 * TL_SEC)
void tl_checks_search_open(tl_checks *c, const tl_addr *remote, const tl_sock *socks, size_t n,
                           tl_time now);
void tl_checks_search_guess(tl_checks *c, const tl_addr *remote, tl_time now);

/* Hands in a request (the caller finds the session by its USERNAME) or an answer (by its tag).
 * Forged, malformed, late and replayed ones are counted and dropped. */
void tl_checks_on_stun(tl_checks *c, tl_sock sock, const tl_addr *from, tl_slice datagram,
                       const tl_stun *stun, tl_time now);
/* The connection accepted a packet from an address that is no valid pair: ask that address (at most
 * once in 50 ms, within the budget for unheard addresses). */
void tl_checks_probe(tl_checks *c, tl_sock sock, const tl_addr *from, tl_time now);
/* How often to ask a valid pair. A pair that becomes valid is at TL_PACE_KEEP until told otherwise;
 * a lost one that comes back is at TL_PACE_KEEP again. */
void tl_checks_set_pace(tl_checks *c, uint16_t pair, tl_pair_pace pace, tl_time now);
/* The traffic over it fell silent: ask now, quickly. */
void tl_checks_suspect(tl_checks *c, uint16_t pair, tl_time now);
void tl_checks_set_keepalive(tl_checks *c, tl_time keepalive);

typedef struct {
    tl_sock sock;
    tl_addr to;
    uint8_t bytes[TL_STUN_MAX];
    size_t n;
} tl_checks_output;
bool tl_checks_next_output(tl_checks *c, tl_time now, tl_checks_output *ret_output);
void tl_checks_on_timer(tl_checks *c, tl_time now);
tl_time tl_checks_expiry(const tl_checks *c);

typedef enum {
    TL_CHECKS_VALID,  /* a pair answered: for the first time, or again after it was lost */
    TL_CHECKS_SILENT, /* a pair under TL_PACE_ACTIVE owes answers for longer than usual: it may be
                         lost soon; time to begin looking for the reason */
    TL_CHECKS_LOST,   /* a valid pair answers no more */
    TL_CHECKS_DONE,   /* the attempt is over: every pair failed, or the budget is spent; also after
                         the search. Comes once per start or restart, and never while a pair is
                         valid. */
    TL_CHECKS_SOCKETS_DONE, /* the search needs its sockets no more, except that of `pair` (0:
                               none) */
} tl_checks_event_type;
typedef struct {
    tl_checks_event_type type;
    uint16_t pair;
} tl_checks_event;
bool tl_checks_next_event(tl_checks *c, tl_checks_event *ret_event);
bool tl_checks_has_event(const tl_checks *c);

const tl_pair *tl_checks_pair(const tl_checks *c, uint16_t id);
/* The pair with that socket and remote; NULL: none. */
const tl_pair *tl_checks_find(const tl_checks *c, tl_sock sock, const tl_addr *remote);
/* All of them, in the order they were made. Borrowed until the next call. */
const tl_pair *tl_checks_pairs(const tl_checks *c, size_t *ret_n);

typedef struct {
    uint64_t sent, answered, asked, forged, strays, over_budget, candidates_ignored;
    uint64_t birthday_sent;
} tl_checks_counters;
const tl_checks_counters *tl_checks_counters_of(const tl_checks *c);

#endif
