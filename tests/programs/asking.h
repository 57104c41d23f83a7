/* asking.h - a test's HTTP client: its loop, its requests, and what each of them was told. */
#ifndef ASKING_H
#define ASKING_H

#include "io/httpclient.h"

typedef struct {
    tl_loop *loop;
    tl_http *http;
    int running;
    tl_timer guard; /* a test that hangs fails */
} client;

/* One request. The test sets what is to happen inside the callbacks before it starts it. */
typedef struct got {
    client *k;
    tl_http_request *request;
    int heads, bodies, dones, status;
    char type[64];
    tl_buf body;
    bool drop_body; /* count it only */
    size_t body_n;
    tl_err err;
    char why[256];
    void (*in_head)(struct got *g);
    void (*in_body)(struct got *g);
    void (*in_done)(struct got *g);
    struct got *other;
    const char *url;
} got;

void client_init(client *k);
void client_clear(client *k);
/* The events of a `got`. */
extern const tl_http_events got_events;
void start(client *k, got *g, const tl_http_ask *ask);
void start_url(client *k, got *g, const char *url);
/* Until every request is over or cancelled. */
void run(client *k);
/* Whatever happens meanwhile. */
void run_for(client *k, tl_time t);
/* Until the count is `n`, however slow the machine is; at most 30 s. */
void run_till(client *k, const int *count, int n);
void cancel(got *g);
/* The body as a string. */
const char *body_text(got *g);

#endif
