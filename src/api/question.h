/* question.h - reads the few fields of a request's body that decide where the request goes. Never
 * changes or keeps the body, which is passed on byte for byte. */
#ifndef TL_API_QUESTION_H
#define TL_API_QUESTION_H

#include "ask/exchange.h"

#define TL_QUESTION_DEPTH                                                                          \
    256 /* nesting: tool schemas need about 30; a model server's parser recurses */

typedef struct {
    char model[TL_MODEL_MAX];
    bool streaming;
} tl_question;

/* `body` must be one strict JSON object (RFC 8259), or where `content_type` says so one form
 * (wire/multipart.h), with exactly one `model` and at most one `stream`. Every error sets `why` and
 * *ret_param (static; NULL: no parameter is to blame). TL_ERR_PROTO: not such JSON, or no such form.
 * TL_ERR_TOO_LARGE: nested deeper than TL_QUESTION_DEPTH. TL_ERR_NOT_FOUND: there is no `model`.
 * TL_ERR_INVALID: a wrong value, or a field that occurs twice. */
TL_CHECK tl_err tl_question_parse(const char *content_type, tl_slice body,
                                  tl_question *ret_question, const char **ret_param, tl_why *why);

#endif
