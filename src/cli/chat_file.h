/* chat_file.h - a conversation in a file, which only its owner can read (docs/chat-file.md). Pure but for that
 * file.
 *
 *   {"teale_chat":1,"model":"qwen3:8b"}            the first line
 *   {"role":"user","content":"why is it?"}         then one message of OpenAI's a line */
#ifndef TL_CLI_CHAT_FILE_H
#define TL_CLI_CHAT_FILE_H

#include "base/json.h"
#include "wire/codes.h"

#define TL_CHAT_FILE_MAX     (64u << 20)
#define TL_CHAT_MESSAGES_MAX 10000

/* May a model be called so? One to TL_MODEL_MAX - 1 bytes, all of which can be shown. */
bool tl_chat_model_is(const char *name);
/* Writes it; `replaces`: in place of the file that is there, else there must be none (TL_ERR_EXISTS). TL_ERR_IO. */
TL_CHECK tl_err tl_chat_file_save(const char *path, const char *model, const json_t *messages,
                                  bool replaces, tl_why *why);
/* Reads it; the caller gives *ret_messages to json_decref. TL_ERR_PROTO, TL_ERR_INVALID: it is no conversation, and
 * `why` tells the line; else as tl_file_read. */
TL_CHECK tl_err tl_chat_file_load(const char *path, char ret_model[TL_MODEL_MAX],
                                  json_t **ret_messages, tl_why *why);
/* The same of its bytes; `path` for words alone. */
TL_CHECK tl_err tl_chat_file_parse(const char *path, tl_slice bytes, char ret_model[TL_MODEL_MAX],
                                   json_t **ret_messages, tl_why *why);

#endif
