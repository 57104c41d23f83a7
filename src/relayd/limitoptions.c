#include "relayd/limitoptions.h"

#include "base/log.h"

#include <stdlib.h>

/* The numbers: what they are called, and from where to where they make sense. */
static const struct {
    const char *name;
    unsigned long min, max;
} numbers[] = {
    [TL_RELAYD_LIMITS_MAX_SESSIONS] = {"relay-max-sessions", 1, 262144},
    [TL_RELAYD_LIMITS_RECIPROCAL_KBPS] = {"relay-reciprocal-kbps", 1, 1 << 22}, /* 4 GB/s */
    [TL_RELAYD_LIMITS_BOOTSTRAP_KBPS] = {"relay-bootstrap-kbps", 1, 1 << 22},
    [TL_RELAYD_LIMITS_IDLE_TIMEOUT] = {"relay-idle-timeout-secs", 1, 86400},
    [TL_RELAYD_LIMITS_SESSION_MAX] = {"relay-session-max-secs", 1, 604800},
    [TL_RELAYD_LIMITS_SESSION_WARN] = {"relay-session-warn-secs", 0, 86400},
    [TL_RELAYD_LIMITS_PAUSE] = {"relay-pause-secs", 0, 86400},
    [TL_RELAYD_LIMITS_BURST] = {"relay-burst-ms", 20, 60000},
};

static tl_err read_number(tl_relayd_limit_setting what, const char *text, unsigned long *ret,
                          tl_why *why)
{
    char *end;
    unsigned long n = strtoul(text, &end, 10);
    if (*text < '0' || *text > '9' || *end || n < numbers[what].min || n > numbers[what].max)
        return tl_why_set(why, TL_ERR_INVALID, "%s: %s is not a number from %lu to %lu",
                          numbers[what].name, tl_log_safe(tl_slice_str(text)).text,
                          numbers[what].min, numbers[what].max);
    *ret = n;
    return TL_OK;
}

static tl_err add_reciprocal(tl_relay_limits *l, const char *text, tl_why *why)
{
    tl_node_id id;
    if (l->reciprocal_count == TL_RELAYD_RECIPROCAL_MAX)
        return tl_why_set(why, TL_ERR_INVALID, "reciprocal: more than %d nodes",
                          TL_RELAYD_RECIPROCAL_MAX);
    if (tl_node_id_parse(tl_slice_str(text), &id))
        return tl_why_set(why, TL_ERR_INVALID,
                          "reciprocal: %s is not a node ID, 64 digits as `teale status` shows it",
                          tl_log_safe(tl_slice_str(text)).text);
    tl_node_id *more =
        realloc((void *)(uintptr_t)l->reciprocal, (l->reciprocal_count + 1) * sizeof *more);
    if (!more)
        return TL_ERR_NOMEM;
    more[l->reciprocal_count++] = id;
    l->reciprocal = more;
    return TL_OK;
}

tl_err tl_relayd_limits_set(tl_relay_limits *l, tl_relayd_limit_setting what, const char *text,
                            tl_why *why)
{
    unsigned long n = 0;
    if (what == TL_RELAYD_LIMITS_ON) {
        l->on = true;
        return TL_OK;
    }
    if (what == TL_RELAYD_LIMITS_RECIPROCAL)
        return add_reciprocal(l, text, why);
    tl_err e = read_number(what, text, &n, why);
    if (e)
        return e;
    switch (what) {
    case TL_RELAYD_LIMITS_MAX_SESSIONS: l->max_sessions = (uint32_t)n; break;
    case TL_RELAYD_LIMITS_RECIPROCAL_KBPS: l->reciprocal_kbps = (uint32_t)n; break;
    case TL_RELAYD_LIMITS_BOOTSTRAP_KBPS: l->bootstrap_kbps = (uint32_t)n; break;
    case TL_RELAYD_LIMITS_IDLE_TIMEOUT: l->idle_timeout = n * TL_SEC; break;
    case TL_RELAYD_LIMITS_SESSION_MAX: l->session_max = n * TL_SEC; break;
    case TL_RELAYD_LIMITS_SESSION_WARN: l->session_warn = n * TL_SEC; break;
    case TL_RELAYD_LIMITS_PAUSE: l->pause = n * TL_SEC; break;
    default: l->burst = n * TL_MS; break;
    }
    return TL_OK;
}

tl_err tl_relayd_limits_finish(const tl_relay_limits *l, tl_why *why)
{
    if (l->session_warn >= l->session_max)
        return tl_why_set(
            why, TL_ERR_INVALID,
            "relay-session-warn-secs: the warning would come before the session: give "
            "less than relay-session-max-secs, %llu",
            (unsigned long long)(l->session_max / TL_SEC));
    return TL_OK;
}

void tl_relayd_limits_clear(tl_relay_limits *l)
{
    free((void *)(uintptr_t)l->reciprocal);
    l->reciprocal = NULL;
    l->reciprocal_count = 0;
}
