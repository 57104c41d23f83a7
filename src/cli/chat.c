#include "cli/chat.h"

#include "cli/chat_status.h"
#include "cli/chat_who.h"
#include "cli/daemon.h"

#include <time.h>

#define PREPARE_WITHIN (300 * TL_MS) /* a node that is too busy for this is asked all the same */

static tl_time now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (tl_time)t.tv_sec * TL_SEC + (tl_time)t.tv_nsec;
}

/* Shows that time passes while there is no answer to read yet, or no more of it. */
static void on_tick(void *user, tl_time waited)
{
    tl_chat *c = user;
    if (c->failed)
        return;
    if (!c->answer.len)
        tl_waiting_tick(&c->waiting, waited);
    else
        tl_silence_tick(&c->silence, now());
}

static void stop_waiting(tl_chat *c)
{
    tl_waiting_end(&c->waiting);
    tl_silence_end(&c->silence);
}

static void on_text(tl_chat *c, const char *text)
{
    tl_slice t = tl_slice_str(text);
    stop_waiting(c);
    c->last = now();
    if (t.n && !c->pieces++)
        c->first = c->last;
    if (!c->json) {
        tl_out_text(stdout, t, true);
        fflush(stdout);
    }
    if (tl_buf_append(&c->answer, t))
        c->e = TL_ERR_NOMEM;
}

/* Of what comes in the middle of an answer: "waiting for=path seconds=4 peer=3f9a..." */
static void on_silence(tl_chat *c, const char *line)
{
    char what[16], node[TL_NODE_ID_HEX + 1] = "", who[sizeof c->silence.who];
    unsigned seconds;
    if (c->json ||
        sscanf(line, "waiting for=%15[a-z] seconds=%6u peer=%64[0-9a-f]", what, &seconds, node) < 2)
        return;
    bool path = !strcmp(what, "path");
    if (!path && strcmp(what, "model") != 0)
        return;
    if (*node) {
        const char *called = tl_chat_who(c, node);
        snprintf(who, sizeof who, "%s%s%.8s", called, *called ? " " : "", node);
    }
    tl_silence_say(&c->silence, *node ? who : "the model server",
                   path    ? "; its path is being looked at"
                   : *node ? "; it is connected, and its model silent"
                           : "",
                   now() - seconds * TL_SEC);
}

/* What the node says of a question that waits (docs/http-api.md, Errors). */
static void on_comment(tl_chat *c, tl_slice text)
{
    static const char *const words[][2] = {
        {"waiting for=peer ", "a node that answers"},
        {"waiting for=answer ", "the peer's first word"},
        {"waiting for=path ", "the peer: nothing comes from it, and its path is being looked at"},
        {"waiting for=model ", "the model server, which may be loading the model"}};
    static const char place[] = "queue position=", then[] = " wait_s=";
    char line[160];
    snprintf(line, sizeof line, "%.*s", (int)text.n, (const char *)text.p);
    if (c->answer.len)
        on_silence(c, line);
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (!strncmp(line, words[i][0], strlen(words[i][0])))
            tl_waiting_say(&c->waiting, "%s", words[i][1]);
    if (strncmp(line, place, sizeof place - 1) != 0)
        return;
    char *rest;
    unsigned long position = strtoul(line + sizeof place - 1, &rest, 10);
    if (!strncmp(rest, then, sizeof then - 1))
        tl_waiting_say(&c->waiting, "place %lu in the provider's queue (some %lu s)", position,
                       strtoul(rest + sizeof then - 1, NULL, 10));
}

static void on_event(void *user, const char *name, tl_slice data)
{
    tl_chat *c = user;
    json_t *chunk;
    if (!strcmp(name, ":")) {
        on_comment(c, data);
        return;
    }
    if (tl_slice_eq(data, TL_SLICE_LIT("[DONE]"))) {
        c->finished = true;
        return;
    }
    if (tl_json_parse(data, 64, &chunk, NULL))
        return; /* an event of the model server that we do not know */
    const json_t *error = json_object_get(chunk, "error");
    const json_t *choice = json_array_get(json_object_get(chunk, "choices"), 0);
    const char *text = tl_json_string(json_object_get(choice, "delta"), "content", NULL);
    json_t *usage = json_object_get(chunk, "usage");
    if (json_is_object(usage)) {
        json_decref(c->usage);
        c->usage = json_incref(usage);
    }
    if (error || !strcmp(name, "error")) {
        if (c->answer.len && !c->json)
            putchar('\n');
        fflush(stdout);
        c->failed = tl_daemon_explain_error(c->cli, error);
    } else if (text) {
        on_text(c, text);
    }
    json_decref(chunk);
}

static void on_body(void *user, tl_slice bytes)
{
    tl_chat *c = user;
    if (!c->e)
        c->e = tl_sse_feed(&c->sse, bytes, on_event, c);
}

static int explain_late(const tl_chat *c)
{
    tl_out_error(c->answer.len ? "the answer is not complete after %lld s (--timeout)"
                               : "no answer within %lld s (--timeout)",
                 (long long)(c->timeout / TL_SEC));
    tl_out_note(
        "Give it longer (--timeout 5m): a model may have to be loaded first. `teale why --model "
        "NAME` says who would be asked.");
    return TL_EXIT_TIMEOUT;
}

/* The only peer that may be asked has no answer. */
static bool is_peer_away(const tl_chat *c, const tl_daemon_answer *a)
{
    json_t *body = NULL;
    if (!*c->peer || a->e || a->status != 503 ||
        tl_json_parse(tl_buf_slice(&a->body), 16, &body, NULL))
        return false;
    const char *code = tl_json_string(json_object_get(body, "error"), "code", "");
    bool away = !strcmp(code, "no_provider");
    if (away)
        tl_out_error("%s",
                     tl_json_string(json_object_get(body, "error"), "message", "no such peer"));
    json_decref(body);
    return away;
}

static int judge(tl_chat *c, const tl_daemon_answer *a)
{
    stop_waiting(c);
    if (c->answer.len && !c->failed && !c->json) {
        putchar('\n');
        fflush(stdout);
    }
    if (a->interrupted)
        return TL_EXIT_OK;
    if (c->failed)
        return c->failed;
    if (a->e == TL_ERR_TIMEOUT && c->timeout != TL_NEVER)
        return explain_late(c);
    if (is_peer_away(c, a)) {
        tl_out_note("See: teale why %s", c->peer);
        return TL_EXIT_UNREACHABLE;
    }
    int code = tl_daemon_explain(c->cli, a);
    if (code)
        return code;
    if (c->e) {
        tl_out_error("the answer cannot be read: %s", tl_err_name(c->e));
        return TL_EXIT_FAILED;
    }
    if (!c->finished) {
        tl_out_error("the answer broke off");
        tl_out_note("Ask again; where it happens each time, the log of the model server says why.");
        return TL_EXIT_FAILED;
    }
    return TL_EXIT_OK;
}

/* Appends {"role", "content"} to the conversation. Takes the reference to `content`. */
static bool add_message(tl_chat *c, const char *role, json_t *content)
{
    return !json_array_append_new(c->messages,
                                  json_pack("{s:s, s:o}", "role", role, "content", content));
}

static json_t *text_of(tl_slice text)
{
    return json_stringn(text.n ? (const char *)text.p : "", text.n);
}

/* The model server is asked to count, where this is told. */
static json_t *body_of(const tl_chat *c)
{
    json_t *body =
        json_pack("{s:s, s:b, s:O}", "model", c->model, "stream", 1, "messages", c->messages);
    if (body && (c->status || c->json) &&
        json_object_set_new(body, "stream_options", json_pack("{s:b}", "include_usage", 1))) {
        json_decref(body);
        return NULL;
    }
    return body;
}

static void begin_answer(tl_chat *c)
{
    c->answer = (tl_buf){0};
    c->finished = false;
    c->failed = 0;
    c->e = TL_OK;
    c->pieces = 0;
    c->first = c->last = 0;
    c->usage = NULL;
}

static int ask(tl_chat *c, bool interruptible)
{
    json_t *body = body_of(c);
    if (!body) {
        tl_out_error("out of memory");
        return TL_EXIT_FAILED;
    }
    tl_daemon_ask question = {.method = "POST",
                              .path = "/v1/chat/completions",
                              .body = body,
                              .timeout = c->timeout,
                              .interruptible = interruptible,
                              .on_tick = on_tick};
    if (*c->peer) {
        question.names[0] = "X-Teale-Ask-Peer";
        question.values[0] = c->peer;
    }
    tl_daemon_answer a;
    c->sse = (tl_sse){.comments = true};
    c->waiting = tl_waiting_for(c->cli, "the answer");
    c->silence = (tl_silence){.why = ""};
    begin_answer(c);
    tl_daemon_run(c->cli, &question, on_body, c, &a);
    int code = judge(c, &a);
    if (c->answer.len && !add_message(c, "assistant", text_of(tl_buf_slice(&c->answer))))
        code = TL_EXIT_FAILED;
    if (!code && c->json)
        tl_chat_status_json(c, &a);
    else if (!code && c->status && c->answer.len)
        tl_chat_status_tell(c, &a);
    json_decref(c->usage);
    c->usage = NULL;
    tl_buf_clear(&c->answer);
    tl_sse_clear(&c->sse);
    tl_daemon_answer_clear(&a);
    json_decref(body);
    return code;
}

int tl_chat_ask(tl_chat *c, tl_slice text, bool interruptible)
{
    return tl_chat_ask_content(c, text_of(text), interruptible);
}

int tl_chat_ask_content(tl_chat *c, json_t *content, bool interruptible)
{
    size_t before = json_array_size(c->messages);
    if (!add_message(c, "user", content)) {
        tl_out_error("out of memory");
        return TL_EXIT_FAILED;
    }
    int code = ask(c, interruptible);
    if (json_array_size(c->messages) < before + 2)
        json_array_remove(c->messages, before);
    return code;
}

void tl_chat_prepare(const tl_chat *c)
{
    json_t *body = json_pack("{s:s, s:{s:s, s:s}}", "verb", "prepare", "args", "model", c->model,
                             "peer", c->peer);
    tl_daemon_ask tell = {
        .method = "POST", .path = "/control/do", .body = body, .timeout = PREPARE_WITHIN};
    tl_daemon_answer a;
    if (!body)
        return;
    tl_daemon_run(c->cli, &tell, NULL, NULL, &a);
    tl_daemon_answer_clear(&a);
    json_decref(body);
}
