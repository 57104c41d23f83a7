/* idjson.h - a node's ID, or a network's, as JSON has it. Apart from identity.h, which knows no JSON. */
#ifndef TL_CRYPTO_IDJSON_H
#define TL_CRYPTO_IDJSON_H

#include "base/json.h"
#include "crypto/identity.h"

/* A string of 64 lower-case hex digits. NULL: out of memory, which json_pack and the json_*_new take. */
json_t *tl_node_id_json(const tl_node_id *id);

#endif
