/* mdns.h - announces this node on the local network as a service `_teale._tcp` (mDNS, RFC 6762; DNS-SD, RFC 6763) and
 * finds other nodes there. By avahi-daemon where one runs, else by avahi's own core inside this process; it changes
 * from one to the other as the daemon comes and goes. Judges nothing: who announces a node's ID need not be the node.
 *
 * The work is done on a thread of its own, since D-Bus blocks and a flood of mDNS costs time. The loop only hears what
 * was found. Nothing here ever makes it wait, but for the end (TL_MDNS_GOODBYE_NS). */
#ifndef TL_IO_MDNS_H
#define TL_IO_MDNS_H

#include "crypto/identity.h"
#include "io/loop.h"

#define TL_MDNS_ADDRS_MAX  16  /* of one node: a few interfaces, each with IPv4 and IPv6 */
#define TL_MDNS_NODES_MAX  512 /* that are told */
/* tl_mdns_free waits no longer for the goodbye to be sent. */
#define TL_MDNS_GOODBYE_NS (300 * TL_MS)

typedef enum {
    TL_MDNS_STARTING, /* neither is there yet */
    TL_MDNS_DAEMON,   /* avahi-daemon does it */
    TL_MDNS_EMBEDDED, /* avahi's core does it, in this process */
    TL_MDNS_FAILED    /* neither can; it is tried again every TL_MDNS_AGAIN */
} tl_mdns_state;
#define TL_MDNS_AGAIN (10 * TL_SEC)

/* "starting", "avahi-daemon", "embedded", "failed". */
const char *tl_mdns_state_name(tl_mdns_state s);

typedef struct tl_mdns tl_mdns;

/* Called from the loop, never from inside a call of ours. Any of these may call anything here but tl_mdns_free. */
typedef struct {
    /* Somebody announces that `node` listens for TCP at these addresses: each has the port, and as its scope, also
     * in IPv4, the interface that heard it. It is told anew whenever they change; n_addrs 0: nobody announces it any
     * more. Our own ID is never told. Borrowed while the call lasts. */
    void (*on_found)(void *user, const tl_node_id *node, const tl_addr *addrs, size_t n_addrs);
    /* `why`: of FAILED, and of EMBEDDED why it is not the daemon. */
    void (*on_state)(void *user, tl_mdns_state state, const char *why);
} tl_mdns_events;

/* Announces `us` at TCP `port` and begins to look for others. The TXT record holds `id=<64 hex>` and nothing else; the
 * service's name is "teale-" and the ID's first digits. `rand` is used in this call alone. TL_ERR_NOMEM, TL_ERR_IO: no
 * thread. That neither the daemon nor the core works is told by on_state. */
TL_CHECK tl_err tl_mdns_start(tl_loop *loop, tl_rand *rand, const tl_node_id *us, uint16_t port,
                              const tl_mdns_events *events, void *user, tl_mdns **ret_mdns);
/* Says goodbye, so that others forget us at once. No event comes after it. NULL is allowed. */
void tl_mdns_free(tl_mdns *m);

/* Whose announcements are told even in a flood of others: the members of our networks, and peers that are known.
 * Copies; at most TL_MDNS_NODES_MAX / 2 of them are kept. It replaces what was given before. */
void tl_mdns_prefer(tl_mdns *m, const tl_node_id *nodes, size_t n);

/* Has all nodes that are announced told once more: whoever judges addresses by the interfaces of this machine may judge
 * otherwise when these have changed. */
void tl_mdns_tell_again(tl_mdns *m);

typedef struct {
    tl_mdns_state state;
    char why[160];
    char name[64]; /* under which we are announced; "" while we are not yet */
    /* Announced by others, that are looked at: one for each interface and IP family. */
    size_t services;
    size_t nodes;       /* that are announced now */
    uint64_t found;     /* times that a node was told */
    uint64_t malformed; /* services without a node's ID, or with one that is no key */
    uint64_t silent;    /* services that did not answer when asked where they are */
    uint64_t dropped;   /* services and nodes that found no room */
    uint64_t renamed;   /* times that somebody else had our name */
} tl_mdns_report;
/* A copy of what the thread last said. */
void tl_mdns_report_get(tl_mdns *m, tl_mdns_report *ret_report);

#endif
