/* question.h - the few fields of a request's body that decide where it goes. Reads, and never
 * changes or keeps, the body: it is passed on byte for byte. */
#ifndef TL_API_QUESTION_H
#define TL_API_QUESTION_H

#include "ask/exchange.h"

#define TL_QUESTION_DEPTH                                                                          \
    256 /* nesting: tool schemas need about 30; a model server's parser recurses */

typedef struct {
    char model[TL_MODEL_MAX];
    bool streaming;
} tl_question;

/* `body` must be one JSON object (RFC 8259, to the letter) with a `model`, at most one `model` and
 * one `stream`. Errors, each with `why` and *ret_param (static; NULL: none in particular):
 * TL_ERR_PROTO: not that JSON. TL_ERR_NOT_FOUND: no model. TL_ERR_INVALID: a field's value or a
 * second one. */
TL_CHECK tl_err tl_question_parse(tl_slice body, tl_question *ret_question, const char **ret_param,
                                  tl_why *why);

#endif
