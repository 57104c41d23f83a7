/* profile.h - what a node tells about itself when it registers, in the form in which the relay
 * keeps it and passes it on: the text of its capabilities, cut to a bound, and the names for which
 * others may ask. Keeps no state, and sends nothing. */
#ifndef TL_RELAY_PROFILE_H
#define TL_RELAY_PROFILE_H

#include "wire/signalread.h"

/* Names kept from each list. Nodes do not take more from one peer either. */
#define TL_RELAY_LIST_NAMES_MAX 256
/* Bytes kept of the capabilities: enough for 256 names of 120 bytes. The lists of 400 such nodes
 * take 12 MiB, in thirteen answers to `discover`. */
#define TL_RELAY_PROFILE_MAX    (32u << 10)

/* How the items of `ptnIDs` are written. The decoders of other programs know only one of these
 * shapes, and refuse a whole discoverResponse if one item has the other shape. */
typedef enum {
    TL_RELAY_PTN_STRINGS, /* "ID" */
    TL_RELAY_PTN_OBJECTS, /* {"ptnID":"ID","ptnName":"NAME"} */
    TL_RELAY_PTN_SHAPES,
} tl_relay_ptn_shape;

/* A longer name is passed on, but nobody can ask for it: no model of a node has such a name. */
#define TL_RELAY_NAME_MAX  1023
/* Each key begins with the kind of its name: */
#define TL_RELAY_KEY_MODEL 'm'
#define TL_RELAY_KEY_PTN   'p'

typedef struct {
    char *memory; /* all pointers below point into it */
    size_t size;  /* bytes of that memory */
    const char *display_name;
    /* The capabilities are `head`, then `ptns` in the shape of the reader, then `tail`. If nothing
     * had to be cut, they are as the node wrote them, with its white space. */
    tl_slice head, ptns[TL_RELAY_PTN_SHAPES], tail;
    const char *keys;         /* for each: kind, name, NUL; an empty string ends them */
    tl_relay_ptn_shape reads; /* the shape that the node wrote, and so can read */
    uint8_t tier;             /* 0: the node gave none, or none that we can read */
    float ram_gb;
    int models_kept; /* how many models a list that was cut still has; -1: all */
} tl_relay_profile;

/* Copies. A field that we cannot read counts as absent, and is passed on unchanged.
 * TL_ERR_NOMEM. */
TL_CHECK tl_err tl_relay_profile_make(const tl_signal_register *r, tl_relay_profile *ret_profile);
void tl_relay_profile_clear(tl_relay_profile *p);

/* Length of the capabilities when written for a reader of this shape. */
static inline size_t tl_relay_profile_size(const tl_relay_profile *p, tl_relay_ptn_shape reader)
{
    return p->head.n + p->ptns[reader].n + p->tail.n;
}

#endif
