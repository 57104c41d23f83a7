/* cluster.h - the messages that peers exchange in frames of kind 0 (docs/protocol.md "Streams"): a
 * JSON object with one key, its type. Pure codec; decides nothing.
 *
 * On the control stream, the first of a connection:
 *   hello, helloAck      {agent, displayName, capabilities}   a later hello replaces the first
 *   heartbeat, -Ack      {sequence, running, available, bids?}   running: requests served now
 *   goodbye              {reason}
 * On a stream for each request:
 *   inferenceRequest     {requestID, model, streaming, path, contentType, progress?, ptnID?,
 *                         maxPricePerKToken?, pricePerKToken?, priceVersion?, order?}
 *   inferenceProgress    {requestID, queuePosition?, waitSeconds?}
 *                                          only where the request said "progress": true
 *   inferenceResponse    {requestID, status, contentType, retryAfter?, ptnID?, pricePerKToken?}
 *   inferenceComplete    {requestID, tokens_in, tokens_out, receipt}
 *   inferenceError       {requestID, errorMessage, code, detail?, pricePerKToken?, priceVersion?,
 *                         retryAfter?}
 * Prices are micro-credits for 1000 tokens. Unknown fields pass unread. A message of any other type is
 * TL_CLUSTER_OTHER: its name and its payload belong to the rooms above. */
#ifndef TL_WIRE_CLUSTER_H
#define TL_WIRE_CLUSTER_H

#include "base/json.h"
#include "base/number.h"

#define TL_CLUSTER_DEPTH      16  /* docs/protocol.md, first paragraph */
#define TL_CLUSTER_ID_MAX     65  /* requestID: 1 to 64 of [A-Za-z0-9._-], and NUL */
#define TL_CLUSTER_ORDER_MAX  128 /* the asker's own mark, with its NUL */
#define TL_CLUSTER_NAME_MAX   256 /* a model's or a node's name, with its NUL */
#define TL_CLUSTER_PATH_MAX   64  /* "/v1/chat/completions", with its NUL */
#define TL_CLUSTER_TYPE_MAX   128 /* a content type, with its NUL */
#define TL_CLUSTER_OTHER_MAX  32  /* the name of another type, with its NUL; a longer one is cut */
#define TL_CLUSTER_WAIT_MAX   86400 /* seconds of a wait that is told; no queue is that slow */
#define TL_CLUSTER_REASON_MAX 256   /* words for a person, cut to this with their NUL */

typedef enum {
    TL_CLUSTER_HELLO,
    TL_CLUSTER_HELLO_ACK,
    TL_CLUSTER_HEARTBEAT,
    TL_CLUSTER_HEARTBEAT_ACK,
    TL_CLUSTER_GOODBYE,
    TL_CLUSTER_REQUEST,
    TL_CLUSTER_PROGRESS,
    TL_CLUSTER_RESPONSE,
    TL_CLUSTER_COMPLETE,
    TL_CLUSTER_ERROR,
    TL_CLUSTER_OTHER, /* well formed, of a type this codec does not know */
} tl_cluster_type;

typedef struct {
    char agent[64];
    char display_name[TL_CLUSTER_NAME_MAX];
    json_t *capabilities; /* an object, never NULL after parsing */
} tl_cluster_hello;

typedef struct {
    uint64_t sequence;
    uint32_t running;
    bool available;
    json_t *bids; /* an array; NULL: absent */
} tl_cluster_heartbeat;

typedef struct {
    char id[TL_CLUSTER_ID_MAX];
    char model[TL_CLUSTER_NAME_MAX];
    bool streaming;
    bool progress; /* inferenceProgress is understood, and wanted until the first body byte */
    char path[TL_CLUSTER_PATH_MAX];
    char content_type[TL_CLUSTER_TYPE_MAX];
    char ptn_id[65];                  /* 64 hex digits; "" = none */
    tl_maybe max_price;               /* the asker pays no more */
    tl_maybe price;                   /* the bid, or the network's price, that the asker saw */
    tl_maybe price_version;           /* of that */
    char order[TL_CLUSTER_ORDER_MAX]; /* comes back with the receipt; "" = none */
} tl_cluster_request;

typedef struct {
    char id[TL_CLUSTER_ID_MAX];
    uint32_t
        queue_position; /* the question waits, and this is its place, from 1; 0: it is worked at */
    uint32_t wait_seconds; /* for about so long; 0: unknown */
} tl_cluster_progress;

typedef struct {
    char id[TL_CLUSTER_ID_MAX];
    int status; /* 200 to 599 */
    char content_type[TL_CLUSTER_TYPE_MAX];
    char retry_after[32]; /* "" = none */
    char ptn_id[65];      /* as in the request: what the question counts as */
    tl_maybe price;
} tl_cluster_response;

typedef struct {
    char id[TL_CLUSTER_ID_MAX];
    uint64_t tokens_in, tokens_out;
} tl_cluster_complete;

typedef struct {
    char id[TL_CLUSTER_ID_MAX];
    char message[TL_CLUSTER_REASON_MAX];
    char code[32];
    char detail[32]; /* the name of a failure for which the wire has no code; "" = none */
    tl_maybe price, price_version; /* with payment_required: what it would cost now */
    uint32_t retry_after;          /* with queue_full: seconds; 0: unknown */
} tl_cluster_error;

typedef struct {
    char name[TL_CLUSTER_OTHER_MAX];
    json_t *payload; /* an object */
} tl_cluster_other;

typedef struct {
    tl_cluster_type type;
    union {
        tl_cluster_hello hello;         /* and helloAck */
        tl_cluster_heartbeat heartbeat; /* and heartbeatAck */
        char goodbye[TL_CLUSTER_REASON_MAX];
        tl_cluster_request request;
        tl_cluster_progress progress;
        tl_cluster_response response;
        tl_cluster_complete complete;
        tl_cluster_error error;
        tl_cluster_other other;
    } u;
} tl_cluster_message;

/* Copies; the JSON values become the message's own (tl_cluster_message_clear). Words for a person
 * that are too long are cut. Anything else that is out of its bounds, of another type or missing is
 * TL_ERR_PROTO. TL_ERR_NOMEM. */
TL_CHECK tl_err tl_cluster_parse(tl_slice text, tl_cluster_message *ret_message);
void tl_cluster_message_clear(tl_cluster_message *m);

/* Appends the JSON text. TL_ERR_NOMEM, `out` as before. */
TL_CHECK tl_err tl_cluster_write(tl_buf *out, const tl_cluster_message *m);

/* 1 to 64 of [A-Za-z0-9._-]. */
bool tl_cluster_id_is(const char *id);

#endif
