/* doctor.h - finds every obstacle for this node, with the evidence and the remedy. A pure function
 * of plain facts: never asks a server, and never touches a socket, a clock or a file. */
#ifndef TL_TELL_DOCTOR_H
#define TL_TELL_DOCTOR_H

#include "nat/behaviour.h"
#include "peer/leg.h"
#include "ptn/networks.h"
#include "tell/relaying.h"

typedef enum {
    TL_FINDING_OK,
    TL_FINDING_WARNING, /* it works, but not as well as it could */
    TL_FINDING_PROBLEM, /* something that the settings ask for does not work */
} tl_finding_state;
/* "ok", "warning", "problem". */
const char *tl_finding_state_name(tl_finding_state s);

typedef struct {
    const char *id; /* stable: scripts look for it */
    tl_finding_state state;
    char evidence[360];
    char remedy[280]; /* "" when there is nothing to do */
} tl_finding;

typedef struct {
    const char *url;
    const char *cause; /* why it could not be used; "" = not tried yet */
} tl_doctor_relay;
/* What happens again and again does so within this time: large packets are tried every 10 minutes
 * (quic/size), offers more often. */
#define TL_DOCTOR_FRESH      (30 * TL_MIN)
#define TL_DOCTOR_RELAYS_MAX 16

/* A STUN server without an address. */
typedef struct {
    const char *name;
    const char *why; /* why its name has no address; NULL: the look-up is under way */
} tl_doctor_name;

/* This node in one private network. */
typedef struct {
    const char *name;
    tl_membership_state state;
    tl_role role; /* these four: of this node's own certificate, where there is one */
    tl_node_id issuer;
    bool issued_here; /* this node signs its own certificates */
    tl_unix issued_at, expires_at;
    bool has_ca;
    bool is_disputed; /* members disagree on who is revoked */
    tl_ptn_dispute dispute;
    bool lost_issuer; /* REVOKED, but the admin that signed for it alone is */
    bool has_admin;   /* `admin` can sign a new certificate */
    tl_node_id admin;
    const char *waiting; /* why it is not joined yet; "" = not known */
} tl_doctor_network;

/* Settings that an option of the command line fixes. To change them in the file would do nothing
 * while the node runs. */
typedef struct {
    bool relay, udp, relayed, share, model, private;
} tl_doctor_options;

/* All pointers are borrowed for the call. No text is NULL, unless its comment allows it. */
typedef struct {
    tl_doctor_options by_option;
    bool wan_enabled;
    const char *relay; /* the URL in use, or the one that relay_error is about */
    bool relay_connected;
    tl_time relay_rtt;             /* 0 = unknown */
    const char *relay_error;       /* "" = none */
    const char *portal;            /* where this network's captive portal logs in; NULL = none */
    const char *proxy;             /* before that relay; NULL = none */
    const char *proxy_source;      /* what named it */
    const tl_doctor_relay *relays; /* all that the settings name */
    size_t n_relays;
    size_t relays_connected; /* of these */
    bool relays_are_one;     /* two of them act as one, so the node is at one of these two */
    bool no_relay;           /* the settings name none */
    bool dht_enabled;
    struct {
        bool on, ready, publishes; /* on: this node takes part in it */
        size_t nodes;              /* that are known */
        unsigned holders;          /* nodes that have what it publishes */
        size_t doors;              /* of the setting dht.bootstrap */
    } dht;
    const tl_relaying *relaying; /* what this node relays for others; NULL: it is not to */
    struct {
        size_t given,
            answering; /* nodes of nat.introducers, and those of them that it is attached to */
        size_t others; /* attached to, without the setting */
        bool needless; /* strangers reach this node: it needs nobody */
    } introducers;
    bool clock_known;   /* the relay has told its time, and clock_ahead is set */
    double clock_ahead; /* seconds that our clock is ahead of the relay's; negative: behind */

    const char *network_error;  /* why there is no UDP socket although one is wanted; else NULL */
    uint16_t port, wanted_port; /* wanted_port 0: any port */
    const tl_nat_facts *nat;    /* NULL: there is no socket */
    const tl_stun_report *stun;
    size_t n_stun;
    const tl_doctor_name *unnamed; /* servers that cannot be asked, because their names have no
                                      address */
    size_t n_unnamed;
    const tl_interface *interfaces;
    size_t n_interfaces;
    bool port_mapping_on;
    const char *mapped_by; /* NULL: there is no mapping */
    tl_addr mapped;
    const char *mapping_error; /* NULL: none known */

    bool direct_on;
    uint64_t offers_late; /* offers refused because two clocks differ */
    uint64_t black_holes; /* how often large packets were lost on a path that had carried them */
    tl_time late_ago, hole_ago; /* since the last of each. After TL_DOCTOR_FRESH it is not told */
    size_t peers_direct, peers_lan, peers_relayed;
    size_t peers_relayed_udp; /* of peers_relayed */
    struct {
        bool enabled;      /* lan_enabled */
        const char *by;    /* how others are found; NULL: they are not */
        const char *error; /* why not, or why not by avahi-daemon; "" = not known */
        const char *name;  /* under which this node is announced; "" = not yet */
        size_t nodes;      /* that are announced */
        bool flooded;      /* more was announced than there is room for */
    } lan;
    const char *relay_udp;  /* the relay's UDP port, HOST:PORT; "" = it has none; NULL: not known */
    tl_leg_state relay_leg; /* what relay sessions have found out about it */
    size_t peers_in_clear;  /* listed nodes that speak the old protocol alone */
    bool in_clear;          /* legacy_plaintext */

    const char *share; /* the setting; "" = nothing is shared */
    bool backend_up;
    const char *backend_url, *backend_error;
    size_t models, models_shared; /* the server's models; of these, the ones that others may ask */
    const char *store;            /* the database's path; NULL: this node has none */
    bool store_restored;          /* it was taken as an older copy when the node started */
    const char *store_error;      /* why the last thing could not be stored; NULL: it could */
    const char
        *backup; /* the state of this node's backup, as `backup status` has it; "none", NULL */
    int backup_may_lose;
    tl_unix
        backup_other_at; /* another machine was noticed that stands aside for this one; 0: never */
    const char *own_id;  /* this node's; "" = not told */
    tl_unix now;
    const tl_doctor_network *networks; /* those that this node has not left */
    size_t n_networks;
    bool in_network;                 /* this node is in a private network */
    bool share_members, ask_members; /* share_with, ask: "networks" */
} tl_doctor_facts;

#define TL_FINDINGS_MAX 29 /* one of each id */
/* Writes the findings in the order in which obstacles are worth removing. Things that work come
 * along as OK. Returns how many findings there are. */
size_t tl_doctor_examine(const tl_doctor_facts *f, tl_finding ret_findings[TL_FINDINGS_MAX]);

/* 443 of "wss://relay.example.org/ws": the TCP port of a relay's URL; 0: not a URL. */
uint16_t tl_doctor_relay_port(const char *url);

#endif
