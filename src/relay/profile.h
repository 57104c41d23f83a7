/* profile.h - what a node tells of itself when it registers, as the relay keeps it and passes it
 * on: the text of its capabilities, cut to a bound, and the names that others may ask for. Keeps no
 * state, and sends nothing. */
#ifndef TL_RELAY_PROFILE_H
#define TL_RELAY_PROFILE_H

#include "wire/signalread.h"

/* Names kept of each list: nodes take no more of one peer either. */
#define TL_RELAY_LIST_NAMES_MAX 256
/* Bytes of capabilities that are kept: 256 names of 120 bytes. The lists of 400 such nodes are
 * 12 MiB, thirteen answers to `discover`. */
#define TL_RELAY_PROFILE_MAX    (32u << 10)

/* How the items of `ptnIDs` are written. The decoders of others know one shape alone, and refuse a
 * whole discoverResponse for one item of the other. */
typedef enum {
    TL_RELAY_PTN_STRINGS, /* "ID" */
    TL_RELAY_PTN_OBJECTS, /* {"ptnID":"ID","ptnName":"NAME"} */
    TL_RELAY_PTN_SHAPES,
} tl_relay_ptn_shape;

/* A longer name is passed on, and nobody can ask for it: no node's model has one. */
#define TL_RELAY_NAME_MAX  1023
/* Each name that can be asked for begins with one of these. */
#define TL_RELAY_KEY_MODEL 'm'
#define TL_RELAY_KEY_PTN   'p'

typedef struct {
    char *memory; /* all below points into it */
    size_t size;  /* of that memory */
    const char *display_name;
    /* The capabilities are `head`, `ptns` in the reader's shape, `tail`. Where nothing had to be cut
     * they are as the node wrote them, down to the white space. */
    tl_slice head, ptns[TL_RELAY_PTN_SHAPES], tail;
    const char *keys;         /* kind and name, NUL; again; an empty string ends them */
    tl_relay_ptn_shape reads; /* the shape that it wrote, and hence reads */
    uint8_t tier;             /* 0: it gave none, or none that we can read */
    float ram_gb;
    int models_kept; /* of a list that was cut; -1: all */
} tl_relay_profile;

/* Copies. A field that it cannot read counts as absent, and is passed on as it stands.
 * TL_ERR_NOMEM. */
TL_CHECK tl_err tl_relay_profile_make(const tl_signal_register *r, tl_relay_profile *ret_profile);
void tl_relay_profile_clear(tl_relay_profile *p);

/* Length of the capabilities as written for a reader of that shape. */
static inline size_t tl_relay_profile_size(const tl_relay_profile *p, tl_relay_ptn_shape reader)
{
    return p->head.n + p->ptns[reader].n + p->tail.n;
}

#endif
