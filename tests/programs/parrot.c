/* parrot - a small OpenAI-compatible model server for tests and the demo: it says the prompt's
 * words back, plays the servers people run (--kind), and misbehaves on demand (--fail, or a model
 * named fail:MODE). Models with a meaning of their own: echo-body (SHA-256, length and type of the
 * request's body), bytes:N (N bytes of a known pattern), tool-call (calls the first tool). Not for
 * real use. */
#include "parrot.h"

#include "base/addr.h"
#include "base/json.h"

#include <errno.h>
#include <getopt.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

pthread_mutex_t parrot_lock = PTHREAD_MUTEX_INITIALIZER;
parrot_options parrot_opt = {.kind = "generic"};
parrot_stats parrot_count;

int64_t parrot_unix_ms(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_REALTIME, &ts);
    return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

/* What tells the servers apart, as they answer themselves (Ollama 0.5, llama.cpp b4000, vLLM 0.6,
 * LM Studio 0.3). */
static const struct kind {
    const char *name, *server, *owned_by;
    const char *path, *body; /* the route that only this kind has */
} kinds[] = {
    {"generic", "parrot", "parrot", NULL, NULL},
    {"ollama", "parrot", "library", "/api/version", "{\"version\":\"0.5.7\"}"},
    {"llama-server", "llama.cpp", "llamacpp", "/props",
     "{\"default_generation_settings\":{\"n_ctx\":4096},\"total_slots\":4,\"chat_template\":\"\"}"},
    {"vllm", "uvicorn", "vllm", "/version", "{\"version\":\"0.6.6\"}"},
    {"lmstudio", "parrot", "organization_owner", "/api/v0/models",
     "{\"object\":\"list\",\"data\":[]}"},
};

static const struct kind *kind_now(void)
{
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
        if (strcmp(kinds[i].name, parrot_opt.kind) == 0)
            return &kinds[i];
    return NULL;
}

static bool answer_json(parrot_conn *c, json_t *o)
{
    char *text = o ? json_dumps(o, JSON_COMPACT) : NULL;
    bool ok = text && parrot_answer(c, 200, "", "application/json", text);
    free(text);
    json_decref(o);
    return ok;
}

static bool answer_models(parrot_conn *c)
{
    json_t *data = json_array();
    pthread_mutex_lock(&parrot_lock);
    for (size_t i = 0; i < parrot_opt.model_count; i++)
        json_array_append_new(data, json_pack("{s:s, s:s, s:i, s:s}", "id", parrot_opt.model[i],
                                              "object", "model", "created", 1700000000, "owned_by",
                                              kind_now()->owned_by));
    pthread_mutex_unlock(&parrot_lock);
    return answer_json(c, json_pack("{s:s, s:o}", "object", "list", "data", data));
}

static bool answer_stats(parrot_conn *c)
{
    pthread_mutex_lock(&parrot_lock);
    parrot_stats s = parrot_count;
    pthread_mutex_unlock(&parrot_lock);
    return answer_json(c, json_pack("{s:I, s:I, s:I, s:I, s:I, s:I}", "active",
                                    (json_int_t)s.active, "served", (json_int_t)s.served,
                                    "cancelled", (json_int_t)s.cancelled, "last_cancel_unix_ms",
                                    (json_int_t)s.last_cancel_unix_ms, "connections",
                                    (json_int_t)s.connections, "bad", (json_int_t)s.bad));
}

static bool set_models(const json_t *models)
{
    if (!json_is_array(models) || json_array_size(models) > PARROT_MODELS_MAX)
        return false;
    parrot_opt.model_count = 0;
    for (size_t i = 0; i < json_array_size(models); i++) {
        const char *id = json_string_value(json_array_get(models, i));
        if (!id)
            return false;
        snprintf(parrot_opt.model[parrot_opt.model_count++], sizeof parrot_opt.model[0], "%s", id);
    }
    return true;
}

/* POST /parrot/config {"models":[...], "fail":"MODE"}: either or both, from now on. */
static bool configure(parrot_conn *c, const parrot_request *r)
{
    json_t *o = NULL;
    if (tl_json_parse(tl_buf_slice(&r->body), 8, &o, NULL) != TL_OK)
        return parrot_answer_error(c, 400, "", "invalid_json");
    pthread_mutex_lock(&parrot_lock);
    bool ok = !json_object_get(o, "models") || set_models(json_object_get(o, "models"));
    snprintf(parrot_opt.fail, sizeof parrot_opt.fail, "%s",
             tl_json_string(o, "fail", parrot_opt.fail));
    pthread_mutex_unlock(&parrot_lock);
    json_decref(o);
    return ok ? answer_json(c, json_object()) : parrot_answer_error(c, 400, "", "invalid_models");
}

/* Counts around a question, and reports one that its client gave up. */
static bool question(parrot_conn *c, const parrot_request *r)
{
    int64_t begun = parrot_unix_ms();
    pthread_mutex_lock(&parrot_lock);
    parrot_count.active++;
    pthread_mutex_unlock(&parrot_lock);
    bool ok = parrot_chat(c, r);
    int64_t now = parrot_unix_ms();
    /* An answer may also end the connection by our own choice: then the client is still there. */
    bool cancelled = !ok && !parrot_wait(c, 0);
    pthread_mutex_lock(&parrot_lock);
    parrot_count.active--;
    parrot_count.served += ok;
    parrot_count.cancelled += cancelled;
    if (cancelled)
        parrot_count.last_cancel_unix_ms = now;
    pthread_mutex_unlock(&parrot_lock);
    if (cancelled)
        fprintf(stderr, "cancelled at %lld.%03lld after %lld ms\n", (long long)now / 1000,
                (long long)now % 1000, (long long)(now - begun));
    return ok;
}

static bool key_is_right(const parrot_request *r)
{
    return !parrot_opt.api_key || (strncmp(r->authorization, "Bearer ", 7) == 0 &&
                                   strcmp(r->authorization + 7, parrot_opt.api_key) == 0);
}

static bool dispatch(parrot_conn *c, const parrot_request *r)
{
    bool get = strcmp(r->method, "GET") == 0, post = strcmp(r->method, "POST") == 0;
    const struct kind *kind = kind_now();
    if (get && strcmp(r->path, "/parrot/stats") == 0)
        return answer_stats(c);
    if (post && strcmp(r->path, "/parrot/config") == 0)
        return configure(c, r);
    if (get && kind->path && strcmp(r->path, kind->path) == 0)
        return parrot_answer(c, 200, "", "application/json", kind->body);
    if (!key_is_right(r))
        return parrot_answer_error(c, 401, "", "invalid_api_key");
    if (get && strcmp(r->path, "/v1/models") == 0)
        return answer_models(c);
    if (post && strcmp(r->path, "/v1/chat/completions") == 0)
        return question(c, r);
    return parrot_answer_error(c, 404, "", "not_found");
}

static void *serve(void *arg)
{
    parrot_conn c = {.fd = (int)(intptr_t)arg};
    setsockopt(c.fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
    for (bool go = true; go;) {
        parrot_request r;
        parrot_got got = parrot_read(&c, &r);
        go = got == PARROT_REQUEST && dispatch(&c, &r) && r.keep_alive;
        tl_buf_clear(&r.body);
        if (got == PARROT_BAD) {
            pthread_mutex_lock(&parrot_lock);
            parrot_count.bad++;
            pthread_mutex_unlock(&parrot_lock);
        }
    }
    tl_buf_clear(&c.in);
    close(c.fd);
    return NULL;
}

static int listen_on(const char *text, tl_addr *ret_addr)
{
    struct sockaddr_storage ss;
    if (tl_addr_parse(tl_slice_str(text), ret_addr) != TL_OK) {
        fprintf(stderr, "parrot: --listen takes IP:PORT, not %s\n", text);
        return -1;
    }
    socklen_t n = tl_addr_to_sockaddr(ret_addr, &ss);
    int fd = socket(ss.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &(int){1}, sizeof(int)) != 0 ||
        bind(fd, (struct sockaddr *)&ss, n) != 0 || listen(fd, 1024) != 0 ||
        getsockname(fd, (struct sockaddr *)&ss, &n) != 0) {
        fprintf(stderr, "parrot: %s: %s\n", text, strerror(errno));
        if (fd >= 0)
            close(fd);
        return -1;
    }
    *ret_addr = tl_addr_from_sockaddr((struct sockaddr *)&ss);
    return fd;
}

static void accept_for_ever(int fd)
{
    pthread_attr_t attr;
    pthread_attr_init(&attr);
    pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
    pthread_attr_setstacksize(&attr,
                              256 << 10); /* a thousand questions at once are a thousand threads */
    for (;;) {
        int client = accept4(fd, NULL, NULL, SOCK_CLOEXEC);
        if (client < 0) {
            struct timespec rest = {.tv_nsec = 10000000};
            nanosleep(&rest, NULL); /* out of descriptors: let some close */
            continue;
        }
        pthread_mutex_lock(&parrot_lock);
        parrot_count.connections++;
        pthread_mutex_unlock(&parrot_lock);
        pthread_t thread;
        if (pthread_create(&thread, &attr, serve, (void *)(intptr_t)client) != 0)
            close(client);
    }
}

static const char usage[] =
    "usage: parrot [--listen IP:PORT] [--model ID]... [--kind "
    "ollama|llama-server|vllm|lmstudio|generic]\n"
    "              [--delay-ms N] [--token-ms N] [--tokens N] [--bytes-per-s N] [--api-key K]\n"
    "              [--fail MODE]\n"
    "       parrot --pattern-sha256 N    the SHA-256 of what model bytes:N answers\n"
    "MODE: hang slow-head stall close close-mid garbage huge-header no-done status-NNN\n";

int main(int argc, char **argv)
{
    static const struct option long_options[] = {
        {"listen", 1, 0, 'l'},      {"model", 1, 0, 'm'},    {"kind", 1, 0, 'k'},
        {"delay-ms", 1, 0, 'd'},    {"token-ms", 1, 0, 't'}, {"tokens", 1, 0, 'n'},
        {"api-key", 1, 0, 'a'},     {"fail", 1, 0, 'f'},     {"pattern-sha256", 1, 0, 'p'},
        {"bytes-per-s", 1, 0, 'b'}, {"help", 0, 0, 'h'},     {0}};
    const char *listen_text = "127.0.0.1:0";
    char hex[65];
    for (int o; (o = getopt_long(argc, argv, "", long_options, NULL)) != -1;) {
        switch (o) {
        case 'l': listen_text = optarg; break;
        case 'm':
            if (parrot_opt.model_count < PARROT_MODELS_MAX)
                snprintf(parrot_opt.model[parrot_opt.model_count++], sizeof parrot_opt.model[0],
                         "%s", optarg);
            break;
        case 'k': parrot_opt.kind = optarg; break;
        case 'd': parrot_opt.delay_ms = atoi(optarg); break;
        case 't': parrot_opt.token_ms = atoi(optarg); break;
        case 'n': parrot_opt.tokens = atoi(optarg); break;
        case 'a': parrot_opt.api_key = optarg; break;
        case 'f': snprintf(parrot_opt.fail, sizeof parrot_opt.fail, "%s", optarg); break;
        case 'b': parrot_opt.bytes_per_s = strtoull(optarg, NULL, 10); break;
        case 'p': parrot_pattern_sha256(strtoull(optarg, NULL, 10), hex); return puts(hex) < 0;
        case 'h': return fputs(usage, stdout) < 0;
        default: fputs(usage, stderr); return 2;
        }
    }
    if (optind < argc || !kind_now()) {
        fputs(usage, stderr);
        return 2;
    }
    parrot_server = kind_now()->server;
    if (parrot_opt.model_count == 0)
        strcpy(parrot_opt.model[parrot_opt.model_count++], "parrot");
    struct rlimit files;
    if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
        files.rlim_cur = files.rlim_max; /* a thousand clients at once are a test */
        setrlimit(RLIMIT_NOFILE, &files);
    }
    tl_addr addr;
    char text[TL_ADDR_TEXT_MAX];
    int fd = listen_on(listen_text, &addr);
    if (fd < 0)
        return 1;
    signal(SIGPIPE, SIG_IGN);
    tl_addr_write(text, &addr);
    printf("ready http://%s\n", text);
    fflush(stdout);
    accept_for_ever(fd);
}
