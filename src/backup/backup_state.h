/* backup_state.h - what the sources of the owner's side share: backup.c has what a caller sees,
 * backup_deal.c asks nodes and takes their answers, backup_place.c decides what to ask whom. Nothing else
 * includes it. */
#ifndef TL_BACKUP_BACKUP_STATE_H
#define TL_BACKUP_BACKUP_STATE_H

#include "backup/backup.h"

#define TL_DEALS_MAX 96 /* candidates, holders and holders of old fragments */

typedef enum {
    TL_DEAL_IDLE,
    TL_DEAL_PUT,
    TL_DEAL_PROVE,
    TL_DEAL_POINT,
    TL_DEAL_DELETE,
} tl_deal_kind;

/* What we have with one node. One request at a time is under way. */
typedef struct {
    tl_fragment_call call; /* first: the answer finds the deal by it */
    tl_backup *backup;
    tl_node_id id;
    tl_deal_kind kind;
    unsigned place;                        /* PUT */
    tl_buf body;                           /* PUT: the fragment, until it is answered */
    tl_talk asked;                         /* PROVE, DELETE */
    tl_time prove_at, point_at, delete_at; /* TL_NEVER: nothing to do */
    tl_time refused_until;                 /* it is given no fragment before */
    tl_time asked_at;                      /* the last request; 0: none yet */
    tl_time silent_since;                  /* 0: it answered when it was last asked */
    unsigned silent_times;
    char why[96];       /* its last refusal */
    char point_why[96]; /* why it keeps no pointer; "": it does, or was not asked */
} tl_deal;

/* A node that may hold a fragment. */
typedef struct {
    tl_node_id id;
    tl_unix at; /* when it was last there */
} tl_seen;

struct tl_backup {
    tl_backup_config config;
    tl_time mean;
    tl_unix gone_after;
    tl_backup_kept kept;
    tl_buf blob;
    bool blob_is_new; /* it was not saved yet */
    tl_time
        old_from[TL_BACKUP_OLD_MAX]; /* kept.old is not deleted before; TL_NEVER: not known yet */
    uint8_t pointer[TL_POINTER_MAX];
    size_t pointer_n;   /* 0: none */
    tl_backup_map told; /* the last map that was told */
    bool was_told, dirty;
    tl_time map_at, map_by; /* TL_NEVER: nothing has changed */
    tl_time look_at;        /* for candidates; TL_NEVER: nothing is wanted */
    tl_deal deals[TL_DEALS_MAX];
    size_t deals_n;
    tl_seen seen[TL_BACKUP_CANDIDATES_MAX];
    size_t seen_n;
    tl_backup_counters counters;
};

static inline tl_time tl_backup_now(const tl_backup *b)
{
    return tl_env_now(&b->config.env);
}

/* --- backup.c --- */
/* Places or old fragments have changed. */
void tl_backup_changed(tl_backup *b);
bool tl_place_is_held(const tl_backup_place *p);
unsigned tl_backup_held_by(const tl_backup *b, const tl_node_id *holder);
unsigned tl_backup_count(const tl_backup *b, tl_place_state s);
/* To be deleted at its holder, from `from` on. */
void tl_backup_add_old(tl_backup *b, const tl_fragment_id *id, const tl_node_id *holder,
                       tl_time from);
void tl_backup_drop_old(tl_backup *b, const tl_fragment_id *id, const tl_node_id *holder);

/* The pointer names the present copy, or is being made of it. */
bool tl_backup_is_named(const tl_backup *b);
/* --- backup_seen.c: how many nodes a copy is for --- */
/* The node was there at this time. */
void tl_backup_see(tl_backup *b, const tl_node_id *id, tl_unix at);
/* All that are there now. Returns their number. */
size_t tl_backup_see_candidates(tl_backup *b, bool strangers);
void tl_backup_see_holders(tl_backup *b);
/* Nodes that were there within gone_after. */
size_t tl_backup_known(const tl_backup *b);
/* Is the present copy as safe as the one that the pointer names, by now? */
bool tl_backup_is_as_safe(const tl_backup *b);

/* --- backup_deal.c --- */
/* Finds or makes it; one that is of no use makes room. NULL: there is no room. */
tl_deal *tl_deal_with(tl_backup *b, const tl_node_id *id);
/* The next challenge comes at a random time. */
void tl_deal_prove_later(tl_deal *d);
void tl_deal_put(tl_deal *d, unsigned place);
void tl_deal_prove(tl_deal *d);
void tl_deal_point(tl_deal *d);
void tl_deal_delete(tl_deal *d);
void tl_deal_cancel(tl_deal *d);

/* --- backup_place.c --- */
/* Does what is due. */
void tl_backup_go_on(tl_backup *b);

#endif
