/* relay_client_scene.h - a relay client over a loop and a WebSocket that are the test's own, so that
 * time and every event are in its hand: nothing waits, and nothing is sent. */
#ifndef TL_TESTS_RELAY_CLIENT_SCENE_H
#define TL_TESTS_RELAY_CLIENT_SCENE_H

#include "net/relay_client.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

struct tl_loop {
    tl_time now;
    tl_timer *timers[8];
    size_t n;
};

struct tl_wsclient {
    const tl_wsclient_events *events;
    void *user;
    tl_buf room; /* the last message */
    size_t room_n;
};

/* What the client did to its WebSocket. */
struct fake_net {
    tl_wsclient *ws; /* NULL: none */
    unsigned dials, freed, pings, texts, closes;
    char authority[300], reason[64], said[512];
    uint16_t code;
    bool no_memory, stuck, full;
    tl_time dialled_at;
    tl_proxy proxy; /* of the last dial */
    bool authentic; /* the other side has shown the right certificate */
    /* The question for a portal under way, and what it was. */
    void (*on_portal)(void *user, const char *login);
    void *portal_user;
    unsigned portals;
    bool strange;
    char portal_host[300];
};

extern tl_loop loop;
extern struct fake_net net;
extern tl_relay_client *client;
extern tl_relay_client_config config;
extern unsigned states, writable; /* how often the client told of either */

int setup(void **state);
int teardown(void **state);
void begin(uint64_t seed);
void end(void);
void run_for(tl_time span);
tl_timer *next_timer(void);
/* Another relay for the settings. */
void name(const char *url);
tl_err try_start(tl_why *ret_why);
/* Begins with `n` relays on this machine, and dials the first. */
void start(unsigned n);
/* What the relay does. */
void portal(const char *login); /* "there is one", or NULL */
void opened(void);
void challenge(void);
void ack(unsigned ttl);
void hear(const char *text);
void pong(void);
void closed(const char *why);
/* Opens, registers, and answers the first ping. */
void welcome(void);
/* Holds a connection for so long; the relay answers its pings. */
void hold(tl_time span);
/* When the next dial comes, from now; makes it. */
tl_time next_dial(void);

#endif
