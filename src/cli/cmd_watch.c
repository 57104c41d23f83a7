/* cmd_watch.c - `teale watch`: prints a line for each event of the node, as it comes. */
#include "base/when.h"
#include "cli/commands.h"
#include "cli/daemon.h"
#include "cli/nattext.h"
#include "cli/sse.h"
#include "cli/words.h"

#include <string.h>
#include <time.h>

#define READ_TIME (10 * TL_SEC)

typedef struct {
    bool json;
    tl_sse sse;
    tl_err e;
} watch;

/* Prints "12:03:04", in local time, for "2026-01-01T11:03:04Z". */
static void print_time(const char *at)
{
    struct tm local;
    tl_unix when;
    char text[32] = "--:--:--";
    if (!tl_when_parse(tl_slice_str(at), &when)) {
        time_t t = (time_t)when;
        if (localtime_r(&t, &local))
            strftime(text, sizeof text, "%H:%M:%S", &local);
    }
    printf("%s%s%s ", tl_out_colour(stdout, TL_COLOUR_DIM), text, tl_out_end(stdout));
}

static void print_peer(const json_t *data)
{
    char name[TL_WORDS_NAMED_MAX];
    tl_words_named(name, data);
    printf(" %.16s", tl_json_string(data, "node_id", "?"));
    if (*name) {
        putchar(' ');
        tl_out_plain(name);
    }
}

/* Prints " lead text", cleaned; nothing if the field is absent or empty. */
static void print_field(const json_t *data, const char *key, const char *lead)
{
    const char *text = tl_json_string(data, key, "");
    if (!*text)
        return;
    printf("%s", lead);
    tl_out_plain(text);
}

static void print_path(const json_t *data)
{
    double rtt = tl_json_number(data, "rtt_ms", 0);
    print_field(data, "from", ": ");
    print_field(data, "path", tl_json_string(data, "from", NULL) ? " -> " : ": ");
    print_field(data, "remote", " ");
    if (rtt > 0)
        printf(", %.1f ms", rtt);
}

static int number(const json_t *data, const char *key)
{
    return (int)tl_json_number(data, key, 0);
}

/* "migration done after 0.3 s: 3 of 3 connections carry on, 1 answer under way" */
static void print_phase(const char *phase, const json_t *data)
{
    const char *state = tl_json_string(data, "state", "");
    bool begins = !strcmp(state, "begins");
    putchar(' ');
    tl_out_plain(phase);
    putchar(' ');
    tl_out_plain(state);
    if (!begins)
        printf(" after %.1f s", tl_json_number(data, "after_ms", 0) / 1000);
    if (!strcmp(phase, "migration")) {
        int all = number(data, "connections"), answers = number(data, "answers");
        if (begins)
            printf(": %d connection%s", all, all == 1 ? "" : "s");
        else
            printf(": %d of %d connection%s carry on", number(data, "carry"), all,
                   all == 1 ? "" : "s");
        if (answers)
            printf(", %d with answers under way", answers);
    } else if (!strcmp(phase, "stun") && !begins) {
        printf(": public address %sknown",
               tl_json_bool(data, "address_known", false) ? "" : "not ");
    } else if (!strcmp(phase, "reestablish")) {
        if (!begins) /* whom it tries is known at its end alone */
            printf(": %d of %d back", number(data, "back"), number(data, "wanted"));
    }
}

static void print_network(const json_t *data)
{
    char nat[TL_NATTEXT_MAX];
    const char *phase = tl_json_string(data, "phase", NULL);
    putchar(':');
    if (phase) {
        print_phase(phase, data);
        return;
    }
    tl_nattext_status(json_object_get(data, "nat"), nat);
    if (tl_json_bool(data, "slept", false))
        printf(" slept;");
    else if (tl_json_bool(data, "moved", false))
        printf(" moved;");
    putchar(' ');
    tl_out_plain(nat);
}

static void print_event(const char *name, const json_t *data)
{
    print_time(tl_json_string(data, "at", ""));
    tl_out_plain(name);
    if (!strcmp(name, "NetworkChanged")) {
        print_network(data);
    } else if (!strcmp(name, "RelayState")) {
        print_field(data, "state", ": ");
        print_field(data, "relay", " ");
        print_field(data, "error", ": ");
    } else if (!strcmp(name, "Request")) {
        print_field(data, "role", ": ");
        print_field(data, "model", " ");
        print_field(data, "result", ": ");
    } else if (!strcmp(name, "Waiting")) {
        print_field(data, "model", ": ");
        print_field(data, "for", " waits for: ");
        printf(", %d s", number(data, "seconds"));
    } else if (!strcmp(name, "Membership")) {
        print_peer(data);
        print_field(data, "what", ": ");
        printf(" (network %.16s)", tl_json_string(data, "ptn_id", "?"));
    } else {
        print_peer(data);
        print_path(data);
        print_field(data, "why", ": ");
    }
    putchar('\n');
}

static void on_event(void *user, const char *name, tl_slice bytes)
{
    watch *w = user;
    json_t *data = NULL;
    if (w->e)
        return;
    w->e = tl_json_parse(bytes, 16, &data, NULL);
    if (!w->e && !w->json)
        print_event(name, data);
    if (!w->e && w->json) {
        json_t *line = json_pack("{s:s}", "event", name);
        w->e = line && !json_object_update(line, data) ? TL_OK : TL_ERR_NOMEM;
        if (!w->e)
            tl_out_json(line);
        json_decref(line);
    }
    json_decref(data);
    fflush(stdout);
}

static void on_body(void *user, tl_slice bytes)
{
    watch *w = user;
    if (!w->e)
        w->e = tl_sse_feed(&w->sse, bytes, on_event, w);
}

/* False: out of memory. */
static bool print_present_json(json_t *peer)
{
    json_t *line = json_pack("{s:s}", "event", "present");
    bool ok = line && !json_object_update(line, peer);
    if (ok)
        tl_out_json(line);
    json_decref(line);
    return ok;
}

/* Prints the paths at the beginning of the watch. */
static int print_present(const tl_cli *cli)
{
    json_t *all, *peer;
    size_t i;
    int code = tl_daemon_get(cli, "/control/peers", READ_TIME, &all);
    if (code)
        return code;
    json_array_foreach (json_object_get(all, "peers"), i, peer) {
        if (!tl_json_string(peer, "path", NULL))
            continue;
        if (cli->json) {
            if (!print_present_json(peer))
                code = TL_EXIT_FAILED;
            continue;
        }
        printf("present ");
        print_peer(peer);
        print_path(peer);
        putchar('\n');
    }
    fflush(stdout);
    json_decref(all);
    return code;
}

int tl_cmd_watch(tl_cli *cli, const tl_args *args)
{
    watch w = {.json = cli->json};
    tl_daemon_answer a;
    tl_time timeout;
    if (!tl_daemon_timeout(cli, args, TL_NEVER, &timeout))
        return TL_EXIT_USAGE;
    int code = print_present(cli);
    if (code)
        return code;
    tl_daemon_run(
        cli,
        &(tl_daemon_ask){
            .method = "GET", .path = "/v1/events", .timeout = timeout, .interruptible = true},
        on_body, &w, &a);
    if (a.interrupted) {
        code = TL_EXIT_OK;
    } else if (a.e == TL_ERR_TIMEOUT) {
        code = TL_EXIT_TIMEOUT; /* the user asked for it: nothing to explain */
    } else if (w.e) {
        tl_out_error("the daemon's events are not understood: %s", tl_err_name(w.e));
        code = TL_EXIT_FAILED;
    } else {
        code = tl_daemon_explain(cli, &a);
        if (!code) {
            tl_out_note("the node has stopped");
            code = TL_EXIT_NOT_RUNNING;
        }
    }
    tl_sse_clear(&w.sse);
    tl_daemon_answer_clear(&a);
    return code;
}
