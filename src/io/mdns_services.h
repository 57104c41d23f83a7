/* mdns_services.h - the services `_teale._tcp` that others announce, and the nodes they stand for: which of them are
 * looked up, when, and what is told of them. Knows no avahi, no clock and no thread: the worker (mdns_worker.c) hands
 * it the time and what was heard, and carries out its look-ups.
 *
 * A service is one name on one interface by one IP family. Whoever is on the network can announce any number of them,
 * with any ID, and what is heard does not tell who said it. So this holds, whatever is announced:
 *
 *     services <= TL_MDNS_SERVICES_MAX              look-ups in t seconds <= TL_MDNS_LOOK_BURST + TL_MDNS_LOOK_PER_SEC x t
 *     looked up at once <= TL_MDNS_LOOKING_MAX      addresses of one node <= TL_MDNS_ADDRS_MAX
 *     found <= TL_MDNS_FOUND_MAX                    found of strangers <= TL_MDNS_STRANGERS_MAX
 *
 * A name shows the first digits of an ID. Where these are of a preferred node, and the name is one that nodes give
 * themselves, its service goes before all others until it has answered. From then on its whole ID says whether it is a
 * preferred node's; an ID that does not begin with the name's digits is no answer. In all other choices the lot decides,
 * so that nobody gains by being early or loud.
 *
 *   WAITING --its turn--> LOOKING --answer--> FOUND --another answer--> WAITING
 *      ^                     |                  |
 *      |              no answer, no ID, no room (it is asked again later, each time after twice as long)
 *      +----its time is up---+--> RESTING <-----+                                                               */
#ifndef TL_IO_MDNS_SERVICES_H
#define TL_IO_MDNS_SERVICES_H

#include "base/ratelimit.h"
#include "io/mdns.h"
#include "wire/mdns.h"

#define TL_MDNS_SERVICES_MAX  1024
#define TL_MDNS_LOOKING_MAX   32
#define TL_MDNS_FOUND_MAX     TL_MDNS_NODES_MAX
#define TL_MDNS_STRANGERS_MAX (TL_MDNS_NODES_MAX / 2)
#define TL_MDNS_PREFERRED_MAX (TL_MDNS_NODES_MAX / 2)
#define TL_MDNS_LOOK_PER_SEC  20 /* each is a question to the whole network */
#define TL_MDNS_LOOK_BURST    64
#define TL_MDNS_LOOK_NS       (6 * TL_SEC) /* avahi gives up after 5 */
#define TL_MDNS_REST_LEAST    (10 * TL_SEC)
#define TL_MDNS_CALM          (10 * TL_SEC) /* a service that changes after less than this */
#define TL_MDNS_PAUSE         (2 * TL_SEC)  /* is looked up only after this */
#define TL_MDNS_REST_MOST     (10 * TL_MIN)

typedef enum {
    TL_MDNS_FREE,
    TL_MDNS_WAITING, /* to be looked up */
    TL_MDNS_LOOKING, /* avahi asks where it is */
    TL_MDNS_FOUND,   /* avahi knows, and says when that changes */
    TL_MDNS_RESTING  /* of no use now */
} tl_mdns_service_state;

typedef struct {
    tl_mdns_service_state state;
    void *user;        /* of the calls */
    int interface;     /* the kernel's index */
    tl_addr_family by; /* the family by which it is announced */
    char name[TL_MDNS_NAME_MAX];
    bool preferred;
    bool answered;   /* then `node` says whose it is, and not the name */
    bool untold;     /* FOUND, and there was no room to tell it */
    unsigned rests;  /* in a row */
    tl_time until;   /* LOOKING: then it is silent; RESTING: then its rest is over */
    void *lookup;    /* LOOKING, FOUND: the backend's */
    tl_node_id node; /* of the last answer; all 0: it told none */
    tl_time since;   /* FOUND */
    tl_addr addr;    /* FOUND: with port, and scope where link-local */
} tl_mdns_service;

typedef struct {
    /* Starts a look-up, which goes on until `unlook`. NULL: it cannot. It answers by tl_mdns_services_on_answer or
     * _on_silent, never from inside this call. */
    void *(*look)(void *user, tl_mdns_service *s);
    void (*unlook)(void *user, void *lookup);
    /* n 0: gone. False: there is no room now; it comes again. Never false where n is 0. */
    bool (*tell)(void *user, const tl_node_id *node, const tl_addr *addrs, size_t n);
} tl_mdns_services_calls;

typedef struct {
    tl_mdns_services_calls calls;
    void *user;
    tl_node_id us;
    tl_rand rand;
    tl_ratelimit looks;
    tl_node_id preferred[TL_MDNS_PREFERRED_MAX];
    size_t n_preferred;
    size_t n; /* not FREE */
    uint64_t malformed, silent, dropped, found;
    uint64_t overflowed; /* of `dropped`: those for which the table was full */
    tl_mdns_service at[TL_MDNS_SERVICES_MAX];
} tl_mdns_services;

/* Copies `calls`. */
void tl_mdns_services_init(tl_mdns_services *t, const tl_node_id *us, tl_rand rand,
                           const tl_mdns_services_calls *calls, void *user, tl_time now);
/* Ends all look-ups and forgets all services. What was told is told as gone. */
void tl_mdns_services_forget(tl_mdns_services *t);
/* As tl_mdns_prefer. */
void tl_mdns_services_prefer(tl_mdns_services *t, const tl_node_id *nodes, size_t n);

/* A service is announced, or no more. */
void tl_mdns_services_on_new(tl_mdns_services *t, int interface, tl_addr_family by,
                             const char *name);
void tl_mdns_services_on_gone(tl_mdns_services *t, int interface, tl_addr_family by,
                              const char *name);
/* Where a service is, that is LOOKING or FOUND. `addr` without its scope. Returns false if the look-up was ended in this
 * call. */
bool tl_mdns_services_on_answer(tl_mdns_services *t, tl_mdns_service *s, const tl_mdns_txt *txt,
                                const tl_addr *addr, tl_time now);
void tl_mdns_services_on_silent(tl_mdns_services *t, tl_mdns_service *s, tl_time now);

/* Does what is due. Returns when to call it again. To be called after each of the above, too. */
tl_time tl_mdns_services_run(tl_mdns_services *t, tl_time now);

#endif
