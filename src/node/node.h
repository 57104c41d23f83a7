/* node.h - the whole node: makes and owns identity, relay connection, peers, backend and router.
 * The API and the command line use only this header of the node. Never starts a thread: everything
 * runs on the loop that it is given. */
#ifndef TL_NODE_NODE_H
#define TL_NODE_NODE_H

#include "ask/exchange.h"
#include "backend/backend.h"
#include "base/json.h"
#include "config/config.h"
#include "io/loop.h"
#include "net/network.h"
#include "ptn/networks.h"

typedef struct tl_node tl_node;

/* Copies the settings and `identity`. `port_file` keeps the UDP port over restarts; NULL: it is not
 * kept. `store` is the path of the database (store/store.h); NULL: there is none, and with it no
 * private networks and no ledger. Nothing is contacted before tl_node_start. */
TL_CHECK tl_err tl_node_new(tl_loop *loop, const tl_settings *settings, const tl_identity *identity,
                            const char *port_file, const char *store, tl_node **ret_node,
                            tl_why *why);
/* Tells which option of the command line fixes a setting while the node runs ("relayed"; NULL: none).
 * The doctor does not advise to change such a setting in the file. */
void tl_node_set_option_of(tl_node *n, const char *(*option_of)(void *user, const char *key),
                           void *user);
/* Where the settings are: backups hold the file. Without it they hold no settings. */
void tl_node_set_settings_file(tl_node *n, const char *path);
TL_CHECK tl_err tl_node_start(tl_node *n, tl_why *why);
/* Takes no new work (`unavailable`). Lets running work finish until `deadline`, says goodbye to the
 * relay and the peers, then calls on_done. A second call ends everything at once. */
void tl_node_drain(tl_node *n, tl_time deadline, void (*on_done)(void *user), void *user);
void tl_node_free(tl_node *n);

const tl_node_id *tl_node_id_of(const tl_node *n);
/* Its display name; borrowed until a setting changes. */
const char *tl_node_name_of(const tl_node *n);
/* Was it told of a model server of its own, or did it find one? */
bool tl_node_has_backend(const tl_node *n);

/* --- questions --- */
/* Routes by ask->model: to the local backend, else to a peer that serves the model. With
 * ask->has_peer, to that peer only. `teale-auto` takes the best route. For `teale-auto` and for an
 * alias, the model's name is replaced in the body, and nothing else. The answer comes through
 * `sink`, never from inside this call. The only error is TL_ERR_NOMEM. */
TL_CHECK tl_err tl_node_ask(tl_node *n, const tl_ask *ask, const tl_exchange_sink *sink, void *user,
                            tl_exchange **ret_exchange);
/* Tells whoever listens (the event Waiting) that this question has no answer yet, `waited` after it was asked. */
void tl_node_tell_waiting(tl_node *n, const char *request, const char *model, const tl_progress *p,
                          tl_time waited);
/* Connects to the peer if needed, and measures round trips over the present path. Calls on_result
 * once for each answer (rtt > 0) or failure (rtt 0, `why`). `more` is false on the last call: after
 * `count` answers, or with `until_direct` after the first answer that came by a direct path or the
 * local network. */
typedef struct tl_node_ping tl_node_ping;
TL_CHECK tl_err tl_node_ping_start(tl_node *n, const tl_node_id *peer, unsigned count,
                                   bool until_direct,
                                   void (*on_result)(void *user, tl_time rtt, tl_via via, bool more,
                                                     const char *why),
                                   void *user, tl_node_ping **ret_ping);
void tl_node_ping_free(tl_node_ping *p);

/* --- commands: what a person has the node do, by name ("ptn.create"; node/verbs.c has them all) --- */
typedef struct tl_call tl_call;
typedef struct {
    const char *code; /* "E_NOT_ADMIN" */
    int exit;         /* of the command line */
    int status;       /* of HTTP */
    const char *message;
} tl_node_failure;
/* Either `result`, borrowed, or `failure`; both are valid until the call returns. */
typedef void (*tl_node_done)(void *user, json_t *result, const tl_node_failure *failure);
/* `args` is an object, borrowed until this returns. on_done comes once, never from inside this call.
 * TL_ERR_NOT_FOUND: no such verb. TL_ERR_BUSY: too many wait. TL_ERR_NOMEM. */
TL_CHECK tl_err tl_node_call(tl_node *n, const char *verb, const json_t *args, tl_node_done on_done,
                             void *user, tl_call **ret_call);
/* The caller is gone: on_done will not come. What was begun goes on. Not after on_done. */
void tl_node_uncall(tl_call *call);

/* Our private networks; borrowed for the node's life. */
const tl_networks *tl_node_networks(const tl_node *n);

/* --- looking around --- */
/* The caller's memory; the fields are private. */
typedef struct tl_node_look {
    tl_node *node; /* NULL: the look has ended */
    void (*on_done)(void *user);
    void *user;
    tl_timer timer;
    struct tl_node_look *next;
} tl_node_look;
/* Asks the relay which nodes serve which models, unless it was asked within the last second and
 * told of no node that joined since.
 * on_done comes once, within a second, and never from inside this call. Then tl_node_models and
 * tl_node_peers give the fresh lists. */
void tl_node_look_start(tl_node *n, tl_node_look *l, void (*on_done)(void *user), void *user);
/* Ends the look: on_done will not be called. No effect on a look that has ended. */
void tl_node_unlook(tl_node_look *l);

/* The caller's memory; the fields are private. */
typedef struct tl_node_netlook {
    tl_node *node; /* NULL: the look has ended */
    void (*on_done)(void *user);
    void *user;
    tl_timer timer;
    tl_network_look look;
} tl_node_netlook;
/* Asks every STUN server again. on_done comes once, within seconds, and never from inside this
 * call. Then tl_node_netcheck and tl_node_doctor give the fresh results. */
void tl_node_netlook_start(tl_node *n, tl_node_netlook *l, void (*on_done)(void *user), void *user);
/* Ends the look: on_done will not be called. No effect on a look that has ended. */
void tl_node_unnetlook(tl_node_netlook *l);

/* Does this node, or one that it knows, list a model of exactly this name? */
bool tl_node_lists(const tl_node *n, const char *model);

/* The node that a person means by its ID, its first digits, an alias or its display name (peer/naming.h).
 * TL_ERR_NOT_FOUND: none that is known. TL_ERR_EXISTS: more than one. TL_ERR_INVALID: no such form, or no
 * node's key. `why` says it for a person. TL_ERR_NOMEM. */
TL_CHECK tl_err tl_node_find_peer(const tl_node *n, tl_slice text, tl_node_id *ret_peer,
                                  tl_why *why);
/* The same, where another node must be meant. TL_ERR_FORBIDDEN: it is this one, or its display name, which no other
 * node has. */
TL_CHECK tl_err tl_node_find_other(const tl_node *n, tl_slice text, tl_node_id *ret_peer,
                                   tl_why *why);

/* --- reports: new references, which the caller gives to json_decref; NULL: out of memory --- */
json_t *tl_node_status(const tl_node *n); /* `teale status --json` */
json_t *tl_node_peers(const tl_node *n);  /* `teale peers --json` */
/* {"at_ms", "peers": [{"node_id","path","rtt_ms","bytes_in","bytes_out","answers"}]}, of those that are
 * connected; at_ms is of a clock that never goes back, for rates. */
json_t *tl_node_traffic(const tl_node *n);
/* {"models":[{"id","local":bool,"peers":[node IDs]}],"paused":[{"node_id","name","models"}]} */
json_t *tl_node_models(const tl_node *n);
json_t *tl_node_netcheck(const tl_node *n); /* `teale netcheck --json` */
json_t *tl_node_doctor(const tl_node *n);   /* {"checks":[{"id","state","evidence","remedy"}]} */
json_t *tl_node_why(const tl_node *n, const tl_node_id *peer); /* `teale why PEER --json` */
/* Applies one changed setting live: TL_OK, or TL_ERR_AGAIN when it needs a restart. After any other
 * error `why` says the cause, and what was in force stays. */
TL_CHECK tl_err tl_node_setting_changed(tl_node *n, const tl_settings *settings, const char *key,
                                        tl_why *why);

/* --- events (/v1/events): `name` and one JSON object, borrowed for the call --- */
typedef struct tl_node_listener {
    void (*on_event)(void *user, const char *name, const json_t *data);
    void *user;
    struct tl_node_listener *next;
} tl_node_listener;
/* The listener is the caller's memory, and must stay until tl_node_unlisten. */
void tl_node_listen(tl_node *n, tl_node_listener *l);
void tl_node_unlisten(tl_node *n, tl_node_listener *l);

#endif
