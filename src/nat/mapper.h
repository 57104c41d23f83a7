/* mapper.h - obtains and keeps one mapping of a UDP port (IPv4) at the gateway: which protocol to
 * ask by, when to ask again, which answers to believe. Never touches a socket or a clock.
 *
 *   IDLE --start--> SEARCHING --granted--> MAPPED --stop--> STOPPING --> IDLE
 *                    |     ^                |  ^
 *       all asked in |     +----- lost -----+  | granted
 *       vain         +------------> FAILED ----+
 *
 * PCP is asked first. From the second try on, NAT-PMP is asked beside it: both live on port 5351,
 * and a gateway that knows only NAT-PMP answers PCP with its own version (RFC 6887 appendix A).
 * Meanwhile UPnP devices are searched for, but the gateway is asked for a mapping by UPnP only when
 * the two others failed. */
#ifndef TL_NAT_MAPPER_H
#define TL_NAT_MAPPER_H

#include "base/addr.h"
#include "base/rand.h"
#include "base/time.h"
#include "nat/igd.h"
#include "wire/pcp.h"

/* In mapper.c one function assigns it, and asserts what is drawn here:
 *
 *   IDLE ──start──► SEARCHING ──granted──► MAPPED ──stop──► STOPPING ──removed, or no answer──► IDLE
 *                     ▲   │                   │
 *                     │   │ none grants one   └──lost, or another network──► SEARCHING
 *     another network │   ▼
 *                    FAILED ──granted after all──► MAPPED
 *
 * Without a gateway IDLE leads to FAILED at once. Stopped, SEARCHING and FAILED lead to IDLE, or to
 * STOPPING if a grant may be on its way. */
typedef enum {
    TL_MAPPER_IDLE,      /* nothing is wanted */
    TL_MAPPER_SEARCHING, /* asking; no mapping yet */
    TL_MAPPER_MAPPED,    /* `external` leads to our port */
    TL_MAPPER_FAILED,    /* `reason` says why; asked again at growing intervals */
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
    uint64_t gateway_restarts;         /* seen by its epoch: its mappings were gone */
    uint64_t refusals;                 /* the gateway said no */
    uint64_t lies;                     /* answers not believed: foreign, malformed, absurd */
} tl_mapper_report;

/* "PCP", "NAT-PMP", "UPnP"; "none". Static storage. */
const char *tl_mapper_method_name(tl_mapper_method m);
/* "idle", "searching", "mapped", "failed", "stopping". Static storage. */
const char *tl_mapper_state_name(tl_mapper_state s);

/* --- the machine; the rest is for the driver (io/portmap) and the tests --- */

/* What we ask for: a killed node leaves its port open no longer. */
#define TL_MAPPER_LIFETIME_S     1200
/* What we believe: RFC 6887 15 tells gateways to grant a day at most. */
#define TL_MAPPER_LIFETIME_MAX_S (7 * 86400)
/* Renewed at half its life, but at least this often: a gateway may restart without a word. */
#define TL_MAPPER_CHECK_NS       (2 * TL_MIN)
/* Less often: four HTTP requests instead of a datagram. */
#define TL_MAPPER_UPNP_CHECK_NS  (10 * TL_MIN)
#define TL_MAPPER_STOP_NS        (1400 * TL_MS)
#define TL_MAPPER_OUTPUT_MAX     8 /* more than one step ever sends */

typedef struct {
    tl_addr to; /* port TL_PCP_PORT: the gateway; else SSDP's group */
    size_t n;
    uint8_t bytes[TL_SSDP_SEARCH_MAX];
} tl_mapper_datagram;

/* What is being asked. The state beside it is what the owner is told. */
typedef enum {
    TL_MAPPER_ASK_NOTHING,
    TL_MAPPER_ASK_PROBE,  /* a mapping by PCP, and whether there is NAT-PMP */
    TL_MAPPER_ASK_PCP,    /* PCP to renew or remove */
    TL_MAPPER_ASK_NATPMP, /* NAT-PMP to map, renew or remove */
    TL_MAPPER_ASK_SEARCH, /* the others failed; who answers the UPnP search? */
    TL_MAPPER_ASK_UPNP,   /* igd to map, renew or remove */
} tl_mapper_ask;

typedef struct {
    tl_rand *rand;
    tl_mapper_report report;
    bool changed; /* the report changed since it was last asked for */
    uint16_t port;
    uint16_t next_port; /* start with it once the present mapping is removed */
    tl_addr own;
    tl_addr wish; /* what was granted last; family NONE: nothing yet, so the wish is our own port */
    uint8_t nonce[TL_PCP_NONCE_SIZE];
    tl_igd igd;
    char refusal[TL_MAPPER_REASON_MAX]; /* the first thing that went wrong in this search */
    unsigned failures;                  /* searches in vain, in a row */

    tl_mapper_ask ask;
    unsigned tries;
    tl_time ask_at;         /* the next try */
    tl_addr natpmp_address; /* of this exchange; family NONE: not told yet */
    uint16_t natpmp_port;   /* 0: not granted yet */
    uint32_t natpmp_lifetime_s;
    unsigned searches; /* rounds of the UPnP search */
    tl_time search_at, search_until;

    tl_time due_at;     /* MAPPED: the renewal; FAILED: the next search; STOPPING: the end of it */
    tl_time expires_at; /* of the mapping */
    tl_time hear_at;    /* announcements are not heard before this */

    tl_mapper_method epoch_of; /* the protocol whose answer told epoch_s; NONE: no answer yet */
    uint32_t epoch_s;
    tl_time epoch_at;

    tl_mapper_datagram output[TL_MAPPER_OUTPUT_MAX];
    size_t output_n, output_at;
} tl_mapper;

/* `rand` is borrowed. */
void tl_mapper_init(tl_mapper *m, tl_rand *rand);
void tl_mapper_clear(tl_mapper *m);

/* Where the default route leads (family NONE: nowhere), and our address on it. If both are as
 * before, a mapping is confirmed and a failed search is done again. If not, everything is given up
 * and begun anew. */
void tl_mapper_set_network(tl_mapper *m, const tl_addr *gateway, const tl_addr *own, tl_time now);
void tl_mapper_start(tl_mapper *m, uint16_t internal_port, tl_time now);
/* Removes the mapping; IDLE after TL_MAPPER_STOP_NS at the latest. */
void tl_mapper_stop(tl_mapper *m, tl_time now);

/* A datagram from port 5351 of some host. */
void tl_mapper_on_datagram(tl_mapper *m, const tl_addr *from, tl_slice pkt, tl_time now);
/* The gateway says that nobody listens on its port 5351. */
void tl_mapper_on_unreachable(tl_mapper *m, tl_time now);
/* An announcement to all hosts, port 5350. */
void tl_mapper_on_announcement(tl_mapper *m, const tl_addr *from, tl_slice pkt, tl_time now);
/* An answer to an SSDP search. */
void tl_mapper_on_ssdp(tl_mapper *m, const tl_addr *from, tl_slice pkt, tl_time now);
/* As tl_igd_wants and tl_igd_on_answer. */
bool tl_mapper_wants(const tl_mapper *m, tl_igd_request *ret_request);
void tl_mapper_on_answer(tl_mapper *m, uint32_t id, int status, tl_slice body, tl_time now);

bool tl_mapper_next_datagram(tl_mapper *m, tl_mapper_datagram *ret_datagram);
void tl_mapper_on_timer(tl_mapper *m, tl_time now);
tl_time tl_mapper_expiry(const tl_mapper *m);
/* Whether the report changed in something but its counters since the last call. */
bool tl_mapper_take_change(tl_mapper *m);

#endif
