#include "scripted.h"

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

struct connection {
    scripted *s;
    parrot_conn c;
    pthread_t thread;
};

struct scripted_inside {
    int fd;
    pthread_t accepter;
    pthread_mutex_t
        lock; /* guards the descriptors: who closes one, and who may still shut it down */
    bool stopping;
    struct connection *all[SCRIPTED_CONNECTIONS_MAX];
    size_t n;
};

static void *run_script(void *arg)
{
    struct connection *x = arg;
    struct scripted_inside *in = x->s->inside;
    x->s->script(x->s, &x->c);
    pthread_mutex_lock(&in->lock);
    close(x->c.fd);
    x->c.fd = -1;
    pthread_mutex_unlock(&in->lock);
    tl_buf_clear(&x->c.in);
    return NULL;
}

static void *accept_all(void *arg)
{
    scripted *s = arg;
    struct scripted_inside *in = s->inside;
    pthread_attr_t attr;
    pthread_attr_init(&attr);
    pthread_attr_setstacksize(&attr, 256 << 10);
    for (int fd; (fd = accept4(in->fd, NULL, NULL, SOCK_CLOEXEC)) >= 0;) {
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
        struct connection *x = calloc(1, sizeof *x);
        pthread_mutex_lock(&in->lock);
        bool take = x && !in->stopping && in->n < SCRIPTED_CONNECTIONS_MAX;
        if (take) {
            *x = (struct connection){.s = s, .c.fd = fd};
            in->all[in->n++] = x;
            s->connections++;
            if (pthread_create(&x->thread, &attr, run_script, x) != 0)
                abort();
        }
        pthread_mutex_unlock(&in->lock);
        if (!take) {
            free(x);
            close(fd);
        }
    }
    pthread_attr_destroy(&attr);
    return NULL;
}

void scripted_start(scripted *s, uint16_t port, void (*script)(scripted *s, parrot_conn *c),
                    const void *arg)
{
    struct scripted_inside *in = calloc(1, sizeof *in);
    struct sockaddr_in sin = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t n = sizeof sin;
    if (!in)
        abort();
    pthread_mutex_init(&in->lock, NULL);
    in->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    setsockopt(in->fd, SOL_SOCKET, SO_REUSEADDR, &(int){1}, sizeof(int));
    if (bind(in->fd, (struct sockaddr *)&sin, n) != 0 || listen(in->fd, 1024) != 0 ||
        getsockname(in->fd, (struct sockaddr *)&sin, &n) != 0) {
        perror("scripted server");
        abort();
    }
    *s = (scripted){.script = script, .arg = arg, .port = ntohs(sin.sin_port), .inside = in};
    snprintf(s->url, sizeof s->url, "http://127.0.0.1:%u", s->port);
    if (pthread_create(&in->accepter, NULL, accept_all, s) != 0)
        abort();
}

void scripted_deafen(scripted *s)
{
    struct scripted_inside *in = s->inside;
    if (in->fd < 0)
        return;
    shutdown(in->fd, SHUT_RDWR);
    pthread_join(in->accepter, NULL);
    close(in->fd);
    in->fd = -1;
}

void scripted_stop(scripted *s)
{
    struct scripted_inside *in = s->inside;
    pthread_mutex_lock(&in->lock);
    in->stopping = true;
    for (size_t i = 0; i < in->n; i++)
        if (in->all[i]->c.fd >= 0)
            shutdown(in->all[i]->c.fd, SHUT_RDWR);
    pthread_mutex_unlock(&in->lock);
    scripted_deafen(s);
    for (size_t i = 0; i < in->n; i++) {
        pthread_join(in->all[i]->thread, NULL);
        free(in->all[i]);
    }
    pthread_mutex_destroy(&in->lock);
    free(in);
    s->inside = NULL;
}

bool scripted_request(scripted *s, parrot_conn *c)
{
    parrot_request r;
    bool ok = parrot_read(c, &r) == PARROT_REQUEST;
    tl_buf_clear(&r.body);
    s->requests += ok;
    return ok;
}

void scripted_await_gone(scripted *s, parrot_conn *c)
{
    if (!parrot_wait(c, 10000))
        s->gone++;
}

void scripted_reset(parrot_conn *c)
{
    struct linger now = {.l_onoff = 1};
    setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
}

void say_arg(scripted *s, parrot_conn *c)
{
    while (scripted_request(s, c))
        if (!parrot_send_text(c, s->arg))
            return;
}

void say_and_close(scripted *s, parrot_conn *c)
{
    if (scripted_request(s, c))
        parrot_send_text(c, s->arg);
}

void say_and_reset(scripted *s, parrot_conn *c)
{
    say_and_close(s, c);
    scripted_reset(c);
}

void say_and_hold(scripted *s, parrot_conn *c)
{
    if (scripted_request(s, c) && parrot_send_text(c, s->arg))
        scripted_await_gone(s, c);
}
