/* bodytype.h - the Content-Type of a question's body. Only two kinds are taken, so that this node
 * and the model server read every body in the same way. Pure. */
#ifndef TL_ASK_BODYTYPE_H
#define TL_ASK_BODYTYPE_H

#include "ask/paths.h"

/* JSON, which none at all ("") stands for, or a form with parts, whichever the path takes. */
bool tl_body_type_fits(const tl_ask_path *path, const char *content_type);
/* What a path takes, in words. */
const char *tl_body_type_words(const tl_ask_path *path);
/* The same type in words of our own, without anything that two readers could read in two ways.
 * TL_ERR_PROTO: neither JSON nor a form with one boundary. TL_ERR_TOO_LARGE. */
TL_CHECK tl_err tl_body_type_write(const char *content_type, char *ret_type, size_t cap);

#endif
