/* networks_state.h - what the two sources of the book share. Nothing else includes it. */
#ifndef TL_PTN_NETWORKS_STATE_H
#define TL_PTN_NETWORKS_STATE_H

#include "base/table.h"
#include "ptn/networks.h"

typedef struct tl_peer_certs tl_peer_certs;

/* BLAKE2b of the canonical form of a certificate, with its signature and chain. */
typedef struct {
    uint8_t bytes[32];
} tl_cert_digest;

/* A certificate of another node. */
typedef struct tl_kept_cert {
    tl_cert cert;
    tl_peer_certs *of;
    tl_membership *network;
    tl_cert_digest digest; /* of the object that was checked; zeros: none was */
    bool left; /* the node has left: the certificate counts for nothing, and no older one does */
    bool met;  /* the node showed one that held then, and so was told that we are a member */
    struct tl_kept_cert *next_of_peer; /* one for each network */
    struct tl_kept_cert *prev, *next;  /* the book's list: the longest unseen first */
} tl_kept_cert;

/* What one peer has shown. */
struct tl_peer_certs {
    tl_node_id peer;
    bool connected;
    tl_kept_cert *certs; /* NULL only while it is connected */
    UT_hash_handle hh;
};

struct tl_networks {
    tl_node_id self;
    int64_t max_age;
    bool hides;
    uint64_t version;
    tl_unix now; /* when the last certificate was shown */
    size_t n;
    tl_membership *ours[TL_NETWORKS_MAX];
    tl_peer_certs *peers;
    tl_kept_cert *seen; /* all certificates */
    size_t n_certs;
};

static inline tl_kept_cert *tl_kept_cert_find(const tl_networks *b, const tl_membership *n,
                                              const tl_node_id *peer)
{
    tl_peer_certs *p;
    HASH_FIND(hh, b->peers, peer, sizeof *peer, p);
    tl_kept_cert *k = p ? p->certs : NULL;
    while (k && k->network != n)
        k = k->next_of_peer;
    return k;
}

#endif
