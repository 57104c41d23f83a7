/* warmth.h - which node answered a conversation last, so that its next question can go where the
 * beginning is still in the model server's cache. Keeps hashes of conversations, and not a word of
 * them. Pure memory.
 *
 * A conversation is known by the messages of its last question. The next question begins with the same
 * messages, byte for byte as the client writes them, and holds the answer and a new message behind
 * them. */
#ifndef TL_ASK_WARMTH_H
#define TL_ASK_WARMTH_H

#include "base/slice.h"
#include "base/table.h"
#include "base/time.h"
#include "crypto/identity.h"

#define TL_WARMTH_MAX      1024 /* conversations, 150 bytes each; the oldest is forgotten */
/* A model server under load has used the memory for others by then. */
#define TL_WARMTH_LASTS    (20 * TL_MIN)
/* A body that is larger is mostly pictures; hashing it would hold up the loop. */
#define TL_WARMTH_BODY_MAX (1u << 20)
#define TL_WARMTH_MESSAGES 4096 /* of one conversation that are read */

typedef struct {
    uint64_t hash;
    tl_node_id node;
    tl_time at;
    UT_hash_handle hh;
} tl_warm;

/* Zero-initialise to begin. */
typedef struct {
    tl_warm *conversations; /* the one asked longest ago first */
} tl_warmth;

/* What a body says of its conversation. */
typedef struct {
    uint64_t hash;  /* of all messages; 0: it is no conversation that can be known again */
    uint64_t bytes; /* of all messages */
} tl_talk;

/* Where the beginning of a conversation is in a cache. */
typedef struct {
    bool known;
    tl_node_id node;
    uint64_t bytes; /* of the messages that it has read */
} tl_warm_place;

void tl_warmth_clear(tl_warmth *w);
/* Reads a chat's body, which is JSON, for the model that is asked for. `ret_place`: the node that has
 * read the most of it. */
tl_talk tl_warmth_read(const tl_warmth *w, const char *model, tl_slice body, tl_time now,
                       tl_warm_place *ret_place);
/* The node has read the whole of it. When memory is out, that is not noted. */
void tl_warmth_note(tl_warmth *w, const tl_talk *talk, const tl_node_id *node, tl_time now);

#endif
