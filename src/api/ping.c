/* Round trips to one peer, for `teale ping` and the page: a line for each, as it comes. */
#include "api/state.h"

#include <stdlib.h>

struct tl_api_ping {
    tl_api *api;
    tl_httpd_req *r;
    tl_node_ping *ping;
};

static void ping_free(tl_api_ping *p)
{
    if (p->ping)
        tl_node_ping_free(p->ping);
    p->api->counters.pings--;
    free(p);
}

static void on_ping_gone(void *user)
{
    ping_free(user);
}

static void on_result(void *user, tl_time rtt, tl_via via, bool more, const char *why)
{
    tl_api_ping *p = user;
    tl_buf line = {0};
    tl_err e = TL_OK;
    if (rtt > 0) {
        e = tl_buf_printf(&line, "{\"rtt_ms\":%.3f,\"path\":\"%s\",\"via\":\"%s\"}\n",
                          (double)rtt / TL_MS, tl_via_name(via), tl_via_name(via));
    } else {
        e = tl_buf_append_str(&line, "{\"error\":");
        if (!e)
            e = tl_json_append_string(&line, tl_slice_str(why ? why : "no answer"));
        if (!e)
            e = tl_buf_append_str(&line, "}\n");
    }
    if (!e)
        (void)tl_httpd_write(p->r, tl_buf_slice(&line)); /* at most TL_API_PING_MAX lines */
    tl_buf_clear(&line);
    if (e)
        tl_httpd_abort(p->r);
    else if (!more)
        tl_httpd_end(p->r);
    if (e || !more)
        ping_free(p);
}

/* "count=N", "until=direct", or both, in this order. */
static bool measure_parse(tl_slice query, unsigned *ret_count, bool *ret_until_direct)
{
    static const char until[] = "until=direct";
    size_t tail = sizeof until - 1, n = 0, digits = 0;
    *ret_until_direct = query.n >= tail && memcmp(query.p + query.n - tail, until, tail) == 0;
    if (*ret_until_direct)
        query.n -= tail;
    *ret_count = *ret_until_direct ? TL_API_PING_MAX : 4;
    if (query.n == 0)
        return true;
    if (*ret_until_direct && query.p[--query.n] != '&')
        return false;
    if (query.n <= 6 || memcmp(query.p, "count=", 6) != 0)
        return false;
    for (size_t i = 6; i < query.n; i++, digits++) {
        if (query.p[i] < '0' || query.p[i] > '9' || digits == 4)
            return false;
        n = n * 10 + (size_t)(query.p[i] - '0');
    }
    *ret_count = (unsigned)n;
    return n >= 1 && n <= TL_API_PING_MAX;
}

void tl_api_ping_start(tl_api *api, tl_httpd_req *r, const tl_node_id *peer)
{
    static const tl_httpd_watch_events watch = {.on_gone = on_ping_gone};
    unsigned count;
    bool until_direct;
    if (!measure_parse(tl_httpd_query(r), &count, &until_direct)) {
        tl_api_error(api, r, 400, "invalid_count", "count", "count is 1 to %d", TL_API_PING_MAX);
        return;
    }
    if (api->counters.pings >= TL_API_PINGS_MAX) {
        tl_api_error(api, r, 429, "queue_full", NULL, "too many pings are running");
        return;
    }
    tl_api_ping *p = calloc(1, sizeof *p);
    if (p)
        *p = (tl_api_ping){.api = api, .r = r};
    if (!p || tl_node_ping_start(api->node, peer, count, until_direct, on_result, p, &p->ping)) {
        free(p);
        tl_api_error(api, r, 500, "internal_error", NULL, "out of memory");
        return;
    }
    api->counters.pings++;
    tl_httpd_watch(r, &watch, p);
    tl_api_count(api, r, 200);
    tl_httpd_begin(r, 200, "application/x-ndjson");
}
