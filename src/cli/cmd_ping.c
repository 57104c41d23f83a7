/* cmd_ping.c - `teale ping`: round trips to a peer over the path in use. */
#include "cli/commands.h"
#include "cli/daemon.h"
#include "cli/nodefind.h"
#include "cli/waiting.h"
#include "crypto/identity.h"

#include <math.h>
#include <string.h>
#include <time.h>

#define PING_MAX    1000          /* the same bound as the daemon's */
#define DIRECT_TIME (30 * TL_SEC) /* if a direct path can be found, it is found by then */

typedef struct {
    bool json;
    tl_buf line;
    json_t *results; /* array, as the daemon gave them */
    unsigned sent, answered;
    double least, most, sum;
    bool failed;                 /* an error came instead of an answer */
    bool direct;                 /* an answer came by a direct path or the local network */
    tl_time begun, direct_after; /* when the run began; how long after that `direct` became true */
    char first[16], last[16];    /* the paths of the first and of the last answer */
    double first_rtt, last_rtt;
    bool until_direct;
    tl_waiting waiting;
    tl_err e;
} run;

static tl_time now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (tl_time)t.tv_sec * TL_SEC + (tl_time)t.tv_nsec;
}

static void print_result(run *r, const json_t *result)
{
    const char *error = tl_json_string(result, "error", NULL);
    double rtt = tl_json_number(result, "rtt_ms", 0);
    tl_waiting_end(&r->waiting);
    tl_waiting_say(&r->waiting, "%s", r->until_direct ? "a direct path" : "an answer");
    r->sent++;
    if (error) {
        tl_out_error("%s", error);
        r->failed = true;
        return;
    }
    r->answered++;
    r->sum += rtt;
    r->least = r->answered == 1 || rtt < r->least ? rtt : r->least;
    r->most = rtt > r->most ? rtt : r->most;
    const char *path = tl_json_string(result, "path", "");
    if (!r->first[0]) {
        snprintf(r->first, sizeof r->first, "%s", path);
        r->first_rtt = rtt;
    }
    snprintf(r->last, sizeof r->last, "%s", path);
    r->last_rtt = rtt;
    if (!r->direct && (!strcmp(path, "direct") || !strcmp(path, "lan"))) {
        r->direct = true;
        r->direct_after = now() - r->begun;
    }
    if (!r->json)
        printf("%u: %.3f ms %s\n", r->sent, rtt, path);
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

static void on_tick(void *user, tl_time waited)
{
    tl_waiting_tick(&((run *)user)->waiting, waited);
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

static json_t *milliseconds(tl_time t)
{
    return t ? json_real(round((double)t / (double)TL_US) / 1000) : json_null();
}

static void print_sum(run *r, const char *node)
{
    if (r->json) {
        json_t *all =
            json_pack("{s:s, s:i, s:i, s:b, s:o, s:O}", "node_id", node, "sent", (int)r->sent,
                      "answered", (int)r->answered, "direct", r->direct, "direct_after_ms",
                      milliseconds(r->direct_after), "results", r->results);
        if (all)
            tl_out_json(all);
        json_decref(all);
        return;
    }
    if (r->answered)
        printf("%u of %u answered, min/avg/max %.3f/%.3f/%.3f ms\n", r->answered, r->sent, r->least,
               r->sum / r->answered, r->most);
    if (r->direct && strcmp(r->first, r->last) != 0)
        printf("path to %.16s: %s %.3f ms -> %s %.3f ms after %.1f s\n", node, r->first,
               r->first_rtt, r->last, r->last_rtt, (double)r->direct_after / (double)TL_SEC);
}

/* Prints what failed, and returns the exit code. */
static int judge(const tl_cli *cli, const run *r, const tl_daemon_answer *a, bool until_direct,
                 const char *node)
{
    bool late = a->e == TL_ERR_TIMEOUT;
    if (until_direct && !r->direct && r->answered && !r->failed && (late || !a->e)) {
        tl_out_error("no direct path after %u answers", r->answered);
        tl_out_note("See: teale why %.16s", node);
        return TL_EXIT_TIMEOUT;
    }
    int code = tl_daemon_explain(cli, a);
    if (!code && r->e) {
        tl_out_error("the daemon's answer is not understood: %s", tl_err_name(r->e));
        return TL_EXIT_FAILED;
    }
    if (!code && !r->sent)
        tl_out_error("the daemon gave no result");
    if (!code && (!r->answered || (until_direct && !r->direct)))
        code = TL_EXIT_UNREACHABLE;
    return code;
}

int tl_cmd_ping(tl_cli *cli, const tl_args *args)
{
    char node[TL_NODE_ID_HEX + 1], path[128], count_text[32] = "";
    bool until_direct = tl_args_has(args, "until-direct");
    long count;
    tl_time timeout;
    tl_why why;
    if (tl_args_number(args, "count", 4, 1, PING_MAX, &count, &why))
        return tl_cli_usage(cli, "%s", why.text);
    if (!tl_daemon_timeout(cli, args, until_direct ? DIRECT_TIME : TL_NEVER, &timeout))
        return TL_EXIT_USAGE;
    int code = tl_nodefind_other(cli, args->operand[0], node);
    if (code)
        return code;
    if (!until_direct || tl_args_value(args, "count"))
        snprintf(count_text, sizeof count_text, "count=%ld", count);
    snprintf(path, sizeof path, "/control/ping/%s?%s%s%s", node, count_text,
             until_direct && count_text[0] ? "&" : "", until_direct ? "until=direct" : "");
    run r = {.json = cli->json,
             .results = json_array(),
             .begun = now(),
             .until_direct = until_direct,
             .waiting =
                 tl_waiting_for(cli, "a connection to %.4s...%s", node, node + TL_NODE_ID_HEX - 2)};
    tl_daemon_answer a;
    tl_daemon_run(
        cli,
        &(tl_daemon_ask){.method = "GET", .path = path, .timeout = timeout, .on_tick = on_tick},
        on_body, &r, &a);
    tl_waiting_end(&r.waiting);
    if (!a.e && !r.e && a.status == 200)
        take_line(&r, tl_buf_slice(&r.line)); /* a last line without its newline */
    if (!a.e || r.sent)
        print_sum(&r, node);
    code = judge(cli, &r, &a, until_direct, node);
    json_decref(r.results);
    tl_buf_clear(&r.line);
    tl_daemon_answer_clear(&a);
    return code;
}
