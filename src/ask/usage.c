#include "ask/usage.h"

#include <endian.h>
#include <strings.h>

void tl_usage_init(tl_usage *u, const char *content_type)
{
    bool sse = strncasecmp(content_type, "text/event-stream", 17) == 0;
    *u = (tl_usage){.sse = sse,
                    .blind = !sse && strncasecmp(content_type, "application/json", 16) != 0};
}

static bool text_is(const char text[24], size_t n, const char *name)
{
    return n == strlen(name) && memcmp(text, name, n) == 0;
}

/* Keys whose non-empty strings are what a model produced: "text" in /v1/completions, "delta" in
 * /v1/responses, the others in chats. */
static bool is_content(const char key[24])
{
    switch (key[0]) {
    case 'c': return strcmp(key, "content") == 0;
    case 'r': return strcmp(key, "reasoning_content") == 0 || strcmp(key, "reasoning") == 0;
    case 'a': return strcmp(key, "arguments") == 0;
    case 't': return strcmp(key, "text") == 0;
    case 'd': return strcmp(key, "delta") == 0;
    default: return false;
    }
}

/* One event of a stream is over: whatever its text was, the next begins anew. */
static void end_line(tl_usage *u)
{
    if (u->has_delta)
        u->deltas++;
    u->has_delta = u->in_string = u->escaped = u->in_response = u->after_string = false;
    u->line_begun = u->passed_over = false;
    u->depth = u->usage_depth = 0;
    u->key[0] = 0;
    u->number = NULL;
}

static void keep_text(tl_usage *u, const uint8_t *p, size_t n)
{
    if (u->text_n < sizeof u->text) {
        size_t room = sizeof u->text - u->text_n;
        memcpy(u->text + u->text_n, p, n < room ? n : room);
    }
    u->text_n += n;
}

/* How many bytes from `p` are nothing but text of a string: the bulk of every answer, hence eight
 * at a time. A byte of `word` is zero where it equals the one looked for (Warren, Hacker's Delight,
 * 6-1); the lowest byte that is found is no mistake. */
static size_t plain_run(const uint8_t *p, size_t n)
{
    const uint64_t ones = 0x0101010101010101u, highs = 0x8080808080808080u;
    size_t i = 0;
    for (; n - i >= 8; i += 8) {
        uint64_t word;
        memcpy(&word, p + i, sizeof word);
        word = le64toh(word);
        uint64_t quote = word ^ ones * '"', slash = word ^ ones * '\\';
        uint64_t lf = word ^ ones * '\n', cr = word ^ ones * '\r';
        uint64_t found = ((quote - ones) & ~quote) | ((slash - ones) & ~slash) |
                         ((lf - ones) & ~lf) | ((cr - ones) & ~cr);
        if (found & highs)
            return i + (size_t)__builtin_ctzll(found & highs) / 8;
    }
    while (i < n && p[i] != '"' && p[i] != '\\' && p[i] != '\n' && p[i] != '\r')
        i++;
    return i;
}

static void string_byte(tl_usage *u, uint8_t c)
{
    if (u->escaped) {
        u->escaped = false;
    } else if (c == '\\') {
        u->escaped = true;
    } else if (c == '"') {
        u->in_string = false;
        u->after_string = true;
        if (u->text_n && is_content(u->key)) {
            u->has_delta = true;
            u->said += u->text_n;
        }
        return;
    }
    keep_text(u, &c, 1);
}

/* `"key":` - which number, if any, comes next? */
static void key_read(tl_usage *u)
{
    u->key[0] = 0;
    if (u->text_n < sizeof u->key) {
        memcpy(u->key, u->text, u->text_n);
        u->key[u->text_n] = 0;
    }
    if (!u->usage_depth || u->depth != u->usage_depth)
        return;
    if (text_is(u->text, u->text_n, "prompt_tokens") || text_is(u->text, u->text_n, "input_tokens"))
        u->number = &u->tokens_in;
    else if (text_is(u->text, u->text_n, "completion_tokens") ||
             text_is(u->text, u->text_n, "output_tokens"))
        u->number = &u->tokens_out;
    if (u->number) {
        *u->number = 0;
        u->has_usage = true;
    }
}

static void digit(tl_usage *u, unsigned d)
{
    /* Far above any context, far below overflow: a server's nonsense stays a number. */
    if (*u->number < 1000000000)
        *u->number = *u->number * 10 + d;
}

static void open_bracket(tl_usage *u, bool object)
{
    bool may = u->depth == 1 || (u->depth == 2 && u->in_response);
    u->depth++;
    if (object && may && strcmp(u->key, "usage") == 0)
        u->usage_depth = u->depth;
    else if (object && u->depth == 2 && strcmp(u->key, "response") == 0)
        u->in_response = true;
    u->key[0] = 0;
}

static void close_bracket(tl_usage *u)
{
    if (u->depth)
        u->depth--;
    if (u->depth < u->usage_depth)
        u->usage_depth = 0;
    if (u->depth < 2)
        u->in_response = false;
}

static void plain_byte(tl_usage *u, uint8_t c)
{
    if (u->number) {
        if (c >= '0' && c <= '9') {
            digit(u, c - '0');
            return;
        }
        if (c != ' ')
            u->number = NULL;
    }
    switch (c) {
    case '"':
        u->in_string = true;
        u->text_n = 0;
        return;
    case ':':
        if (u->after_string)
            key_read(u);
        break;
    case ',': u->key[0] = 0; break;
    case '{': open_bracket(u, true); break;
    case '[': open_bracket(u, false); break;
    case '}':
    case ']': close_bracket(u); break;
    default: return; /* white space and literals: a string may still be before its colon */
    }
    u->after_string = false;
}

void tl_usage_observe(tl_usage *u, tl_slice bytes)
{
    u->bytes += bytes.n;
    if (u->blind)
        return;
    for (size_t i = 0; i < bytes.n; i++) {
        if (u->in_string && !u->escaped) {
            size_t run = plain_run(bytes.p + i, bytes.n - i);
            keep_text(u, bytes.p + i, run);
            if ((i += run) == bytes.n)
                break;
        }
        uint8_t c = bytes.p[i];
        if (u->sse && (c == '\n' || c == '\r')) {
            end_line(u);
            continue;
        }
        if (u->sse && !u->line_begun) {
            u->line_begun = true;
            u->passed_over = c == ':'; /* a comment: nobody sees it */
        }
        if (u->passed_over)
            continue;
        if (u->in_string)
            string_byte(u, c);
        else
            plain_byte(u, c);
    }
}

static uint64_t deltas_of(const tl_usage *u)
{
    return u->deltas + (u->has_delta ? 1 : 0);
}

tl_answer_end tl_usage_end(const tl_usage *u)
{
    if (u->has_usage)
        return (tl_answer_end){u->tokens_in, u->tokens_out};
    return (tl_answer_end){0, u->sse ? deltas_of(u) : 0};
}

uint64_t tl_usage_prompt_of(uint64_t asked)
{
    return asked / 4 + (asked % 4 != 0);
}

tl_answer_end tl_usage_delivered(const tl_usage *u, uint64_t asked)
{
    tl_answer_end end = {tl_usage_prompt_of(asked), deltas_of(u)};
    if (u->has_usage && u->tokens_in && u->tokens_in <= asked)
        end.tokens_in = u->tokens_in;
    if (u->has_usage && u->tokens_out <= (u->sse ? u->said + TL_USAGE_UNSAID : u->bytes))
        end.tokens_out = u->tokens_out;
    return end;
}
