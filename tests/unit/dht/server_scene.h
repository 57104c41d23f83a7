/* server_scene.h - a server of the DHT with a table that knows as many nodes as a test says, and one
 * who asks it. */
#ifndef TL_TEST_SERVER_SCENE_H
#define TL_TEST_SERVER_SCENE_H

#include "dht/server.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#define START  (1000 * TL_SEC)
#define ID     "abcdefghij0123456789"
#define TARGET "mnopqrstuvwxyz123456"
#define VALUE  TL_SLICE_LIT("12:Hello World!")
#define SALT   TL_SLICE_LIT("teale")

extern tl_identity identity;
extern tl_dht_server *server;
extern size_t known; /* nodes of each family that the table has */
extern tl_time now;
extern tl_addr asker; /* 198.18.0.1:6881 at first */
/* Bytes of the last query and of its answer. */
extern size_t query_n, answer_n;

int begin(void **state);
int end(void **state);
#define with_server(test) cmocka_unit_test_setup_teardown(test, begin, end)

tl_addr addr(const char *text);
/* False: silence. */
bool ask_bytes(tl_slice datagram, tl_krpc *ret);
bool ask(const tl_krpc *query, tl_krpc *ret);
tl_krpc answered(const tl_krpc *query);
void expect_taken(const tl_krpc *query);
void expect_error(const tl_krpc *query, int code);

tl_krpc query_of(tl_krpc_method method);
/* The answer to `get` of the item's target. */
tl_krpc got(const tl_dht_item *item);
/* A right token for the asker. */
tl_slice token(void);
tl_dht_item item_of(int64_t seq);
tl_krpc put_of(const tl_dht_item *item, tl_slice with);
uint64_t dropped(tl_dht_server_drop why);

#endif
