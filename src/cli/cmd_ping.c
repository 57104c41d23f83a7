/* cmd_ping.c - `teale ping`: round trips to a peer over the path in use. */
#include "cli/commands.h"
#include "cli/daemon.h"
#include "crypto/identity.h"

#include <string.h>

#define PING_MAX 1000 /* as the daemon's */

typedef struct {
    bool json;
    tl_buf line;
    json_t *results; /* array, as the daemon gave them */
    unsigned sent, answered;
    double least, most, sum;
    tl_err e;
} run;

static void print_result(run *r, const json_t *result)
{
    const char *error = tl_json_string(result, "error", NULL);
    double rtt = tl_json_number(result, "rtt_ms", 0);
    r->sent++;
    if (error) {
        tl_out_error("%s", error);
        return;
    }
    r->answered++;
    r->sum += rtt;
    r->least = r->answered == 1 || rtt < r->least ? rtt : r->least;
    r->most = rtt > r->most ? rtt : r->most;
    if (!r->json)
        printf("%u: %.3f ms %s\n", r->sent, rtt, tl_json_string(result, "via", ""));
    fflush(stdout);
}

static void take_line(run *r, tl_slice line)
{
    json_t *result;
    if (!line.n)
        return;
    r->e = tl_json_parse(line, 16, &result, NULL);
    if (r->e)
        return;
    print_result(r, result);
    if (json_array_append_new(r->results, result))
        r->e = TL_ERR_NOMEM;
}

static void on_body(void *user, tl_slice bytes)
{
    run *r = user;
    while (bytes.n && !r->e) {
        const uint8_t *newline = memchr(bytes.p, '\n', bytes.n);
        size_t n = newline ? (size_t)(newline - bytes.p) : bytes.n;
        r->e = r->line.len + n > 65536 ? TL_ERR_TOO_LARGE
                                       : tl_buf_append(&r->line, tl_slice_of(bytes.p, n));
        if (!r->e && newline) {
            take_line(r, tl_buf_slice(&r->line));
            tl_buf_consume(&r->line, r->line.len);
        }
        n += newline != NULL;
        bytes = tl_slice_of(bytes.p + n, bytes.n - n);
    }
}

static void print_sum(run *r, const char *node)
{
    if (r->json) {
        json_t *all = json_pack("{s:s, s:i, s:i, s:O}", "node_id", node, "sent", (int)r->sent,
                                "answered", (int)r->answered, "results", r->results);
        if (all)
            tl_out_json(all);
        json_decref(all);
    } else if (r->answered) {
        printf("%u of %u answered, min/avg/max %.3f/%.3f/%.3f ms\n", r->answered, r->sent, r->least,
               r->sum / r->answered, r->most);
    }
}

int tl_cmd_ping(tl_cli *cli, const tl_args *args)
{
    char node[TL_NODE_ID_HEX + 1], path[128];
    long count;
    tl_time timeout;
    tl_why why;
    if (tl_args_number(args, "count", 4, 1, PING_MAX, &count, &why))
        return tl_cli_usage(cli, "%s", why.text);
    if (!tl_daemon_timeout(cli, args, TL_NEVER, &timeout))
        return TL_EXIT_USAGE;
    int code = tl_daemon_find_peer(cli, args->operand[0], node);
    if (code)
        return code;
    snprintf(path, sizeof path, "/control/ping/%s?count=%ld", node, count);
    run r = {.json = cli->json, .results = json_array()};
    tl_daemon_answer a;
    tl_daemon_run(cli, &(tl_daemon_ask){.method = "GET", .path = path, .timeout = timeout}, on_body,
                  &r, &a);
    if (!a.e && !r.e && a.status == 200)
        take_line(&r, tl_buf_slice(&r.line)); /* a last line without its newline */
    if (!a.e || r.sent)
        print_sum(&r, node);
    code = tl_daemon_explain(cli, &a);
    if (!code && r.e) {
        tl_out_error("the daemon's answer is not understood: %s", tl_err_name(r.e));
        code = TL_EXIT_FAILED;
    }
    if (!code && !r.sent)
        tl_out_error("the daemon gave no result");
    if (!code && !r.answered)
        code = TL_EXIT_UNREACHABLE;
    json_decref(r.results);
    tl_buf_clear(&r.line);
    tl_daemon_answer_clear(&a);
    return code;
}
