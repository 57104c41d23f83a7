/* api.h - the local HTTP API (docs/http-api.md): an OpenAI-compatible face of one node, on TCP and
 * on the Unix socket that the command line uses. Never decides anything about peers: it only calls
 * node/node.h.
 *
 * These routes are for the command line, and exist on the Unix socket only. Each answers one JSON
 * object, except `ping`:
 *
 *   GET  /control/status        what tl_node_status gives
 *   GET  /control/peers         what tl_node_peers gives
 *   GET  /control/models        what tl_node_models gives
 *   GET  /control/env           {"base_url", "api_key", "owner_key"}; on loopback alone api_key is no key
 *   GET  /control/netcheck      what tl_node_netcheck gives, after a fresh round of STUN
 *   GET  /control/doctor        what tl_node_doctor gives, after the same, and the API's own check
 *   GET  /control/why/{node}    what tl_node_why gives
 *   GET  /control/ping/{node}   NDJSON, a line per result: {"rtt_ms", "path", "via"} or {"error"}
 *          ?count=N               results, 1..TL_API_PING_MAX; 4 without it
 *          ?until=direct          the first result that was not relayed is the last
 *   POST /control/setting       {"key"}, changed in the file -> {"key", "applied", "message"}
 *   POST /control/do            {"verb", "args"} -> what tl_node_call gives, or
 *                               {"error": {"code", "exit", "message"}}
 *   POST /control/stop          202 {"stopping": true}; calls the hook `stop` */
#ifndef TL_API_API_H
#define TL_API_API_H

#include "config/config_change.h"
#include "node/node.h"

typedef struct tl_api tl_api;

#define TL_API_UNIX_MAX   2 /* of the session, and beside the data */
#define TL_API_LISTEN_MAX 4 /* IPv4 and IPv6 of loopback and of one more interface */
#define TL_API_PING_MAX   1000
#define TL_API_KEY_MAX    64 /* bytes with NUL */

/* What only the program around the node can do. A hook may be NULL: then its route answers 501. */
typedef struct {
    /* A client asked the node to stop: drain, then end. */
    void (*stop)(void *user);
    /* The settings file changed at `key`: read it and apply it. TL_OK: the setting is in force.
     * TL_ERR_AGAIN: it will be after a restart, and `why` says so. Any other error: the setting is
     * refused, `why` says why, and nothing has changed. */
    tl_err (*setting_changed)(void *user, const char *key, tl_why *why);
    /* Writes these settings into the file, as `teale config set` does, and applies them: all or none
     * (tl_settings_change_all). */
    tl_err (*set_settings)(void *user, tl_setting_change *changes, size_t n, size_t *ret_refused,
                           tl_why *why);
    /* Every setting, as tl_settings_explain gives it, with "file" (its path), and "error": why the
     * file cannot be read, else null. A new reference, NULL: out of memory. */
    json_t *(*explain_settings)(void *user);
    /* The settings in force as one object, for /v1/app; a new reference, NULL: out of memory. */
    json_t *(*settings)(void *user);
    void *user;
} tl_api_hooks;

typedef struct {
    size_t listen_n; /* 0: the Unix socket alone */
    tl_addr listen[TL_API_LISTEN_MAX];
    const char *unix_path[TL_API_UNIX_MAX]; /* NULL: none. Their directories must exist */
    /* Bearer keys. Beyond loopback every request needs one. The client's asks and reads; the owner's does
     * everything. A program sends its key to whatever listens at the port, so the two differ. */
    char key[TL_API_KEY_MAX]; /* the owner's */
    char client_key[TL_API_KEY_MAX];
    tl_string_list allowed_hosts;   /* names beyond the loopback ones, without port */
    tl_string_list allowed_origins; /* "https://app.example", exactly as a browser sends it */
    tl_time head_timeout;           /* 10 s: a request's head */
    tl_time body_timeout;           /* 30 s in which less than 16 KiB of a body came */
    tl_time idle_timeout;           /* 60 s: between requests */
    tl_time stalled_timeout;        /* 60 s: a client that does not read what is queued for it */
    tl_time heartbeat;              /* 25 s: comment lines on /v1/events */
    tl_time scan_wait;              /* 5 s: a picture in which a QR code is looked for; then 504 */
    tl_time join_wait; /* 30 s: a page that joins a network; then 504, and the node goes on */
    /* A client of a stream is told its place in a queue 2 s after it has asked, then every 5 s; while
     * there is none to tell, it is looked again after 1 s. */
    tl_time queue_first, queue_every, queue_look;
    /* One whose question is in no queue, and has no answer, is told so after 15 s, then every 10 s: an error
     * before that keeps its own status, and whatever cuts silent connections does so later. */
    tl_time wait_first, wait_every;
    /* In the middle of an answer no word comes: its client is told so after 3 s, when the cause turns out to be
     * another, and every 5 s. Less than 2.5 s and two round trips are natural (TL_PEERS_SILENT). */
    tl_time silent_first, silent_every;
    size_t connections_max; /* 2048 */
    tl_api_hooks hooks;
} tl_api_config;
/* No addresses, no path, no keys. Times and limits are those in the comments above. */
tl_api_config tl_api_config_default(void);

/* Listens on every address of the configuration; if one fails, on none. Copies the configuration;
 * borrows `loop` and `node` until tl_api_free. TL_ERR_EXISTS: an address or the socket is in use;
 * TL_ERR_INVALID: beyond loopback without both keys; TL_ERR_IO, TL_ERR_NOMEM. */
TL_CHECK tl_err tl_api_new(tl_loop *loop, tl_node *node, const tl_api_config *config,
                           tl_api **ret_api, tl_why *why);
/* Cancels every running question and cuts every connection. */
void tl_api_free(tl_api *api);

/* The port of the first TCP address; 0 when there is none. */
uint16_t tl_api_port(const tl_api *api);
/* "http://127.0.0.1:11435/v1"; "" when there is no TCP address. An address that means "all" is
 * shown as loopback. */
const char *tl_api_base_url(const tl_api *api);

/* Sets new lists of hosts and origins, in force from the next request on. Copies them. */
void tl_api_set_allowed(tl_api *api, const tl_string_list *hosts, const tl_string_list *origins);

/* Call this when tl_node_drain is done; until then, new questions are answered with `unavailable`.
 * Stops listening, and ends event streams and idle connections. Answers that are being sent may
 * finish until `deadline`. Then calls on_done, never from inside this call. */
void tl_api_drain(tl_api *api, tl_time deadline, void (*on_done)(void *user), void *user);

#endif
