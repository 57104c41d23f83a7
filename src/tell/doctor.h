/* doctor.h - what stands in the way of this node: every obstacle, with the evidence for it and the
 * remedy. A pure function over plain facts; asks nobody and touches nothing. */
#ifndef TL_TELL_DOCTOR_H
#define TL_TELL_DOCTOR_H

#include "nat/behaviour.h"

typedef enum {
    TL_FINDING_OK,
    TL_FINDING_WARNING, /* works, but less well than it could */
    TL_FINDING_PROBLEM, /* something that is wanted does not work */
} tl_finding_state;
/* "ok", "warning", "problem". */
const char *tl_finding_state_name(tl_finding_state s);

typedef struct {
    const char *id; /* stable: scripts look for it */
    tl_finding_state state;
    char evidence[360];
    char remedy[280]; /* "" when there is nothing to do */
} tl_finding;

/* Everything borrowed for the call; text never NULL unless said so. */
typedef struct {
    bool wan_enabled;
    const char *relay; /* the URL in use or tried */
    bool relay_connected;
    tl_time relay_rtt;       /* 0 unknown */
    const char *relay_error; /* "" = none */

    const char *network_error;  /* why there is no UDP socket though one is wanted; else NULL */
    uint16_t port, wanted_port; /* wanted 0: any */
    const tl_nat_facts *nat;    /* NULL without a socket */
    const tl_stun_report *stun;
    size_t n_stun;
    const tl_interface *interfaces;
    size_t n_interfaces;
    bool port_mapping_on;
    const char *mapped_by; /* NULL: there is no mapping */
    tl_addr mapped;
    const char *mapping_error; /* NULL: none known */

    bool direct_on;
    uint64_t offers_late; /* refused because two clocks differ */
    uint64_t black_holes; /* large packets vanished on a path that had carried them */
    size_t peers_direct, peers_lan, peers_relayed;

    const char *share; /* as set; "" = nothing is shared */
    bool backend_up;
    const char *backend_url, *backend_error;
    size_t models, models_shared; /* the server's, and those that others may ask */
} tl_doctor_facts;

#define TL_FINDINGS_MAX 16 /* one of each id */
/* The obstacles in the order in which they are worth removing; what is in order comes along as OK.
 * Returns how many. */
size_t tl_doctor_examine(const tl_doctor_facts *f, tl_finding ret_findings[TL_FINDINGS_MAX]);

/* "443" of "wss://relay.example.org/ws": the TCP port that certainly works when UDP does not. */
uint16_t tl_doctor_relay_port(const char *url);

#endif
