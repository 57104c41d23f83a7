/* dht_state.h - what node_dht.c, node_dht_publish.c, node_dht_seek.c and node_dht_report.c share. No other
 * source includes it. */
#ifndef TL_NODE_DHT_STATE_H
#define TL_NODE_DHT_STATE_H

#include "dht/dht.h"
#include "dht/freshness.h"
#include "dht/record.h"
#include "node/reach.h"
#include "node/state.h"
#include "peer/seek.h"

#define TL_DHT_DOOR_ADDRS_MAX 8

/* A place where the DHT may be entered. */
typedef struct {
    struct tl_node_dht *dht;
    char host[TL_HOST_MAX];
    uint16_t port;
    size_t n_addrs;
    tl_addr addrs[TL_DHT_DOOR_ADDRS_MAX]; /* the last ones of its name */
    tl_resolve *resolve;                  /* under way */
    bool failed;                          /* it was logged once */
} tl_dht_door;

struct tl_node_dht {
    tl_node *node;
    tl_dht *core;
    size_t n_doors;
    tl_dht_door doors[TL_SETTING_LIST_MAX];
    tl_time doors_at;   /* when to ask at the doors again, if the DHT is not entered by then */
    tl_time doors_wait; /* the time between the next two */
    bool on_loopback;   /* a door is on this machine, so the whole DHT is: a test */
    tl_time save_at;    /* when to keep the table */
    tl_time settles_at; /* until then it is waited for what the NAT does */
    tl_time look_at;    /* then what is published is made anew; TL_NEVER: it is true */
    /* what is published */
    bool publishes;
    int64_t seq;      /* of the last item that was signed; kept over restarts */
    unsigned outdone; /* as tl_dht_kept has it, when it was last looked at */
    bool cannot_sign; /* it was logged */
    /* looking for peers (node_dht_seek.c) */
    tl_seek *seek;
    struct {
        tl_node_id peer;
        tl_dht_request request;  /* 0: the place is free, or waits */
        tl_time again_at, until; /* it waits for the DHT to be entered; 0: it does not */
    } asked[TL_SEEKS_MAX];
    char visited[TL_DHT_RECORD_URL_MAX + 1]; /* a relay at which a peer is; "": none */
    tl_time visited_at, visit_until;
    tl_freshness freshness;    /* of records that were followed */
    struct tl_dht_look *looks; /* records that somebody asked for (node_dht_report.c) */
    uint64_t answers_seen;     /* when the way in was last asked for anew */
};

typedef struct tl_dht_look tl_dht_look;
/* node_dht_report.c: they fail. */
void tl_dht_end_looks(tl_node_dht *d);

/* node_dht_seek.c. TL_ERR_NOMEM. Before the core is freed: looks under way are over. */
TL_CHECK tl_err tl_dht_open_seek(tl_node_dht *d);
void tl_dht_close_seek(tl_node_dht *d);
void tl_dht_seek_on_timer(tl_node_dht *d, tl_time now);
tl_time tl_dht_seek_expiry(const tl_node_dht *d);

/* node_dht_publish.c */
/* Publishes what is true now, or nothing, as the settings say. */
void tl_dht_follow(tl_node_dht *d);
/* At which public addresses strangers reach this node: returns how many. */
size_t tl_dht_own_addresses(const tl_node *n, tl_addr ret[TL_DHT_RECORD_ADDRESSES_MAX]);
tl_control_nat tl_dht_own_nat(const tl_node *n);
/* Does the setting dht.publish, or what "auto" stands for, say so? */
bool tl_dht_may_publish(const tl_node *n);

#endif
