/* app_body.h - strict bodies and paths of /v1/app/ptn and /v1/app/wallet: a body has the fields that
 * its request knows, each of its form, and no other. Asks the node nothing. */
#ifndef TL_API_APP_BODY_H
#define TL_API_APP_BODY_H

#include "api/state.h"

typedef enum {
    TL_APP_TEXT,   /* 1 to `most` bytes */
    TL_APP_PEER,   /* what names a node (tl_node_find_peer); the verb looks who is meant */
    TL_APP_BOOL,   /* true or false */
    TL_APP_NUMBER, /* a whole number from `least` to `most` */
} tl_app_form;

typedef struct {
    const char *name; /* NULL ends the list */
    tl_app_form form;
    bool needed;
    int64_t least, most;
} tl_app_field;

/* The body as the verb's arguments: a new object. A field that is null counts as absent, an empty
 * body as {}. NULL: 400 is answered, with the field as `param`, and the request is over. */
json_t *tl_app_body(tl_api *api, tl_httpd_req *r, const tl_app_field *fields);
/* A new object with `net`, the network that the path names. NULL: 404 is answered, and the request
 * is over. */
json_t *tl_app_net(tl_api *api, tl_httpd_req *r);
/* Both in one. */
json_t *tl_app_net_body(tl_api *api, tl_httpd_req *r, const tl_app_field *fields);
bool tl_app_method_is(const tl_httpd_req *r, const char *method);
/* Has the node do it, and frees `args`; NULL: an answer was given already. */
void tl_app_do(tl_api *api, tl_httpd_req *r, const char *verb, json_t *args);

#endif
