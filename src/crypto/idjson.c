#include "crypto/idjson.h"

json_t *tl_node_id_json(const tl_node_id *id)
{
    char hex[TL_NODE_ID_HEX + 1];
    tl_node_id_write(hex, id);
    return json_string(hex);
}
