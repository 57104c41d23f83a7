/* record.h - what a node says of itself in the DHT: the value of the mutable item under its key
 * with salt "teale" (docs/protocol.md "The DHT"). Pure codec.
 *
 * The value is a text, since some programs of the DHT keep and give texts alone. In it stands a
 * dictionary:
 *
 *   d 1:i l TEXT ... e   node IDs of introducers (32 bytes), each with its compact address
 *     1:n TEXT           Public, Cone, Symmetric or Unknown
 *     1:p l TEXT ... e   compact addresses (6 or 18 bytes) of the node itself
 *     1:r l TEXT ... e   URLs of relays
 *     1:v i1e e          the version of this form */
#ifndef TL_DHT_RECORD_H
#define TL_DHT_RECORD_H

#include "dht/item.h"

#define TL_DHT_RECORD_SALT            TL_SLICE_LIT("teale")
#define TL_DHT_RECORD_MAX             TL_DHT_VALUE_MAX
#define TL_DHT_RECORD_ADDRESSES_MAX   8
#define TL_DHT_RECORD_INTRODUCERS_MAX 8
#define TL_DHT_RECORD_RELAYS_MAX      4
#define TL_DHT_RECORD_URL_MAX         255

typedef struct {
    uint8_t id[TL_KRPC_KEY_SIZE]; /* as it came: not yet known to be a usable key */
    tl_addr addr;
} tl_dht_record_introducer;

/* Addresses are never port 0, mapped IPv4 or with a zone. Whether something may be sent to one is
 * not looked at. */
typedef struct {
    tl_control_nat nat;
    tl_addr addresses[TL_DHT_RECORD_ADDRESSES_MAX];
    size_t n_addresses;
    tl_dht_record_introducer introducers[TL_DHT_RECORD_INTRODUCERS_MAX];
    size_t n_introducers;
    char relays[TL_DHT_RECORD_RELAYS_MAX][TL_DHT_RECORD_URL_MAX + 1]; /* ws:// or wss:// */
    size_t n_relays;
} tl_dht_record;

/* Writes the record and returns its length. Relays that do not fit are left out, the last first;
 * everything else fits. */
size_t tl_dht_record_write(const tl_dht_record *r, uint8_t ret_value[TL_DHT_RECORD_MAX]);
/* Reads a record. Copies. Keys that a later version adds are passed over. TL_ERR_PROTO: it is no
 * text, or not canonical, something is missing, malformed or too many, or a URL is none of a relay.
 * TL_ERR_INVALID: another version. */
TL_CHECK tl_err tl_dht_record_parse(tl_slice value, tl_dht_record *ret_record);

/* The target under which the record of a node is kept. */
tl_dht_id tl_dht_record_target(const tl_node_id *id);

#endif
