/* sharing.h - says what this node shares with whom, and if it is nothing or nobody, why, and what
 * to do. A pure function of plain facts: asks nobody, and touches no socket, clock or file. */
#ifndef TL_NODE_SHARING_H
#define TL_NODE_SHARING_H

#include "backend/backend.h"

typedef enum {
    TL_SHARING_OFF,      /* the settings share nothing */
    TL_SHARING_STARTING, /* the first look at the model server has not ended */
    TL_SHARING_ON,       /* others can ask at least one model */
    TL_SHARING_NOBODY,   /* there are models, but only this machine can ask them */
    TL_SHARING_NOTHING,  /* there is no model that could be asked */
} tl_sharing_state;
/* "off", "starting", "on", "nobody", "nothing". */
const char *tl_sharing_state_name(tl_sharing_state s);

/* Borrowed for the call. No text is NULL. */
typedef struct {
    const char *share;    /* the setting; "" = nothing is shared */
    const char *key_file; /* the setting backend_key_file; "" = none */
    tl_backend_state backend;
    tl_backend_trouble trouble;
    const char *url, *locked, *error; /* the backend's */
    size_t models, models_shared;  /* the server's models; of these, the ones that may be asked */
    const char *a_model;           /* one of the server's; "" = it has none */
    const char *missing;           /* a model of share_models that it does not serve; "" = none */
    bool wan_enabled, lan_on;      /* lan_on: neighbours find this node */
    bool members_only, in_network; /* share_with = "networks"; this node is in one */
    bool serves;                   /* in one of them its role serves */
} tl_sharing_facts;

typedef struct {
    tl_sharing_state state;
    const char *reason; /* a stable word for scripts; "" unless NOBODY or NOTHING; static */
    char cause[768];    /* a clause without its full stop; "" unless NOBODY or NOTHING */
    char remedy[768];   /* whole sentences; "" when there is nothing to do */
} tl_sharing;
void tl_sharing_judge(const tl_sharing_facts *f, tl_sharing *ret_sharing);

#endif
