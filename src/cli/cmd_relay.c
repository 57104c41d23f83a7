/* cmd_relay.c - `teale relay ...` runs teale-relay in its place: the one beside this program, else
 * the one on PATH. `teale relay status` tells what the running node relays for others. */
#include "cli/commands.h"
#include "cli/verb.h"
#include "cli/words.h"

#include <errno.h>
#include <limits.h>
#include <string.h>
#include <unistd.h>

int tl_cmd_relay(tl_cli *cli, const tl_args *args)
{
    static const char name[] = "teale-relay";
    char beside[PATH_MAX];
    const char *argv[TL_ARGS_MAX + 2] = {name};
    (void)cli;
    memcpy(argv + 1, args->operand, args->operand_n * sizeof *argv);
    ssize_t n = readlink("/proc/self/exe", beside, sizeof beside - sizeof name);
    char *slash = n > 0 ? memrchr(beside, '/', (size_t)n) : NULL;
    if (slash) {
        memcpy(slash + 1, name, sizeof name);
        execv(beside, (char *const *)(void *)argv);
    }
    if (!slash || errno == ENOENT)
        execvp(name, (char *const *)(void *)argv);
    tl_out_error("cannot run teale-relay: %s. Is it installed beside teale?", strerror(errno));
    return TL_EXIT_FAILED;
}

/* --- relay status --- */

#define READ_TIME (10 * TL_SEC)

static long long number(const json_t *object, const char *key)
{
    return (long long)tl_json_number(object, key, 0);
}

/* Bytes for a person. */
static void write_bytes(char ret[24], long long n)
{
    static const char *const units[] = {"B", "KB", "MB", "GB", "TB"};
    double v = (double)n;
    size_t unit = 0;
    while (v >= 1024 && unit + 1 < sizeof units / sizeof *units) {
        v /= 1024;
        unit++;
    }
    snprintf(ret, 24, unit ? "%.1f %s" : "%.0f %s", v, units[unit]);
}

static int print_sessions(const json_t *list)
{
    static const char *const heads[] = {"NODES", "", "RATE", "ENDS IN", "IDLE", "BYTES", NULL};
    const json_t *s;
    tl_table t;
    size_t i;
    tl_table_begin(&t, heads);
    json_array_foreach (list, i, s) {
        const json_t *nodes = json_object_get(s, "nodes");
        const json_t *a = json_array_get(nodes, 0), *b = json_array_get(nodes, 1);
        const json_t *ends = json_object_get(s, "ends_in_secs");
        char text[TL_WORDS_MAX];
        bool wide = tl_json_bool(a, "reciprocal", false) || tl_json_bool(b, "reciprocal", false);
        tl_words_id(text, a, "node_id");
        tl_table_add(&t, text);
        tl_words_id(text, b, "node_id");
        tl_table_add(&t, text);
        tl_table_add(&t, wide ? "reciprocal" : "bootstrap");
        snprintf(text, sizeof text, "%lld s", number(s, "ends_in_secs"));
        tl_table_add(&t, json_is_integer(ends) ? text : "-");
        snprintf(text, sizeof text, "%lld s", number(s, "idle_secs"));
        tl_table_add(&t, text);
        write_bytes(text, number(s, "bytes"));
        tl_table_add(&t, text);
    }
    return tl_table_end(&t) ? TL_EXIT_FAILED : TL_EXIT_OK;
}

static int print_relaying(const json_t *r)
{
    const char *reason = tl_json_string(r, "reason", NULL);
    const char *remedy = tl_json_string(r, "remedy", NULL);
    char line[160], bytes[24];
    const json_t *list = json_object_get(r, "list");
    tl_out_line("relaying", tl_json_string(r, "state", "?"));
    if (!tl_json_bool(r, "enabled", false)) {
        tl_out_note("nothing is relayed for others: teale config set nat.relay_enabled true");
        return TL_EXIT_OK;
    }
    if (reason)
        tl_out_line("reason", reason);
    if (remedy)
        tl_out_line("remedy", remedy);
    const char *at = json_string_value(json_array_get(json_object_get(r, "addresses"), 0));
    if (at)
        tl_out_line("address", at);
    tl_out_line("for", tl_json_string(r, "for", "?"));
    snprintf(line, sizeof line, "%lld of %lld, %lld reciprocal", number(r, "sessions"),
             number(r, "sessions_max"), number(r, "reciprocal"));
    tl_out_line("sessions", line);
    snprintf(line, sizeof line, "%lld", number(r, "attached"));
    tl_out_line("attached", line);
    write_bytes(bytes, number(r, "bytes"));
    snprintf(line, sizeof line, "%s in %lld packets", bytes, number(r, "packets"));
    tl_out_line("relayed", line);
    return json_array_size(list) ? print_sessions(list) : TL_EXIT_OK;
}

int tl_cmd_relay_status(tl_cli *cli, const tl_args *args)
{
    json_t *r;
    int code = tl_verb_do(cli, args, "relay.status", json_object(), READ_TIME, &r);
    if (r && cli->json)
        tl_out_json(r);
    else if (r)
        code = print_relaying(r);
    json_decref(r);
    return code;
}
