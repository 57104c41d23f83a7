/* message.h - the messages of the public network's old protocol, a JSON object with one key each, as
 * they come in the data of relayData, in clear (docs/protocol.md "The old protocol"). Pure codec;
 * decides nothing.
 *
 *   hello, helloAck          {deviceInfo, protocolVersion, loadedModels}
 *   heartbeat, heartbeatAck  {deviceID, timestamp, thermalLevel, throttleLevel, loadedModels,
 *                             isGenerating, queueDepth}
 *   inferenceRequest         {requestID, streaming, request}      request: an OpenAI chat request
 *   inferenceChunk           {requestID, chunk}                   chunk: a chat.completion.chunk
 *   inferenceComplete        {requestID, tokensIn?, tokensOut?}
 *   inferenceError           {requestID, errorMessage, code?}
 *
 * The payload may be wrapped, {"hello":{"_0":{...}}}: Swift writes it so, and so do we. Fields that
 * this node has no use for pass unread. */
#ifndef TL_LEGACY_MESSAGE_H
#define TL_LEGACY_MESSAGE_H

#include "base/json.h"
#include "base/time.h"
#include "crypto/identity.h"

/* As much as a relayData of 4 MiB carries in base64, with room for the rest of the message. */
#define TL_LEGACY_MESSAGE_MAX ((3u << 20) - 1024)
#define TL_LEGACY_DEPTH       64 /* a tool's schema nests deeper than any envelope */
#define TL_LEGACY_ID_MAX      65 /* requestID: a UUID here; 1 to 64 of [A-Za-z0-9._-], and NUL */
#define TL_LEGACY_UUID        37 /* 8-4-4-4-12 hex digits, and NUL */
#define TL_LEGACY_WORDS_MAX   256

typedef enum {
    TL_LEGACY_HELLO,
    TL_LEGACY_HELLO_ACK,
    TL_LEGACY_HEARTBEAT,
    TL_LEGACY_HEARTBEAT_ACK,
    TL_LEGACY_REQUEST,
    TL_LEGACY_CHUNK,
    TL_LEGACY_COMPLETE,
    TL_LEGACY_ERROR,
    TL_LEGACY_OTHER, /* a JSON object with one key whose value is an object, of a type that this node
                      * does not know, or malformed */
} tl_legacy_type;

typedef struct {
    tl_legacy_type type;
    char id[TL_LEGACY_ID_MAX];      /* "" for the types without one */
    json_t *body;                   /* request or chunk: an object; else NULL */
    uint64_t tokens_in, tokens_out; /* complete; 0: not told */
    char code[32];                  /* error; "" = none */
    char words[TL_LEGACY_WORDS_MAX];
} tl_legacy_message;

/* Cheap: may the bytes be such a message? A QUIC datagram may look so, too: then tl_legacy_parse
 * refuses it. */
static inline bool tl_legacy_may_be(tl_slice text)
{
    return text.n >= 6 && text.p[0] == '{' && text.p[text.n - 1] == '}';
}

/* What a text is by its first TL_LEGACY_FRONT bytes, read in place: enough to decline it, whatever
 * follows. `id` is "" where it does not stand there. TL_ERR_PROTO: no message begins so. */
#define TL_LEGACY_FRONT 1024
typedef struct {
    tl_legacy_type type;
    char id[TL_LEGACY_ID_MAX];
} tl_legacy_front;
TL_CHECK tl_err tl_legacy_peek(tl_slice text, tl_legacy_front *ret_front);

/* TL_ERR_PROTO: not JSON, more than TL_JSON_VALUES_MAX values, or not an object with one key whose
 * value is an object. TL_ERR_NOMEM. */
TL_CHECK tl_err tl_legacy_parse(tl_slice text, tl_legacy_message *ret_message);
void tl_legacy_message_clear(tl_legacy_message *m);

/* Each appends a whole message: TL_ERR_NOMEM, `out` as before. The JSON values are borrowed. */

/* `type`: hello or helloAck. `hardware`: as in capabilities. */
typedef struct {
    const tl_node_id *id;
    const char *name;
    const json_t *hardware; /* an object */
    const json_t *models;   /* an array of names */
    uint32_t running;       /* questions that are answered now */
    tl_unix now;
} tl_legacy_self;
TL_CHECK tl_err tl_legacy_write_hello(tl_buf *out, tl_legacy_type type, const tl_legacy_self *self);
/* heartbeat or heartbeatAck. */
TL_CHECK tl_err tl_legacy_write_heartbeat(tl_buf *out, tl_legacy_type type,
                                          const tl_legacy_self *self);
/* `request` is the text of a JSON object, and goes in as it is. */
TL_CHECK tl_err tl_legacy_write_request(tl_buf *out, const char *id, tl_slice request);
TL_CHECK tl_err tl_legacy_write_chunk(tl_buf *out, const char *id, const json_t *chunk);
TL_CHECK tl_err tl_legacy_write_complete(tl_buf *out, const char *id, uint64_t tokens_in,
                                         uint64_t tokens_out);
TL_CHECK tl_err tl_legacy_write_error(tl_buf *out, const char *id, const char *code,
                                      const char *words);

/* 16 bytes in the form that Swift's UUID takes. */
void tl_legacy_uuid_write(char ret[TL_LEGACY_UUID], const uint8_t bytes[16]);
/* Macs write UUIDs in capitals, whatever they were asked with. */
bool tl_legacy_id_eq(const char *a, const char *b);

#endif
