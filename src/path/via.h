/* via.h - what a path is, its id, and the words for how an answer came. Pure; knows no address. */
#ifndef TL_PATH_VIA_H
#define TL_PATH_VIA_H

#include <stdbool.h>
#include <stdint.h>

/* A path, as QUIC knows it: the id of one way to one peer (a session at the relay, or a direct pair
 * of addresses). peer/sessions gives out the ids. They are unique within the node, and never 0. */
typedef uint32_t tl_path_id;

/* How an answer came to this machine. */
typedef enum { TL_VIA_LOCAL, TL_VIA_LAN, TL_VIA_DIRECT, TL_VIA_RELAYED, TL_VIA_PLAINTEXT } tl_via;

/* What carries a relayed path between this node and the relay: "udp" or "websocket". */
const char *tl_relay_carrier_name(bool udp);

/* What carries a path on the local network: "udp" or "tcp". */
const char *tl_lan_carrier_name(bool tcp);

/* "local", "lan", "direct", "relayed", "relayed-plaintext": as in `X-Teale-Path` and in every report. */
const char *tl_via_name(tl_via v);

#endif
