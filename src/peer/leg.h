/* leg.h - does UDP pass between our port and one relay, and as whom does the relay see us? Asks the
 * relay's own port: a relay by STUN, a node that relays by Attach. Pure: the caller tells the time, sends what is to be sent, and hands in
 * the answers; it never touches a socket.
 *
 *   RESTING --wanted--> ASKING --answered--> OPEN --a question is not answered--> SHUT
 *                          \--not answered--> SHUT --after a pause, which doubles--> ASKING
 *   any state --not needed any more--> RESTING
 *
 * The questions also keep our NAT's mapping to the relay open.
 *
 *   An OPEN leg whose relay stops answering is SHUT at most TL_LEG_EVERY + TL_LEG_PATIENCE later, and
 *   TL_LEG_PATIENCE after a doubt. */
#ifndef TL_PEER_LEG_H
#define TL_PEER_LEG_H

#include "base/rand.h"
#include "base/time.h"
#include "wire/stun.h"

#define TL_LEG_EVERY     (15 * TL_SEC)  /* NATs forget a mapping after 20 s at the earliest */
#define TL_LEG_TRIES     4              /* of one question; each waits twice as long */
#define TL_LEG_RTO       (150 * TL_MS)  /* after the first try */
#define TL_LEG_PATIENCE  (2250 * TL_MS) /* the waits of all tries */
#define TL_LEG_PAUSE_MIN (5 * TL_SEC)   /* after which a SHUT leg is asked again */
#define TL_LEG_PAUSE_MAX (60 * TL_SEC)  /* a firewall that drops UDP seldom changes its mind */

typedef enum {
    TL_LEG_RESTING, /* nobody needs it */
    TL_LEG_ASKING,  /* nothing is known yet */
    TL_LEG_OPEN,    /* the last question was answered; another may be under way */
    TL_LEG_SHUT,    /* UDP does not pass, in one direction at least */
} tl_leg_state;

typedef struct {
    tl_leg_state state;
    tl_addr relay; /* the relay's UDP address */
    tl_addr seen;  /* ours, as the relay saw it last; family NONE: it never answered */
    tl_time rtt;   /* of the last answer that was not asked twice; 0: none */
    tl_time every; /* between two questions while it is OPEN */
    tl_time pause;
    tl_stun_id id;  /* of the question under way */
    unsigned tries; /* of it; 0: none is under way */
    tl_time asked_at, next_at;
} tl_leg;

typedef enum {
    TL_LEG_SAME,   /* nothing new */
    TL_LEG_OPENED, /* UDP passes */
    TL_LEG_MOVED,  /* UDP passes, and the relay sees another address than before */
} tl_leg_news;

tl_leg tl_leg_new(const tl_addr *relay);
/* Somebody needs it. */
void tl_leg_want(tl_leg *l, tl_time now);
/* Nobody needs it any more. */
void tl_leg_rest(tl_leg *l);
/* Something fell silent, or our network changed: asks now. */
void tl_leg_doubt(tl_leg *l, tl_time now);
/* True: a question is to be sent now, the `tries`-th with this ID. */
bool tl_leg_is_due(tl_leg *l, tl_rand *rand, tl_time now);
/* The question `id` was answered: as `seen`. False: it is not the one under way. */
bool tl_leg_answered(tl_leg *l, const tl_stun_id *id, const tl_addr *seen, tl_time now,
                     tl_leg_news *ret_news);
/* The two in the form of STUN. True: `ret_question` is to be sent to the relay now. */
bool tl_leg_ask(tl_leg *l, tl_rand *rand, tl_time now, tl_stun_writer *ret_question);
/* False: it is no answer to our question. */
bool tl_leg_on_answer(tl_leg *l, const tl_stun *answer, tl_time now, tl_leg_news *ret_news);
/* True: the leg has just been shut. */
bool tl_leg_on_timer(tl_leg *l, tl_time now);
/* When to call tl_leg_on_timer and tl_leg_ask; TL_NEVER: not of itself. */
tl_time tl_leg_expiry(const tl_leg *l);

#endif
