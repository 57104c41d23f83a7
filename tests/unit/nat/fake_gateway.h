/* fake_gateway.h - a mapper and the gateway it asks, in virtual time. The gateway does what its
 * settings say; what was asked of it is counted. */
#ifndef TL_TESTS_FAKE_GATEWAY_H
#define TL_TESTS_FAKE_GATEWAY_H

#include "nat/mapper.h"

typedef struct {
    uint16_t external, internal; /* 0: none */
    tl_addr client;
    uint32_t lifetime_s;
} fake_mapping;

typedef struct {
    /* what it speaks */
    bool pcp, natpmp, upnp;
    bool natpmp_answers_pcp; /* with its own version, as RFC 6886 3.5 says */
    bool unreachable;        /* nobody on port 5351, and its host says so */
    /* how it answers */
    unsigned pcp_result, natpmp_result;
    int upnp_error;      /* to AddPortMapping */
    bool upnp_offline;   /* no external address */
    uint32_t lifetime_s; /* granted instead of what was asked; 0: as asked */
    bool absurd;         /* grants lifetime 0 */
    uint8_t external[4];
    uint16_t external_port; /* granted instead of what was asked; 0: as asked */
    bool wrong_nonce;
    const char *control; /* control URL of its description */
    unsigned drop;       /* of the next datagrams to it, so many are lost */
    tl_time booted;      /* its epoch */

    tl_mapper m;
    tl_rand rand;
    tl_time now;
    tl_addr ip, own;
    fake_mapping mapping; /* of us */
    uint16_t others_port; /* UPnP: this one is somebody else's */
    unsigned pcp_asked, natpmp_maps, natpmp_addresses, searches, http_asked, removed;
    tl_pcp_map last_pcp;
    char last_action[64];
} fake_gateway;

/* One at 192.168.1.1 that speaks nothing yet; we are 192.168.1.2; external 203.0.113.7. */
void fake_init(fake_gateway *g);
void fake_clear(fake_gateway *g);
/* Carries everything there is to carry, without time passing. */
void fake_carry(fake_gateway *g);
/* Time passes, timers fire, everything is carried. */
void fake_run(fake_gateway *g, tl_time ns);
/* Starts for port 41820 and lets `ns` pass. */
void fake_start(fake_gateway *g, tl_time ns);

/* The external address as text. */
const char *fake_external(const fake_gateway *g);

/* The answer that grants `map`, as a real one would. */
void fake_pcp_answer(const fake_gateway *g, const tl_pcp_map *map, uint8_t ret[TL_PCP_MAP_SIZE]);
/* Hands a datagram in as if it came from there. */
void fake_hand_in(fake_gateway *g, const tl_addr *from, const void *bytes, size_t n);

#endif
