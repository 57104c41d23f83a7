/* The parrot's answers: words of the prompt back, echoes, byte patterns, and every way to
 * misbehave. */
#include "parrot.h"

#include "base/json.h"

#include <endian.h>
#include <openssl/evp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

#define WORDS_MAX 100000

typedef struct {
    parrot_conn *c;
    const char *model;
    const char *fail;
    char id[40];
    int64_t created;
    char *prompt; /* ours, cut into words */
    size_t word_count;
    const char **words;
    size_t answer_words, prompt_words;
    bool cut; /* max_tokens ended the answer */
    bool streaming, usage;
    const char *tool; /* model tool-call: the function to call */
} answer;

void parrot_pattern(uint64_t *state, uint8_t *ret, size_t n)
{
    uint64_t x = *state;
    for (size_t i = 0; i + 8 <= n; i += 8) {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        uint64_t le = htole64(x);
        memcpy(ret + i, &le, 8);
    }
    *state = x;
}

static void sha256_hex(EVP_MD_CTX *md, char ret_hex[65])
{
    uint8_t digest[32];
    EVP_DigestFinal_ex(md, digest, NULL);
    tl_hex_write(ret_hex, digest, sizeof digest);
}

void parrot_pattern_sha256(uint64_t n, char ret_hex[65])
{
    EVP_MD_CTX *md = EVP_MD_CTX_new();
    EVP_DigestInit_ex(md, EVP_sha256(), NULL);
    uint64_t state = PARROT_PATTERN_SEED;
    uint8_t block[1 << 14];
    while (n) {
        size_t take = n < sizeof block ? (size_t)n : sizeof block;
        parrot_pattern(&state, block, sizeof block);
        EVP_DigestUpdate(md, block, take);
        n -= take;
    }
    sha256_hex(md, ret_hex);
    EVP_MD_CTX_free(md);
}

static const char *const stream_head =
    "HTTP/1.1 200 OK\r\nServer: %s\r\nContent-Type: %s\r\n"
    "Cache-Control: no-cache\r\nTransfer-Encoding: chunked\r\n%s\r\n";

static bool send_stream_head(parrot_conn *c, const char *type, const char *headers)
{
    char head[512];
    snprintf(head, sizeof head, stream_head, parrot_server, type, headers);
    return parrot_send_text(c, head);
}

/* --- the prompt --- */

/* Text of the last message of role user: a string, or the text parts of an array. */
static char *prompt_of(const json_t *body)
{
    tl_buf text = {0};
    const json_t *messages = json_object_get(body, "messages"), *content = NULL;
    for (size_t i = json_array_size(messages); i-- && !content;)
        if (strcmp(tl_json_string(json_array_get(messages, i), "role", ""), "user") == 0)
            content = json_object_get(json_array_get(messages, i), "content");
    bool ok = true;
    if (json_is_string(content))
        ok = tl_buf_append_str(&text, json_string_value(content)) == TL_OK;
    for (size_t i = 0; ok && json_is_array(content) && i < json_array_size(content); i++)
        ok = tl_buf_printf(&text, "%s%s", i ? " " : "",
                           tl_json_string(json_array_get(content, i), "text", "")) == TL_OK;
    char *copy = ok ? strndup(text.len ? (const char *)tl_buf_begin(&text) : "", text.len) : NULL;
    tl_buf_clear(&text);
    return copy;
}

static bool plan_words(answer *a, const json_t *body)
{
    a->prompt = prompt_of(body);
    a->words = calloc(WORDS_MAX, sizeof *a->words);
    if (!a->prompt || !a->words)
        return false;
    char *save = NULL;
    for (char *w = strtok_r(a->prompt, " \t\r\n", &save); w && a->word_count < WORDS_MAX;
         w = strtok_r(NULL, " \t\r\n", &save))
        a->words[a->word_count++] = w;
    a->prompt_words = a->word_count;
    if (a->word_count == 0)
        a->words[a->word_count++] = "squawk";
    a->answer_words = parrot_opt.tokens > 0 ? (size_t)parrot_opt.tokens : a->word_count;
    double limit =
        tl_json_number(body, "max_completion_tokens", tl_json_number(body, "max_tokens", 0));
    if (limit >= 1 && limit < (double)a->answer_words) {
        a->answer_words = (size_t)limit;
        a->cut = true;
    }
    return true;
}

/* --- events --- */

static bool send_event(answer *a, json_t *event)
{
    tl_buf out = {0};
    bool ok = event && tl_buf_append_str(&out, "data: ") == TL_OK &&
              tl_json_write(&out, event) == TL_OK && tl_buf_append_str(&out, "\n\n") == TL_OK &&
              parrot_send_chunk(a->c, tl_buf_begin(&out), out.len);
    tl_buf_clear(&out);
    json_decref(event);
    return ok;
}

/* Takes `choices` and `usage` (NULL: left out). */
static json_t *envelope(const answer *a, const char *object, json_t *choices, json_t *usage)
{
    json_t *o = json_pack("{s:s, s:s, s:I, s:s, s:o}", "id", a->id, "object", object, "created",
                          (json_int_t)a->created, "model", a->model, "choices", choices);
    if (usage)
        json_object_set_new(o, "usage", usage);
    return o;
}

static json_t *usage_of(const answer *a)
{
    return json_pack("{s:I, s:I, s:I}", "prompt_tokens", (json_int_t)a->prompt_words,
                     "completion_tokens", (json_int_t)a->answer_words, "total_tokens",
                     (json_int_t)(a->prompt_words + a->answer_words));
}

static bool send_delta(answer *a, json_t *delta, const char *finish)
{
    json_t *choices = json_pack("[{s:i, s:o, s:o}]", "index", 0, "delta", delta, "finish_reason",
                                finish ? json_string(finish) : json_null());
    return send_event(a, envelope(a, "chat.completion.chunk", choices, NULL));
}

static json_t *tool_calls_of(const answer *a)
{
    return json_pack("[{s:i, s:s, s:s, s:{s:s, s:s}}]", "index", 0, "id", "call_parrot", "type",
                     "function", "function", "name", a->tool, "arguments", "{\"said\":\"squawk\"}");
}

static char *word_text(const answer *a, size_t i)
{
    char *text = NULL;
    if (asprintf(&text, "%s%s", i ? " " : "", a->words[i % a->word_count]) < 0)
        abort();
    return text;
}

static const char *finish_of(const answer *a)
{
    return a->tool ? "tool_calls" : a->cut ? "length" : "stop";
}

/* The words, one event each; misbehaves in the middle if asked to. */
static bool stream_words(answer *a)
{
    size_t middle = a->answer_words / 2;
    for (size_t i = 0; i < a->answer_words && !a->tool; i++) {
        if (i == middle && strcmp(a->fail, "stall") == 0)
            return parrot_wait(a->c, -1);
        if (i == middle && strcmp(a->fail, "close-mid") == 0)
            return false;
        if (i && parrot_opt.token_ms && !parrot_wait(a->c, parrot_opt.token_ms))
            return false;
        char *text = word_text(a, i);
        bool ok = send_delta(a, json_pack("{s:s}", "content", text), NULL);
        free(text);
        if (!ok)
            return false;
    }
    return !a->tool || send_delta(a, json_pack("{s:o}", "tool_calls", tool_calls_of(a)), NULL);
}

static bool answer_streaming(answer *a)
{
    if (!send_stream_head(a->c, "text/event-stream", "") ||
        !send_delta(a, json_pack("{s:s, s:s}", "role", "assistant", "content", ""), NULL) ||
        !stream_words(a) || !send_delta(a, json_object(), finish_of(a)))
        return false;
    if (a->usage && !send_event(a, envelope(a, "chat.completion.chunk", json_array(), usage_of(a))))
        return false;
    if (strcmp(a->fail, "no-done") != 0 && !parrot_send_chunk(a->c, "data: [DONE]\n\n", 14))
        return false;
    return parrot_send_text(a->c, "0\r\n\r\n");
}

static bool answer_whole(answer *a)
{
    tl_buf text = {0}, out = {0};
    bool ok = true;
    for (size_t i = 0; ok && i < a->answer_words && !a->tool; i++) {
        ok = !(i && parrot_opt.token_ms) || parrot_wait(a->c, parrot_opt.token_ms);
        ok = ok && tl_buf_printf(&text, "%s%s", i ? " " : "", a->words[i % a->word_count]) == TL_OK;
    }
    json_t *message = json_pack("{s:s, s:s%}", "role", "assistant", "content",
                                text.len ? (const char *)tl_buf_begin(&text) : "", text.len);
    if (a->tool)
        json_object_set_new(message, "tool_calls", tool_calls_of(a));
    json_t *choices = json_pack("[{s:i, s:o, s:s}]", "index", 0, "message", message,
                                "finish_reason", finish_of(a));
    json_t *o = envelope(a, "chat.completion", choices, usage_of(a));
    ok = ok && o && tl_json_write(&out, o) == TL_OK &&
         tl_buf_append(&out, tl_slice_of("", 1)) == TL_OK;
    const char *body = ok ? (const char *)tl_buf_begin(&out) : "";
    if (ok && (strcmp(a->fail, "close-mid") == 0 || strcmp(a->fail, "stall") == 0)) {
        char head[160];
        snprintf(head, sizeof head,
                 "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n\r\n",
                 strlen(body));
        ok = parrot_send_text(a->c, head) && parrot_send(a->c, body, strlen(body) / 2) &&
             a->fail[0] == 's' && parrot_wait(a->c, -1);
    } else {
        ok = ok && parrot_answer(a->c, 200, "", "application/json", body);
    }
    json_decref(o);
    tl_buf_clear(&text);
    tl_buf_clear(&out);
    return ok;
}

/* --- special models --- */

static bool answer_echo_body(parrot_conn *c, const parrot_request *r)
{
    char hex[65], *body;
    EVP_MD_CTX *md = EVP_MD_CTX_new();
    EVP_DigestInit_ex(md, EVP_sha256(), NULL);
    EVP_DigestUpdate(md, tl_buf_begin(&r->body), r->body.len);
    sha256_hex(md, hex);
    EVP_MD_CTX_free(md);
    json_t *o = json_pack("{s:s, s:I, s:s}", "sha256", hex, "length", (json_int_t)r->body.len,
                          "content_type", r->content_type);
    body = json_dumps(o, JSON_COMPACT);
    bool ok = body && parrot_answer(c, 200, "", "application/json", body);
    free(body);
    json_decref(o);
    return ok;
}

/* Waits until `sent` bytes are due at the rate asked for. */
static bool pace(parrot_conn *c, int64_t started_ms, uint64_t sent)
{
    if (parrot_opt.bytes_per_s == 0)
        return true;
    int64_t due = started_ms + (int64_t)(sent * 1000 / parrot_opt.bytes_per_s);
    int64_t left = due - parrot_unix_ms();
    return left <= 0 || parrot_wait(c, (int)left);
}

static bool answer_bytes(parrot_conn *c, uint64_t n)
{
    if (!send_stream_head(c, "application/octet-stream", ""))
        return false;
    uint64_t state = PARROT_PATTERN_SEED;
    static const size_t block_n = 64 << 10;
    /* room for the size line in front and CRLF behind, so that a chunk is one write */
    uint8_t *buf = malloc(block_n + 32);
    bool ok = buf != NULL;
    int64_t started_ms = parrot_unix_ms();
    for (uint64_t sent = 0; ok && n; sent += block_n) {
        size_t take = n < block_n ? (size_t)n : block_n;
        char size[16];
        int size_n = snprintf(size, sizeof size, "%zx\r\n", take);
        uint8_t *start = buf + 16 - size_n;
        memcpy(start, size, (size_t)size_n);
        parrot_pattern(&state, buf + 16, block_n);
        memcpy(buf + 16 + take, "\r\n", 2);
        ok = pace(c, started_ms, sent) && parrot_send(c, start, (size_t)size_n + take + 2);
        n -= take;
    }
    free(buf);
    return ok && parrot_send_text(c, "0\r\n\r\n");
}

/* Misbehaviour that does not depend on the answer. *ret_done: it was one, and this is the result.
 */
static bool misbehave(parrot_conn *c, const char *fail, bool *ret_done)
{
    *ret_done = true;
    if (strcmp(fail, "hang") == 0)
        return parrot_wait(c, -1);
    if (strcmp(fail, "close") == 0)
        return false;
    if (strcmp(fail, "garbage") == 0) {
        parrot_send_text(c, "\x16\x03\x01 squawk, this is no HTTP\r\n\r\n\x80\xff\x01");
        return false;
    }
    if (strncmp(fail, "status-", 7) == 0) {
        int status = atoi(fail + 7);
        char code[48];
        snprintf(code, sizeof code, "status_%d", status);
        return parrot_answer_error(c, status, status == 429 ? "Retry-After: 7\r\n" : "", code);
    }
    if (strcmp(fail, "huge-header") == 0) {
        bool ok = parrot_send_text(c, "HTTP/1.1 200 OK\r\n");
        for (int i = 0; ok && i < 64 << 10; i++)
            ok = parrot_send_text(c,
                                  "X-Squawk: squawk squawk squawk squawk squawk squawk squawk\r\n");
        return ok && parrot_send_text(c, "Content-Length: 0\r\n\r\n");
    }
    if (strcmp(fail, "slow-head") == 0) {
        const char *head =
            "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 5\r\n\r\nslow\n";
        for (; *head; head++)
            if (!parrot_wait(c, 100) || !parrot_send(c, head, 1))
                return false;
        return true;
    }
    *ret_done = false;
    return true;
}

static bool model_is_served(const char *model)
{
    bool found = strncmp(model, "fail:", 5) == 0 || strncmp(model, "bytes:", 6) == 0 ||
                 strcmp(model, "echo-body") == 0 || strcmp(model, "tool-call") == 0;
    pthread_mutex_lock(&parrot_lock);
    for (size_t i = 0; i < parrot_opt.model_count && !found; i++)
        found = strcmp(parrot_opt.model[i], model) == 0;
    pthread_mutex_unlock(&parrot_lock);
    return found;
}

static bool answer_question(answer *a, const json_t *body)
{
    const json_t *tool = json_array_get(json_object_get(body, "tools"), 0);
    if (strcmp(a->model, "tool-call") == 0 && tool)
        a->tool = tl_json_string(json_object_get(tool, "function"), "name", "squawk");
    a->streaming = tl_json_bool(body, "stream", false);
    a->usage = tl_json_bool(json_object_get(body, "stream_options"), "include_usage", false);
    a->created = parrot_unix_ms() / 1000;
    snprintf(a->id, sizeof a->id, "chatcmpl-%llx", (unsigned long long)parrot_unix_ms());
    if (parrot_opt.delay_ms && !parrot_wait(a->c, parrot_opt.delay_ms))
        return false;
    return plan_words(a, body) && (a->streaming ? answer_streaming(a) : answer_whole(a));
}

bool parrot_chat(parrot_conn *c, const parrot_request *r)
{
    tl_why why;
    json_t *body = NULL;
    char fail[sizeof parrot_opt.fail];
    pthread_mutex_lock(&parrot_lock);
    memcpy(fail, parrot_opt.fail, sizeof fail);
    pthread_mutex_unlock(&parrot_lock);
    if (tl_json_parse(tl_buf_slice(&r->body), 64, &body, &why) != TL_OK)
        return parrot_answer_error(c, 400, "", "invalid_json");
    const char *model = tl_json_string(body, "model", "");
    if (strncmp(model, "fail:", 5) == 0)
        snprintf(fail, sizeof fail, "%s", model + 5);
    answer a = {.c = c, .model = model, .fail = fail};
    bool done, ok = misbehave(c, fail, &done);
    if (done)
        goto out;
    if (!model_is_served(model))
        ok = parrot_answer_error(c, 404, "", "model_not_found");
    else if (strcmp(model, "echo-body") == 0)
        ok = answer_echo_body(c, r);
    else if (strncmp(model, "bytes:", 6) == 0)
        ok = answer_bytes(c, strtoull(model + 6, NULL, 10));
    else
        ok = answer_question(&a, body);
out:
    free(a.prompt);
    free(a.words);
    json_decref(body);
    return ok;
}
