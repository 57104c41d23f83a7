/* modelname.h - the model's name in a request's body, which is JSON or a form with files: finds it,
 * and replaces it and nothing else. And which of the names that a node lists is meant by a name that
 * is asked for. Pure. */
#ifndef TL_ASK_MODELNAME_H
#define TL_ASK_MODELNAME_H

#include "base/json.h"

/* Appends `body`, of this Content-Type, with the value of its one top-level "model" replaced by
 * `name`; every other byte stays as it is. TL_ERR_PROTO: not a JSON object, or form, with exactly
 * one "model" and no name alike (wire/fieldname.h), which is a string, or no file. TL_ERR_NOMEM. */
TL_CHECK tl_err tl_model_replace(const char *content_type, tl_slice body, const char *name,
                                 tl_buf *out);
/* Is `name` the value of that one "model"? TL_ERR_PROTO as above. */
TL_CHECK tl_err tl_model_compare(const char *content_type, tl_slice body, const char *name,
                                 bool *ret_same);

/* Smaller fits better. */
typedef enum {
    TL_MODEL_SAME,   /* the name itself */
    TL_MODEL_LATEST, /* "x:latest" is listed, and "x" asked for: to Ollama both are one */
    TL_MODEL_OTHER,
} tl_model_fit;
tl_model_fit tl_model_fits(const char *asked, const char *listed);
/* The listed name that is nearest to one that nobody serves, from {"models": [{"id"}]}; borrowed
 * from the list. NULL: none is near. */
const char *tl_model_meant(const json_t *list, const char *asked);
/* The second name under which `asked` may be listed. False: there is none. */
bool tl_model_latest(const char *asked, char *ret_name, size_t cap);

#endif
