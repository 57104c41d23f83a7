/* paths.h - the one list of what may be asked of a model server: by programs on this machine, and by
 * other nodes. Everything else (what loads, pulls or deletes models, say) is not passed on. */
#ifndef TL_ASK_PATHS_H
#define TL_ASK_PATHS_H

#include "base/slice.h"

/* How a question's body names the model. */
typedef enum {
    TL_ASK_PATH_JSON = 1,
    TL_ASK_PATH_FORM = 2, /* multipart/form-data */
    TL_ASK_PATH_BOTH = TL_ASK_PATH_JSON | TL_ASK_PATH_FORM,
} tl_ask_path_body;

/* Paths of one group are one label in metrics. */
typedef enum {
    TL_ASK_PATHS_CHAT,
    TL_ASK_PATHS_COMPLETIONS,
    TL_ASK_PATHS_EMBEDDINGS,
    TL_ASK_PATHS_RESPONSES,
    TL_ASK_PATHS_AUDIO,
    TL_ASK_PATHS_IMAGES,
    TL_ASK_PATHS_RERANK,
} tl_ask_path_group;

typedef struct {
    const char *path;
    tl_ask_path_group group;
    tl_ask_path_body body;
} tl_ask_path;

/* NULL: the path may not be asked. All are asked with POST. */
const tl_ask_path *tl_ask_path_find(tl_slice path);

#endif
