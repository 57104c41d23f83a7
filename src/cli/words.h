/* words.h - how a person is told of money, times and nodes. Pure, but for the clock. */
#ifndef TL_CLI_WORDS_H
#define TL_CLI_WORDS_H

#include "base/json.h"
#include "base/when.h"
#include "cli/out.h"

#define TL_WORDS_MAX 48

/* Micro-credits as credits: "1.5", "-0.000001", "0". */
void tl_words_credits(char ret_text[TL_WORDS_MAX], int64_t micro);
/* The same for a field of an object; "-" where it is no integer. */
void tl_words_credits_of(char ret_text[TL_WORDS_MAX], const json_t *object, const char *key);
/* A field that is a time (RFC 3339), seen from now: "in 3 h", "just now", "2 d ago"; `none` where it is null. */
void tl_words_time(char ret_text[TL_WORDS_MAX], const json_t *object, const char *key,
                   const char *none);
/* The first 16 digits of a node ID or ptnID, as tables show them; "-" where there is none. */
void tl_words_id(char ret_text[TL_WORDS_MAX], const json_t *object, const char *key);

#define TL_WORDS_NAMED_MAX 144
/* How a node is called: [alias] "display name", or one of them alone; "" where there is neither. The owner's own word is
 * in brackets; a node chooses its display name itself, which is in quotes (base/plain.h). */
void tl_words_named(char ret_text[TL_WORDS_NAMED_MAX], const json_t *object);

/* Column heads of a table of nodes, "ALIAS" behind "NODE" or "PEER" where a node of the list has one. True: it has, and
 * each row needs the cell (tl_words_add_alias). Borrows `heads`. */
bool tl_words_alias_heads(const char *ret_heads[TL_TABLE_COLUMNS_MAX + 1], const char *const *heads,
                          const json_t *list);
void tl_words_add_alias(tl_table *t, const json_t *object);

#endif
