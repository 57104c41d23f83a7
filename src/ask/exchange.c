#include "ask/exchange.h"

#include <strings.h>

static const char *const fail_names[TL_FAIL_COUNT] = {
    [TL_FAIL_MODEL_NOT_LOADED] = "model_not_loaded",
    [TL_FAIL_QUEUE_FULL] = "queue_full",
    [TL_FAIL_UNAVAILABLE] = "unavailable",
    [TL_FAIL_INTERNAL] = "internal_error",
    [TL_FAIL_TIMEOUT] = "timeout",
    [TL_FAIL_CANCELLED] = "cancelled",
    [TL_FAIL_FORBIDDEN] = "forbidden",
    [TL_FAIL_PAYMENT_REQUIRED] = "payment_required",
    [TL_FAIL_NO_PROVIDER] = "no_provider",
    [TL_FAIL_PEER_FAILED] = "peer_failed",
    [TL_FAIL_BACKEND_UNREACHABLE] = "backend_unreachable",
    [TL_FAIL_BACKEND_AUTH] = "backend_auth",
    [TL_FAIL_BACKEND_ERROR] = "backend_error",
    [TL_FAIL_DUPLICATE] = "duplicate_request",
};

const char *tl_fail_name(tl_fail f)
{
    return f >= 0 && f < TL_FAIL_COUNT ? fail_names[f] : "internal_error";
}

tl_err tl_fail_parse(tl_slice name, tl_fail *ret_fail)
{
    for (int i = 0; i < TL_FAIL_COUNT; i++)
        if (tl_slice_eq(name, tl_slice_str(fail_names[i]))) {
            *ret_fail = (tl_fail)i;
            return TL_OK;
        }
    return TL_ERR_NOT_FOUND;
}

bool tl_answer_status_passes(int status)
{
    return (status >= 200 && status < 300) || status == 400 || status == 404 || status == 413 ||
           status == 422 || status == 429;
}

bool tl_answer_is_events(const char *content_type)
{
    static const char events[] = "text/event-stream";
    size_t n = sizeof events - 1;
    return strncasecmp(content_type, events, n) == 0 && strchr("; \t", content_type[n]);
}

bool tl_answer_is_live(bool streaming, const tl_answer_head *head)
{
    return (streaming && head->status == 200) || tl_answer_is_events(head->content_type) ||
           strncasecmp(head->content_type, "audio/", 6) == 0;
}

const char *tl_progress_waits_for(const tl_progress *p)
{
    static const char *const names[] = {"unknown", "peer", "answer", "model", "path"};
    return p->position ? "queue" : names[p->waits_for];
}
