/* parrot.h - what the parts of the parrot share: its options and its counters. */
#ifndef PARROT_H
#define PARROT_H

#include "parrot_http.h"

#include <pthread.h>

#define PARROT_MODELS_MAX 64

typedef struct {
    const char *kind;     /* ollama, llama-server, vllm, lmstudio, generic */
    int delay_ms;         /* before the answer's head */
    int token_ms;         /* between words */
    int tokens;           /* words in an answer; 0: as many as the prompt has */
    uint64_t bytes_per_s; /* of model bytes:N; 0: as fast as it goes */
    const char *api_key;
    char fail[32]; /* how to misbehave on every question; "" = not */
    size_t model_count;
    char model[PARROT_MODELS_MAX][128];
} parrot_options;

typedef struct {
    int64_t active, connections, served, cancelled, bad, last_cancel_unix_ms;
} parrot_stats;

/* `lock` guards the options' models and fail, and the counters. */
extern pthread_mutex_t parrot_lock;
extern parrot_options parrot_opt;
extern parrot_stats parrot_count;

int64_t parrot_unix_ms(void);

/* Answers POST /v1/chat/completions; false ends the connection. */
bool parrot_chat(parrot_conn *c, const parrot_request *r);

/* The pattern of `bytes:N`: xorshift64 (13, 7, 17) from PARROT_PATTERN_SEED, each state written as
 * 8 little-endian bytes. */
#define PARROT_PATTERN_SEED UINT64_C(0x9e3779b97f4a7c15)
void parrot_pattern(uint64_t *state, uint8_t *ret, size_t n); /* n a multiple of 8 */
void parrot_pattern_sha256(uint64_t n, char ret_hex[65]);

#endif
