/* cmd_chat.c - `teale chat`: one question or a conversation; prints the answer as it comes. */
#include "ask/exchange.h"
#include "cli/chat.h"
#include "cli/chat_file.h"
#include "cli/commands.h"
#include "cli/daemon.h"
#include "cli/nodefind.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define PROMPT_MAX (TL_BODY_MAX - 4096) /* leaves room for the request around it */

static int ask_once(tl_chat *c, tl_slice prompt)
{
    if (!tl_utf8_is(prompt)) {
        tl_out_error("the prompt is not valid UTF-8");
        return TL_EXIT_USAGE;
    }
    return tl_chat_ask(c, prompt, false);
}

/* True if standard input is a pipe or a file: then it belongs to the question. A terminal,
 * /dev/null or a socket that a script inherited does not. */
static bool input_is_given(void)
{
    struct stat st;
    return !fstat(STDIN_FILENO, &st) && (S_ISFIFO(st.st_mode) || S_ISREG(st.st_mode));
}

/* Appends all of standard input. Prints what failed; returns an exit code. */
static int read_input(tl_buf *prompt)
{
    struct pollfd in = {.fd = STDIN_FILENO, .events = POLLIN};
    if (poll(&in, 1, 2000) == 0)
        tl_out_note("Reading standard input until it ends (</dev/null reads nothing).");
    for (;;) {
        uint8_t *room;
        if (tl_buf_reserve(prompt, 65536, &room)) {
            tl_out_error("out of memory");
            return TL_EXIT_FAILED;
        }
        size_t n = fread(room, 1, 65536, stdin);
        tl_buf_added(prompt, n);
        if (prompt->len > PROMPT_MAX) {
            tl_out_error(
                "the prompt is larger than %u MiB, which no model takes: ask with a part of it",
                TL_BODY_MAX >> 20);
            return TL_EXIT_FAILED;
        }
        if (n)
            continue;
        if (!ferror(stdin))
            return TL_EXIT_OK;
        tl_out_error("cannot read the prompt: %s", strerror(errno));
        return TL_EXIT_FAILED;
    }
}

static tl_err join_words(tl_buf *prompt, const tl_args *args)
{
    tl_err e = TL_OK;
    for (size_t i = 0; !e && i < args->operand_n; i++) {
        e = i ? tl_buf_append_str(prompt, " ") : TL_OK;
        if (!e)
            e = tl_buf_append_str(prompt, args->operand[i]);
    }
    return e;
}

/* Asks the words of the command line and, after an empty line, the text from standard input. */
static int ask_words(tl_chat *c, const tl_args *args)
{
    tl_buf prompt = {0};
    tl_err e = join_words(&prompt, args);
    int code = TL_EXIT_OK;
    if (!e && input_is_given()) {
        tl_buf piped = {0};
        code = read_input(&piped);
        if (!code && piped.len)
            e = tl_buf_append_str(&prompt, prompt.len ? "\n\n" : "");
        if (!code && piped.len && !e)
            e = tl_buf_append(&prompt, tl_buf_slice(&piped));
        tl_buf_clear(&piped);
    }
    if (e) {
        tl_out_error("out of memory");
        code = TL_EXIT_FAILED;
    } else if (!code && !prompt.len) {
        code = tl_cli_usage(c->cli, "the prompt is empty");
    } else if (!code) {
        code = ask_once(c, tl_buf_slice(&prompt));
    }
    tl_buf_clear(&prompt);
    return code;
}

static int ask_stdin(tl_chat *c)
{
    tl_buf prompt = {0};
    tl_chat_prepare(c);
    int code = read_input(&prompt);
    if (!code && !prompt.len)
        code = tl_cli_usage(c->cli, "the prompt on standard input is empty");
    else if (!code)
        code = ask_once(c, tl_buf_slice(&prompt));
    tl_buf_clear(&prompt);
    return code;
}

int tl_cmd_chat(tl_cli *cli, const tl_args *args)
{
    tl_chat s = {.cli = cli, .json = cli->json};
    const char *model = tl_args_value(args, "model");
    if (!model)
        model = "teale-auto";
    if (!tl_chat_model_is(model))
        return tl_cli_usage(cli, "--model must be 1 to %d bytes of text", TL_MODEL_MAX - 1);
    if (!tl_daemon_timeout(cli, args, TL_NEVER, &s.timeout))
        return TL_EXIT_USAGE;
    const char *peer = tl_args_value(args, "peer");
    if (peer) {
        int code = tl_nodefind(cli, peer, s.peer);
        if (code)
            return code;
    }
    memcpy(s.model, model, strlen(model) + 1);
    s.messages = json_array();
    int code;
    if (args->operand_n)
        code = ask_words(&s, args);
    else if (isatty(STDIN_FILENO) && isatty(STDOUT_FILENO) && !cli->json)
        code = tl_chat_converse(&s);
    else
        code = ask_stdin(&s);
    json_decref(s.messages);
    return code;
}
