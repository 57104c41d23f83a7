/* state.h - what the sources of the local API share. Never touches peers or settings: node/ and the
 * hooks do. No other room includes it.
 *
 *   api.c        making, listening, draining
 *   gate.c       what every request passes: Host, Origin, key, route, method
 *   routes.c     the table of routes
 *   metrics.c    every counter as Prometheus text
 *   answer.c     JSON and errors in OpenAI's shape
 *   scope.c      for which private network a request is
 *   ask.c        questions to models, streamed and whole
 *   strain.c     what of a provider's stream of events is left out
 *   events.c     /v1/events
 *   look.c       requests that wait for the node to look around
 *   pages.c      models, health, app
 *   page.c       the page at `/`
 *   worker.c     against service workers that another program left in a browser
 *   do.c         what the node is told to do
 *   app_ptn.c, app_wallet.c, app_aliases.c   private networks, the wallet and aliases, for pages and programs
 *   app_settings.c            the settings, likewise
 *   app_peers.c  one peer: why, ping; the traffic of all
 *   ping.c       round trips, as they are measured
 *   app_sharing.c, app_qr.c   what is done for others, and QR codes, for pages
 *   control.c    what the command line asks on the Unix socket */
#ifndef TL_API_STATE_H
#define TL_API_STATE_H

#include "api/api.h"
#include "api/scope.h"
#include "io/httpd.h"

/* The kind of listening address that a request came to. */
enum { TL_API_DOOR_LOOPBACK, TL_API_DOOR_OTHER, TL_API_DOOR_UNIX };

#define TL_API_EVENT_STREAMS_MAX 256 /* pages and `teale watch`: a person opens a few */
#define TL_API_EVENT_FOREIGN_MAX 192 /* of these, by whoever is not the owner */
#define TL_API_PINGS_MAX         16  /* pings that run at once */

typedef struct tl_api_ask tl_api_ask;
typedef struct tl_api_stream tl_api_stream;
typedef struct tl_api_ping tl_api_ping;

/* The routes as labels of metrics. A client cannot choose a label. */
typedef enum {
    TL_ROUTE_NONE, /* there is no such route, or the request was refused before the look-up */
    TL_ROUTE_CHAT,
    TL_ROUTE_COMPLETIONS,
    TL_ROUTE_EMBEDDINGS,
    TL_ROUTE_RESPONSES,
    TL_ROUTE_AUDIO,
    TL_ROUTE_IMAGES,
    TL_ROUTE_RERANK,
    TL_ROUTE_MODELS,
    TL_ROUTE_APP,
    TL_ROUTE_EVENTS,
    TL_ROUTE_HEALTH,
    TL_ROUTE_METRICS,
    TL_ROUTE_PAGE,
    TL_ROUTE_CONTROL,
    TL_ROUTE_COUNT
} tl_api_route_id;

typedef struct {
    uint64_t answers[TL_ROUTE_COUNT][6]; /* by the first digit of the status; [0] is unused */
    uint64_t refused_host, refused_origin, refused_key;
    uint64_t broken_off;  /* answers that failed after they had begun */
    uint64_t cancelled;   /* questions whose client was gone */
    uint64_t first_bytes; /* questions whose answer began; below, their waiting time in sum */
    double first_byte_seconds;
    uint64_t asks_active, event_streams, pings;
} tl_api_counters;

#define TL_API_HINT_MAX (TL_MODEL_MAX + 24) /* a model's name and the words around it */

struct tl_api {
    tl_loop *loop;
    tl_node *node;
    tl_api_config config;
    tl_httpd *httpd;
    uint16_t port;
    char base_url[96];
    tl_unix started;
    tl_rand rand;
    tl_api_counters counters;
    tl_api_stream *streams;
    uint64_t workers_seen;  /* requests for a service worker's script */
    size_t foreign_streams; /* of others than the owner */
    tl_node_listener listener;
    tl_timer heartbeat;
    tl_timer deadline; /* for draining */
    bool draining, drained;
    void (*on_drained)(void *user);
    void *drained_user;
};

/* --- answer.c --- */
/* Seconds, for a 429 or 503 that names no other wait. A refusal of a peer counts against it for so long
 * (ask/merit.h), and a node that was lost is found again within it. */
#define TL_API_RETRY_AFTER "2"
/* Counts the answer's status under the request's route. Called for every answer. */
void tl_api_count(tl_api *api, const tl_httpd_req *r, int status);
/* Answers with `value` and takes the reference. NULL means out of memory and answers 500. */
void tl_api_json(tl_api *api, tl_httpd_req *r, int status, json_t *value);
/* OpenAI's {"error": {...}}; `param` may be NULL. */
void tl_api_error(tl_api *api, tl_httpd_req *r, int status, const char *code, const char *param,
                  const char *fmt, ...) TL_PRINTF(6, 7);
/* The same with the seconds of Retry-After, for a 429 or 503; 0: TL_API_RETRY_AFTER. */
void tl_api_error_after(tl_api *api, tl_httpd_req *r, int status, const char *code,
                        const char *param, unsigned retry_after, const char *message);
/* Appends the same text to `out`. */
TL_CHECK tl_err tl_api_error_text(tl_buf *out, int status, const char *code, const char *param,
                                  const char *message);
#define TL_API_PEER_MAX 256 /* bytes of what names a node, with a NUL */
/* The node that a client means (tl_node_find_peer). False: none, and this is answered. */
bool tl_api_find_peer(tl_api *api, tl_httpd_req *r, tl_slice text, tl_node_id *ret_peer);
/* The same of another node than this one (tl_node_find_other). */
bool tl_api_find_other(tl_api *api, tl_httpd_req *r, tl_slice text, tl_node_id *ret_peer);
/* The HTTP status and code of a failed question (docs/http-api.md "Errors"). */
int tl_api_fail_status(tl_fail fail);
const char *tl_api_fail_code(tl_fail fail);

/* --- routes.c --- */
/* HEAD is allowed wherever GET is. */
enum { TL_API_GET = 1, TL_API_POST = 2, TL_API_PUT = 4, TL_API_DELETE = 8 };

typedef struct {
    const char *path; /* NULL: a path of ask/paths.h; "*" stands for one segment */
    bool prefix;      /* the handler reads the rest of the path */
    bool open;        /* needs no key: the answer says nothing of this node or its owner */
    bool unix_only;
    int methods;
    tl_api_route_id id;
    void (*on_request)(tl_api *api, tl_httpd_req *r);
} tl_api_route;

/* NULL: there is no route for this path at this kind of address. */
const tl_api_route *tl_api_route_find(const tl_httpd_req *r);
/* The path after `prefix`, percent-decoded. TL_ERR_PROTO: not text. TL_ERR_TOO_LARGE. */
TL_CHECK tl_err tl_api_path_rest(const tl_httpd_req *r, const char *prefix, char *ret, size_t cap);
/* The segment of the path that stands where the route's path has its `n`th "*" (from 0). Errors as
 * above. */
TL_CHECK tl_err tl_api_path_star(const tl_httpd_req *r, size_t n, char *ret, size_t cap);
/* A field of the query, percent-decoded. TL_ERR_NOT_FOUND; else as above. */
TL_CHECK tl_err tl_api_query_field(const tl_httpd_req *r, const char *name, char *ret, size_t cap);
/* A whole number, 1 to `most`, which is TL_NUMBER_EXACT_MAX at most. False: the text is none. */
bool tl_api_number(const char *text, int64_t most, int64_t *ret);

/* --- gate.c: the calls of tl_httpd_events; `user` is the API --- */
/* Is it of the node's owner? On the Unix socket: yes. Else it has the owner's key, or comes over loopback
 * from a program of the owner, or of root, and is neither of a page of another origin nor passed on by
 * a proxy. */
bool tl_api_is_owners(const tl_api *api, const tl_httpd_req *r);
bool tl_api_on_head(void *user, tl_httpd_req *r);
void tl_api_on_request(void *user, tl_httpd_req *r);
void tl_api_on_refusal(void *user, tl_httpd_req *r, int status, const char *message, tl_buf *out);

/* --- ask.c --- */
/* What decides now for which network a request is. */
tl_scope_view tl_api_scope_view(const tl_api *api);
void tl_api_on_ask(tl_api *api, tl_httpd_req *r);

/* --- queue.c: a client whose question waits in a provider's queue, or for bytes of its answer --- */
/* Answers on this path may be streams of events. */
bool tl_api_queue_streams(const char *path);
/* ": queue position=3 wait_s=40", a comment of the stream. `peer`: the node that answers; NULL: none yet,
 * or this one. */
void tl_api_queue_comment(tl_httpd_req *r, const tl_progress *p, tl_time waited,
                          const tl_node_id *peer);
/* An answer that is no stream, into the stream that was opened before it came: one event. */
void tl_api_queue_answer(tl_httpd_req *r, int status, tl_slice body);

/* --- events.c --- */
void tl_api_on_events(tl_api *api, tl_httpd_req *r);
void tl_api_events_init(tl_api *api);
/* Ends every stream. */
void tl_api_events_end(tl_api *api);
void tl_api_events_clear(tl_api *api);

/* --- look.c: answers that need a fresh list of nodes and models --- */
void tl_api_on_models(tl_api *api, tl_httpd_req *r);
void tl_api_on_model(tl_api *api, tl_httpd_req *r);
void tl_api_on_app(tl_api *api, tl_httpd_req *r);
void tl_api_on_control_models(tl_api *api, tl_httpd_req *r);
void tl_api_on_peers(tl_api *api, tl_httpd_req *r);
void tl_api_on_why(tl_api *api, tl_httpd_req *r);
/* Calls `answer` when the list of nodes and models is fresh. The client may leave before. */
void tl_api_after_look(tl_api *api, tl_httpd_req *r, void (*answer)(tl_api *api, tl_httpd_req *r));
/* answers that need a fresh round of STUN */
void tl_api_on_netcheck(tl_api *api, tl_httpd_req *r);
void tl_api_on_doctor(tl_api *api, tl_httpd_req *r);

/* --- pages.c --- */
void tl_api_answer_models(tl_api *api, tl_httpd_req *r);
void tl_api_answer_model(tl_api *api, tl_httpd_req *r);
void tl_api_answer_app(tl_api *api, tl_httpd_req *r);
void tl_api_on_health(tl_api *api, tl_httpd_req *r);
/* True if the node knows the model, or knows no model at all. Else *ret_hint is "; did you mean
 * 'x'?", or "". */
bool tl_api_model_may_come(tl_api *api, const char *model, char ret_hint[TL_API_HINT_MAX]);

/* --- page.c --- */
void tl_api_on_page(tl_api *api, tl_httpd_req *r);

/* --- worker.c --- */
/* Does a browser ask for the script of a service worker? */
bool tl_api_is_for_worker(const tl_httpd_req *r);
void tl_api_answer_worker(tl_api *api, tl_httpd_req *r);

/* --- do.c --- */
/* Has the node do `verb`, and answers what came of it. `args` is borrowed. `control`: for the command
 * line, which is told the exit code; else in OpenAI's shape. */
void tl_api_do(tl_api *api, tl_httpd_req *r, const char *verb, const json_t *args, bool control);
/* The same for pages, which hear after `within` that the answer will come later: 504. What was begun
 * goes on. */
void tl_api_do_within(tl_api *api, tl_httpd_req *r, const char *verb, const json_t *args,
                      tl_time within);
void tl_api_on_do(tl_api *api, tl_httpd_req *r);

/* --- app_aliases.c --- */
void tl_api_on_aliases(tl_api *api, tl_httpd_req *r);
void tl_api_on_alias(tl_api *api, tl_httpd_req *r);

/* --- app_ptn.c --- */
void tl_api_on_ptns(tl_api *api, tl_httpd_req *r);
void tl_api_on_ptn(tl_api *api, tl_httpd_req *r);
void tl_api_on_ptn_name(tl_api *api, tl_httpd_req *r);
void tl_api_on_ptn_join(tl_api *api, tl_httpd_req *r);
void tl_api_on_ptn_members(tl_api *api, tl_httpd_req *r);
void tl_api_on_ptn_invites(tl_api *api, tl_httpd_req *r);
void tl_api_on_ptn_invite(tl_api *api, tl_httpd_req *r);
void tl_api_on_ptn_revocations(tl_api *api, tl_httpd_req *r);
void tl_api_on_ptn_renewals(tl_api *api, tl_httpd_req *r);
void tl_api_on_ptn_admins(tl_api *api, tl_httpd_req *r);
void tl_api_on_ptn_price(tl_api *api, tl_httpd_req *r);
void tl_api_on_ptn_preview(tl_api *api, tl_httpd_req *r);
void tl_api_on_ptn_key(tl_api *api, tl_httpd_req *r);
/* --- app_settings.c --- */
void tl_api_on_settings(tl_api *api, tl_httpd_req *r);
/* --- app_peers.c --- */
void tl_api_on_app_why(tl_api *api, tl_httpd_req *r);
void tl_api_on_app_ping(tl_api *api, tl_httpd_req *r);
void tl_api_on_traffic(tl_api *api, tl_httpd_req *r);
/* --- ping.c --- */
/* Streams the results of a ping, NDJSON, as the query says. */
void tl_api_ping_start(tl_api *api, tl_httpd_req *r, const tl_node_id *peer);
/* --- app_sharing.c --- */
void tl_api_on_sharing(tl_api *api, tl_httpd_req *r);
void tl_api_on_pause(tl_api *api, tl_httpd_req *r);
void tl_api_on_resume(tl_api *api, tl_httpd_req *r);
/* --- app_qr.c --- */
void tl_api_on_qr(tl_api *api, tl_httpd_req *r);
void tl_api_on_qr_draw(tl_api *api, tl_httpd_req *r);
/* --- app_wallet.c --- */
void tl_api_on_wallet(tl_api *api, tl_httpd_req *r);
void tl_api_on_wallet_history(tl_api *api, tl_httpd_req *r);
void tl_api_on_wallet_audit(tl_api *api, tl_httpd_req *r);
void tl_api_on_settlements(tl_api *api, tl_httpd_req *r);

/* --- metrics.c --- */
void tl_api_on_metrics(tl_api *api, tl_httpd_req *r);

/* --- control.c --- */
void tl_api_on_status(tl_api *api, tl_httpd_req *r);
void tl_api_answer_control_models(tl_api *api, tl_httpd_req *r);
void tl_api_answer_peers(tl_api *api, tl_httpd_req *r);
void tl_api_answer_why(tl_api *api, tl_httpd_req *r);
void tl_api_answer_netcheck(tl_api *api, tl_httpd_req *r);
void tl_api_answer_doctor(tl_api *api, tl_httpd_req *r);
void tl_api_on_env(tl_api *api, tl_httpd_req *r);
void tl_api_on_ping(tl_api *api, tl_httpd_req *r);
void tl_api_on_setting(tl_api *api, tl_httpd_req *r);
void tl_api_on_stop(tl_api *api, tl_httpd_req *r);

#endif
