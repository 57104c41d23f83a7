/* relay_words.h - the messages between a node and a relay as the node writes and reads them
 * (PROTOCOL section 2). Pure codec: no state. What is routed between nodes is scanned in place, the
 * rest parsed. */
#ifndef TL_NODE_RELAY_WORDS_H
#define TL_NODE_RELAY_WORDS_H

#include "base/json.h"
#include "crypto/identity.h"

#define TL_SESSION_ID_MAX 65 /* 1 to 64 of [A-Za-z0-9-], and NUL */

typedef enum {
    TL_WORD_CHALLENGE,
    TL_WORD_REGISTER_ACK,
    TL_WORD_DISCOVER_RESPONSE,
    TL_WORD_ERROR,
    /* between nodes */
    TL_WORD_RELAY_OPEN,
    TL_WORD_RELAY_READY,
    TL_WORD_RELAY_DATA,
    TL_WORD_RELAY_CLOSE,
    TL_WORD_OTHER, /* well formed, of no concern to this version */
} tl_word_type;

typedef struct {
    tl_word_type type;
    json_t *payload; /* of the first four: an object, owned (tl_word_clear) */
    /* between nodes; NUL-terminated */
    char from[TL_NODE_ID_HEX + 1], to[TL_NODE_ID_HEX + 1];
    char session[TL_SESSION_ID_MAX];
    tl_slice data; /* the base64 text without its quotes, borrowed; may contain escapes */
} tl_word;

/* TL_ERR_PROTO: not JSON, not an object with one key, a field missing or of another type. */
TL_CHECK tl_err tl_word_read(tl_slice text, tl_word *ret_word);
void tl_word_clear(tl_word *w);

/* base64 of a relayData in place: `text` is where w->data points. TL_ERR_PROTO. */
TL_CHECK tl_err tl_word_data(uint8_t *text, size_t n, size_t *ret_n);

/* Each appends one message. TL_ERR_NOMEM, `out` as before. */
TL_CHECK tl_err tl_word_write_discover(tl_buf *out, const char *own_id, const char *model,
                                       unsigned limit, const char *cursor);
/* relayOpen, relayReady or relayClose. */
TL_CHECK tl_err tl_word_write_session(tl_buf *out, tl_word_type type, const char *from,
                                      const char *to, const char *session);
/* A relayData up to where its base64 begins; `"}}` ends it. */
#define TL_WORD_DATA_END "\"}}"
TL_CHECK tl_err tl_word_write_data_head(tl_buf *out, const char *from, const char *to,
                                        const char *session);

#endif
