/* harness.h - an API over the fake node, and clients with real loopback sockets, all in one loop. A
 * test waits for a condition, never for a time; what takes longer than WAIT_NS fails it. */
#ifndef TESTS_UNIT_API_HARNESS_H
#define TESTS_UNIT_API_HARNESS_H

#include "api/api.h"
#include "fake_node.h"
#include "io/stream.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define WAIT_NS (20 * TL_SEC) /* generous: the machine may be busy */

typedef struct {
    tl_loop *loop;
    tl_node node;
    tl_api *api;
    char dir[64]; /* of the Unix socket and files; removed at the end */
    char unix_path[96];
    tl_timer timer;
    bool timed_out;
} harness;

typedef struct {
    harness *h;
    tl_stream *stream;
    tl_buf out; /* not taken by the kernel yet */
    tl_buf in;  /* received, as it came */
    bool open, ended, deaf;
} client;

/* `config` NULL: the default one. Listens on 127.0.0.1 and the Unix socket, with the
 * keys KEY, the owner's, and CLIENT_KEY. */
#define KEY        "tl-0123456789abcdef0123456789abcdef"
#define CLIENT_KEY "tl-fedcba9876543210fedcba9876543210"
tl_api_config harness_config(void);
void harness_init(harness *h, const tl_api_config *config);
void harness_clear(harness *h);

/* Runs the loop until `cond` holds. */
#define WAIT_UNTIL(h, cond)                                                                        \
    do {                                                                                           \
        harness_wait_begin(h);                                                                     \
        while (!(cond) && !(h)->timed_out)                                                         \
            tl_loop_run((h)->loop);                                                                \
        harness_wait_end(h);                                                                       \
        if (!(cond))                                                                               \
            fail_msg("waited in vain for " #cond);                                                 \
    } while (0)
void harness_wait_begin(harness *h);
void harness_wait_end(harness *h);
/* Runs the loop for this long: for showing that something does not happen. */
void harness_run_for(harness *h, tl_time span);

void client_open(harness *h, client *c);
/* Without waiting: it may be refused. */
void client_start(harness *h, client *c);
void client_open_unix(harness *h, client *c);
void client_close(client *c);
/* Closes with a reset. */
void client_reset(client *c);
/* Stops or resumes reading. */
void client_deafen(client *c, bool deaf);
void client_send(client *c, const char *text);
void client_send_bytes(client *c, tl_slice bytes);
bool client_has(const client *c, const char *text);

/* Sends `request` on a fresh connection and waits for the whole answer (Content-Length, or the
 * end). */
void exchange(harness *h, client *c, const char *request);
bool client_answered(const client *c);
int client_status(const client *c);
/* The body after the first head. */
const char *client_body(client *c);
/* A POST of `body` to `path`, with `headers` lines, each ended by CRLF. */
char *post(const char *path, const char *headers, const char *body);
/* Sends a question by a client that it opens, and waits until the node has it. */
fake_ask *asked(harness *h, client *c, const char *path, const char *headers, const char *body);

#endif
