/* chat_attach.h - pictures and files in a message: `@PATH` where a word begins. Reads the files that are named;
 * writes nothing, and sends nothing.
 *
 *   @notes.txt   @./notes.txt   @~/notes.txt   @"my notes.txt"
 *
 * A picture (PNG, JPEG, GIF, WebP) becomes a part of the message as OpenAI has it, with a data URL. Text in UTF-8
 * follows the message under its name. `@@` is an `@`. A word that names no file is text (`@anna`), but for one that can
 * only be a path, which is refused: quoted, with a slash, or with the ending of a usual file (`@missing.txt`). */
#ifndef TL_CLI_CHAT_ATTACH_H
#define TL_CLI_CHAT_ATTACH_H

#include "base/json.h"

#define TL_ATTACH_TEXT_MAX  (1u << 20)
#define TL_ATTACH_IMAGE_MAX (8u << 20)
#define TL_ATTACH_SUM_MAX                                                                          \
    (16u << 20) /* of all files of a message: a question has 26 MiB, pictures grow by a third */
#define TL_ATTACH_FILES_MAX 16

/* Does a word begin behind this character (0: the beginning)? There an `@` names a file. */
bool tl_attach_begins_word(char before);
/* The message's content: a text, or an array of parts. `ret_names`: what was attached, "notes.txt (12 bytes)", an
 * array; the caller gives both to json_decref. TL_ERR_INVALID: a file that cannot be taken. TL_ERR_NOMEM. */
TL_CHECK tl_err tl_attach_expand(tl_slice text, json_t **ret_content, json_t **ret_names,
                                 tl_why *why);

#endif
