/* pace.h - how fast each node generates the tokens of each model, as it was seen while answers
 * streamed. Pure memory: asks nobody, and reads no clock.
 *
 * The speed is a mean in which each answer that was long enough counts an eighth, the first one whole. */
#ifndef TL_ASK_PACE_H
#define TL_ASK_PACE_H

#include "base/table.h"
#include "base/time.h"
#include "crypto/identity.h"

/* Pairs of node and model, 100 bytes each; the one that answered longest ago is forgotten. Only what
 * was asked, or what this node serves, is measured: nobody fills this from outside. */
#define TL_PACES_MAX       2048
/* An answer that is shorter, in either, measures the network more than the model. */
#define TL_PACE_TOKENS_MIN 8
#define TL_PACE_TIME_MIN   (20 * TL_MS)
#define TL_PACE_SPEED_MAX  UINT64_C(1000000000000) /* a thousand million tokens a second */

typedef struct {
    tl_node_id node;
    uint64_t model; /* a keyed hash of its name: one that is wrongly alike costs a wrong guess */
} tl_pace_key;
_Static_assert(sizeof(tl_pace_key) == sizeof(tl_node_id) + 8, "a key of a table has no gaps");

typedef struct {
    tl_pace_key key;
    uint64_t speed;
    UT_hash_handle hh;
} tl_pace;

/* Zero-initialise to begin. */
typedef struct {
    tl_pace *paces; /* the one measured longest ago first */
} tl_paces;

void tl_paces_clear(tl_paces *p);
/* `tokens` were generated in `time`, from the answer's first byte to its end. When memory is out, or
 * the answer was too short, nothing is noted. */
void tl_paces_note(tl_paces *p, const tl_node_id *node, const char *model, uint64_t tokens,
                   tl_time time);
/* Tokens in 1000 s; 0: not measured. */
uint64_t tl_paces_speed(const tl_paces *p, const tl_node_id *node, const char *model);

#endif
