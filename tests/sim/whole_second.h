/* whole_second.h - a whole node's WebSocket to a second relay_host. */
#ifndef TEALE_SIM_WHOLE_SECOND_H
#define TEALE_SIM_WHOLE_SECOND_H

#include "relay_host.h"
#include "wire/ws.h"

struct whole_node;

typedef struct whole_second {
    struct whole_node *node;
    relay_host_conn *conn;
    bool connected;
    tl_ws_reader reader;
    tl_buf outgoing; /* the frame between begin and commit */
    size_t begun;
    tl_ws_opcode as;
} whole_second;

/* Joins the node to it, `delay` away; not connected yet. */
void whole_second_join(struct whole_node *n, relay_host *r, tl_time delay);
void whole_second_connect(struct whole_node *n);
void whole_second_disconnect(struct whole_node *n);
void whole_second_free(struct whole_node *n);
/* False: the datagram is none of the second relay's. */
bool whole_second_on_datagram(struct whole_node *n, uint32_t path, uint8_t *data, size_t len);

/* The timers of both links. */
void whole_second_on_timer(struct whole_node *n);
tl_time whole_second_expiry(const struct whole_node *n);
/* Events of the node's relays, whichever it is. */
void whole_second_on_goodbye(void *node, unsigned in_seconds);
void whole_second_on_doubt(void *node, size_t relay);

#endif
