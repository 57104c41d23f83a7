/* cmd_bugreport.c - `teale bugreport`: what a bug report needs, ready to be posted. Never prints
 * keys, prompts or answers (no log has them), and opens no file of the node but its log and settings;
 * cli/redact cuts addresses and node IDs short, and renames the user's directories and networks. */
#include "cli/commands.h"
#include "cli/daemon.h"
#include "cli/redact.h"
#include "config/config.h"

#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>

#define ROUND_TIME (15 * TL_SEC)
#define LOG_MAX    (32L << 10) /* the last part of the log: about 300 lines */
#define OWN_MAX    66          /* the networks that a node is in, and two directories */

static tl_err head(tl_buf *out, const char *title)
{
    return tl_buf_printf(out, "\n--- %s ---\n", title);
}

static tl_err add_system(tl_buf *out)
{
    struct utsname u;
    tl_err e = tl_buf_printf(out, "teale %s\n", TL_VERSION);
    if (!e && !uname(&u))
        e = tl_buf_printf(out, "%s %s %s\n", u.sysname, u.release, u.machine);
    return e;
}

/* The texts of this user's own that the report must not have. */
typedef struct {
    tl_redact_own own[OWN_MAX];
    char name[OWN_MAX][64 + 1], instead[OWN_MAX][16];
    size_t n, networks;
} own_texts;

static void add_own(own_texts *o, const char *text, const char *instead, bool anywhere)
{
    if (!text || !*text || (anywhere && !text[1]) || o->n == OWN_MAX) /* HOME may be "/" */
        return;
    o->own[o->n++] = (tl_redact_own){text, instead, anywhere};
}

static void add_network(own_texts *o, const char *name)
{
    size_t i = o->n;
    if (i == OWN_MAX)
        return;
    snprintf(o->name[i], sizeof o->name[i], "%s", name);
    snprintf(o->instead[i], sizeof o->instead[i], "network-%zu", ++o->networks);
    add_own(o, o->name[i], o->instead[i], false);
}

/* People put their own names there, and those of their machines and private networks. */
static tl_err add_json(tl_buf *out, json_t *value, own_texts *own)
{
    size_t i;
    json_t *network;
    if (json_object_get(value, "display_name"))
        (void)json_object_del(value, "display_name");
    json_array_foreach (json_object_get(value, "ptns"), i, network)
        add_network(own, tl_json_string(network, "name", ""));
    tl_err e = tl_json_write(out, value);
    return e ? e : tl_buf_append_str(out, "\n");
}

static tl_err add_settings(const tl_cli *cli, tl_buf *out, own_texts *own)
{
    tl_settings s;
    tl_why why;
    tl_err e = head(out, "settings");
    if (e)
        return e;
    if (tl_settings_load(cli->paths.config, &s, &why))
        return tl_buf_printf(out, "%s\n", why.text);
    json_t *all = tl_settings_json(&s);
    e = all ? add_json(out, all, own) : TL_ERR_NOMEM;
    json_decref(all);
    return e;
}

/* Adds the daemon's answer, or a line that says that there is no daemon. */
static tl_err add_answer(const tl_cli *cli, tl_buf *out, const char *title, const char *path,
                         own_texts *own)
{
    tl_daemon_answer a;
    json_t *value = NULL;
    tl_err e = head(out, title);
    tl_daemon_run(
        cli,
        &(tl_daemon_ask){.method = "GET", .path = path, .timeout = ROUND_TIME, .waits_for = title},
        NULL, NULL, &a);
    if (!e && a.e)
        e = tl_buf_printf(out, "%s\n", a.e == TL_ERR_UNREACHABLE ? "no daemon" : tl_err_name(a.e));
    else if (!e && !tl_json_parse(tl_buf_slice(&a.body), 16, &value, NULL))
        e = add_json(out, value, own);
    json_decref(value);
    tl_daemon_answer_clear(&a);
    return e;
}

static tl_err add_log(const tl_cli *cli, tl_buf *out)
{
    tl_err e = head(out, "end of the log");
    FILE *f = e ? NULL : fopen(cli->paths.log, "rb");
    if (!f)
        return e ? e : tl_buf_append_str(out, "none\n");
    char *text = malloc(LOG_MAX);
    long size = fseek(f, 0, SEEK_END) ? 0 : ftell(f);
    bool cut = size > LOG_MAX;
    size_t n = 0;
    if (text && !fseek(f, cut ? size - LOG_MAX : 0, SEEK_SET))
        n = fread(text, 1, LOG_MAX, f);
    const char *from = cut && n ? memchr(text, '\n', n) : NULL; /* begins with a whole line */
    size_t skipped = from ? (size_t)(from + 1 - text) : 0;
    e = text ? tl_buf_append(out, tl_slice_of(text + skipped, n - skipped)) : TL_ERR_NOMEM;
    free(text);
    fclose(f);
    return e;
}

static tl_err add_all(const tl_cli *cli, tl_buf *out, own_texts *own)
{
    tl_err e = add_system(out);
    if (!e)
        e = add_settings(cli, out, own);
    if (!e)
        e = add_answer(cli, out, "status", "/control/status", own);
    if (!e)
        e = add_answer(cli, out, "doctor", "/control/doctor", own);
    if (!e)
        e = add_answer(cli, out, "netcheck", "/control/netcheck", own);
    return e ? e : add_log(cli, out);
}

int tl_cmd_bugreport(tl_cli *cli, const tl_args *args)
{
    (void)args;
    static own_texts own;
    tl_buf plain = {0}, others = {0}, safe = {0};
    add_own(&own, cli->paths.data, "(data)", true);
    add_own(&own, getenv("HOME"), "~", true);
    tl_err e = add_all(cli, &plain, &own);
    if (!e)
        e = tl_redact_texts(&others, tl_buf_slice(&plain), own.own, own.n);
    if (!e)
        e = tl_redact(&safe, tl_buf_slice(&others));
    if (e)
        tl_out_error("the report could not be made: %s", tl_err_name(e));
    else
        tl_out_text(stdout, tl_buf_slice(&safe), true);
    tl_buf_clear(&plain);
    tl_buf_clear(&others);
    tl_buf_clear(&safe);
    return e ? TL_EXIT_FAILED : TL_EXIT_OK;
}
