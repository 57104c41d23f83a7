/* fieldname.h - tells which names of fields some reader takes for the one that we mean: some compare
 * names without regard to case (Go's encoding/json). A body with such a name would mean one thing
 * to us, and another to the model server that reads it after us. Pure. */
#ifndef TL_WIRE_FIELDNAME_H
#define TL_WIRE_FIELDNAME_H

#include "base/slice.h"

typedef enum {
    TL_FIELD_OTHER,
    TL_FIELD_SAME,
    TL_FIELD_ALIKE, /* another name, which some reader takes for this one */
} tl_field;

/* `name`: lower-case ASCII, of at most 8 bytes. */
tl_field tl_field_is(tl_slice text, const char *name);
/* The same for a key of JSON, whose escapes are not undone yet. One that holds U+0000 is alike to
 * every name: readers written in C see its beginning alone. */
tl_field tl_field_is_key(tl_slice key, const char *name);

#endif
