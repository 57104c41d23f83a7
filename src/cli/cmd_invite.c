/* cmd_invite.c - invites to a network, and joining by one: `teale ptn invite`, `ptn invites`,
 * `join`. */
#include "cli/commands.h"
#include "cli/files.h"
#include "cli/nodefind.h"
#include "cli/qrimage.h"
#include "cli/verb.h"
#include "cli/waiting.h"
#include "cli/words.h"
#include "ptn/invite.h"
#include "ptn/networks.h"
#include "qr/code.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define READ_TIME (10 * TL_SEC)
#define PNG_SCALE 8            /* pixels a module: a phone reads it from a screen */
#define SILENCE   (2 * TL_SEC) /* how long a join may take before a word is said about it */
#define ASK_EVERY (2 * TL_SEC) /* why it waits */
#define PATH_TIME (3 * TL_SEC) /* to show how the path to the admin turns direct */

/* --- the code as a picture --- */

/* Draws it on stderr, where a terminal is wide enough. */
static int draw(const tl_qr *qr)
{
    struct winsize size;
    tl_buf out = {0};
    size_t columns = tl_qr_columns(qr);
    bool terminal = isatty(STDERR_FILENO) && !ioctl(STDERR_FILENO, TIOCGWINSZ, &size);
    if (terminal && size.ws_col && size.ws_col < columns) {
        tl_out_note("The picture needs %zu columns, and this terminal has %d: make it wider or its "
                    "letters smaller, or write the picture to a file: --png FILE",
                    columns, size.ws_col);
        return TL_EXIT_OK;
    }
    tl_err e = tl_qr_draw(qr, *tl_out_colour(stderr, TL_COLOUR_BOLD) != 0, &out);
    if (!e)
        fwrite(tl_buf_slice(&out).p, 1, out.len, stderr);
    tl_buf_clear(&out);
    return e ? TL_EXIT_FAILED : TL_EXIT_OK;
}

static int write_png(const tl_qr *qr, const char *file)
{
    tl_buf png = {0};
    tl_why why;
    tl_err e = tl_qr_png(qr, PNG_SCALE, &png);
    if (!e)
        e = tl_file_create(file, tl_buf_slice(&png), &why);
    else
        tl_why_set(&why, e, "out of memory");
    tl_buf_clear(&png);
    if (e)
        tl_out_error("%s", why.text);
    return e ? TL_EXIT_FAILED : TL_EXIT_OK;
}

static int show_pictures(const tl_args *args, const char *text)
{
    static tl_qr qr;
    const char *file = tl_args_value(args, "png");
    if (!file && !tl_args_has(args, "qr"))
        return TL_EXIT_OK;
    if (tl_qr_make(text, &qr)) {
        tl_out_error("the invite does not fit into a QR code");
        return TL_EXIT_FAILED;
    }
    int code = file ? write_png(&qr, file) : TL_EXIT_OK;
    int drawn = tl_args_has(args, "qr") ? draw(&qr) : TL_EXIT_OK;
    return code ? code : drawn;
}

/* --- invite --- */

/* Adds a duration to the wish. Returns an exit code. */
static int add_span(const tl_cli *cli, const tl_args *args, const char *option, const char *field,
                    int64_t most, bool never, json_t *wish)
{
    const char *text = tl_args_value(args, option);
    int64_t secs;
    if (!text || (never && !strcmp(text, "never")))
        return TL_EXIT_OK;
    if (tl_span_parse(tl_slice_str(text), &secs) || secs > most)
        return tl_cli_usage(cli, "--%s is a time such as 30m, 24h or 7d%s", option,
                            never ? ", or never" : ", at most 30d");
    return json_object_set_new(wish, field, json_integer(secs)) ? TL_EXIT_FAILED : TL_EXIT_OK;
}

static int add_bound(const tl_cli *cli, const tl_args *args, json_t *wish)
{
    const char *typed = tl_args_value(args, "for");
    char node[TL_NODE_ID_HEX + 1];
    if (!typed)
        return TL_EXIT_OK;
    int code = tl_nodefind_other(cli, typed, node);
    if (!code && json_object_set_new(wish, "for", json_string(node)))
        code = TL_EXIT_FAILED;
    return code;
}

/* It is known before the invite is made: an invite without its picture would stay open. */
static bool can_make(const char *file)
{
    int fd = open(file, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd >= 0) {
        close(fd);
        unlink(file);
    }
    return fd >= 0;
}

/* What the options ask for. Sets *ret to NULL if they are wrong; returns an exit code. */
static int read_wish(const tl_cli *cli, const tl_args *args, json_t **ret)
{
    const char *role = tl_args_value(args, "role"), *png = tl_args_value(args, "png");
    tl_role known = TL_ROLE_CONSUMER;
    int code = TL_EXIT_OK;
    *ret = NULL;
    if (role && !tl_role_parse(role, &known))
        return tl_cli_usage(cli, "--role is consumer, provider or admin");
    if (png && !access(png, F_OK)) {
        tl_out_error("%s exists already, and nothing is written over it: name a new file", png);
        return TL_EXIT_FAILED;
    }
    if (png && !can_make(png)) {
        tl_out_error("cannot make %s: %s", png, strerror(errno));
        return TL_EXIT_FAILED;
    }
    json_t *wish = json_pack("{s:s, s:s}", "net", args->operand[0], "role", tl_role_name(known));
    code = add_span(cli, args, "expires", "expires_s", TL_INVITE_LIFE_MAX, false, wish);
    if (!code)
        code = add_span(cli, args, "valid", "valid_s", TL_SPAN_MAX, true, wish);
    if (!code)
        code = add_bound(cli, args, wish);
    if (code)
        json_decref(wish);
    else
        *ret = wish;
    return code;
}

int tl_cmd_ptn_invite(tl_cli *cli, const tl_args *args)
{
    json_t *wish, *invite;
    char text[TL_WORDS_MAX];
    int code = read_wish(cli, args, &wish);
    if (code)
        return code;
    code = tl_verb_do(cli, args, "ptn.invite", wish, READ_TIME, &invite);
    if (code)
        return code;
    const char *made = tl_json_string(invite, "invite", "");
    if (cli->json) {
        tl_out_json(invite);
    } else {
        tl_out_plain(made);
        putchar('\n');
        fflush(stdout);
        tl_words_time(text, invite, "expires_at", "never");
        tl_out_note(
            "This admits one %s to \"%s\", once; it expires %s. On the other machine: teale "
            "join CODE",
            tl_json_string(invite, "role", "node"), tl_json_string(invite, "name", ""), text);
        tl_words_time(text, invite, "certificate_until", "");
        if (*text)
            tl_out_note("The member's certificate ends with this admin's own at the latest, %s; "
                        "admins renew it. Where the CA key is, it has no such end.",
                        text);
    }
    code = show_pictures(args, made);
    json_decref(invite);
    return code;
}

/* --- invites --- */

static void add_invite(tl_table *t, const json_t *invite)
{
    char text[TL_WORDS_MAX];
    tl_table_add(t, tl_json_string(invite, "nonce", ""));
    tl_table_add(t, tl_json_string(invite, "role", ""));
    tl_table_add(t, tl_json_string(invite, "state", ""));
    tl_words_time(text, invite, "expires_at", "never");
    tl_table_add(t, text);
    tl_words_id(text, invite, "for");
    tl_table_add(t, text);
    tl_words_id(text, invite, "used_by");
    tl_table_add(t, text);
}

static int print_invites(const json_t *invites)
{
    static const char *const heads[] = {"NONCE", "ROLE",    "STATE", "EXPIRES",
                                        "FOR",   "USED BY", NULL};
    const json_t *invite;
    tl_table t;
    size_t i;
    if (!json_array_size(invites)) {
        tl_out_note("no invites have been made here");
        return TL_EXIT_OK;
    }
    tl_table_begin(&t, heads);
    json_array_foreach (invites, i, invite)
        add_invite(&t, invite);
    return tl_table_end(&t) ? TL_EXIT_FAILED : TL_EXIT_OK;
}

int tl_cmd_ptn_invites(tl_cli *cli, const tl_args *args)
{
    json_t *all;
    int code = tl_verb_do(cli, args, "ptn.invites", json_pack("{s:s}", "net", args->operand[0]),
                          READ_TIME, &all);
    if (all && cli->json)
        tl_out_json(all);
    else if (all)
        code = print_invites(json_object_get(all, "invites"));
    json_decref(all);
    return code;
}

/* --- join --- */

/* A whole text from standard input, also typed: what is longer than an invite is cut, and then is none. */
static tl_err read_input(tl_buf *out, tl_why *why)
{
    char text[TL_INVITE_MAX + 64];
    size_t n = fread(text, 1, sizeof text, stdin);
    if (ferror(stdin))
        return tl_why_file(why, "read", "standard input", errno);
    return tl_buf_append(out, tl_slice_of(text, n)) ? tl_why_set(why, TL_ERR_NOMEM, "out of memory")
                                                    : TL_OK;
}

/* Appends the code: the operand, standard input for "-", or the picture's. */
static int read_code(const tl_cli *cli, const tl_args *args, tl_buf *out)
{
    const char *image = tl_args_value(args, "image");
    tl_why why;
    if (!image == !args->operand_n)
        return tl_cli_usage(cli, "name either an invite's CODE or, with --image, a picture of it");
    tl_err e = TL_OK;
    if (image)
        e = tl_qrimage_read(image, TL_INVITE_PREFIX, out, &why);
    else if (!strcmp(args->operand[0], "-"))
        e = read_input(out, &why);
    else if (tl_buf_append_str(out, args->operand[0]))
        e = tl_why_set(&why, TL_ERR_NOMEM, "out of memory");
    if (!e)
        return TL_EXIT_OK;
    tl_out_error("%s", why.text);
    return e == TL_ERR_NOT_FOUND || e == TL_ERR_PROTO ? TL_EXIT_USAGE : TL_EXIT_FAILED;
}

/* The invite as text that is right in its form; nothing else is ever sent. */
static int check_code(tl_buf *code, tl_invite *ret)
{
    tl_ptn_verdict v =
        tl_crypto_init() ? TL_PTN_NO_MEMORY : tl_invite_read(tl_buf_slice(code), ret);
    if (v == TL_PTN_MALFORMED) {
        tl_verb_refuse(
            "E_INVITE_MALFORMED",
            "this is no invite, or a part of it is missing: it begins with %s and is one "
            "word",
            TL_INVITE_PREFIX);
        return TL_EXIT_USAGE;
    }
    if (v == TL_PTN_SIGNATURE) {
        tl_verb_refuse("E_INVITE_ALTERED",
                       "its signature is wrong: a character was changed, or it is "
                       "forged; copy it again, or ask for a new one");
        return TL_EXIT_DENIED;
    }
    if (v == TL_PTN_NO_MEMORY) {
        tl_out_error("out of memory");
        return TL_EXIT_FAILED;
    }
    return TL_EXIT_OK;
}

/* A join that takes its time. */
typedef struct {
    const tl_cli *cli;
    char network[TL_NODE_ID_HEX + 1], inviter[TL_NODE_ID_HEX + 1];
    tl_time asked; /* when it was last asked why it waits */
    bool told;
    char why[300]; /* what was said last */
    tl_waiting waiting;
} joining;

/* Why the node waits, as its list of networks tells. */
static void ask_why(joining *j)
{
    const json_t *ptn;
    tl_verb_result r;
    size_t i;
    const tl_verb list = {.verb = "ptn.list", .args = json_object(), .timeout = TL_SEC};
    if (tl_verb_run(j->cli, &list, &r))
        return;
    json_array_foreach (json_object_get(r.value, "ptns"), i, ptn)
        if (!strcmp(tl_json_string(ptn, "ptn_id", ""), j->network) &&
            strcmp(tl_json_string(ptn, "waiting", j->why), j->why) != 0) {
            snprintf(j->why, sizeof j->why, "%s", tl_json_string(ptn, "waiting", ""));
            j->told = false;
        }
    json_decref(r.value);
}

static void on_tick(void *user, tl_time waited)
{
    joining *j = user;
    tl_waiting_tick(&j->waiting, waited);
    if (waited < SILENCE || (j->asked && waited < j->asked + ASK_EVERY))
        return;
    bool first = !j->asked;
    j->asked = waited;
    ask_why(j);
    if (j->cli->json)
        return;
    if (j->why[0] && !j->told)
        tl_out_note("%s; trying on (Ctrl-C leaves it to the node)", j->why);
    else if (first)
        tl_out_note("the inviter %.4s...%s is not reached yet; trying on (Ctrl-C leaves it to the "
                    "node)",
                    j->inviter, j->inviter + TL_NODE_ID_HEX - 2);
    j->told = true;
}

static int tell_late(const joining *j, bool interrupted)
{
    tl_verb_refuse(
        "E_TIMEOUT", "%s%s%s; the node goes on trying and finishes by itself: teale ptn list",
        interrupted ? "not joined yet" : "not joined in time", j->why[0] ? ": " : "", j->why);
    return TL_EXIT_TIMEOUT;
}

/* The first and the last answer of a ping (NDJSON), new references. */
static void read_pings(tl_slice s, json_t **ret_first, json_t **ret_last)
{
    while (s.n) {
        const uint8_t *end = memchr(s.p, '\n', s.n);
        size_t n = end ? (size_t)(end - s.p) : s.n;
        json_t *line = NULL;
        if (!tl_json_parse(tl_slice_of(s.p, n), 8, &line, NULL) &&
            tl_json_string(line, "path", NULL)) {
            json_decref(*ret_last);
            *ret_last = json_incref(line);
            *ret_first = *ret_first ? *ret_first : json_incref(line);
        }
        json_decref(line);
        n += end != NULL;
        s = tl_slice_of(s.p + n, s.n - n);
    }
}

/* Shows how the path to the admin comes about, where a person looks on. */
static void show_path(const tl_cli *cli, const char *admin)
{
    char path[128], before[64] = "";
    json_t *first = NULL, *last = NULL;
    tl_daemon_answer a;
    if (!tl_out_is_live(stderr) || strlen(admin) != TL_NODE_ID_HEX)
        return;
    const char *end = admin + TL_NODE_ID_HEX - 2;
    snprintf(path, sizeof path, "/control/ping/%s?until=direct", admin);
    tl_progress_note("looking for a direct path to %.4s...%s", admin, end);
    tl_daemon_run(
        cli,
        &(tl_daemon_ask){
            .method = "GET", .path = path, .timeout = PATH_TIME, .waits_for = "a direct path"},
        NULL, NULL, &a);
    tl_progress_clear();
    read_pings(tl_buf_slice(&a.body), &first, &last);
    const char *path_first = tl_json_string(first, "path", ""),
               *path_last = tl_json_string(last, "path", "");
    if (strcmp(path_first, path_last) != 0)
        snprintf(before, sizeof before, "%.16s %.1f ms -> ", path_first,
                 tl_json_number(first, "rtt_ms", 0));
    if (last)
        tl_out_note("path to %.4s...%s: %s%s %.1f ms", admin, end, before, path_last,
                    tl_json_number(last, "rtt_ms", 0));
    json_decref(first);
    json_decref(last);
    tl_daemon_answer_clear(&a);
}

/* Where an OpenAI client finds the network's models. */
static void show_api(const tl_cli *cli, const char *network)
{
    json_t *env;
    tl_verb_result key;
    const tl_verb ask = {
        .verb = "ptn.key", .args = json_pack("{s:s}", "net", network), .timeout = READ_TIME};
    if (tl_daemon_get(cli, "/control/env", READ_TIME, &env))
        return;
    if (!tl_verb_run(cli, &ask, &key)) {
        printf("API %s   key ", tl_json_string(env, "base_url", ""));
        tl_out_plain(tl_json_string(key.value, "key", ""));
        putchar('\n');
        json_decref(key.value);
    }
    json_decref(env);
}

static void tell_joined(const tl_cli *cli, const json_t *done)
{
    const char *admin = tl_json_string(done, "admin", "");
    char text[TL_WORDS_MAX];
    fputs("joined \"", stdout);
    tl_out_plain(tl_json_string(done, "name", ""));
    printf("\" as %s", tl_json_string(done, "role", "member"));
    if (strlen(admin) == TL_NODE_ID_HEX)
        printf(" (admin %.4s...%s)", admin, admin + TL_NODE_ID_HEX - 2);
    putchar('\n');
    fflush(stdout);
    tl_words_time(text, done, "expires_at", "");
    if (*text)
        tl_out_note(
            "the certificate of this node ends %s; it is renewed by itself when an admin is "
            "reached",
            text);
    if (tl_json_bool(done, "name_taken", false))
        tl_out_note("another network is called so here, too: say which by ID, or teale ptn rename "
                    "%.16s NAME",
                    tl_json_string(done, "ptn_id", ""));
    show_path(cli, admin);
    show_api(cli, tl_json_string(done, "ptn_id", ""));
}

static json_t *join_args(const tl_args *args, tl_slice code)
{
    const char *as = tl_args_value(args, "as");
    json_t *wish = json_pack("{s:s%}", "invite", (const char *)code.p, code.n);
    if (as && json_object_set_new(wish, "as", json_string(as))) {
        json_decref(wish);
        return NULL;
    }
    return wish;
}

static int join(tl_cli *cli, const tl_args *args, tl_buf *code, tl_time timeout)
{
    tl_invite invite = {.name = ""};
    joining j = {.cli = cli, .waiting = tl_waiting_for(cli, "the inviter")};
    tl_verb_result r;
    int exit = check_code(code, &invite);
    if (exit)
        return exit;
    tl_node_id_write(j.network, &invite.network);
    tl_node_id_write(j.inviter, &invite.inviter);
    tl_waiting_say(&j.waiting, "the inviter %.4s...%s", j.inviter, j.inviter + TL_NODE_ID_HEX - 2);
    const tl_verb verb = {.verb = "ptn.join",
                          .args = join_args(args, tl_buf_slice(code)),
                          .timeout = timeout,
                          .interruptible = true,
                          .on_tick = on_tick,
                          .user = &j};
    exit = tl_verb_run(cli, &verb, &r);
    tl_waiting_end(&j.waiting);
    if (r.late)
        return tell_late(&j, r.interrupted);
    if (!exit && cli->json)
        tl_out_json(r.value);
    else if (!exit)
        tell_joined(cli, r.value);
    json_decref(r.value);
    return exit;
}

int tl_cmd_join(tl_cli *cli, const tl_args *args)
{
    const char *as = tl_args_value(args, "as");
    tl_buf code = {0};
    tl_time timeout;
    if (as && !tl_network_name_is(as))
        return tl_cli_usage(cli, "a network's name is 1 to 64 letters, digits, dots, dashes and "
                                 "underscores, begins with no dash, and is not 8 hex digits or "
                                 "more, which name an ID");
    if (!tl_daemon_timeout(cli, args, TL_NEVER, &timeout))
        return TL_EXIT_USAGE;
    int exit = read_code(cli, args, &code);
    if (!exit)
        exit = join(cli, args, &code, timeout);
    tl_buf_clear(&code);
    return exit;
}
