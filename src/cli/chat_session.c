/* A conversation at a terminal: a person types or pastes lines, and has a few commands. */
#include "ask/modelname.h"
#include "base/log.h"
#include "base/suggest.h"
#include "cli/chat.h"
#include "cli/daemon.h"
#include "cli/lineedit.h"

#include <signal.h>

#define LIST_WITHIN (10 * TL_SEC)

typedef enum { GO_ON, LEAVE } next_step;

static const char help[] = "/help           this\n"
                           "/model [NAME]   the models that can be asked; or ask NAME from now on\n"
                           "/clear          forget the conversation\n"
                           "/bye            leave (Ctrl-D, too)\n"
                           "//TEXT          ask something that begins with a slash: /TEXT\n"
                           "Ctrl-C stops an answer or leaves a line. Alt-Enter begins a new line.\n"
                           "Up and Ctrl-R find earlier lines.";

static next_step on_help(tl_chat *c, const char *rest)
{
    (void)c, (void)rest;
    tl_out_note("%s", help);
    return GO_ON;
}

static next_step on_clear(tl_chat *c, const char *rest)
{
    (void)rest;
    json_array_clear(c->messages);
    tl_out_note("The model no longer knows what was said before.");
    return GO_ON;
}

static next_step on_bye(tl_chat *c, const char *rest)
{
    (void)c, (void)rest;
    return LEAVE;
}

/* Prints the models, or with `wanted` the name that was probably meant. True: `wanted` is one of
 * them, or the list is empty or cannot be had. */
static bool list_models(tl_chat *c, const char *wanted)
{
    json_t *all, *model;
    size_t i;
    bool found = false;
    if (tl_daemon_get(c->cli, "/control/models", LIST_WITHIN, &all))
        return true;
    json_array_foreach (json_object_get(all, "models"), i, model) {
        const char *id = tl_json_string(model, "id", "");
        found |= wanted && !strcmp(id, wanted);
        if (!wanted) {
            fputs(!strcmp(id, c->model) ? "* " : "  ", stdout);
            tl_out_plain(id);
            putchar('\n');
        }
    }
    const char *meant = wanted && !found ? tl_model_meant(all, wanted) : NULL;
    if (meant) {
        tl_safe safe = tl_log_safe(tl_slice_str(meant));
        tl_out_note("Did you mean %s?", safe.text);
    }
    json_decref(all);
    return found;
}

static next_step on_model(tl_chat *c, const char *rest)
{
    size_t n = strlen(rest);
    if (!n) {
        (void)list_models(c, NULL);
        tl_out_note("Asking %s. /model NAME asks another.", c->model);
        return GO_ON;
    }
    if (n >= sizeof c->model) {
        tl_out_error("a model's name has at most %zu bytes", sizeof c->model - 1);
        return GO_ON;
    }
    if (strcmp(rest, "teale-auto") != 0 && !list_models(c, rest))
        tl_out_note("No known node serves it now; /model lists the models.");
    memcpy(c->model, rest, n + 1);
    tl_out_note("Asking %s from now on.", c->model);
    tl_chat_prepare(c);
    return GO_ON;
}

static const struct {
    const char *name;
    next_step (*run)(tl_chat *c, const char *rest);
} commands[] = {
    {"/help", on_help}, {"/?", on_help},   {"/model", on_model}, {"/clear", on_clear},
    {"/bye", on_bye},   {"/exit", on_bye}, {"/quit", on_bye},
};
#define COMMAND_N (sizeof commands / sizeof *commands)

static next_step run_command(tl_chat *c, const char *line)
{
    size_t n = strcspn(line, " \t\n");
    const char *rest = line + n + strspn(line + n, " \t\n");
    for (size_t i = 0; i < COMMAND_N; i++)
        if (strlen(commands[i].name) == n && !strncmp(commands[i].name, line, n))
            return commands[i].run(c, rest);
    tl_out_error("there is no such command; /help lists them, //TEXT asks /TEXT");
    return GO_ON;
}

static bool is_blank(tl_slice text)
{
    for (size_t i = 0; i < text.n; i++)
        if (!strchr(" \t\r\n", text.p[i]))
            return false;
    return true;
}

/* Removes the blanks at the end of a line. */
static void trim(char *line)
{
    size_t n = strlen(line);
    while (n && strchr(" \t\r\n", line[n - 1]))
        line[--n] = 0;
}

static next_step take_line(tl_chat *c, tl_slice text, int *code)
{
    if (is_blank(text))
        return GO_ON;
    char *line = strndup((const char *)text.p, text.n);
    if (!line) {
        tl_out_error("out of memory");
        return LEAVE;
    }
    next_step next = GO_ON;
    trim(line);
    if (line[0] == '/' && line[1] != '/') {
        next = run_command(c, line);
    } else {
        *code = tl_chat_ask(c, tl_slice_str(line + (line[0] == '/')), true);
        if (*code == TL_EXIT_NOT_RUNNING)
            next = LEAVE;
    }
    free(line);
    return next;
}

int tl_chat_converse(tl_chat *c)
{
    tl_lineedit *edit;
    tl_slice text;
    int code = TL_EXIT_OK;
    bool told = false;
    next_step next = GO_ON;
    if (tl_lineedit_new("> ", &edit)) {
        tl_out_error("out of memory");
        return TL_EXIT_FAILED;
    }
    tl_out_note("Model %s. /help lists commands, Ctrl-D leaves.", c->model);
    tl_chat_prepare(c);
    while (next == GO_ON) {
        signal(SIGINT, SIG_IGN); /* between two answers Ctrl-C ends nothing */
        switch (tl_lineedit_read(edit, &text)) {
        case TL_LINEEDIT_TEXT: next = take_line(c, text, &code); break;
        case TL_LINEEDIT_INTERRUPTED:
            if (!told)
                tl_out_note("Ctrl-D or /bye leaves.");
            told = true;
            break;
        case TL_LINEEDIT_END:
            putchar('\n');
            next = LEAVE;
            break;
        }
    }
    tl_lineedit_free(edit);
    return code == TL_EXIT_NOT_RUNNING ? code : TL_EXIT_OK;
}
