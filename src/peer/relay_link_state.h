/* relay_link_state.h - the state of a relay link, shared by its sources: registration and sessions
 * (relay_link.c), what is registered (relay_link_register.c), discovery (relay_link_discover.c), tokens (relay_link_token.c). Nothing else
 * includes it. */
#ifndef TL_PEER_RELAY_LINK_STATE_H
#define TL_PEER_RELAY_LINK_STATE_H

#include "base/addr.h"
#include "peer/checked.h"
#include "peer/link_sessions.h"
#include "peer/relay_link.h"
#include "wire/codes.h"

typedef enum {
    TL_LINK_OFFLINE,     /* no connection */
    TL_LINK_GREETING,    /* connected; the challenge may come */
    TL_LINK_REGISTERING, /* register is sent */
    TL_LINK_REGISTERED,
} tl_relay_link_state;

/* A discovery: of all nodes, or of those with a model, or of those in a network. */
typedef struct {
    char model[TL_MODEL_MAX];     /* "": any */
    char ptn[TL_NODE_ID_HEX + 1]; /* "": any; nobody waits for its end */
} tl_relay_query;

struct tl_relay_link {
    const tl_identity *identity;
    tl_rand *rand;
    char hex[TL_NODE_ID_HEX + 1];
    char display_name[64];
    json_t *capabilities;
    size_t models_sent; /* at the last registration */
    size_t cut_told;    /* the user knows that others see one less; 0: that they see all */
    tl_relay_link_events events;
    void *user;
    tl_relay_link_counters counters;

    tl_relay_link_state state;
    tl_relay_wire wire;
    void *wire_user;
    char authority[TL_HOST_MAX + 9];
    char nonce[65]; /* the challenge's; "" = the relay sent no challenge */
    unsigned ttl;
    char udp[TL_HOST_MAX + 6], observed[TL_ADDR_TEXT_MAX]; /* of the last registerAck; "" = none */
    double date;                                           /* of the last registerAck; 0 = none */
    tl_time again_at; /* when to register again: the relay refused a change; TL_NEVER: it did not */
    tl_time deadline; /* when the state ends; TL_NEVER in TL_LINK_REGISTERED and TL_LINK_OFFLINE */

    tl_link_sessions sessions;
    /* Discoveries: the first is under way. */
    size_t n_queries;
    tl_relay_query queries[TL_RELAY_QUERIES_MAX];
    unsigned pages;
    tl_time query_deadline;
    /* The page that is being read: as much of it in each turn of the loop as a running answer may wait
     * for. `object` NULL: none. */
    tl_signal page;
    size_t page_next;
    tl_time page_at; /* when to go on; TL_NEVER: there is no page */
    tl_checked checked;
};

/* What one turn does of a page: parses the text of so many nodes, or reads as many whose key is known, or a
 * sixteenth as many whose key is not (two point multiplications take 80 us). That is a quarter of a
 * millisecond, and on a busy machine half of one. */
#define TL_RELAY_WORK_MAX   48
#define TL_RELAY_WORK_CHECK 16

/* Sends `out`, unless writing it failed (`e`). Frees it in both cases. */
TL_CHECK tl_err tl_relay_link_send_buf(tl_relay_link *l, tl_buf *out, tl_err e);

/* relay_link_register.c */
TL_CHECK tl_err tl_relay_link_register(tl_relay_link *l);
void tl_relay_link_register_later(tl_relay_link *l, tl_time now);
void tl_relay_link_register_on_timer(tl_relay_link *l, tl_time now);

/* relay_link_token.c */
void tl_relay_link_on_relay_offer(tl_relay_link *l, const tl_signal *m);
void tl_relay_link_on_relay_warning(tl_relay_link *l, const tl_signal *m);
void tl_relay_link_on_presence(tl_relay_link *l, const tl_signal *m);
void tl_relay_link_on_goodbye(tl_relay_link *l, const tl_signal *m);

/* relay_link_discover.c */
void tl_relay_link_on_discover_response(tl_relay_link *l, const tl_signal *s, tl_time now);
/* The relay refuses the discovery that is under way. */
void tl_relay_link_discover_failed(tl_relay_link *l, tl_time now);
void tl_relay_link_discover_on_timer(tl_relay_link *l, tl_time now);
void tl_relay_link_discover_on_closed(tl_relay_link *l);

#endif
