/* feed.h - a model server's answer to a chat request, as the chunks that the old protocol carries:
 * server-sent events one by one, or a whole chat.completion as one chunk. Pure memory; the caller
 * feeds bytes and takes chunks. */
#ifndef TL_LEGACY_FEED_H
#define TL_LEGACY_FEED_H

#include "base/json.h"
#include "base/time.h"

#define TL_LEGACY_EVENT_MAX (1u << 20) /* a line of server-sent events: one token, or a few */
#define TL_LEGACY_WHOLE_MAX (2u << 20) /* what one message carries, with room around it */

typedef struct {
    bool sse;
    int status;
    const char *model; /* for chunks without one; borrowed */
    tl_unix now;       /* the same, for `created` */
    tl_buf text;
    size_t scanned;  /* bytes of it known to hold no end of line */
    char words[256]; /* why the model server refused or failed; "" = it did not say */
} tl_legacy_feed;

tl_legacy_feed tl_legacy_feed_new(int status, const char *content_type, const char *model,
                                  tl_unix now);
void tl_legacy_feed_clear(tl_legacy_feed *f);
/* TL_ERR_TOO_LARGE, TL_ERR_NOMEM. */
TL_CHECK tl_err tl_legacy_feed_put(tl_legacy_feed *f, tl_slice bytes);
/* The next chunk, with every field that old decoders insist on; the caller's (json_decref). `end`: no
 * more bytes will come. TL_ERR_SHORT: none now. TL_ERR_PROTO: that was no chat answer.
 * TL_ERR_CLOSED: the model server says that it failed; see `words`. TL_ERR_NOMEM. */
TL_CHECK tl_err tl_legacy_feed_next(tl_legacy_feed *f, bool end, json_t **ret_chunk);

#endif
