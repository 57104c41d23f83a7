#include "ask/limit.h"

#include "wire/jsonscan.h"
#include "wire/multipart.h"

static bool is_limit(tl_slice key)
{
    static const char *const keys[] = {"max_tokens", "max_completion_tokens", "max_output_tokens",
                                       "n_predict"};
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
        if (tl_slice_eq(key, tl_slice_str(keys[i])))
            return true;
    return false;
}

/* How many answers the server makes for the one question. */
static bool is_answers(tl_slice key)
{
    return tl_slice_eq(key, TL_SLICE_LIT("n")) || tl_slice_eq(key, TL_SLICE_LIT("best_of"));
}

/* 0: not a whole number from 1 to TL_ASK_LIMIT_MAX, written in digits alone. */
static uint64_t number_of(tl_slice digits)
{
    uint64_t n = 0;
    for (size_t i = 0; i < digits.n; i++) {
        if (digits.p[i] < '0' || digits.p[i] > '9' || n > TL_ASK_LIMIT_MAX)
            return 0;
        n = n * 10 + (uint64_t)(digits.p[i] - '0');
    }
    return n <= TL_ASK_LIMIT_MAX ? n : 0;
}

uint64_t tl_ask_limit(const char *content_type, tl_slice body)
{
    tl_jsonscan s;
    tl_json_member m;
    bool done = false;
    uint64_t most = 0, answers = 1;
    if (tl_multipart_is(content_type) || tl_jsonscan_begin_body(&s, body, 0))
        return 0;
    while (!tl_jsonscan_next(&s, &m, &done) && !done) {
        uint64_t n = m.kind == TL_JSON_NUMBER ? number_of(m.value) : 0;
        if (is_limit(m.key))
            most = n > most ? n : most;
        else if (is_answers(m.key))
            answers = n > answers ? n : answers;
    }
    return most > TL_ASK_LIMIT_MAX / answers ? TL_ASK_LIMIT_MAX : most * answers;
}
