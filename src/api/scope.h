/* scope.h - what the headers of a question, its key and its model's name say of the private network
 * that it belongs to, of its price and of its name. Pure: never touches a connection, and answers
 * nobody.
 *
 *   X-Teale-PTN: NET           the network, as a person names it
 *   model "NAME@NET"           the same; what stands behind the last "@" is no part of the name then.
 *                              Where that names no network of ours, only a model that is listed under
 *                              the whole name is asked: a question for members goes to no stranger
 *   Authorization: Bearer KEY  the key of a network
 *   X-Teale-Max-Price: MICRO   for 1000 tokens, at most; 0: only what is free
 *   X-Teale-Request: ID        the question's name */
#ifndef TL_API_SCOPE_H
#define TL_API_SCOPE_H

#include "ask/exchange.h"
#include "ptn/networks.h"
#include "wire/http1.h"

/* Why a question is not asked: what is answered. */
typedef struct {
    int status;
    const char *code, *param; /* static; NULL: no parameter is to blame */
    char message[512];
} tl_scope_refusal;

/* What the node knows. */
typedef struct tl_scope_view {
    const tl_networks *book;
    tl_unix now;
    const char *owner_key, *client_key; /* the API's own, which belong to no network; "": none */
    /* Does this node, or one that it knows, list a model of exactly this name? */
    bool (*is_listed)(void *user, const char *model);
    void *user;
} tl_scope_view;

/* Reads price and name into `ask`. False: refused. */
bool tl_scope_read_headers(const tl_http1_head *head, tl_ask *ask, tl_scope_refusal *ret_refusal);
/* Finds the network, and fills in ask->scoped, has_network and network. Where the network was named
 * behind the model's name, ask->model loses that and *ret_renamed is true. False: two that differ,
 * one that is none of ours, or in which we are not now. */
bool tl_scope_find(const tl_scope_view *view, const tl_http1_head *head, tl_ask *ask,
                   bool *ret_renamed, tl_scope_refusal *ret_refusal);
/* May a request with this head do what the members of a network may, with the network's own key? */
bool tl_scope_has_network_key(const tl_networks *book, const tl_http1_head *head);

#endif
