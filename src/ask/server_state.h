/* server_state.h - what the files of the server share: one request, and the calls between them. server.c
 * reads requests, admits them and ends them, server_price.c agrees on a price, server_answer.c tells
 * them what they are told. */
#ifndef TL_ASK_SERVER_STATE_H
#define TL_ASK_SERVER_STATE_H

#include "ask/server.h"
#include "ask/usage.h"
#include "peer/outbox.h"

/*  HEAD --inferenceRequest--> BODY --the request's end--> RUNNING --answered or failed--> ENDING
 *  HEAD --for a network, and the peer has shown no certificate--> UNPROVEN --it has come--> BODY
 *  HEAD, UNPROVEN, BODY --refused--> REFUSED
 *  any of them --the stream is over, or given up--> freed
 *  HEAD --the first message is none of a question--> freed; the stream goes to whom it belongs
 *
 * The backend's calls come in RUNNING alone. */
typedef enum {
    TL_REQUEST_HEAD,     /* inferenceRequest is awaited */
    TL_REQUEST_UNPROVEN, /* it is here; the peer's certificate is awaited, and nothing is read */
    TL_REQUEST_BODY,     /* admitted; the client's bytes come in */
    TL_REQUEST_RUNNING,  /* the backend has it */
    TL_REQUEST_ENDING,   /* the last message is written, or waits in `pending` */
    TL_REQUEST_REFUSED,  /* the same, and what still comes of the request is thrown away */
} tl_request_state;

typedef struct tl_request {
    tl_stream_owner owner; /* first: the stream's user points here */
    tl_server *server;
    tl_quic_stream *stream;
    tl_request_state state;
    tl_node_id peer;
    char id[TL_CLUSTER_ID_MAX];
    tl_ask ask;
    tl_frame_reader reader;
    tl_cluster_other
        other; /* the first message, where the stream is somebody else's; payload NULL: it is ours */
    tl_buf body;
    size_t charged; /* for the body, until the backend is done with it */
    tl_time opened_at;
    tl_time deadline; /* as tl_request_set_deadline says */
    bool wants_progress;
    tl_time progress_at; /* TL_NEVER: not running, not wanted, or the first byte has come */
    tl_exchange *exchange;
    tl_usage usage;
    tl_time body_at; /* the first byte of the answer; 0: none yet */
    bool held_up;    /* the peer read slower than the backend wrote, at some time */
    struct {
        char model[TL_MODEL_MAX], order[TL_PAY_ORDER_MAX]; /* as the peer wrote them */
        uint64_t asked;                                    /* bytes of the request's body */
        void *bill;                                        /* NULL: not opened, or ended */
        bool charged; /* a head that is a success has gone out: what follows is delivered */
        bool awaits;  /* `head` is here, and the bill is not in the books yet: nothing is told */
        tl_answer_head head;
    } pay;
    tl_guest *guest; /* of who asks, from its admission on */
    bool whole;      /* answered */
    bool lapsed;     /* its certificate ended it */
    tl_outbox out;
    size_t taken; /* of what waited in it since the deadline was set */
    bool paused;  /* the backend, until the stream takes more */
    struct tl_request *prev, *next;
} tl_request;

struct tl_server {
    tl_env env;
    tl_places places;
    tl_server_policy policy;
    tl_server_backend backend;
    const tl_pay *pay; /* NULL: nobody keeps accounts */
    void *backend_user;
    const tl_server_others *others; /* NULL: there are none */
    void *others_user;
    tl_request *requests;
    tl_time due; /* may be too early */
    tl_server_counters counters;
};

/* --- server.c --- */
void tl_request_set_state(tl_request *r, tl_request_state to);
/* Sets it by the state, from now on. */
void tl_request_set_deadline(tl_request *r);
/* Lets the body go, and what is charged for it. */
void tl_request_drop_body(tl_request *r);
/* The peer broke the protocol, or memory is out: nothing more can be said on this stream. Frees. */
void tl_request_give_up(tl_request *r, uint64_t code);

/* UNPROVEN: the certificate has come, or is waited for no longer. Goes on reading, or refuses; the request
 * may be freed. */
void tl_request_prove(tl_request *r);
/* The peer may not have this answer any more: ends it. The request may be freed. */
void tl_request_lapse(tl_request *r, const char *why);

/* --- server_price.c --- */
/* Work may begin, and `ask` tells the price and its version. False: refused, with the price sent. */
bool tl_request_agree(tl_request *r);

/* --- server_pay.c --- */
void tl_request_note_pay(tl_request *r, const tl_cluster_request *q);
/* False: refused, with the reason sent. */
bool tl_request_open_bill(tl_request *r);
/* The backend's head has come: must it wait for the bill to be in the books? Then the backend is paused,
 * and tl_request_tell_head follows; or the question turns out to be charged already, and is refused. */
bool tl_request_await_bill(tl_request *r, const tl_answer_head *head);
/* What of the answer counts as delivered. */
tl_answer_end tl_request_delivered(const tl_request *r);
/* False: the answer has ended with an error, and the request may be freed. */
bool tl_request_may_go_on(tl_request *r);
/* Charges what was delivered, or, without `charge`, nothing. */
void tl_request_close_bill(tl_request *r, bool charge);

/* --- server_answer.c: each may give the request up, and then it is freed --- */
extern const tl_exchange_sink tl_request_sink; /* of the backend; `user` is the request */
/* The backend's head goes out, and its body may. False: the request was given up. */
bool tl_request_tell_head(tl_request *r, const tl_answer_head *head);
/* Sends what waits, then the end when it is due. */
void tl_request_flush(tl_request *r);
void tl_request_send_error(tl_request *r, tl_request_state next, const tl_failure *failure);
/* The backend has the question and no byte of the body came yet: the peer is told so, unless it does
 * not read. */
void tl_request_tell_progress(tl_request *r);

#endif
