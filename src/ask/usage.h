/* usage.h - counts tokens in an answer as it passes: from the backend's `usage`, else by counting
 * content deltas. Sees every byte once; never keeps or changes one. No heap. */
#ifndef TL_ASK_USAGE_H
#define TL_ASK_USAGE_H

#include "ask/exchange.h"

/* Tokens that a model may generate and a stream does not show: the end of a turn, the frame of a call. */
#define TL_USAGE_UNSAID 64

typedef struct {
    bool blind; /* neither of the two kinds of text that tell tokens */
    bool sse;   /* lines of server-sent events: each `data:` line is a JSON text of its own */
    bool in_string, escaped, after_string, has_delta, has_usage;
    bool in_response;     /* inside the top-level "response" of an event of /v1/responses */
    unsigned usage_depth; /* of the object "usage" that is being read; 0 = none */
    char text[24]; /* the string last read, as far as it fits: longer than any key we look for */
    size_t text_n; /* its whole length */
    char key[24];  /* the key whose value comes next; "" = none */
    unsigned depth;
    uint64_t *number; /* where the digits that follow belong, or NULL */
    uint64_t tokens_in, tokens_out, deltas;
    bool line_begun, passed_over; /* of a stream: the line, and it is none with data */
    uint64_t bytes;               /* of the answer */
    uint64_t said;                /* of them, in strings that a model produced */
} tl_usage;

void tl_usage_init(tl_usage *u, const char *content_type);
void tl_usage_observe(tl_usage *u, tl_slice bytes);
/* What was counted so far; zeros when nothing tells. */
tl_answer_end tl_usage_end(const tl_usage *u);

/* What counts as delivered so far of an answer to a question whose body has `asked` bytes. Without
 * `usage`: a token for each content delta, and for the prompt a quarter of `asked`, rounded up. The
 * same holds for a number that is larger than the bytes it is about: no token is shorter than a byte. In
 * a stream those are the bytes of what the model said, and TL_USAGE_UNSAID; not of the frame. */
tl_answer_end tl_usage_delivered(const tl_usage *u, uint64_t asked);
/* A quarter of the bytes, rounded up. */
uint64_t tl_usage_prompt_of(uint64_t asked);

#endif
