#include "cli/chat.h"

#include "cli/chat_status.h"
#include "cli/chat_told.h"

#include <strings.h>
#include <time.h>

#define QUIET          (800 * TL_MS) /* from then on the network of this machine is looked at */
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
    tl_time at = now();
    if (c->answer.len ? at - c->last >= QUIET : waited >= QUIET)
        tl_chat_look(c, at);
    if (!c->answer.len)
        tl_waiting_tick(&c->waiting, waited);
    else
        tl_silence_tick(&c->silence, at);
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
    c->offline = 0;
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

static void on_event(void *user, const char *name, tl_slice data)
{
    tl_chat *c = user;
    json_t *chunk;
    if (!strcmp(name, ":")) {
        tl_chat_told(c, data, now());
        return;
    }
    if (tl_slice_eq(data, TL_SLICE_LIT("[DONE]"))) {
        c->finished = true;
        return;
    }
    if (tl_json_parse(data, 64, &chunk, NULL))
        return; /* an event of the model server that we do not know */
    json_t *error = json_object_get(chunk, "error");
    const json_t *choice = json_array_get(json_object_get(chunk, "choices"), 0);
    const char *text = tl_json_string(json_object_get(choice, "delta"), "content", NULL);
    json_t *usage = json_object_get(chunk, "usage");
    const char *model = tl_json_string(chunk, "model", "");
    if (strlen(model) < sizeof c->answering && *model)
        snprintf(c->answering, sizeof c->answering, "%s", model);
    if (json_is_object(usage)) {
        json_decref(c->usage);
        c->usage = json_incref(usage);
    }
    bool of_node = !strcmp(name, "error"); /* a model server's has no name */
    if (error && !json_is_null(error) && !of_node) {
        json_decref(c->refusal);
        c->refusal = json_incref(error);
    } else if (of_node) {
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
    if (!c->e && strncasecmp(c->from->type, "text/event-stream", 17) != 0)
        c->e = TL_ERR_PROTO;
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

static int explain_unreadable(const tl_chat *c)
{
    if (c->e == TL_ERR_TOO_LARGE) {
        tl_out_error("the answer has a piece of more than %u MiB, which is not shown",
                     TL_SSE_EVENT_MAX >> 20);
        tl_out_note("Ask for a shorter answer, or by HTTP: the API passes a piece of any length. "
                    "`teale env` prints its address.");
    } else if (c->e == TL_ERR_PROTO) {
        tl_out_error("the answer is no stream of events, as an answer to teale chat has to be");
        tl_out_note("Another model server of that model may give one: `teale models` lists them.");
    } else {
        tl_out_error("the answer cannot be read: %s", tl_err_name(c->e));
    }
    return TL_EXIT_FAILED;
}

/* The only peer that may be asked has no answer, or not this model. It is told, and how to go on. */
static bool is_peer_away(const tl_chat *c, const tl_daemon_answer *a)
{
    json_t *body = NULL;
    if (!*c->peer || a->e || *a->peer || (a->status != 503 && a->status != 404) ||
        tl_json_parse(tl_buf_slice(&a->body), 16, &body, NULL))
        return false;
    const json_t *error = json_object_get(body, "error");
    const char *code = tl_json_string(error, "code", "");
    bool other_model = !strcmp(code, "model_not_found"),
         away = other_model || !strcmp(code, "no_provider");
    if (away)
        tl_out_error("%s", tl_json_string(error, "message", "no such peer"));
    if (other_model)
        tl_out_note("`teale models` lists the models and who serves them.");
    else if (away)
        tl_out_note("See: teale why %s", c->peer);
    json_decref(body);
    return away;
}

/* By the model server, with a status of HTTP. */
static int refused(tl_chat *c, const tl_daemon_answer *a)
{
    json_t *body = NULL;
    if (tl_json_parse(tl_buf_slice(&a->body), 16, &body, NULL))
        body = NULL;
    int code = tl_chat_tell_refusal(c, json_object_get(body, "error"));
    json_decref(body);
    return code;
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
    if (c->given_up) {
        tl_out_error("nobody can be asked");
        tl_daemon_tell_offline();
        return TL_EXIT_UNREACHABLE;
    }
    if (a->e == TL_ERR_TIMEOUT && c->timeout != TL_NEVER)
        return explain_late(c);
    if (is_peer_away(c, a))
        return TL_EXIT_UNREACHABLE;
    if (c->refusal)
        return tl_chat_tell_refusal(c, c->refusal);
    if (tl_chat_is_refusal(a))
        return refused(c, a);
    int code = tl_daemon_explain(c->cli, a);
    if (code)
        return code;
    if (c->e)
        return explain_unreadable(c);
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
    c->refusal = NULL;
    c->look_ups = 0;
    *c->answering = 0;
    c->look_at = 0;
    c->offline = 0;
    c->given_up = false;
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
                              .on_tick = on_tick,
                              .given_up = &c->given_up};
    if (*c->peer) {
        question.names[0] = "X-Teale-Ask-Peer";
        question.values[0] = c->peer;
    }
    tl_daemon_answer a;
    c->sse = (tl_sse){.comments = true};
    c->waiting = tl_waiting_for(c->cli, "the answer");
    c->silence = (tl_silence){.why = ""};
    begin_answer(c);
    c->from = &a;
    tl_daemon_run(c->cli, &question, on_body, c, &a);
    int code = judge(c, &a);
    if (c->answer.len && !add_message(c, "assistant", text_of(tl_buf_slice(&c->answer))))
        code = TL_EXIT_FAILED;
    if (!code && c->json)
        tl_chat_status_json(c, &a);
    else if (!code && c->status && c->answer.len)
        tl_chat_status_tell(c, &a);
    json_decref(c->usage);
    json_decref(c->refusal);
    c->usage = c->refusal = NULL;
    c->from = NULL;
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
