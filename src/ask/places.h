/* places.h - the places that this node has for questions of others: who gets one, and what all of
 * them together keep in memory. Shared by every door through which such questions come (ask/server,
 * legacy/). Pure memory and arithmetic: knows no stream and no session. */
#ifndef TL_ASK_PLACES_H
#define TL_ASK_PLACES_H

#include "ask/access.h"
#include "ask/exchange.h"
#include "ask/guests.h"

/* Bodies of requests that are read or answered, in all: peers could otherwise fill our memory. Each
 * peer has a share of it (ask/guests.h). */
#define TL_PLACES_BODIES_MAX (256u << 20)

typedef struct {
    const tl_access *access; /* borrowed for life */
    const char *closed;      /* why nobody is let in now, a literal; NULL: they are */
    uint32_t running_max;    /* places: questions admitted at once, being read or answered */
    size_t running;          /* those that are taken */
    size_t pending;          /* bytes of answers that wait for their askers to take them */
    size_t bodies;           /* bytes charged for questions */
    tl_guests guests;
} tl_places;

tl_places tl_places_new(const tl_access *access, tl_time now);
void tl_places_clear(tl_places *p);

typedef struct {
    const tl_node_id *peer;
    bool in_clear; /* by the old protocol, where nothing proves who asks: it has a stranger's share,
                       * apart from what the node of this ID has over Noise */
    const char *path;          /* of the model server */
    bool served;               /* the model is served to others now */
    const tl_node_id *network; /* that the question claims to belong to; NULL: none */
} tl_question_of;

/* TL_FAIL_COUNT: the question has a place, until tl_places_leave. Else why it has none, and *ret_why
 * says so to a person; it is a literal. */
tl_fail tl_places_enter(tl_places *p, const tl_question_of *q, tl_time now, tl_guest **ret_guest,
                        const char **ret_why);
/* Bytes of its body are kept. NULL: charged, until tl_places_discharge. Else why not; a literal. */
const char *tl_places_charge(tl_places *p, tl_guest *guest, size_t n);
void tl_places_discharge(tl_places *p, tl_guest *guest, size_t n);
/* `whole`: the question was answered whole. */
void tl_places_leave(tl_places *p, tl_guest *guest, bool whole);

#endif
