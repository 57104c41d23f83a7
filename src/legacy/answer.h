/* answer.h - puts the chunks of a streamed chat answer together to a whole one, for a client that
 * did not ask for a stream. Pure memory; what a stranger sends is bounded here. */
#ifndef TL_LEGACY_ANSWER_H
#define TL_LEGACY_ANSWER_H

#include "base/json.h"
#include "base/time.h"

#define TL_LEGACY_CHOICES_MAX 8          /* `n` of a request; more are left out */
#define TL_LEGACY_CALLS_MAX   64         /* tool calls of one choice; more are left out */
#define TL_LEGACY_ANSWER_MAX  (4u << 20) /* texts of all choices: a million tokens */

typedef struct {
    char id[128], name[128];
    tl_buf arguments;
} tl_legacy_call;

typedef struct {
    bool seen;
    tl_buf content, reasoning;
    char finish[32];
    size_t n_calls;
    tl_legacy_call *calls;
} tl_legacy_choice;

/* Zero-initialise to begin. */
typedef struct {
    char id[128], model[256];
    tl_unix created;
    bool has_usage; /* a chunk told these three: */
    uint64_t usage_in, usage_out, usage_sum;
    uint64_t deltas; /* chunks that brought text */
    size_t bytes;
    tl_legacy_choice choices[TL_LEGACY_CHOICES_MAX];
} tl_legacy_answer;

void tl_legacy_answer_clear(tl_legacy_answer *a);
/* Does the chunk bring anything to read: words, or a piece of a tool's call? */
bool tl_legacy_chunk_says(const json_t *chunk);
/* Fields that it does not know, or of another type, pass unread. TL_ERR_TOO_LARGE, TL_ERR_NOMEM: the
 * answer is good for nothing any more. */
TL_CHECK tl_err tl_legacy_answer_add(tl_legacy_answer *a, const json_t *chunk);
/* Appends the chat.completion. The three numbers of the chunks' own usage win over `tokens_in` and `tokens_out`, which
 * are 0 when nobody told. */
TL_CHECK tl_err tl_legacy_answer_write(tl_legacy_answer *a, uint64_t tokens_in, uint64_t tokens_out,
                                       tl_unix now, tl_buf *out);

#endif
