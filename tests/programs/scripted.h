/* scripted.h - a server inside a test: every byte it sends is the test's. Each connection runs the
 * test's script, blocking, on a thread of its own; the client under test runs on the main thread.
 */
#ifndef SCRIPTED_H
#define SCRIPTED_H

#include "parrot_http.h"

#include <stdatomic.h>

#define SCRIPTED_CONNECTIONS_MAX 2048 /* in all, over one server's life */

typedef struct scripted scripted;
struct scripted {
    /* Returning closes the connection. */
    void (*script)(scripted *s, parrot_conn *c);
    _Atomic(const void *) arg; /* a test may change it between requests */
    uint16_t port;
    char url[64];                           /* http://127.0.0.1:PORT */
    atomic_int connections, requests, gone; /* `requests` and `gone` are the scripts' to count */
    struct scripted_inside *inside;
};

/* Listens on 127.0.0.1; port 0: any. Ends the test on failure. */
void scripted_start(scripted *s, uint16_t port, void (*script)(scripted *s, parrot_conn *c),
                    const void *arg);
/* Stops listening alone: what is connected stays. */
void scripted_deafen(scripted *s);
/* Stops listening, cuts every connection, and waits for the scripts to return. */
void scripted_stop(scripted *s);

/* Reads a request and drops its body. False: there is none. */
bool scripted_request(scripted *s, parrot_conn *c);
/* Waits until the client is gone (at most 10 s) and counts it. */
void scripted_await_gone(scripted *s, parrot_conn *c);
/* Closing, done later, is seen as a reset by the client. */
void scripted_reset(parrot_conn *c);

/* --- common scripts; the text is `arg` --- */
void say_arg(scripted *s, parrot_conn *c);       /* answers each request with the text */
void say_and_close(scripted *s, parrot_conn *c); /* answers once */
void say_and_reset(scripted *s, parrot_conn *c);
void say_and_hold(scripted *s, parrot_conn *c); /* then nothing more until the client is gone */
#define OK_HELLO "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 5\r\n\r\nhello"

#endif
