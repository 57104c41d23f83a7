/* merit.h - what it was like to ask each node: which served whole answers, and which failed, how and
 * how lately. Pure memory: asks nobody, and decides nothing (ask/router_choice.c does).
 *
 * A node that fails stands behind the others for a time that doubles with every failure of the same
 * kind: min(first << (failures - 1), most). A whole answer sets all of it back. */
#ifndef TL_ASK_MERIT_H
#define TL_ASK_MERIT_H

#include "base/table.h"
#include "base/time.h"
#include "crypto/identity.h"

/* Nodes remembered, 150 bytes each. Only a node that was asked is remembered, so nobody fills this
 * from outside. */
#define TL_MERITS_MAX         1024
/* After so many failures in a row a node that served well is a stranger again. */
#define TL_MERIT_FORGIVEN_MAX 3

typedef enum {
    TL_BLAME_LOST,   /* no connection came about, or it broke: 5 s to 5 min */
    TL_BLAME_SILENT, /* no sign of life while another answered, or no byte in time: 10 s to 5 min */
    TL_BLAME_FAULT,  /* it says that it failed: 5 s to 5 min */
    TL_BLAME_REFUSED, /* it is full, or has no such model: 2 s to 30 s */
    TL_BLAME_COUNT
} tl_blame;

typedef struct {
    tl_node_id id;
    bool served;                     /* a whole answer, since which it failed less than
                                      * TL_MERIT_FORGIVEN_MAX times */
    unsigned failures;               /* since the last whole answer */
    unsigned failed[TL_BLAME_COUNT]; /* the same by kind */
    tl_time behind_until;
    UT_hash_handle hh;
} tl_merit;

/* Zero-initialise to begin. */
typedef struct {
    tl_merit *nodes; /* the least lately praised or blamed first */
} tl_merits;

void tl_merits_clear(tl_merits *m);
/* When memory is out, it is not remembered. */
void tl_merits_blame(tl_merits *m, const tl_node_id *id, tl_blame blame, tl_time now);
void tl_merits_praise(tl_merits *m, const tl_node_id *id);
/* 0: it stands behind nobody, or was never asked. */
tl_time tl_merits_behind_until(const tl_merits *m, const tl_node_id *id);
bool tl_merits_served(const tl_merits *m, const tl_node_id *id);

#endif
