/* stunserver.h - what a STUN server answers to a datagram: Binding requests (RFC 8489), and where
 * it has two addresses CHANGE-REQUEST (RFC 5780). Keeps count of what each address is sent, and is
 * no amplifier; never touches a socket.
 *
 * Bounds of what can be turned on somebody by forging their address:
 *  - an answer is at most TL_STUNSERVER_FACTOR times the request, both with their IP and UDP
 *    headers;
 *  - TL_STUNSERVER_PER_SEC answers a second go to one address (an IPv6 /64 counts as one), after a
 *    burst of TL_STUNSERVER_BURST;
 *  - nothing goes to port 0, to a multicast, broadcast or reserved address, nor to a loopback or
 *    link-local one unless the request was sent to such an address too;
 *  - nothing answers what is not a Binding request, so two servers cannot keep each other busy. */
#ifndef TL_RELAY_STUNSERVER_H
#define TL_RELAY_STUNSERVER_H

#include "base/time.h"
#include "wire/stun.h"

#define TL_STUNSERVER_FACTOR   2
#define TL_STUNSERVER_PER_SEC  50   /* a thousand nodes behind one address, each every 20 s */
#define TL_STUNSERVER_BURST    200  /* ... or a tenth of them at once after an outage */
#define TL_STUNSERVER_SETS     4096 /* addresses remembered: 16384, in less than 1 MiB */
#define TL_STUNSERVER_SET_SIZE 4

/* The sockets of one address family. Bit 0 of an index: the other port; bit 1: the other address.
 */
#define TL_STUN_OTHER_PORT    1u
#define TL_STUN_OTHER_ADDRESS 2u
typedef struct {
    size_t n; /* 1: no behaviour discovery; 4: two addresses times two ports */
    tl_addr addr[4];
} tl_stun_site;

typedef struct {
    size_t socket; /* of the site: which is to send it */
    tl_stun_writer message;
} tl_stun_answer;

typedef enum {
    TL_STUN_DROP_MALFORMED,   /* not STUN, or wrong in any part */
    TL_STUN_DROP_NOT_REQUEST, /* an indication or somebody's answer */
    TL_STUN_DROP_ADDRESS,     /* from where nothing may be sent to */
    TL_STUN_DROP_RATE,        /* that address was sent enough */
    TL_STUN_DROP_UNSENT,      /* the socket did not take the answer */
    TL_STUN_DROPS,
} tl_stun_drop;

typedef struct {
    uint64_t datagrams;           /* requests, and what is counted as malformed or no request */
    uint64_t requests;            /* well-formed Binding requests */
    uint64_t answers;             /* successes and errors */
    uint64_t errors;              /* of those: 420, an attribute that is not understood */
    uint64_t bytes_in, bytes_out; /* of all datagrams; of answers */
    uint64_t dropped[TL_STUN_DROPS];
} tl_stun_counters;

typedef struct tl_stunserver tl_stunserver;

/* TL_ERR_NOMEM. */
TL_CHECK tl_err tl_stunserver_new(tl_stunserver **ret_server);
void tl_stunserver_free(tl_stunserver *s);

/* A datagram came to `socket` of the site, sent to `asked` (the socket's own address, or with a
 * wildcard one of the machine's; family NONE: to a broadcast or multicast address). True: send the
 * answer to `from`. */
bool tl_stunserver_on_datagram(tl_stunserver *s, const tl_stun_site *site, size_t socket,
                               const tl_addr *from, const tl_addr *asked, tl_slice datagram,
                               tl_time now, tl_stun_answer *ret_answer);
/* What became of that answer. */
void tl_stunserver_on_sent(tl_stunserver *s, const tl_stun_answer *answer, bool sent);

const tl_stun_counters *tl_stunserver_counters(const tl_stunserver *s);

#endif
