/* mapper.h - obtains and keeps one mapping of a UDP port (IPv4) at the gateway: by which protocol
 * to ask, when to ask again, what to believe of the answers. Never touches a socket or a clock.
 *
 *   IDLE --start--> SEARCHING --granted--> MAPPED --stop--> STOPPING --> IDLE
 *                    ^     \                  |
 *                    |      nobody, refused   | lost
 *                    |       \                |
 *                    +--later-- FAILED        |
 *                    +------------------------+                                           */
#ifndef TL_NAT_MAPPER_H
#define TL_NAT_MAPPER_H

#include "base/addr.h"
#include "base/rand.h"
#include "base/time.h"

typedef enum {
    TL_MAPPER_IDLE,      /* nothing is wanted */
    TL_MAPPER_SEARCHING, /* asking; no mapping yet */
    TL_MAPPER_MAPPED,    /* `external` leads to our port */
    TL_MAPPER_FAILED,    /* `reason` says why; tried again later */
    TL_MAPPER_STOPPING,  /* the mapping is being removed */
} tl_mapper_state;

typedef enum {
    TL_MAPPER_BY_NONE,
    TL_MAPPER_BY_PCP,    /* RFC 6887 */
    TL_MAPPER_BY_NATPMP, /* RFC 6886 */
    TL_MAPPER_BY_UPNP,   /* UPnP Internet Gateway Device */
} tl_mapper_method;

#define TL_MAPPER_REASON_MAX 160

/* What there is to tell. */
typedef struct {
    tl_mapper_state state;
    tl_mapper_method method;           /* NONE unless MAPPED */
    tl_addr external;                  /* family NONE unless MAPPED */
    uint32_t lifetime_s;               /* as granted; 0: until it is removed (some UPnP gateways) */
    bool second_nat;                   /* `external` is private: another NAT lies beyond it */
    tl_addr gateway;                   /* family NONE: there is no default route */
    char reason[TL_MAPPER_REASON_MAX]; /* for a person; "" while all is well */
    uint64_t renewals;                 /* answers that kept a mapping alive */
    uint64_t gateway_restarts;         /* seen by its epoch: what it had mapped was gone */
    uint64_t refusals;                 /* the gateway said no */
    uint64_t lies;                     /* answers not believed: foreign, malformed, absurd */
} tl_mapper_report;

/* "PCP", "NAT-PMP", "UPnP"; "none". Static storage. */
const char *tl_mapper_method_name(tl_mapper_method m);
/* "idle", "searching", "mapped", "failed", "stopping". Static storage. */
const char *tl_mapper_state_name(tl_mapper_state s);

#endif
