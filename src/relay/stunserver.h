/* stunserver.h - what a STUN server answers to a datagram: it answers Binding requests (RFC 8489),
 * and with two addresses CHANGE-REQUEST too (RFC 5780). Counts what each address is sent, so that
 * it cannot serve as an amplifier. Never touches a socket.
 *
 * Somebody may forge the address of a victim, so what is sent to an address is bounded:
 *  - an answer is at most TL_STUNSERVER_FACTOR times as long as the request, each with its IP and
 *    UDP headers;
 *  - one address (an IPv6 /64 counts as one) gets at most TL_STUNSERVER_PER_SEC answers a second,
 *    after a burst of TL_STUNSERVER_BURST;
 *  - nothing goes to port 0, to a multicast, broadcast or reserved address, nor to a loopback or
 *    link-local one unless the request was sent to such an address too;
 *  - only Binding requests get an answer, so two servers cannot keep each other busy. */
#ifndef TL_RELAY_STUNSERVER_H
#define TL_RELAY_STUNSERVER_H

#include "base/time.h"
#include "wire/stun.h"

#define TL_STUNSERVER_FACTOR   2
#define TL_STUNSERVER_PER_SEC  50   /* for a thousand nodes behind one address, each every 20 s */
#define TL_STUNSERVER_BURST    200  /* and a tenth of them at once after an outage */
#define TL_STUNSERVER_SETS     4096 /* of 4 addresses: remembers 16384, in less than 1 MiB */
#define TL_STUNSERVER_SET_SIZE 4

/* The sockets of one address family. Bit 0 of an index means the other port, bit 1 the other
 * address. */
#define TL_STUN_OTHER_PORT    1u
#define TL_STUN_OTHER_ADDRESS 2u
typedef struct {
    size_t n; /* 1: no behaviour discovery; 4: two addresses with two ports each */
    tl_addr addr[4];
} tl_stun_site;

typedef struct {
    size_t socket; /* index in the site of the socket that is to send it */
    tl_stun_writer message;
} tl_stun_answer;

typedef enum {
    TL_STUN_DROP_MALFORMED,   /* it is not STUN, or some part is wrong */
    TL_STUN_DROP_NOT_REQUEST, /* it is an indication or an answer */
    TL_STUN_DROP_ADDRESS,     /* it came from an address to which nothing may be sent */
    TL_STUN_DROP_RATE,        /* this address was sent enough answers */
    TL_STUN_DROP_UNSENT,      /* the socket did not take the answer */
    TL_STUN_DROPS,
} tl_stun_drop;

typedef struct {
    uint64_t datagrams;           /* all, including malformed ones and those that are not
                                     requests */
    uint64_t requests;            /* well-formed Binding requests */
    uint64_t answers;             /* successes and errors */
    uint64_t errors;              /* errors among them: 420, an attribute is not understood */
    uint64_t bytes_in, bytes_out; /* in: of all datagrams; out: of answers */
    uint64_t dropped[TL_STUN_DROPS];
} tl_stun_counters;

typedef struct tl_stunserver tl_stunserver;

/* TL_ERR_NOMEM. */
TL_CHECK tl_err tl_stunserver_new(tl_stunserver **ret_server);
void tl_stunserver_free(tl_stunserver *s);

/* A datagram came to socket number `socket` of the site. It was sent to `asked`: the socket's own
 * address, or with a wildcard one of this machine's addresses; family NONE: a broadcast or
 * multicast address. True: send the answer to `from`. */
bool tl_stunserver_on_datagram(tl_stunserver *s, const tl_stun_site *site, size_t socket,
                               const tl_addr *from, const tl_addr *asked, tl_slice datagram,
                               tl_time now, tl_stun_answer *ret_answer);
/* Tells whether that answer was sent. */
void tl_stunserver_on_sent(tl_stunserver *s, const tl_stun_answer *answer, bool sent);

const tl_stun_counters *tl_stunserver_counters(const tl_stunserver *s);

#endif
