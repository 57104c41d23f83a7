/* cmd_bugreport.c - `teale bugreport`: what a bug report needs, ready to be posted. Never prints
 * keys, prompts or answers (no log has them); cli/redact cuts addresses and node IDs short. */
#include "cli/commands.h"
#include "cli/daemon.h"
#include "cli/redact.h"
#include "config/config.h"

#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>

#define ROUND_TIME (15 * TL_SEC)
#define LOG_MAX    (32L << 10) /* the last part of the log: about 300 lines */

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

static tl_err add_json(tl_buf *out, json_t *value)
{
    /* People put their own names there, and those of their machines and private networks. */
    size_t i;
    json_t *network;
    if (json_object_get(value, "display_name"))
        (void)json_object_del(value, "display_name");
    json_array_foreach (json_object_get(value, "ptns"), i, network)
        (void)json_object_del(network, "name");
    tl_err e = tl_json_write(out, value);
    return e ? e : tl_buf_append_str(out, "\n");
}

static tl_err add_settings(const tl_cli *cli, tl_buf *out)
{
    tl_settings s;
    tl_why why;
    tl_err e = head(out, "settings");
    if (e)
        return e;
    if (tl_settings_load(cli->paths.config, &s, &why))
        return tl_buf_printf(out, "%s\n", why.text);
    json_t *all = tl_settings_json(&s);
    e = all ? add_json(out, all) : TL_ERR_NOMEM;
    json_decref(all);
    return e;
}

/* Adds the daemon's answer, or a line that says that there is no daemon. */
static tl_err add_answer(const tl_cli *cli, tl_buf *out, const char *title, const char *path)
{
    tl_daemon_answer a;
    json_t *value = NULL;
    tl_err e = head(out, title);
    tl_daemon_run(cli, &(tl_daemon_ask){.method = "GET", .path = path, .timeout = ROUND_TIME}, NULL,
                  NULL, &a);
    if (!e && a.e)
        e = tl_buf_printf(out, "%s\n", a.e == TL_ERR_UNREACHABLE ? "no daemon" : tl_err_name(a.e));
    else if (!e && !tl_json_parse(tl_buf_slice(&a.body), 16, &value, NULL))
        e = add_json(out, value);
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

int tl_cmd_bugreport(tl_cli *cli, const tl_args *args)
{
    (void)args;
    tl_buf plain = {0}, safe = {0};
    tl_err e = add_system(&plain);
    if (!e)
        e = add_settings(cli, &plain);
    if (!e)
        e = add_answer(cli, &plain, "status", "/control/status");
    if (!e)
        e = add_answer(cli, &plain, "doctor", "/control/doctor");
    if (!e)
        e = add_answer(cli, &plain, "netcheck", "/control/netcheck");
    if (!e)
        e = add_log(cli, &plain);
    if (!e)
        e = tl_redact(&safe, tl_buf_slice(&plain));
    if (e)
        tl_out_error("the report could not be made: %s", tl_err_name(e));
    else
        tl_out_text(stdout, tl_buf_slice(&safe), true);
    tl_buf_clear(&plain);
    tl_buf_clear(&safe);
    return e ? TL_EXIT_FAILED : TL_EXIT_OK;
}
