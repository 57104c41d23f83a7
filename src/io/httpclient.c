#include "io/httpclient.h"

#include "io/httpclient_setup.h"

#include <stdio.h>
#include <stdlib.h>
#include <utlist.h>

#define IDLE_CONNECTIONS_MAX 64L         /* kept for reuse; a node has one model server */
#define READ_SIZE            (64L << 10) /* libcurl's buffer of each running request */

/*   QUEUED --> (RESOLVING) --> CONNECTING --sent--> WAITING --head--> BODY
 * Every state ends in `finish` (on_done, freed) or `destroy` (cancelled, freed). libcurl must not
 * be called from inside its callbacks, so `settle` does afterwards what they ask for. */
typedef enum {
    QUEUED,     /* libcurl does not know of the request yet */
    RESOLVING,  /* the loop looks the name up, because a cancelled libcurl would wait for its
                   thread */
    CONNECTING, /* libcurl connects */
    WAITING,    /* connected; waits for the whole head */
    BODY,
} request_phase;

struct tl_http_request {
    tl_http *h;
    CURL *easy;
    struct curl_slist *fields, *addrs;
    tl_buf body;
    tl_http_events events;
    void *user;
    request_phase phase;
    tl_timer timer; /* the time limit of the present state */
    tl_time connect, first_byte, silence, last_byte;
    tl_resolve *resolve;
    tl_http_target target;
    bool in_multi, cancelled;
    bool asked_again; /* over a new connection */
    bool paused;      /* the caller wants no body now */
    bool held;        /* libcurl holds a piece of the body back: it must be told to go on */
    bool too_big;     /* a callback broke off because the head is too large */
    size_t head_n;
    char error[CURL_ERROR_SIZE];
    tl_http_request *prev, *next; /* in the client's list */
    tl_http_request *next_due;    /* in the list that `settle` must look at */
    bool is_due;
};

struct tl_http {
    tl_loop *loop;
    CURLM *multi;
    tl_timer timer;
    tl_defer settle_later, at_once;
    unsigned in_curl; /* > 0: libcurl is on the stack */
    tl_http_request *all, *due;
};

struct tl_http_head {
    CURL *easy;
};

/* One of libcurl's sockets, which we watch for it. */
typedef struct {
    tl_http *h;
    curl_socket_t fd;
    tl_poll *poll;
} watched;

static void act(tl_http *h, curl_socket_t fd, int flags);
static void on_due(void *user);

static tl_time after(tl_time now, tl_time limit)
{
    return limit >= TL_NEVER - now ? TL_NEVER : now + limit;
}

/* --- the end of a request --- */

static void remove_due(tl_http_request *r)
{
    if (r->is_due)
        LL_DELETE2(r->h->due, r, next_due);
    r->is_due = false;
}

static void destroy(tl_http_request *r)
{
    tl_http *h = r->h;
    remove_due(r);
    tl_timer_stop(&r->timer);
    tl_resolve_free(r->resolve);
    if (r->in_multi) {
        h->in_curl++;
        curl_multi_remove_handle(h->multi, r->easy);
        h->in_curl--;
    }
    curl_easy_cleanup(r->easy);
    curl_slist_free_all(r->fields);
    curl_slist_free_all(r->addrs);
    tl_buf_clear(&r->body);
    DL_DELETE(h->all, r);
    free(r);
}

/* Not to be called from inside libcurl. */
static void finish(tl_http_request *r, tl_err e, const char *why)
{
    char text[CURL_ERROR_SIZE + 64];
    snprintf(text, sizeof text, "%s", why);
    tl_http_events events = r->events;
    void *user = r->user;
    destroy(r);
    events.on_done(user, e, text);
}

static tl_err err_of(CURLcode code)
{
    switch (code) {
    case CURLE_OK: return TL_OK;
    case CURLE_COULDNT_RESOLVE_PROXY:
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_CONNECT:
    case CURLE_PROXY:
    case CURLE_INTERFACE_FAILED:
    case CURLE_SSL_CONNECT_ERROR: return TL_ERR_UNREACHABLE;
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CACERT_BADFILE: return TL_ERR_AUTH;
    case CURLE_OPERATION_TIMEDOUT: return TL_ERR_TIMEOUT;
    case CURLE_PARTIAL_FILE:
    case CURLE_GOT_NOTHING:
    case CURLE_SEND_ERROR:
    case CURLE_SEND_FAIL_REWIND:
    case CURLE_RECV_ERROR: return TL_ERR_CLOSED;
    case CURLE_OUT_OF_MEMORY: return TL_ERR_NOMEM;
    default: return TL_ERR_PROTO;
    }
}

static void finish_by_curl(tl_http_request *r, CURLcode code)
{
    if (r->too_big)
        finish(r, TL_ERR_TOO_LARGE, "the answer's head is too large");
    else if (code == CURLE_OK)
        finish(r, TL_OK, "");
    else
        finish(r, err_of(code), r->error[0] ? r->error : curl_easy_strerror(code));
}

static void on_limit(void *user)
{
    tl_http_request *r = user;
    tl_time limit = r->silence;
    tl_err e = TL_ERR_TIMEOUT;
    const char *what = "nothing more came within";
    if (r->phase == BODY) {
        tl_time at = after(r->last_byte, r->silence);
        if (at > tl_loop_now(r->h->loop)) {
            tl_timer_set(&r->timer, at);
            return;
        }
    } else if (r->phase == WAITING) {
        limit = r->first_byte;
        what = "no answer within";
    } else {
        limit = r->connect;
        what = "no connection within";
        e = TL_ERR_UNREACHABLE;
    }
    char text[96];
    snprintf(text, sizeof text, "%s %g s", what, (double)limit / (double)TL_SEC);
    finish(r, e, text);
}

/* --- libcurl calls us --- */

static int on_connected(void *user, char *to, char *from, int to_port, int from_port)
{
    (void)to, (void)from, (void)to_port, (void)from_port;
    tl_http_request *r = user;
    r->phase = WAITING;
    tl_timer_set(&r->timer, after(tl_loop_now(r->h->loop), r->first_byte));
    return r->cancelled ? CURL_PREREQFUNC_ABORT : CURL_PREREQFUNC_OK;
}

static size_t on_header(char *p, size_t size, size_t n, void *user)
{
    tl_http_request *r = user;
    n *= size;
    r->head_n += n;
    if (r->head_n > TL_HTTP_HEAD_MAX)
        r->too_big = true;
    if (r->cancelled || r->too_big)
        return n + 1; /* any number but n makes libcurl end the request */
    long status = 0;
    bool is_end = n <= 2 && p[n - 1] == '\n';
    if (r->phase == BODY || !is_end ||
        curl_easy_getinfo(r->easy, CURLINFO_RESPONSE_CODE, &status) != CURLE_OK || status < 200)
        return n; /* a field, a trailer, or the end of a 1xx */
    r->phase = BODY;
    r->last_byte = tl_loop_now(r->h->loop);
    tl_timer_set(&r->timer, r->paused ? TL_NEVER : after(r->last_byte, r->silence));
    tl_http_head head = {r->easy};
    r->events.on_head(r->user, (int)status, &head);
    return r->cancelled ? n + 1 : n;
}

static size_t on_write(char *p, size_t size, size_t n, void *user)
{
    tl_http_request *r = user;
    n *= size;
    if (r->cancelled)
        return CURL_WRITEFUNC_ERROR;
    if (r->paused) {
        r->held = true;
        return CURL_WRITEFUNC_PAUSE; /* libcurl keeps these bytes and stops reading */
    }
    r->last_byte = tl_loop_now(r->h->loop);
    r->events.on_body(r->user, tl_slice_of(p, n));
    return r->cancelled ? CURL_WRITEFUNC_ERROR : n;
}

static void on_socket_ready(void *user, int events)
{
    watched *w = user;
    int flags = (events & TL_POLL_READ ? CURL_CSELECT_IN : 0) |
                (events & TL_POLL_WRITE ? CURL_CSELECT_OUT : 0);
    act(w->h, w->fd, flags);
}

static int on_socket_wanted(CURL *easy, curl_socket_t fd, int what, void *user, void *socket_user)
{
    (void)easy;
    tl_http *h = user;
    watched *w = socket_user;
    if (what == CURL_POLL_REMOVE) {
        if (w) {
            tl_poll_free(w->poll);
            free(w);
        }
        return 0;
    }
    if (!w) {
        w = calloc(1, sizeof *w);
        if (!w)
            return -1;
        *w = (watched){.h = h, .fd = fd};
        if (tl_poll_new(h->loop, fd, on_socket_ready, w, &w->poll) != TL_OK) {
            free(w);
            return -1;
        }
        curl_multi_assign(h->multi, fd, w);
    }
    tl_poll_set(w->poll, (what & CURL_POLL_IN ? TL_POLL_READ : 0) |
                             (what & CURL_POLL_OUT ? TL_POLL_WRITE : 0));
    return 0;
}

static int on_timeout_wanted(CURLM *multi, long ms, void *user)
{
    (void)multi;
    tl_http *h = user;
    if (ms == 0) /* so it is for every new request; a kernel timer would cost 50 us */
        tl_loop_defer(h->loop, &h->at_once, on_due, h);
    else
        tl_defer_cancel(h->loop, &h->at_once);
    tl_timer_set(&h->timer, ms <= 0 ? TL_NEVER : tl_loop_clock(h->loop) + (tl_time)ms * TL_MS);
    return 0;
}

/* --- we call libcurl --- */

static void add_to_multi(tl_http_request *r)
{
    tl_http *h = r->h;
    r->phase = CONNECTING;
    h->in_curl++;
    r->in_multi = curl_multi_add_handle(h->multi, r->easy) == CURLM_OK;
    h->in_curl--;
    if (!r->in_multi)
        finish(r, TL_ERR_NOMEM, "out of memory");
}

static void on_resolved(void *user, const tl_addr *addrs, size_t n, const char *why)
{
    tl_http_request *r = user;
    if (n == 0) {
        finish(r, TL_ERR_UNREACHABLE, why);
        return;
    }
    /* Tells libcurl the addresses: "+host:port:addr,addr". With `+` libcurl forgets them later,
     * like those it found itself. */
    tl_buf text = {0};
    bool ok = tl_buf_printf(&text, "+%s:%u:", r->target.look_up, r->target.port) == TL_OK;
    for (size_t i = 0; ok && i < n; i++) {
        char ip[TL_ADDR_TEXT_MAX];
        tl_addr_write_ip(ip, &addrs[i]);
        const char *form = addrs[i].family == TL_ADDR_V6 ? "%s[%s]" : "%s%s";
        ok = tl_buf_printf(&text, form, i ? "," : "", ip) == TL_OK;
    }
    ok = ok && tl_buf_append(&text, tl_slice_of("", 1)) == TL_OK &&
         (r->addrs = curl_slist_append(NULL, (const char *)tl_buf_begin(&text))) &&
         curl_easy_setopt(r->easy, CURLOPT_RESOLVE, r->addrs) == CURLE_OK;
    tl_buf_clear(&text);
    tl_resolve_free(r->resolve);
    r->resolve = NULL;
    if (ok)
        add_to_multi(r);
    else
        finish(r, TL_ERR_NOMEM, "out of memory");
}

static void begin(tl_http_request *r)
{
    tl_timer_set(&r->timer, after(tl_loop_now(r->h->loop), r->connect));
    if (!r->target.look_up[0]) {
        add_to_multi(r);
        return;
    }
    r->phase = RESOLVING;
    tl_err e = tl_resolve_start(r->h->loop, r->target.look_up, r->target.port, on_resolved, r,
                                &r->resolve);
    if (e != TL_OK)
        finish(r, e == TL_ERR_NOMEM ? e : TL_ERR_UNREACHABLE, tl_err_name(e));
}

static void go_on(tl_http_request *r)
{
    tl_http *h = r->h;
    r->held = false;
    h->in_curl++;
    CURLcode code = curl_easy_pause(r->easy, CURLPAUSE_CONT); /* libcurl now hands on what it
                                                                 held */
    h->in_curl--;
    if (code != CURLE_OK && !r->cancelled)
        finish_by_curl(r, code);
}

/* Does what callbacks asked for. Not to be called from inside libcurl. */
static void settle(void *user)
{
    tl_http *h = user;
    while (h->due) {
        tl_http_request *r = h->due;
        remove_due(r);
        if (r->cancelled)
            destroy(r);
        else if (r->phase == QUEUED)
            begin(r);
        else if (r->held && !r->paused)
            go_on(r);
    }
}

static void make_due(tl_http_request *r)
{
    if (r->is_due)
        return;
    r->is_due = true;
    LL_APPEND2(r->h->due, r, next_due);
    tl_loop_defer(r->h->loop, &r->h->settle_later, settle, r->h);
}

/* The server closed the kept connection at the moment we used it: nobody saw the request. libcurl
 * asks again by itself when it reads the close, but not when it meets it in writing. */
static bool ask_again(tl_http_request *r, CURLcode code)
{
    long connects = 1;
    if (code != CURLE_SEND_ERROR || r->head_n || r->asked_again ||
        curl_easy_getinfo(r->easy, CURLINFO_NUM_CONNECTS, &connects) != CURLE_OK || connects ||
        curl_easy_setopt(r->easy, CURLOPT_FRESH_CONNECT, 1L) != CURLE_OK)
        return false;
    r->asked_again = true;
    curl_multi_remove_handle(r->h->multi, r->easy);
    r->in_multi = false;
    r->error[0] = 0;
    tl_timer_set(&r->timer, after(tl_loop_now(r->h->loop), r->connect));
    add_to_multi(r);
    return true;
}

static void reap(tl_http *h)
{
    int left;
    for (CURLMsg *m; (m = curl_multi_info_read(h->multi, &left));) {
        if (m->msg != CURLMSG_DONE)
            continue;
        CURLcode code = m->data.result; /* read now: the handle takes it away */
        tl_http_request *r = NULL;
        curl_easy_getinfo(m->easy_handle, CURLINFO_PRIVATE, (char **)&r);
        if (r->cancelled)
            destroy(r);
        else if (!ask_again(r, code))
            finish_by_curl(r, code);
    }
}

static void act(tl_http *h, curl_socket_t fd, int flags)
{
    int running;
    h->in_curl++;
    curl_multi_socket_action(h->multi, fd, flags, &running);
    h->in_curl--;
    reap(h);
}

static void on_due(void *user)
{
    act(user, CURL_SOCKET_TIMEOUT, 0);
}

void tl_http_go(tl_http *h)
{
    if (h->in_curl || !h->settle_later.set)
        return;
    tl_defer_cancel(h->loop, &h->settle_later);
    settle(h);
    if (h->at_once.set) { /* libcurl's own start of a request */
        tl_defer_cancel(h->loop, &h->at_once);
        on_due(h);
    }
}

/* --- asking --- */

tl_http_ask tl_http_ask_default(void)
{
    return (tl_http_ask){
        .method = "GET", .connect = 10 * TL_SEC, .first_byte = TL_NEVER, .silence = TL_NEVER};
}

static bool set_method(tl_http_request *r, const tl_http_ask *ask)
{
    CURL *c = r->easy;
    if (strcmp(ask->method, "HEAD") == 0)
        return curl_easy_setopt(c, CURLOPT_NOBODY, 1L) == CURLE_OK;
    if (strcmp(ask->method, "GET") == 0 && ask->body.n == 0)
        return curl_easy_setopt(c, CURLOPT_HTTPGET, 1L) == CURLE_OK;
    const uint8_t *body = ask->body.p;
    if (!ask->borrow_body && ask->body.n) {
        if (tl_buf_append(&r->body, ask->body) != TL_OK)
            return false;
        body = tl_buf_begin(&r->body);
    }
    return curl_easy_setopt(c, CURLOPT_POST, 1L) == CURLE_OK &&
           curl_easy_setopt(c, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)ask->body.n) == CURLE_OK &&
           curl_easy_setopt(c, CURLOPT_POSTFIELDS, body ? (const char *)body : "") == CURLE_OK &&
           curl_easy_setopt(c, CURLOPT_CUSTOMREQUEST, ask->method) == CURLE_OK;
}

static bool set_options(tl_http_request *r, const tl_http_ask *ask)
{
    CURL *c = r->easy;
    const char *ca_file = getenv("SSL_CERT_FILE");
    return curl_easy_setopt(c, CURLOPT_PRIVATE, r) == CURLE_OK &&
           curl_easy_setopt(c, CURLOPT_URL, ask->url) == CURLE_OK &&
           curl_easy_setopt(c, CURLOPT_UNIX_SOCKET_PATH, ask->unix_path) == CURLE_OK &&
           curl_easy_setopt(c, CURLOPT_PROTOCOLS_STR, "http,https") == CURLE_OK &&
           curl_easy_setopt(c, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1) == CURLE_OK &&
           curl_easy_setopt(c, CURLOPT_FOLLOWLOCATION, 0L) == CURLE_OK &&
           curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L) == CURLE_OK &&
           curl_easy_setopt(c, CURLOPT_QUICK_EXIT, 1L) == CURLE_OK &&
           curl_easy_setopt(c, CURLOPT_TCP_NODELAY, 1L) == CURLE_OK &&
           curl_easy_setopt(c, CURLOPT_BUFFERSIZE, READ_SIZE) == CURLE_OK &&
           /* our own timer is the precise one; libcurl's default would cut a longer limit short */
           curl_easy_setopt(c, CURLOPT_CONNECTTIMEOUT, 86400L) == CURLE_OK &&
           curl_easy_setopt(c, CURLOPT_USERAGENT, "teale/" TL_VERSION) == CURLE_OK &&
           curl_easy_setopt(c, CURLOPT_HTTPHEADER, r->fields) == CURLE_OK &&
           curl_easy_setopt(c, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L) == CURLE_OK &&
           curl_easy_setopt(c, CURLOPT_ACCEPT_ENCODING, "identity") == CURLE_OK &&
           curl_easy_setopt(c, CURLOPT_ERRORBUFFER, r->error) == CURLE_OK &&
           curl_easy_setopt(c, CURLOPT_PREREQFUNCTION, on_connected) == CURLE_OK &&
           curl_easy_setopt(c, CURLOPT_PREREQDATA, r) == CURLE_OK &&
           curl_easy_setopt(c, CURLOPT_HEADERFUNCTION, on_header) == CURLE_OK &&
           curl_easy_setopt(c, CURLOPT_HEADERDATA, r) == CURLE_OK &&
           curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, on_write) == CURLE_OK &&
           curl_easy_setopt(c, CURLOPT_WRITEDATA, r) == CURLE_OK &&
           (!r->target.direct || curl_easy_setopt(c, CURLOPT_PROXY, "") == CURLE_OK) &&
           (!ca_file || curl_easy_setopt(c, CURLOPT_CAINFO, ca_file) == CURLE_OK) &&
           set_method(r, ask);
}

tl_err tl_http_start(tl_http *h, const tl_http_ask *ask, const tl_http_events *events, void *user,
                     tl_http_request **ret_request, tl_why *why)
{
    tl_http_request *r = calloc(1, sizeof *r);
    if (!r)
        return TL_ERR_NOMEM;
    *r = (tl_http_request){.h = h,
                           .events = *events,
                           .user = user,
                           .connect = ask->connect,
                           .first_byte = ask->first_byte,
                           .silence = ask->silence};
    tl_timer_init(&r->timer, h->loop, on_limit, r);
    DL_APPEND(h->all, r);
    tl_err e = tl_http_target_parse(ask, &r->target, why);
    if (e == TL_OK)
        e = tl_http_lines(ask, &r->fields, why);
    if (e == TL_OK && (!(r->easy = curl_easy_init()) || !set_options(r, ask)))
        e = TL_ERR_NOMEM;
    if (e != TL_OK) {
        destroy(r);
        return e;
    }
    make_due(r);
    *ret_request = r;
    return TL_OK;
}

void tl_http_cancel(tl_http_request *r)
{
    if (r->h->in_curl == 0) {
        destroy(r);
        return;
    }
    r->cancelled = true;
    tl_timer_stop(&r->timer);
    tl_resolve_free(r->resolve); /* its answer may come before `settle` does */
    r->resolve = NULL;
    make_due(r);
}

void tl_http_set_paused(tl_http_request *r, bool on)
{
    if (r->paused == on)
        return;
    r->paused = on;
    if (r->phase == BODY) {
        r->last_byte = tl_loop_now(r->h->loop);
        tl_timer_set(&r->timer, on ? TL_NEVER : after(r->last_byte, r->silence));
    }
    if (r->held && !on)
        make_due(r);
}

void tl_http_set_silence(tl_http_request *r, tl_time silence)
{
    r->silence = silence;
    if (r->phase == BODY && !r->paused)
        tl_timer_set(&r->timer, after(r->last_byte, silence));
}

const char *tl_http_head_field(const tl_http_head *head, const char *name)
{
    struct curl_header *h = NULL;
    return curl_easy_header(head->easy, name, 0, CURLH_HEADER, -1, &h) == CURLHE_OK ? h->value
                                                                                    : NULL;
}

/* --- the client --- */

tl_err tl_http_new(tl_loop *loop, tl_http **ret_http)
{
    tl_http *h = calloc(1, sizeof *h);
    if (!h)
        return TL_ERR_NOMEM;
    h->loop = loop;
    tl_timer_init(&h->timer, loop, on_due, h);
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) {
        free(h);
        return TL_ERR_NOMEM;
    }
    h->multi = curl_multi_init();
    if (!h->multi ||
        curl_multi_setopt(h->multi, CURLMOPT_SOCKETFUNCTION, on_socket_wanted) != CURLM_OK ||
        curl_multi_setopt(h->multi, CURLMOPT_SOCKETDATA, h) != CURLM_OK ||
        curl_multi_setopt(h->multi, CURLMOPT_TIMERFUNCTION, on_timeout_wanted) != CURLM_OK ||
        curl_multi_setopt(h->multi, CURLMOPT_TIMERDATA, h) != CURLM_OK ||
        curl_multi_setopt(h->multi, CURLMOPT_PIPELINING, CURLPIPE_NOTHING) != CURLM_OK ||
        curl_multi_setopt(h->multi, CURLMOPT_MAXCONNECTS, IDLE_CONNECTIONS_MAX) != CURLM_OK) {
        tl_http_free(h);
        return TL_ERR_NOMEM;
    }
    *ret_http = h;
    return TL_OK;
}

void tl_http_free(tl_http *h)
{
    if (!h)
        return;
    tl_http_request *r, *following;
    DL_FOREACH_SAFE (h->all, r, following) {
        destroy(r);
    }
    if (h->multi)
        curl_multi_cleanup(h->multi);
    tl_timer_stop(&h->timer);
    tl_defer_cancel(h->loop, &h->settle_later);
    tl_defer_cancel(h->loop, &h->at_once);
    free(h);
    curl_global_cleanup();
}
