/* candidate.h - an address at which a node may be reached (RFC 8445 section 5.1), its priority, and
 * the rules for the addresses that a peer may name at all (docs/security.md). Pure: resolves and
 * sends nothing. */
#ifndef TL_NAT_CANDIDATE_H
#define TL_NAT_CANDIDATE_H

#include "base/addr.h"

/* One of the endpoint's sockets, as its owner numbers them; 0: none. Sockets are bound to any
 * address, so the upper bits say which of this machine's addresses is meant: the one that a datagram
 * came to, and the one to send from. No such bits: any address, and the kernel chooses. */
typedef uint32_t tl_sock;
#define TL_SOCK_LOCAL_SHIFT 26
#define TL_SOCK_LOCALS_MAX  63 /* twice the addresses of interfaces that we keep */
static inline tl_sock tl_sock_base(tl_sock s)
{
    return s & ((UINT32_C(1) << TL_SOCK_LOCAL_SHIFT) - 1);
}
/* A pipe (net/lantcp) stands where a socket does: it reaches one address, and names no other of ours. */
#define TL_SOCK_PIPE (UINT32_C(1) << (TL_SOCK_LOCAL_SHIFT - 1))
static inline tl_sock tl_sock_pipe(tl_sock nth)
{
    return TL_SOCK_PIPE | (nth & (TL_SOCK_PIPE - 1));
}
static inline bool tl_sock_is_pipe(tl_sock s)
{
    return s & TL_SOCK_PIPE;
}

typedef enum {
    TL_CANDIDATE_HOST,
    TL_CANDIDATE_MAPPED,           /* by PCP, NAT-PMP or UPnP; `serverReflexive` on the wire */
    TL_CANDIDATE_PEER_REFLEXIVE,   /* learned from a check; never on the wire */
    TL_CANDIDATE_SERVER_REFLEXIVE, /* as a STUN server saw it */
    TL_CANDIDATE_RELAYED,
} tl_candidate_kind;

#define TL_CANDIDATES_MAX 16 /* of one node; also of a peer in one session (docs/protocol.md) */

typedef struct {
    tl_candidate_kind kind;
    tl_addr addr;
    uint32_t priority;
} tl_candidate;

/* On the wire: "host", "serverReflexive", "relayed". */
const char *tl_candidate_type(tl_candidate_kind k);
TL_CHECK tl_err tl_candidate_type_parse(const char *type, tl_candidate_kind *ret_kind);
/* For people: "host", "port mapping", "peer-reflexive", ... */
const char *tl_candidate_kind_name(tl_candidate_kind k);
/* RFC 8445 section 5.1.2.1, IPv6 before IPv4 of the same kind. `index` numbers the candidates of
 * one kind and family. */
uint32_t tl_candidate_priority(tl_candidate_kind k, const tl_addr *a, unsigned index);

/* What an address is to us, after tl_addr_normal. */
typedef enum {
    TL_ADDR_GLOBAL,
    TL_ADDR_PRIVATE,   /* RFC 1918, fc00::/7 */
    TL_ADDR_SHARED,    /* 100.64/10: behind the carrier's NAT */
    TL_ADDR_FORBIDDEN, /* nothing is ever sent there because a peer said so */
} tl_addr_kind;
/* FORBIDDEN: no address, port 0, loopback, unspecified, 0/8, 240/4 and broadcast, multicast,
 * link-local, IPv4-compatible and IPv4-translated, 6to4, NAT64 and Teredo of an IPv4 address that
 * is not global, ISATAP of a forbidden one, addresses at which clouds serve metadata. */
tl_addr_kind tl_addr_kind_of(const tl_addr *a);

/* A link-local address that is of use here: of IPv6 with its link (scope), of IPv4 none at which clouds serve
 * metadata, and no broadcast. What it is to us is FORBIDDEN all the same: no peer may name one. */
bool tl_addr_is_link_local(const tl_addr *a);

/* One of our interfaces' addresses (port unused) with its subnet. */
typedef struct {
    tl_addr addr;
    uint8_t prefix; /* bits */
    char name[16];  /* of the interface */
    bool tunnel;    /* the interface is point-to-point or a tunnel: no local network */
    unsigned index; /* the kernel's, of the interface; 0: not known */
} tl_interface;
#define TL_INTERFACES_MAX 32

/* May we send to `a`, which a peer named? FORBIDDEN kinds, a broadcast address of one of our own
 * subnets, and our own addresses (with our own port) are refused. */
bool tl_candidate_allowed(const tl_addr *a, const tl_interface *own, size_t n_own,
                          uint16_t own_port);
/* Is it on one of our subnets? Then a way to it is of the local network. As for the kernel's routes,
 * the longest prefix decides. If that one is a tunnel's, the answer is no. */
bool tl_addr_on_link(const tl_addr *a, const tl_interface *own, size_t n_own);
/* Would it be reached by the interface of this index, if by any of ours? Of several that share its subnet (two plugs in
 * one network) each is taken: which of them the kernel chooses is not known here. Index 0: no. */
bool tl_addr_on_link_of(const tl_addr *a, unsigned index, const tl_interface *own, size_t n_own);

/* An address that was found on the local network, and not named by a peer: on one of our subnets, none of our own
 * sockets' (`own_port`), no broadcast; it may be link-local. */
bool tl_addr_is_near(const tl_addr *a, const tl_interface *own, size_t n_own, uint16_t own_port);
/* Our own address on the link of `a`, without a port. False: there is none. */
bool tl_addr_beside(const tl_addr *a, const tl_interface *own, size_t n_own, tl_addr *ret_own);

/* What we tell a peer: best first, each address once. `mapped` and `reflexive` may be of the family
 * NONE. A host address that is link-local or loopback is left out. */
typedef struct {
    const tl_interface *interfaces;
    size_t n_interfaces;
    uint16_t port4, port6; /* of the sockets; 0: no such socket */
    tl_addr mapped, reflexive4, reflexive6;
} tl_candidate_sources;
size_t tl_candidates_gather(const tl_candidate_sources *s,
                            tl_candidate ret_candidates[TL_CANDIDATES_MAX]);

#endif
