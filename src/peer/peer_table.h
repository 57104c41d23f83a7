/* peer_table.h - what is known of other nodes: their names, their models, whether they take
 * questions. Pure memory; opens no connection, believes nothing about keys (a node ID is its own
 * proof). */
#ifndef TL_PEER_PEER_TABLE_H
#define TL_PEER_PEER_TABLE_H

#include "base/json.h"
#include "base/table.h"
#include "base/time.h"
#include "crypto/identity.h"
#include "nat/type.h"
#include "path/via.h"
#include "wire/codes.h"

#define TL_PEERS_MAX       4096 /* nodes kept in mind; of a larger network one asks by model */
#define TL_PEER_MODELS_MAX 256  /* of one node; more are ignored */
#define TL_PEER_NAME_MAX   64

struct tl_contact; /* the connections to it, peer/peers */

typedef struct {
    tl_node_id id;
    char name[TL_PEER_NAME_MAX]; /* printable; "" = unknown */
    tl_nat_type nat_type;        /* as the relay lists it */
    int tier;                    /* 1 to 4 */
    bool available;              /* says that it takes questions */
    size_t n_models;
    char **models;
    uint32_t round;             /* the discovery that last listed it */
    bool listed;                /* the relay names it as present */
    tl_time unusable_until;     /* it just failed us: others first */
    unsigned asking;            /* questions of ours it is answering */
    uint64_t running;           /* questions it answers in all, by its last heartbeat */
    tl_via told_via;            /* the path that listeners were last told of */
    struct tl_contact *contact; /* NULL: no connection, nor is one being made */
    UT_hash_handle hh;
} tl_peer;

/* Zero-initialise to begin. */
typedef struct {
    tl_peer *peers;
    uint32_t round;
} tl_peer_table;

void tl_peer_table_clear(tl_peer_table *t);
tl_peer *tl_peer_table_find(const tl_peer_table *t, const tl_node_id *id);
/* Finds or adds. When the table is full an unconnected node makes room. NULL: out of memory, or
 * every one of TL_PEERS_MAX is connected. */
tl_peer *tl_peer_table_get(tl_peer_table *t, const tl_node_id *id);
size_t tl_peer_table_count(const tl_peer_table *t);

/* Takes over what a node says of itself. Unknown or malformed fields are left as they were or at
 * their defaults: a peer's nonsense must not hide it. Returns true if something changed. */
bool tl_peer_describe(tl_peer *p, const char *name, const json_t *capabilities);
bool tl_peer_serves(const tl_peer *p, const char *model);

/* A discovery of everything begins: who is not listed until it ends is forgotten then, connected
 * ones excepted. Pointers to forgotten peers die. */
void tl_peer_table_begin_round(tl_peer_table *t);
void tl_peer_table_end_round(tl_peer_table *t);

#endif
