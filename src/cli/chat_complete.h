/* chat_complete.h - what Tab offers in a conversation: commands, models, and files behind `@`. Reads directories;
 * the models are the caller's. */
#ifndef TL_CLI_CHAT_COMPLETE_H
#define TL_CLI_CHAT_COMPLETE_H

#include "base/json.h"

#define TL_CHAT_OFFERS_MAX 200

typedef struct {
    const char *const *commands;   /* "/help", …, NULL at the end */
    json_t *(*models)(void *user); /* an array of texts, a new reference; NULL: none */
    void *user;
} tl_chat_words;

/* Offers for the word at the end of `text`, which stands before the cursor: an array of texts, each of which may take
 * the place of what follows *ret_from in it. One that is whole ends with a blank. NULL: none, or no memory. */
json_t *tl_chat_complete(const tl_chat_words *words, const char *text, size_t *ret_from);

#endif
