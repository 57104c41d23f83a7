/* cmd_chat.c - `teale chat`: one question, or a session of them; the answer is printed as it comes.
 */
#include "ask/exchange.h"
#include "cli/commands.h"
#include "cli/daemon.h"
#include "cli/sse.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#define PROMPT_MAX (TL_BODY_MAX - 4096) /* leaves room for the request around it */

typedef struct {
    tl_cli *cli;
    const char *model;
    char peer[TL_NODE_ID_HEX + 1]; /* "" = whoever serves the model */
    tl_time timeout;
    json_t *messages; /* the conversation so far */
    /* of the answer in progress */
    tl_sse sse;
    tl_buf answer;
    bool finished; /* [DONE] came */
    int failed;    /* exit code of an error event */
    tl_err e;
} session;

static void on_text(session *s, const char *text)
{
    tl_slice t = tl_slice_str(text);
    tl_out_text(stdout, t, true);
    fflush(stdout);
    if (tl_buf_append(&s->answer, t))
        s->e = TL_ERR_NOMEM;
}

static void on_event(void *user, const char *name, tl_slice data)
{
    session *s = user;
    json_t *chunk;
    if (tl_slice_eq(data, TL_SLICE_LIT("[DONE]"))) {
        s->finished = true;
        return;
    }
    if (tl_json_parse(data, 64, &chunk, NULL))
        return; /* not ours to judge: the model server's own event */
    const json_t *error = json_object_get(chunk, "error");
    const json_t *choice = json_array_get(json_object_get(chunk, "choices"), 0);
    const char *text = tl_json_string(json_object_get(choice, "delta"), "content", NULL);
    if (error || !strcmp(name, "error")) {
        if (s->answer.len)
            putchar('\n');
        fflush(stdout);
        s->failed = tl_daemon_explain_error(error);
    } else if (text) {
        on_text(s, text);
    }
    json_decref(chunk);
}

static void on_body(void *user, tl_slice bytes)
{
    session *s = user;
    if (!s->e)
        s->e = tl_sse_feed(&s->sse, bytes, on_event, s);
}

static int judge(session *s, const tl_daemon_answer *a)
{
    if (s->answer.len && !s->failed) {
        putchar('\n');
        fflush(stdout);
    }
    if (a->interrupted)
        return TL_EXIT_OK;
    if (s->failed)
        return s->failed;
    int code = tl_daemon_explain(s->cli, a);
    if (code)
        return code;
    if (s->e) {
        tl_out_error("the answer cannot be read: %s", tl_err_name(s->e));
        return TL_EXIT_FAILED;
    }
    if (!s->finished) {
        tl_out_error("the answer broke off");
        return TL_EXIT_FAILED;
    }
    return TL_EXIT_OK;
}

/* Appends {"role", "content"} to the conversation. */
static bool add_message(session *s, const char *role, tl_slice text)
{
    json_t *content = json_stringn(text.n ? (const char *)text.p : "", text.n);
    return !json_array_append_new(s->messages,
                                  json_pack("{s:s, s:o}", "role", role, "content", content));
}

/* Asks with the conversation as it is, and prints; keeps the answer as its next message. */
static int ask(session *s, bool interruptible)
{
    json_t *body =
        json_pack("{s:s, s:b, s:O}", "model", s->model, "stream", 1, "messages", s->messages);
    if (!body) {
        tl_out_error("out of memory");
        return TL_EXIT_FAILED;
    }
    tl_daemon_ask question = {.method = "POST",
                              .path = "/v1/chat/completions",
                              .body = body,
                              .timeout = s->timeout,
                              .interruptible = interruptible};
    if (*s->peer) {
        question.names[0] = "X-Teale-Ask-Peer";
        question.values[0] = s->peer;
    }
    tl_daemon_answer a;
    s->sse = (tl_sse){0};
    s->answer = (tl_buf){0};
    s->finished = false;
    s->failed = 0;
    s->e = TL_OK;
    tl_daemon_run(s->cli, &question, on_body, s, &a);
    int code = judge(s, &a);
    if (s->answer.len && !add_message(s, "assistant", tl_buf_slice(&s->answer)))
        code = TL_EXIT_FAILED;
    tl_buf_clear(&s->answer);
    tl_sse_clear(&s->sse);
    tl_daemon_answer_clear(&a);
    json_decref(body);
    return code;
}

static int ask_once(session *s, tl_slice prompt)
{
    if (!tl_utf8_is(prompt)) {
        tl_out_error("the prompt is not valid UTF-8");
        return TL_EXIT_USAGE;
    }
    if (!add_message(s, "user", prompt)) {
        tl_out_error("out of memory");
        return TL_EXIT_FAILED;
    }
    return ask(s, false);
}

static int ask_words(session *s, const tl_args *args)
{
    tl_buf prompt = {0};
    tl_err e = TL_OK;
    for (size_t i = 0; !e && i < args->operand_n; i++) {
        e = i ? tl_buf_append_str(&prompt, " ") : TL_OK;
        if (!e)
            e = tl_buf_append_str(&prompt, args->operand[i]);
    }
    int code = e ? TL_EXIT_FAILED : ask_once(s, tl_buf_slice(&prompt));
    tl_buf_clear(&prompt);
    return code;
}

static int ask_stdin(session *s)
{
    tl_buf prompt = {0};
    int code = TL_EXIT_FAILED;
    for (;;) {
        uint8_t *room;
        if (tl_buf_reserve(&prompt, 65536, &room))
            break;
        size_t n = fread(room, 1, 65536, stdin);
        tl_buf_added(&prompt, n);
        if (prompt.len > PROMPT_MAX) {
            tl_out_error("the prompt is larger than 16 MiB");
            break;
        }
        if (n)
            continue;
        if (ferror(stdin))
            tl_out_error("cannot read the prompt: %s", strerror(errno));
        else if (!prompt.len)
            code = tl_cli_usage(s->cli, "the prompt on standard input is empty");
        else
            code = ask_once(s, tl_buf_slice(&prompt));
        break;
    }
    tl_buf_clear(&prompt);
    return code;
}

/* Until an empty line or the end of input. A question that failed is taken back out. */
static int converse(session *s)
{
    char *line = NULL;
    size_t size = 0;
    int code = TL_EXIT_OK;
    tl_out_note("Model %s. An empty line or Ctrl-D ends, Ctrl-C stops an answer.", s->model);
    for (;;) {
        fputs("> ", stdout);
        fflush(stdout);
        ssize_t n = getline(&line, &size, stdin);
        if (n > 0 && line[n - 1] == '\n')
            line[--n] = 0;
        if (n <= 0)
            break;
        if (!tl_utf8_is(tl_slice_of(line, (size_t)n))) {
            tl_out_error("that line is not valid UTF-8");
            continue;
        }
        size_t before = json_array_size(s->messages);
        if (!add_message(s, "user", tl_slice_of(line, (size_t)n)))
            return TL_EXIT_FAILED;
        code = ask(s, true);
        if (json_array_size(s->messages) < before + 2)
            json_array_remove(s->messages, before);
        if (code == TL_EXIT_NOT_RUNNING)
            break;
    }
    free(line);
    return code == TL_EXIT_NOT_RUNNING ? code : TL_EXIT_OK;
}

int tl_cmd_chat(tl_cli *cli, const tl_args *args)
{
    session s = {.cli = cli, .model = tl_args_value(args, "model")};
    if (!s.model)
        s.model = "teale-auto";
    if (!*s.model || strlen(s.model) >= TL_MODEL_MAX || !tl_utf8_is(tl_slice_str(s.model)))
        return tl_cli_usage(cli, "--model must be 1 to %d bytes of text", TL_MODEL_MAX - 1);
    if (!tl_daemon_timeout(cli, args, TL_NEVER, &s.timeout))
        return TL_EXIT_USAGE;
    const char *peer = tl_args_value(args, "peer");
    if (peer) {
        int code = tl_daemon_find_peer(cli, peer, s.peer);
        if (code)
            return code;
    }
    s.messages = json_array();
    int code;
    if (args->operand_n)
        code = ask_words(&s, args);
    else if (isatty(STDIN_FILENO))
        code = converse(&s);
    else
        code = ask_stdin(&s);
    json_decref(s.messages);
    return code;
}
