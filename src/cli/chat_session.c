/* A conversation at a terminal: a person types or pastes lines, and has a few commands. */
#include "ask/modelname.h"
#include "base/log.h"
#include "base/suggest.h"
#include "cli/chat.h"
#include "cli/chat_attach.h"
#include "cli/chat_complete.h"
#include "cli/chat_file.h"
#include "cli/daemon.h"
#include "cli/files.h"
#include "cli/lineedit.h"
#include "cli/verb.h"

#include <limits.h>
#include <signal.h>

#define LIST_WITHIN  (10 * TL_SEC)
#define OFFER_WITHIN (500 * TL_MS) /* a person waits for it */

typedef enum { GO_ON, LEAVE } next_step;

typedef struct {
    tl_chat *chat;
    json_t *asked;       /* the content that was asked last; NULL: none */
    char file[PATH_MAX]; /* where the conversation is saved; "": nowhere yet */
    int code;
} session;

static const char help[] =
    "/help           this\n"
    "/model [NAME]   the models that can be asked; or ask NAME from now on\n"
    "/system [TEXT]  what the model is told before all; - forgets it\n"
    "/new            forget the conversation (/clear, too)\n"
    "/retry          ask the last question again\n"
    "/save [FILE]    keep the conversation in a file that only you can read\n"
    "/load FILE      go on with one that was saved\n"
    "/bye            leave (Ctrl-D, too)\n"
    "//TEXT          ask something that begins with a slash: /TEXT\n"
    "@PATH           adds a picture or a text file; @@ is an @\n"
    "Ctrl-C stops an answer or leaves a line. Tab completes commands, models and paths.\n"
    "Alt-Enter, or \\ at the end, begins a new line. Up and Ctrl-R find earlier lines.";

static next_step on_help(session *s, const char *rest)
{
    (void)s, (void)rest;
    tl_out_note("%s", help);
    return GO_ON;
}

/* The message of role system is the first one. NULL: there is none. */
static json_t *system_of(const tl_chat *c)
{
    json_t *first = json_array_get(c->messages, 0);
    return !strcmp(tl_json_string(first, "role", ""), "system") ? first : NULL;
}

static next_step on_new(session *s, const char *rest)
{
    json_t *system = json_incref(system_of(s->chat));
    (void)rest;
    json_array_clear(s->chat->messages);
    if (system && json_array_append(s->chat->messages, system))
        tl_out_error("out of memory");
    json_decref(system);
    json_decref(s->asked);
    s->asked = NULL;
    *s->file = 0;
    tl_out_note("The model no longer knows what was said before%s.",
                system_of(s->chat) ? "; what /system told it stays" : "");
    return GO_ON;
}

static next_step on_bye(session *s, const char *rest)
{
    (void)s, (void)rest;
    return LEAVE;
}

static next_step on_system(session *s, const char *rest)
{
    tl_chat *c = s->chat;
    json_t *now = system_of(c);
    if (!*rest) {
        const char *text = tl_json_string(now, "content", "");
        if (*text)
            tl_out_text(stderr, tl_slice_str(text), true);
        tl_out_note("%s", *text ? "" : "The model is told nothing before your first question.");
        return GO_ON;
    }
    if (now)
        json_array_remove(c->messages, 0);
    if (strcmp(rest, "-") != 0 &&
        json_array_insert_new(c->messages, 0,
                              json_pack("{s:s, s:s}", "role", "system", "content", rest)))
        tl_out_error("out of memory");
    tl_out_note(system_of(c) ? "The model is told so from the next question on."
                             : "The model is told nothing before your first question.");
    return GO_ON;
}

/* The models that can be asked; NULL: they cannot be had. */
static json_t *all_models(const tl_chat *c)
{
    json_t *all;
    return tl_daemon_get(c->cli, "/control/models", LIST_WITHIN, &all) ? NULL : all;
}

static void list_models(const tl_chat *c)
{
    json_t *all = all_models(c), *model;
    size_t i;
    json_array_foreach (json_object_get(all, "models"), i, model) {
        const char *id = tl_json_string(model, "id", "");
        fputs(!strcmp(id, c->model) ? "* " : "  ", stdout);
        tl_out_plain(id);
        putchar('\n');
    }
    json_decref(all);
}

typedef enum {
    FOUND,       /* or no list can be had */
    FOUND_ALIKE, /* another one that was probably meant, which is told */
    FOUND_NOT,   /* none like it: the relay may know one */
} found;

static found look_up(const tl_chat *c, const char *wanted)
{
    json_t *all = all_models(c), *model;
    size_t i;
    found how = all ? FOUND_NOT : FOUND;
    json_array_foreach (json_object_get(all, "models"), i, model)
        if (!strcmp(tl_json_string(model, "id", ""), wanted))
            how = FOUND;
    const char *meant = how == FOUND_NOT ? tl_model_meant(all, wanted) : NULL;
    if (meant) {
        tl_out_note("Did you mean %s?", tl_log_safe(tl_slice_str(meant)).text);
        how = FOUND_ALIKE;
    }
    json_decref(all);
    return how;
}

static next_step on_model(session *s, const char *rest)
{
    tl_chat *c = s->chat;
    size_t n = strlen(rest);
    if (!n) {
        list_models(c);
        tl_out_note("Asking %s. /model NAME asks another.", c->model);
        return GO_ON;
    }
    if (n >= sizeof c->model) {
        tl_out_error("a model's name has at most %zu bytes", sizeof c->model - 1);
        return GO_ON;
    }
    if (!tl_chat_model_is(rest)) {
        tl_out_error("a model's name has no characters that cannot be shown");
        return GO_ON;
    }
    if (strpbrk(rest, " \t")) {
        tl_out_error("a model's name has no blanks: /model lists the models");
        return GO_ON;
    }
    found how = strcmp(rest, "teale-auto") ? look_up(c, rest) : FOUND;
    if (how == FOUND_ALIKE) {
        tl_out_note("No known node serves %s. Asking %s as before.", rest, c->model);
        return GO_ON;
    }
    if (how == FOUND_NOT)
        tl_out_note("No known node serves it now; /model lists the models.");
    memcpy(c->model, rest, n + 1);
    tl_out_note("Asking %s from now on.", c->model);
    tl_chat_prepare(c);
    return GO_ON;
}

/* Without quotes, and with the home directory in place of `~`. False: too long, and this is said. */
static bool path_of(const char *typed, char ret[PATH_MAX])
{
    size_t n = strlen(typed), quotes = n > 2 && *typed == '"' && typed[n - 1] == '"';
    if (tl_path_expand(tl_slice_of(typed + quotes, n - 2 * quotes), ret))
        return true;
    tl_out_error("the path is too long");
    return false;
}

static next_step on_save(session *s, const char *rest)
{
    char path[PATH_MAX];
    tl_why why = {""};
    if (!*rest && !*s->file) {
        tl_out_error("/save FILE names the file");
        return GO_ON;
    }
    if (!path_of(*rest ? rest : s->file, path))
        return GO_ON;
    bool own = !strcmp(path, s->file);
    tl_err e = tl_chat_file_save(path, s->chat->model, s->chat->messages, own, &why);
    if (e) {
        tl_out_error("%s", why.text);
        return GO_ON;
    }
    memcpy(s->file, path, sizeof s->file);
    tl_out_note("Saved %zu messages in %s.", json_array_size(s->chat->messages), path);
    return GO_ON;
}

static next_step on_load(session *s, const char *rest)
{
    char path[PATH_MAX], model[TL_MODEL_MAX];
    json_t *messages;
    tl_why why = {""};
    if (!*rest)
        tl_out_error("/load FILE names the file");
    if (!*rest || !path_of(rest, path))
        return GO_ON;
    if (tl_chat_file_load(path, model, &messages, &why)) {
        tl_out_error("%s", why.text);
        return GO_ON;
    }
    json_decref(s->chat->messages);
    s->chat->messages = messages;
    json_decref(s->asked);
    s->asked = NULL;
    memcpy(s->file, path, sizeof s->file);
    bool other = strcmp(s->chat->model, model) != 0;
    tl_out_note("Loaded %zu messages. Asking %s%s%s.", json_array_size(messages), model,
                other ? " from now on, and no longer " : "", other ? s->chat->model : "");
    if (system_of(s->chat))
        tl_out_note("The file tells the model something before all: /system shows it, /system - "
                    "forgets it.");
    memcpy(s->chat->model, model, sizeof model);
    tl_chat_prepare(s->chat);
    return GO_ON;
}

/* Takes the reference. */
static next_step ask(session *s, json_t *content)
{
    json_decref(s->asked);
    s->asked = json_incref(content);
    s->code = tl_chat_ask_content(s->chat, content, true);
    return s->code == TL_EXIT_NOT_RUNNING ? LEAVE : GO_ON;
}

/* Drops the last question and its answer. */
static json_t *take_back(tl_chat *c)
{
    for (size_t n = json_array_size(c->messages); n > 0; n--) {
        json_t *last = json_array_get(c->messages, n - 1);
        const char *role = tl_json_string(last, "role", "");
        if (!strcmp(role, "system"))
            break;
        json_t *content = json_incref(json_object_get(last, "content"));
        bool question = !strcmp(role, "user");
        json_array_remove(c->messages, n - 1);
        if (question)
            return content;
        json_decref(content);
    }
    return NULL;
}

static next_step on_retry(session *s, const char *rest)
{
    (void)rest;
    /* One without an answer is not in the conversation any more. */
    const json_t *last = json_array_get(s->chat->messages, json_array_size(s->chat->messages) - 1);
    const json_t *before =
        json_array_size(s->chat->messages) > 1
            ? json_array_get(s->chat->messages, json_array_size(s->chat->messages) - 2)
            : NULL;
    bool answered = last && (!s->asked || json_equal(json_object_get(before, "content"), s->asked));
    json_t *content = answered ? take_back(s->chat) : json_incref(s->asked);
    if (content)
        return ask(s, content);
    tl_out_note("There is no question to ask again.");
    return GO_ON;
}

static const struct {
    const char *name;
    next_step (*run)(session *s, const char *rest);
} commands[] = {
    {"/help", on_help},   {"/model", on_model}, {"/system", on_system}, {"/new", on_new},
    {"/retry", on_retry}, {"/save", on_save},   {"/load", on_load},     {"/bye", on_bye},
    {"/clear", on_new},   {"/exit", on_bye},    {"/quit", on_bye},      {"/?", on_help},
};
#define COMMAND_N (sizeof commands / sizeof *commands)

static next_step run_command(session *s, const char *line)
{
    size_t n = strcspn(line, " \t\n");
    const char *rest = line + n + strspn(line + n, " \t\n");
    for (size_t i = 0; i < COMMAND_N; i++)
        if (strlen(commands[i].name) == n && !strncmp(commands[i].name, line, n))
            return commands[i].run(s, rest);
    tl_out_error("there is no such command; /help lists them, //TEXT asks /TEXT");
    return GO_ON;
}

/* --- Tab --- */

static json_t *known_models(void *user)
{
    const session *s = user;
    json_t *body = json_pack("{s:s, s:{}}", "verb", "known", "args"), *all = NULL;
    json_t *list = json_pack("[s]", "teale-auto");
    const json_t *model;
    size_t i;
    tl_daemon_ask wish = {
        .method = "POST", .path = "/control/do", .body = body, .timeout = OFFER_WITHIN};
    tl_daemon_answer a;
    tl_daemon_run(s->chat->cli, &wish, NULL, NULL, &a);
    if (!a.e && a.status == 200 && !tl_json_parse(tl_buf_slice(&a.body), 16, &all, NULL))
        json_array_foreach (json_object_get(json_object_get(all, "models"), "models"), i, model)
            list = tl_json_append(list, json_string(tl_json_string(model, "id", "")));
    tl_daemon_answer_clear(&a);
    json_decref(all);
    json_decref(body);
    return list;
}

static json_t *offers(void *user, const char *text, size_t *ret_from)
{
    static const char *const names[] = {"/help", "/model", "/system", "/new", "/retry",
                                        "/save", "/load",  "/bye",    NULL};
    const tl_chat_words words = {names, known_models, user};
    return tl_chat_complete(&words, text, ret_from);
}

/* --- lines --- */

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

static next_step ask_text(session *s, const char *text)
{
    json_t *content, *names, *name;
    size_t i;
    tl_why why = {""};
    if (tl_attach_expand(tl_slice_str(text), &content, &names, &why)) {
        tl_out_error("%s", why.text);
        return GO_ON;
    }
    json_array_foreach (names, i, name) {
        tl_safe safe = tl_log_safe(tl_slice_str(json_string_value(name)));
        tl_out_note("Attached: %s", safe.text);
    }
    json_decref(names);
    return ask(s, content);
}

static next_step take_line(session *s, tl_slice text)
{
    if (!text.p || is_blank(text))
        return GO_ON;
    char *line = strndup((const char *)text.p, text.n);
    if (!line) {
        tl_out_error("out of memory");
        return LEAVE;
    }
    trim(line);
    next_step next = line[0] == '/' && line[1] != '/' ? run_command(s, line)
                                                      : ask_text(s, line + (line[0] == '/'));
    free(line);
    return next;
}

/* True: the line goes on in the next one. It is in `whole` then, without its backslash. */
static bool goes_on(tl_slice line, tl_buf *whole, tl_err *ret_e)
{
    bool more = line.n && line.p[line.n - 1] == '\\' && (line.n < 2 || line.p[line.n - 2] != '\\');
    *ret_e = tl_buf_append(whole, tl_slice_of(line.p, line.n - more));
    if (!*ret_e && more)
        *ret_e = tl_buf_append_str(whole, "\n");
    return more;
}

static next_step take_part(session *s, tl_lineedit *edit, tl_slice line, tl_buf *whole)
{
    tl_err e;
    next_step next = GO_ON;
    if (goes_on(line, whole, &e) && !e) {
        tl_lineedit_set_prompt(edit, ". ");
        return GO_ON;
    }
    if (e)
        tl_out_error("out of memory");
    else
        next = take_line(s, tl_buf_slice(whole));
    tl_buf_consume(whole, whole->len);
    tl_lineedit_set_prompt(edit, "> ");
    return next;
}

static void converse(session *s, tl_lineedit *edit)
{
    tl_slice text;
    tl_buf whole = {0}; /* of lines that ended with a backslash */
    bool told = false;
    next_step next = GO_ON;
    while (next == GO_ON) {
        signal(SIGINT, SIG_IGN); /* between two answers Ctrl-C ends nothing */
        switch (tl_lineedit_read(edit, &text)) {
        case TL_LINEEDIT_TEXT: next = take_part(s, edit, text, &whole); break;
        case TL_LINEEDIT_INTERRUPTED:
            tl_buf_consume(&whole, whole.len);
            tl_lineedit_set_prompt(edit, "> ");
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
    tl_buf_clear(&whole);
}

int tl_chat_converse(tl_chat *c)
{
    tl_lineedit *edit;
    session s = {.chat = c};
    if (tl_lineedit_new("> ", &edit)) {
        tl_out_error("out of memory");
        return TL_EXIT_FAILED;
    }
    c->status = tl_out_is_live(stderr);
    tl_lineedit_set_offers(edit, offers, &s);
    tl_out_note("Model %s. /help lists commands, Ctrl-D leaves.", c->model);
    tl_chat_prepare(c);
    converse(&s, edit);
    json_decref(s.asked);
    tl_lineedit_free(edit);
    return s.code == TL_EXIT_NOT_RUNNING ? s.code : TL_EXIT_OK;
}
