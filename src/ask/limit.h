/* limit.h - how many tokens a question allows its answer, as its body says. Pure: copies nothing. */
#ifndef TL_ASK_LIMIT_H
#define TL_ASK_LIMIT_H

#include "base/slice.h"

/* A larger number says nothing: no model's context is that long. */
#define TL_ASK_LIMIT_MAX 10000000

/* The largest of the top-level numbers by which servers bound an answer: "max_tokens",
 * "max_completion_tokens", "max_output_tokens", "n_predict"; times the larger of "n" and "best_of", the
 * number of answers; at most TL_ASK_LIMIT_MAX. 0: the body has none, or is no JSON. */
uint64_t tl_ask_limit(const char *content_type, tl_slice body);

#endif
