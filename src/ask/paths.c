#include "ask/paths.h"

const tl_ask_path *tl_ask_path_find(tl_slice path)
{
    static const tl_ask_path paths[] = {
        {"/v1/chat/completions", TL_ASK_PATHS_CHAT, TL_ASK_PATH_JSON},
        {"/v1/completions", TL_ASK_PATHS_COMPLETIONS, TL_ASK_PATH_JSON},
        {"/v1/embeddings", TL_ASK_PATHS_EMBEDDINGS, TL_ASK_PATH_JSON},
        {"/v1/responses", TL_ASK_PATHS_RESPONSES, TL_ASK_PATH_JSON},
        {"/v1/audio/speech", TL_ASK_PATHS_AUDIO, TL_ASK_PATH_JSON},
        {"/v1/audio/transcriptions", TL_ASK_PATHS_AUDIO, TL_ASK_PATH_FORM},
        {"/v1/audio/translations", TL_ASK_PATHS_AUDIO, TL_ASK_PATH_FORM},
        {"/v1/images/generations", TL_ASK_PATHS_IMAGES, TL_ASK_PATH_JSON},
        {"/v1/images/edits", TL_ASK_PATHS_IMAGES, TL_ASK_PATH_BOTH},
        {"/v1/images/variations", TL_ASK_PATHS_IMAGES, TL_ASK_PATH_FORM},
        {"/v1/rerank", TL_ASK_PATHS_RERANK, TL_ASK_PATH_JSON},
        {"/rerank", TL_ASK_PATHS_RERANK, TL_ASK_PATH_JSON},
    };
    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++)
        if (tl_slice_eq(path, tl_slice_str(paths[i].path)))
            return &paths[i];
    return NULL;
}
