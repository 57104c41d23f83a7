#include "backend/backend.h"

#include "backend/backend_exchange.h"
#include "backend/backend_probe.h"
#include "backend/backend_slots.h"
#include "base/log.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include <utlist.h>

#define BASE_MAX      512
#define KEY_MAX       1024         /* OpenAI's keys are shorter than 200 characters */
#define SEARCH_LIMIT  (2 * TL_SEC) /* of a look while we try ports, where any program may listen */
#define BACKOFF_MIN   TL_SEC
#define BACKOFF_MAX   (30 * TL_SEC)
#define RECHECK_MIN   (250 * TL_MS) /* failing questions do not make us look more often */
#define IDLE_AFTER    TL_MIN        /* after this time without a question, looks are rarer */
/* A multiple of the connections' keepalive, so that an idle node wakes once for both. */
#define IDLE_INTERVAL (25 * TL_SEC)
#define SLOTS_EVERY   (60 * TL_SEC) /* while it is up, it is asked for its slots no more often */

struct tl_backend {
    tl_loop *loop;
    tl_http *http;
    tl_backend_config config;
    tl_backend_events events;
    void *user;

    /* NONE <--> UP (searching); TRYING --> UP or REFUSED; UP, REFUSED and DOWN lead to each other.
     * Only `become` assigns it. */
    tl_backend_state state;
    tl_backend_trouble trouble;
    char base[BASE_MAX];   /* "" = none found yet */
    bool searching;        /* no URL was given */
    size_t search_i;       /* index of the port to try next */
    char locked[BASE_MAX]; /* of this round: the first server that wants a key; "" = none */
    const char *kind;      /* NULL = not known */
    char error[BASE_MAX + 256];
    tl_backend_models models; /* empty unless UP */
    char key[KEY_MAX];

    tl_timer timer; /* for the next look */
    tl_backend_probe *probe;
    tl_backend_slots_look *slots_look;
    tl_time slots_at;       /* the last look at them; 0 = none since the server was found */
    unsigned slots;         /* 0 = it does not tell */
    char probing[BASE_MAX]; /* the server at which the running look is directed */
    tl_time probe_at, backoff, active_at;
    tl_backend_exchange *running;
    size_t running_n;
    bool look_owed;   /* a look was due while questions ran: it begins when none runs */
    bool look_anyway; /* look even while questions run: the server refused a connection */
};

static void look(void *user);

tl_backend_config tl_backend_config_default(void)
{
    return (tl_backend_config){.first_byte = 300 * TL_SEC,
                               .silence = 120 * TL_SEC,
                               .health_interval = 10 * TL_SEC,
                               .look_limit = 5 * TL_SEC,
                               .running_max = 1024,
                               .search_ports = {11434 /* Ollama */, 8080 /* llama-server */,
                                                8000 /* vLLM */, 1234 /* LM Studio */}};
}

/* --- the configuration --- */

/* "http://host:1/v1/" -> "http://host:1"; a missing scheme is http. */
static tl_err read_url(const char *url, char ret_base[BASE_MAX], tl_why *why)
{
    size_t n = strlen(url);
    for (size_t i = 0; i < n; i++)
        if (url[i] <= 0x20 || url[i] >= 0x7f || url[i] == '?' || url[i] == '#' || url[i] == '@')
            return tl_why_set(
                why, TL_ERR_INVALID,
                "the model server's URL should look like http://127.0.0.1:11434 (a key "
                "goes into a file: backend_key_file)");
    while (n && url[n - 1] == '/')
        n--;
    if (n >= 3 && memcmp(url + n - 3, "/v1", 3) == 0)
        n -= 3;
    while (n && url[n - 1] == '/')
        n--;
    int len =
        snprintf(ret_base, BASE_MAX, "%s%.*s", strstr(url, "://") ? "" : "http://", (int)n, url);
    return len < BASE_MAX - 32
               ? TL_OK
               : tl_why_set(why, TL_ERR_INVALID, "the model server's URL is too long");
}

/* Reads the key: the file's text without white space at its end. */
static tl_err read_key(const char *path, char ret_key[KEY_MAX], tl_why *why)
{
    char key[KEY_MAX + 1];
    struct stat st;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK); /* O_NONBLOCK: open must not
                                                                          wait if the file is a
                                                                          FIFO */
    if (fd < 0 || fstat(fd, &st) != 0 || !S_ISREG(st.st_mode)) {
        tl_err e = tl_why_set(why, TL_ERR_IO, "cannot read the model server's key file %s: %s",
                              path, fd >= 0 ? "it is not a regular file" : strerror(errno));
        if (fd >= 0)
            close(fd);
        return e;
    }
    ssize_t n = read(fd, key, sizeof key);
    close(fd);
    if (n < 0)
        return tl_why_set(why, TL_ERR_IO, "cannot read the model server's key file %s: %s", path,
                          strerror(errno));
    if (st.st_mode & (S_IROTH | S_IWOTH))
        tl_log(TL_LOG_WARN, "everybody on this machine can read the key in %s: chmod 600 it",
               tl_log_safe(tl_slice_str(path)).text);
    tl_err e = TL_OK;
    while (n > 0 && strchr(" \t\r\n", key[n - 1]))
        n--;
    if (n == 0 || n >= KEY_MAX)
        e = tl_why_set(why, TL_ERR_INVALID, "the model server's key file %s %s", path,
                       n == 0 ? "is empty" : "is too long to hold only a key");
    for (ssize_t i = 0; e == TL_OK && i < n; i++)
        if (key[i] <= 0x20 || key[i] >= 0x7f)
            e = tl_why_set(why, TL_ERR_INVALID,
                           "the model server's key file %s must hold the key alone, on one line",
                           path);
    if (e == TL_OK) {
        memcpy(ret_key, key, (size_t)n);
        ret_key[n] = 0;
    }
    explicit_bzero(key, sizeof key);
    return e;
}

/* --- the state --- */

/* Takes the new state and the models over. Tells the user if something that the user sees
 * changed. */
static void become(tl_backend *b, tl_backend_state state, tl_backend_trouble trouble,
                   tl_backend_models *models, const char *kind, const char *error)
{
    bool changed = state != b->state || trouble != b->trouble ||
                   !tl_backend_models_eq(models, &b->models) || kind != b->kind;
    assert((state == TL_BACKEND_UP) == (trouble == TL_BACKEND_NO_TROUBLE));
    assert(state == TL_BACKEND_UP || models->n == 0);
    tl_backend_models_clear(&b->models);
    b->models = *models;
    *models = (tl_backend_models){0};
    b->state = state;
    b->trouble = trouble;
    b->kind = kind;
    snprintf(b->error, sizeof b->error, "%s", error);
    if (changed && b->events.on_change)
        b->events.on_change(b->user);
}

/* While nobody asks, looks are rarer, and at multiples of the interval. */
static tl_time next_look_while_up(const tl_backend *b, tl_time now)
{
    if (now - b->active_at < IDLE_AFTER || b->config.health_interval >= IDLE_INTERVAL)
        return now + b->config.health_interval;
    return (now / IDLE_INTERVAL + 1) * IDLE_INTERVAL;
}

static void on_slots(void *user, unsigned slots)
{
    tl_backend *b = user;
    b->slots_look = NULL;
    if (slots == b->slots)
        return;
    if (slots)
        tl_log(TL_LOG_INFO, "model server: it answers %u questions at once", slots);
    b->slots = slots;
    if (b->events.on_change)
        b->events.on_change(b->user);
}

/* The server is up: how many questions does it answer at once? */
static void look_at_slots(tl_backend *b)
{
    tl_time now = tl_loop_now(b->loop);
    bool askable = b->kind && tl_backend_slots_askable(b->kind);
    if (!askable)
        b->slots = 0;
    if (!askable || b->slots_look || (b->slots_at && now - b->slots_at < SLOTS_EVERY))
        return;
    b->slots_at = now;
    if (tl_backend_slots_start(b->http, b->base, b->key, b->kind, b->config.look_limit, on_slots, b,
                               &b->slots_look))
        b->slots_look = NULL;
}

static void found_up(tl_backend *b, tl_backend_models *models, const char *kind)
{
    if (b->state != TL_BACKEND_UP)
        b->slots_at = 0; /* it may have been started anew, with other settings */
    if (b->state != TL_BACKEND_UP || strcmp(b->base, b->probing) != 0)
        tl_log(TL_LOG_INFO, "model server: %s at %s, %zu models", kind, b->probing, models->n);
    snprintf(b->base, sizeof b->base, "%s", b->probing);
    b->backoff = BACKOFF_MIN;
    b->search_i = 0;
    tl_timer_set(&b->timer, next_look_while_up(b, tl_loop_now(b->loop)));
    become(b, TL_BACKEND_UP, TL_BACKEND_NO_TROUBLE, models, kind, "");
    look_at_slots(b);
}

static bool has_port(const tl_backend *b, size_t i)
{
    return i < TL_BACKEND_SEARCH_MAX && b->config.search_ports[i];
}

/* What an unsuccessful look means. */
static tl_backend_trouble trouble_of(const tl_backend *b, tl_err e)
{
    if (b->searching)
        return b->locked[0] && !b->base[0] ? TL_BACKEND_FOUND_LOCKED : TL_BACKEND_NONE_FOUND;
    switch (e) {
    case TL_ERR_FORBIDDEN: return b->key[0] ? TL_BACKEND_KEY_REFUSED : TL_BACKEND_WANTS_KEY;
    case TL_ERR_PROTO:
    case TL_ERR_TOO_LARGE: return TL_BACKEND_NOT_ONE;
    default: return TL_BACKEND_SILENT;
    }
}

static void write_ports(const tl_backend *b, char *ret, size_t size)
{
    size_t n = (size_t)snprintf(ret, size, "no model server found on this machine's usual ports (");
    for (size_t i = 0; has_port(b, i); i++)
        n += (size_t)snprintf(ret + n, size - n, "%s%u", i ? ", " : "", b->config.search_ports[i]);
    snprintf(ret + n, size - n, ")");
}

/* Writes what a person should know. */
static void write_error(const tl_backend *b, tl_backend_trouble trouble, const char *why, char *ret,
                        size_t size)
{
    switch (trouble) {
    case TL_BACKEND_WANTS_KEY:
        snprintf(ret, size, "the model server at %s wants a key", b->base);
        break;
    case TL_BACKEND_KEY_REFUSED:
        snprintf(ret, size, "the model server at %s refuses the key that it is given", b->base);
        break;
    case TL_BACKEND_NONE_FOUND:
    case TL_BACKEND_FOUND_LOCKED:
        if (b->base[0])
            snprintf(ret, size, "the model server at %s is gone, and no other was found", b->base);
        else if (b->locked[0])
            snprintf(ret, size,
                     "no model server found on this machine's usual ports but one that wants a "
                     "key, at %s",
                     b->locked);
        else
            write_ports(b, ret, size);
        break;
    default:
        snprintf(ret, size, "%s does not answer as a model server: ", b->base);
        tl_log_safe_write(tl_slice_str(why), ret + strlen(ret), size - strlen(ret));
    }
}

/* The state after an unsuccessful look. */
static tl_backend_state state_after(const tl_backend *b, tl_backend_trouble trouble)
{
    if (trouble == TL_BACKEND_WANTS_KEY || trouble == TL_BACKEND_KEY_REFUSED)
        return TL_BACKEND_REFUSED;
    return b->state == TL_BACKEND_UP || b->state == TL_BACKEND_REFUSED ? TL_BACKEND_DOWN : b->state;
}

static void found_not_up(tl_backend *b, tl_err e, const char *why)
{
    tl_time now = tl_loop_now(b->loop);
    bool gone = e == TL_ERR_UNREACHABLE || e == TL_ERR_AUTH;
    if (!gone && b->state == TL_BACKEND_UP && b->running_n) {
        /* The server is busy with our questions: some answer nothing else in this time, or refuse. */
        tl_timer_set(&b->timer, now + b->config.health_interval);
        return;
    }
    if (b->searching && e == TL_ERR_FORBIDDEN && !b->locked[0])
        snprintf(b->locked, sizeof b->locked, "%s", b->probing);
    if (b->searching && b->state != TL_BACKEND_UP && has_port(b, ++b->search_i)) {
        look(b);
        return;
    }
    tl_backend_trouble trouble = trouble_of(b, e);
    char error[sizeof b->error];
    write_error(b, trouble, why, error, sizeof error);
    if (trouble != b->trouble) /* log it only when it is news */
        tl_log(TL_LOG_WARN, "%s", error);
    b->search_i = 0;
    tl_timer_set(&b->timer, now + b->backoff);
    b->backoff = tl_time_min(2 * b->backoff, BACKOFF_MAX);
    tl_backend_models none = {0};
    become(b, state_after(b, trouble), trouble, &none, b->kind, error);
}

static void on_probe_done(void *user, tl_err e, tl_backend_models *models, const char *kind,
                          const char *why)
{
    tl_backend *b = user;
    b->probe = NULL;
    if (e == TL_OK)
        found_up(b, models, kind);
    else
        found_not_up(b, e, why);
}

/* This server breaks off a running answer when it is asked anything else. So it is looked at between
 * questions alone; its models never change while it runs. */
static bool breaks_off_when_asked(const tl_backend *b)
{
    return b->kind && strcmp(b->kind, TL_BACKEND_ONE_AT_A_TIME) == 0;
}

/* Begins one look: at the server we know, or, while searching, at the next port. */
static void look(void *user)
{
    tl_backend *b = user;
    tl_why why = {0};
    if (b->probe)
        return;
    b->look_owed = b->running_n > 0 && b->state == TL_BACKEND_UP && !b->look_anyway &&
                   breaks_off_when_asked(b);
    if (b->look_owed)
        return;
    b->look_anyway = false;
    b->probe_at = tl_loop_now(b->loop);
    bool search = b->searching && b->state != TL_BACKEND_UP;
    if (search && b->search_i == 0)
        b->locked[0] = 0;
    if (search)
        snprintf(b->probing, sizeof b->probing, "http://127.0.0.1:%u",
                 b->config.search_ports[b->search_i]);
    else
        snprintf(b->probing, sizeof b->probing, "%s", b->base);
    /* Read the key again: when the key file was mended, no restart is needed. */
    if (b->config.key_file[0] && b->state != TL_BACKEND_UP && !b->searching &&
        read_key(b->config.key_file, b->key, &why) != TL_OK)
        tl_log(TL_LOG_WARN, "%s", why.text);
    tl_backend_probe_ask ask = {.base = b->probing,
                                .key = b->key,
                                .kind = b->state == TL_BACKEND_UP ? b->kind : NULL,
                                .limit = search ? tl_time_min(SEARCH_LIMIT, b->config.look_limit)
                                                : b->config.look_limit};
    if (tl_backend_probe_start(b->http, &ask, on_probe_done, b, &b->probe, &why) != TL_OK) {
        b->probe = NULL;
        tl_timer_set(&b->timer, b->probe_at + b->backoff);
    }
}

static void look_soon(tl_backend *b, bool whatever_runs)
{
    b->look_anyway |= whatever_runs;
    if (b->probe)
        return;
    tl_time now = tl_loop_now(b->loop), soonest = b->probe_at + RECHECK_MIN;
    tl_timer_set(&b->timer, tl_time_min(b->timer.at, soonest > now ? soonest : now));
}

/* --- questions --- */

static void on_over(void *owner, tl_backend_exchange *x, const tl_fail *fail)
{
    tl_backend *b = owner;
    DL_DELETE(b->running, x);
    b->running_n--;
    b->active_at = tl_loop_now(b->loop);
    if (fail && (*fail == TL_FAIL_BACKEND_ERROR || *fail == TL_FAIL_BACKEND_AUTH ||
                 *fail == TL_FAIL_TIMEOUT || *fail == TL_FAIL_BACKEND_UNREACHABLE))
        b->look_owed = true;
    bool gone = fail && *fail == TL_FAIL_BACKEND_UNREACHABLE;
    if (b->look_owed && (gone || b->running_n == 0))
        look_soon(b, gone);
}

tl_err tl_backend_ask(tl_backend *b, const tl_ask *ask, const tl_exchange_sink *sink, void *user,
                      tl_exchange **ret_exchange)
{
    tl_backend_exchange *x = NULL;
    tl_err e;
    b->active_at = tl_loop_now(b->loop);
    if (b->running_n >= b->config.running_max) {
        e = tl_backend_exchange_refuse(b->loop, TL_FAIL_QUEUE_FULL,
                                       "as many questions as allowed are running", sink, user, &x);
    } else if (!b->base[0]) {
        e = tl_backend_exchange_refuse(b->loop, TL_FAIL_BACKEND_UNREACHABLE,
                                       "no model server was found", sink, user, &x);
    } else {
        tl_backend_route route = {.loop = b->loop,
                                  .http = b->http,
                                  .base = b->base,
                                  .key = b->key,
                                  .first_byte = b->config.first_byte,
                                  .silence = b->config.silence};
        e = tl_backend_exchange_start(&route, ask, sink, user, &x);
    }
    if (e != TL_OK)
        return e;
    x->owner = b;
    x->on_over = on_over;
    DL_APPEND(b->running, x);
    b->running_n++;
    *ret_exchange = &x->exchange;
    return TL_OK;
}

/* --- the whole --- */

tl_err tl_backend_new(tl_loop *loop, const tl_backend_config *config,
                      const tl_backend_events *events, void *user, tl_backend **ret_backend,
                      tl_why *why)
{
    tl_backend *b = calloc(1, sizeof *b);
    if (!b)
        return TL_ERR_NOMEM;
    b->loop = loop;
    b->config = *config;
    if (events)
        b->events = *events;
    b->user = user;
    b->backoff = BACKOFF_MIN;
    b->active_at = tl_loop_now(loop);
    b->searching = !config->url[0];
    b->state = b->searching ? TL_BACKEND_NONE : TL_BACKEND_TRYING;
    tl_timer_init(&b->timer, loop, look, b);
    tl_err e = b->searching ? TL_OK : read_url(config->url, b->base, why);
    if (e == TL_OK && config->key_file[0] && b->searching)
        tl_log(TL_LOG_WARN, "backend_key_file is used only with the URL of its server");
    else if (e == TL_OK && config->key_file[0])
        e = read_key(config->key_file, b->key, why);
    if (e == TL_OK)
        e = tl_http_new(loop, &b->http);
    if (e == TL_OK && !b->searching) {
        /* Does libcurl accept the URL? To find out, a request is started and cancelled at once;
         * nothing is sent. */
        tl_http_ask ask = tl_http_ask_default();
        tl_http_request *r;
        static const tl_http_events none;
        ask.url = b->base;
        e = tl_http_start(b->http, &ask, &none, NULL, &r, why);
        if (e == TL_OK)
            tl_http_cancel(r);
    }
    if (e != TL_OK) {
        tl_backend_free(b);
        return e;
    }
    tl_timer_set(&b->timer, tl_loop_now(loop));
    *ret_backend = b;
    return TL_OK;
}

void tl_backend_free(tl_backend *b)
{
    if (!b)
        return;
    b->events.on_change = NULL;
    while (b->running)
        tl_backend_exchange_fail(b->running, TL_FAIL_UNAVAILABLE, "this node stops sharing");
    if (b->probe)
        tl_backend_probe_cancel(b->probe);
    if (b->slots_look)
        tl_backend_slots_cancel(b->slots_look);
    tl_http_free(b->http);
    tl_timer_stop(&b->timer);
    tl_backend_models_clear(&b->models);
    explicit_bzero(b->key, sizeof b->key);
    free(b);
}

void tl_backend_go(tl_backend *b)
{
    tl_http_go(b->http);
}

tl_backend_state tl_backend_state_of(const tl_backend *b)
{
    return b->state;
}

tl_backend_trouble tl_backend_trouble_of(const tl_backend *b)
{
    return b->trouble;
}

const char *tl_backend_url(const tl_backend *b)
{
    return b->base;
}

const char *tl_backend_locked(const tl_backend *b)
{
    return b->locked;
}

const char *tl_backend_kind(const tl_backend *b)
{
    return b->kind ? b->kind : "OpenAI-compatible";
}

const char *tl_backend_error(const tl_backend *b)
{
    return b->error;
}

size_t tl_backend_model_count(const tl_backend *b)
{
    return b->models.n;
}

const char *tl_backend_model(const tl_backend *b, size_t i)
{
    return i < b->models.n ? b->models.id[i] : "";
}

size_t tl_backend_running(const tl_backend *b)
{
    return b->running_n;
}

unsigned tl_backend_slots(const tl_backend *b)
{
    return b->slots;
}
