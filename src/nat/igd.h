/* igd.h - the conversation with the gateway as a UPnP Internet Gateway Device: where its service
 * is, its external address, a port that nobody else has, the mapping. Sans-IO: it says which HTTP
 * request it wants answered next. Part of nat/mapper, which decides what follows from the answers.
 *
 * Only the gateway itself is believed and asked. An answer, location or control URL elsewhere is
 * refused, so that nobody on the network can make us send requests to a place of his choice.
 *
 *   REST --map--> DESCRIBE --> ADDRESS --> LOOK <--> ADD --> REST
 *     \---remove--> REMOVE --> REST                                                        */
#ifndef TL_NAT_IGD_H
#define TL_NAT_IGD_H

#include "base/rand.h"
#include "base/time.h"
#include "wire/upnp.h"

/* The step of a conversation. In igd.c one function assigns it, and asserts what is drawn here:
 *
 *   REST ──map──► DESCRIBE ──► ADDRESS ──► LOOK ──► ADD ──granted──► REST
 *   REST ──map, the gateway is known──► ADDRESS
 *   ADDRESS ──its next service──► ADDRESS
 *   LOOK, ADD ──another host has the port──► LOOK
 *   ADD ──it wants other terms──► ADD
 *   REST ──remove──► REMOVE ──► REST
 *
 * Every step leads to REST when it is refused, lied to, not answered in time, or abandoned. */
typedef enum {
    TL_IGD_REST,     /* nothing is asked; `outcome` tells how the last conversation ended */
    TL_IGD_DESCRIBE, /* fetching the description */
    TL_IGD_ADDRESS,  /* GetExternalIPAddress */
    TL_IGD_LOOK,     /* GetSpecificPortMappingEntry: does another host have the port? */
    TL_IGD_ADD,      /* AddPortMapping */
    TL_IGD_REMOVE,   /* DeletePortMapping */
} tl_igd_step;

typedef enum {
    TL_IGD_NOTHING, /* no conversation yet, or one is going on */
    TL_IGD_MAPPED,  /* `external` leads to our port, for lease_s */
    TL_IGD_REFUSED, /* `error` is its code */
    TL_IGD_OFFLINE, /* it has no external address */
    TL_IGD_LIED,    /* an answer was not to be believed */
    TL_IGD_SILENT,  /* no answer, or one that cannot be read */
    TL_IGD_REMOVED,
} tl_igd_outcome;

#define TL_IGD_TRIES_MAX 5            /* ports tried when other hosts have them */
#define TL_IGD_STEP_NS   (3 * TL_SEC) /* for one answer: slow routers take one second */

typedef struct {
    tl_rand *rand;
    tl_addr gateway, own;
    char location[TL_UPNP_URL_MAX]; /* "": not found yet */
    tl_upnp_service services[TL_UPNP_SERVICES_MAX];
    size_t n_services, service; /* 0 services: not described yet */
    tl_igd_step step;
    tl_igd_outcome outcome;
    tl_time deadline; /* of the present step */
    uint32_t id;      /* of the request; changes with every step */
    tl_buf body;
    char action[TL_UPNP_TYPE_MAX + 40];
    uint16_t internal_port;
    tl_addr external; /* the address, and the port asked for */
    uint32_t lease_s; /* 0: until removed */
    unsigned tries;
    int error; /* of UPnP, when REFUSED */
} tl_igd;

/* `rand` is borrowed. */
void tl_igd_init(tl_igd *g, tl_rand *rand);
void tl_igd_clear(tl_igd *g);
/* Another gateway, or another address of ours: forgets everything and ends the conversation. */
void tl_igd_reset(tl_igd *g, const tl_addr *gateway, const tl_addr *own);

/* An answer to an SSDP search. TL_ERR_FORBIDDEN: not the gateway's, or it points elsewhere.
 * TL_ERR_PROTO, TL_ERR_TOO_LARGE. */
TL_CHECK tl_err tl_igd_on_search_answer(tl_igd *g, const tl_addr *from, tl_slice pkt);
/* The device has been found. */
bool tl_igd_is_located(const tl_igd *g);

/* Begins a conversation; one under way ends. `external_port` is the first wish. Call it only when
 * the device has been found. */
void tl_igd_map(tl_igd *g, uint16_t internal_port, uint16_t external_port, uint32_t lease_s,
                tl_time now);
/* Only after a conversation that ended MAPPED, or that may have come so far. */
void tl_igd_remove(tl_igd *g, uint16_t external_port, tl_time now);
/* Ends the conversation without an outcome. */
void tl_igd_abandon(tl_igd *g);

/* Borrows until the next call. */
typedef struct {
    uint32_t id; /* never 0 */
    const char *url;
    const char *action; /* value of SOAPAction; NULL: a GET */
    tl_slice body;
} tl_igd_request;
/* What is to be asked now; false: nothing. The same until it is answered. */
bool tl_igd_wants(const tl_igd *g, tl_igd_request *ret_request);
/* `status` 0: no whole answer came. An answer to anything but the present request is ignored. */
void tl_igd_on_answer(tl_igd *g, uint32_t id, int status, tl_slice body, tl_time now);

void tl_igd_on_timer(tl_igd *g, tl_time now);
tl_time tl_igd_expiry(const tl_igd *g);

/* In words, for a person; static storage. */
const char *tl_igd_error_text(int error);

#endif
