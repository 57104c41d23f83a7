/* checks_state.h - the pairs of one tl_checks, their states and timing: what the sources of
 * nat/checks share (checks.c the whole, checks_pairs.c the pairs, checks_stun.c the messages). Not
 * for other modules. Sends nothing. */
#ifndef TL_NAT_CHECKS_STATE_H
#define TL_NAT_CHECKS_STATE_H

#include "nat/birthday.h"
#include "nat/checks.h"

#define CHECK_RTO_MIN         (50 * TL_MS)  /* also: between two checks that the peer triggers */
#define CHECK_ACTIVE          (250 * TL_MS) /* TL_PACE_ACTIVE: 4 a second */
/* Where a way was idle and a question begins on it, the first check leaves so much later: not between the
 * question and the first token of its answer. */
#define CHECK_LATER           (20 * TL_MS)
/* A check that the peer sends when ours has half its wait behind it brings ours forward, so that both
 * sides ask and answer in the same two turns of their loops. From then on the peer leads, and this
 * side waits a little longer than it. */
#define CHECK_FOLLOW          (CHECK_ACTIVE + CHECK_ACTIVE / 8)
/* A pair that has just become valid is asked twice more. The peer may have heard of us only through
 * checks, and each gives it another chance to make its own pair valid. */
#define CHECK_CONFIRMS        2
#define CHECK_CONFIRM         (150 * TL_MS)
/* Between two checks once an answer is overdue (or an eighth of the retransmission timeout, if that
 * is more). So about eight checks go out before the pair counts as lost: a way that loses every
 * fifth packet stays. */
#define CHECK_HURRY           (50 * TL_MS)
#define CHECK_LOST_MIN        (750 * TL_MS)
#define CHECK_SILENT          (200 * TL_MS) /* over its usual time: TL_CHECKS_SILENT */
#define CHECK_LOST_N          3
#define CHECK_ATTEMPT         (3 * TL_SEC)  /* the last of five checks goes out after 1.5 s */
#define CHECK_STOOD           (400 * TL_MS) /* a call so late means that the process stood still */
#define CHECK_FORGIVE         (10 * TL_SEC) /* then a failed address gets a fresh budget */
#define CHECK_LOST_SOON       (5 * TL_SEC) /* how often a lost pair is asked in its first minute, */
#define CHECK_LOST_LATE       (25 * TL_SEC) /* and how often after that */
/* Then an address that a check taught us is forgotten. */
#define CHECK_GIVE_UP         (10 * TL_MIN)
/* Where a pipe to an address answers, UDP to that address, which did not, is asked again: one packet, after so long,
 * then after twice as long each time. Both sides do so at about the same times, which is what opens two firewalls
 * that let in what was asked for. */
#define CHECK_BESIDE_FIRST    (30 * TL_SEC)
#define CHECK_BESIDE_MAX      (10 * TL_MIN)
#define CHECK_TXNS            24  /* questions in flight over one pair: those of two timeouts */
#define CHECK_SEEN            128 /* requests remembered: 32 s of TL_PACE_ACTIVE */
#define CHECK_EVENTS          (2 * TL_CHECKS_PAIRS_MAX) /* between two drains */
#define CHECK_ANSWERS         16                        /* waiting for one drain */
/* How long the search keeps to a hit before it takes another. */
#define CHECK_HIT             (1500 * TL_MS)
/* Packets to an address that only a check told us of, before it answers: three, and two more (an
 * answer and a check) for each request that came from there. So one request replayed from a
 * stranger's address costs that stranger TL_CHECKS_UNHEARD_MAX packets, and each request of a flood
 * costs two. */
#define CHECK_UNHEARD_LEARNED 3
#define CHECK_PER_REQUEST     2

typedef struct {
    uint64_t id; /* 0: none */
    tl_time at;
} check_txn;

/* What tl_pair does not show. */
typedef struct {
    uint32_t priority;
    unsigned attempt; /* the attempt in which the peer named it last */
    unsigned allow;   /* packets that may still go there before it answers */
    unsigned tries;   /* checks sent since it was put on the schedule */
    tl_time next_at;  /* the next check, or when it is given up; TL_NEVER */
    bool at_once;     /* the next one waits for no pacing */
    bool paced;       /* the owner has set a pace */
    tl_time asked_at, answered_at, triggered_at, lost_at; /* 0: never */
    unsigned confirms;                                    /* confirming checks to come */
    bool forward, follows; /* the next check is brought forward; the last one was */
    tl_time rttvar;
    unsigned unanswered; /* checks sent after the last one that was answered */
    tl_time unanswered_since;
    bool silent; /* TL_CHECKS_SILENT was told */
    check_txn txns[CHECK_TXNS];
    unsigned txn_next;
} check_side;

struct tl_checks {
    tl_rand *rand;
    char *session;
    char username[TL_CHECK_USERNAME + 1];
    uint8_t key_send[TL_CHECK_KEY], key_receive[TL_CHECK_KEY];
    uint32_t tag;
    tl_sock sock4, sock6;
    tl_time keepalive;

    tl_time last_now;
    bool started, done_due; /* due: TL_CHECKS_DONE may come yet */
    unsigned attempt;       /* how many restarts there were */
    tl_time started_at, ends_at;
    unsigned attempt_left; /* of TL_CHECKS_ATTEMPT_MAX */
    tl_time refilled_at;
    tl_time pace_at;   /* no new probe before */
    tl_time beside_at; /* when UDP beside a pipe is asked again; TL_NEVER: no pipe answers */
    tl_time beside_pause;

    tl_birthday *search;
    uint16_t hit; /* the pair that the search keeps to at present; 0: none */
    tl_time hit_at;

    size_t n;
    uint16_t last_id;
    tl_pair pairs[TL_CHECKS_PAIRS_MAX];
    check_side sides[TL_CHECKS_PAIRS_MAX];

    uint64_t seen[CHECK_SEEN]; /* transactions of the peer's requests */
    size_t seen_next;
    struct {
        tl_sock sock;
        tl_addr to;
        tl_stun_id id;
    } answers[CHECK_ANSWERS];
    size_t answers_at, answers_n;
    tl_checks_event events[CHECK_EVENTS];
    size_t events_at, events_n;
    tl_checks_counters counters;
};

/* --- checks_pairs.c --- */
#define CHECK_NO_PAIR SIZE_MAX
/* The pair of that socket, address of ours and remote. If there is none: the pair that has no
 * address of ours yet; and if `sock` names none, a pair of any. */
size_t tl_check_pair_find(const tl_checks *c, tl_sock sock, const tl_addr *remote);
/* The pair works from the address of ours that `sock` names: keeps to it, unless another pair does. */
void tl_check_pair_settle(tl_checks *c, size_t i, tl_sock sock);
size_t tl_check_pair_by_id(const tl_checks *c, uint16_t id);
/* Makes room by forgetting a learned pair that failed or was lost. CHECK_NO_PAIR: there is none. */
size_t tl_check_pair_add(tl_checks *c, tl_sock sock, const tl_addr *remote, tl_candidate_kind kind,
                         tl_time now);
void tl_check_event(tl_checks *c, tl_checks_event_type type, uint16_t pair);
bool tl_check_any_valid(const tl_checks *c);
/* May a packet go there now? Learned addresses, and candidates never heard of, draw on the
 * attempt's budget. */
bool tl_check_may_send(const tl_checks *c, size_t i);
void tl_check_spend(tl_checks *c, size_t i);
/* Puts a pair on the schedule of an attempt, from now. */
void tl_check_schedule(tl_checks *c, size_t i, tl_time now);
void tl_check_give_up(tl_checks *c, size_t i);
void tl_check_forget(tl_checks *c, size_t i);
/* Its socket is gone for good. */
void tl_check_drop(tl_checks *c, size_t i, tl_time now);
/* One that failed is asked once more, with one packet. */
void tl_check_once_more(tl_checks *c, size_t i, tl_time now);
/* The network changed, or a pipe answers: UDP beside pipes is asked again from here on as at first. */
void tl_check_beside_begin(tl_checks *c, tl_time now);
/* A restart: the pair is asked anew, over the socket that is now its own (0: none). */
void tl_check_renew(tl_checks *c, size_t i, tl_sock sock, tl_time now);
/* A packet that is not authenticated says that the peer is there. */
void tl_check_on_hint(tl_checks *c, size_t i, tl_time now);
/* A check with this transaction has gone out over the pair. */
void tl_check_on_sent(tl_checks *c, size_t i, uint64_t id, tl_time now);
/* An authentic request came over it. */
void tl_check_on_asked(tl_checks *c, size_t i, tl_time now);
/* The answer to a check sent at `at` came. */
void tl_check_on_answered(tl_checks *c, size_t i, tl_time at, const tl_addr *seen_as, tl_time now);
/* Is the pair lost? Asks nothing. */
void tl_check_judge(tl_checks *c, size_t i, tl_time now);
tl_time tl_check_judge_at(const tl_checks *c, size_t i);
/* The process stood still for `span`: forget what was in flight, ask what is in use. */
void tl_check_on_stood(tl_checks *c, size_t i, tl_time span, tl_time now);
/* Plans the next question of a pair: its pace, or the keepalive, was changed. */
void tl_check_repace(tl_checks *c, size_t i, tl_time now);

/* --- checks.c --- */
/* Every entry that is told the time comes here first: has the process stood still? */
void tl_check_on_time(tl_checks *c, tl_time now);
/* The search is over; `pair` is what it found (0: nothing). */
void tl_check_search_end(tl_checks *c, uint16_t pair);

/* --- checks_stun.c --- */
/* May something go to where this came from? */
bool tl_check_may_answer(tl_sock sock, const tl_addr *from);
/* Is it a socket of ours, and of the right family for what comes from there? Any pipe is: it was handed to us. */
bool tl_check_is_our_sock(const tl_checks *c, tl_sock sock, const tl_addr *from);
bool tl_check_write_answer(tl_checks *c, tl_checks_output *ret_output);
bool tl_check_write_request(const tl_checks *c, tl_sock sock, const tl_addr *to, uint64_t id,
                            tl_checks_output *ret_output);

#endif
