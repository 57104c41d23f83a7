/* parrot_http.h - one HTTP/1.1 connection of the parrot, blocking, one thread each: strict requests
 * in, any bytes out. Written by hand because half of what a parrot is for is answering wrongly. */
#ifndef PARROT_HTTP_H
#define PARROT_HTTP_H

#include "base/slice.h"

#define PARROT_HEAD_MAX (64u << 10)
#define PARROT_BODY_MAX (64u << 20) /* above what a node lets through, to see that it does not */

/* The Server header of our answers. */
extern const char *parrot_server;

typedef struct {
    int fd;
    tl_buf in; /* read and not yet used */
} parrot_conn;

typedef struct {
    char method[16];
    char path[512];
    char content_type[128];
    char authorization[512];
    tl_buf body;
    bool keep_alive;
} parrot_request;

typedef enum { PARROT_REQUEST, PARROT_GONE, PARROT_BAD } parrot_got;

/* Reads one request; PARROT_BAD was answered with an error already and ends the connection. */
parrot_got parrot_read(parrot_conn *c, parrot_request *ret_request);
/* False: the client is gone. */
bool parrot_send(parrot_conn *c, const void *p, size_t n);
bool parrot_send_text(parrot_conn *c, const char *text);
/* One chunk of a chunked body, in one write. */
bool parrot_send_chunk(parrot_conn *c, const void *p, size_t n);
/* A whole answer with Content-Length. `headers` is "" or lines that end with CRLF. */
bool parrot_answer(parrot_conn *c, int status, const char *headers, const char *type,
                   const char *body);
/* An answer in OpenAI's error shape. */
bool parrot_answer_error(parrot_conn *c, int status, const char *headers, const char *code);
/* Waits; false as soon as the client is gone. ms < 0: until it is gone. */
bool parrot_wait(parrot_conn *c, int ms);

#endif
