/* holder_scene.h - one holder with a disk of memory, and requests to it. The first four of `people` are members
 * of its networks. */
#ifndef TL_TEST_HOLDER_SCENE_H
#define TL_TEST_HOLDER_SCENE_H

#include "backup/holder.h"

#define EPOCH 1800000000
#define DAY   (24 * 3600 * TL_SEC)
#define MIB   (1u << 20)

struct file {
    tl_holder_key key;
    tl_buf content;
};

extern tl_identity self, recovery, people[40];
extern tl_time now;
extern tl_holder *holder;
extern const tl_env hold_env;
extern bool slow, disk_fails, no_memory; /* of the disk */
extern tl_err pointer_error;             /* what keeping a pointer comes to */
extern tl_unix wall_step;                /* the wall clock is wrong by so much */
extern tl_unix ran;                      /* as the holder last told how long it has run */
extern unsigned dropped, forgotten, heard_times, pointers; /* calls of the world */
extern struct file files[300];
extern size_t files_n;

/* One request, and what came of it. */
typedef struct {
    tl_holder_op op; /* first */
    bool answered;
    tl_talk answer;
    tl_buf body;
} call;

int hold_set_up(void **state);
int hold_begin(void **state);
int hold_end(void **state);
tl_holder_counts hold_counts(void);
bool hold_start(call *c, const tl_identity *by, const tl_talk *m);
void hold_stop(call *c);
tl_buf hold_content_of(size_t n, unsigned mark);
tl_fragment_id hold_id_of(size_t n, unsigned mark);
int hold_result(const call *c);
int hold_put(const tl_identity *by, size_t n, unsigned mark);
int hold_get(const tl_identity *by, size_t n, unsigned mark);
int hold_ask(const tl_identity *by, tl_talk_type type, size_t n, unsigned mark);
int hold_point(const tl_identity *by, const tl_node_id *of, char first);
/* The program ends, and begins anew with what is on the disk; nothing is loaded. */
void hold_again(void);
void hold_settle(void);
void hold_remove_file(struct file *f);
struct file *hold_file_of(const tl_holder_key *key);

/* The type of an answer that is the error of this code. */
#define REFUSED(code) (100 + TL_TALK_##code)

#endif
