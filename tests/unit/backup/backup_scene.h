/* backup_scene.h - one owner of a backup and some nodes that hold fragments, under virtual time: real holders
 * with a disk of memory, and requests that reach them after a while. Nodes go away, forget, and lie as the
 * test says. */
#ifndef TL_TEST_BACKUP_SCENE_H
#define TL_TEST_BACKUP_SCENE_H

#include "backup/backup.h"
#include "backup/fetch.h"
#include "backup/holder.h"

#define SCENE_NODES_MAX 40
#define SCENE_EPOCH     1800000000

typedef struct scene scene;

/* What is on a node's disk. */
typedef struct scene_file {
    tl_holder_entry entry;
    tl_buf content;
    struct scene_file *next;
} scene_file;

typedef struct {
    scene *scene;
    tl_identity identity;
    tl_holder *holder;
    scene_file *files;
    bool away;      /* not reached */
    bool stranger;  /* in the eyes of the others */
    bool alters;    /* gives other bytes than it was given */
    bool withholds; /* proves what it has, and gives nothing */
    bool forgets;   /* signs, and throws the fragment away */
    bool forges;    /* its receipts are signed by nobody */
    bool mute;      /* takes a request, and answers nothing */
    bool disk_fails;
    unsigned asked; /* requests that reached it */
    unsigned pointers;
    tl_err pointer_error; /* what keeping one comes to */
} scene_node;

/* A request or its answer, or a job of a disk, on its way. */
typedef struct scene_event {
    tl_time at;
    void (*run)(struct scene_event *e);
    scene *scene;
    scene_node *node;
    tl_fragment_call *call; /* NULL: cancelled */
    tl_node_id from;
    tl_talk m;
    tl_buf body;
    tl_err error;
    tl_holder_op op;
    bool op_open;
    tl_holder_job *job;
    tl_holder_entry entry;
    struct scene_event *next;
} scene_event;

struct scene {
    tl_time now;
    tl_rand rand;
    tl_identity owner, recovery;
    scene_node node[SCENE_NODES_MAX];
    size_t nodes;
    scene_event *events;
    tl_exchanges exchanges, for_recovery;
    tl_backup *backup;
    tl_backup_kept kept; /* the last that was saved */
    tl_buf blob;
    tl_backup_map map; /* the last that was told */
    unsigned maps, saves;
    unsigned held[SCENE_NODES_MAX]; /* as on_held told; */
    bool told_held[SCENE_NODES_MAX];
    bool points; /* on_map answers with a pointer */
    uint64_t quota;
};

/* `nodes` members, and an owner without a backup. */
void scene_init(scene *s, uint64_t seed, size_t nodes);
void scene_clear(scene *s);
/* The owner's program ends, and begins again with what it had saved. */
void scene_restart(scene *s);
void scene_run_for(scene *s, tl_time t);
/* A blob of `n` random bytes, and the backup of it begins. */
void scene_set(scene *s, size_t n, uint8_t of_n, uint8_t k);
tl_backup_status scene_status(const scene *s);
/* The node that holds fragment i. */
scene_node *scene_holder_of(scene *s, unsigned i);

/* One restore, by the recovery identity, from the last map. */
typedef struct {
    tl_fetch *fetch;
    bool done;
    tl_err error;
    tl_buf blob;
    char why[1024];
    unsigned progress;
    tl_time took;
} scene_restore;
void scene_restore_now(scene *s, scene_restore *r, tl_time within);

#endif
