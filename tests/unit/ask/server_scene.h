/* server_scene.h - a server whose peers and backend the test plays: streams are fake_stream's, and
 * every question that reaches the backend is written down and answered by the test's hand. */
#ifndef TESTS_UNIT_ASK_SERVER_SCENE_H
#define TESTS_UNIT_ASK_SERVER_SCENE_H

#include "ask/server.h"
#include "ask/slots.h"
#include "fake_env.h"
#include "fake_stream.h"
#include "members.h"

#define BODY_IDLE   (30 * TL_SEC)
#define RUNNING_MAX 3
#define PEER        2 /* the first byte of the ID of who asks */

#define REQUEST_FOR(model)                                                                         \
    "{\"inferenceRequest\":{\"requestID\":\"r1\",\"model\":\"" model                               \
    "\",\"streaming\":true,\"path\":\"/v1/chat/completions\",\"contentType\":\"application/"       \
    "json\"}}"
#define REQUEST  REQUEST_FOR("m")
#define QUESTION "{\"model\":\"m\"}"
#define REQUEST_PROGRESS                                                                           \
    "{\"inferenceRequest\":{\"requestID\":\"r1\",\"model\":\"m\",\"streaming\":true,\"path\":"     \
    "\"/v1/chat/completions\",\"contentType\":\"application/json\",\"progress\":true}}"

/* A question that the backend has, at one time or another. */
typedef struct {
    tl_exchange exchange; /* first: the handle */
    tl_exchange_sink sink;
    void *user;
    tl_ask ask; /* its body is gone: */
    tl_buf body;
    bool over, cancelled, paused;
    tl_progress progress;
} job;

typedef struct {
    fake_env env;
    uint8_t peer; /* the first byte of the ID of who asks next; PEER */
    tl_env clock;
    members members; /* after server_scene_join */
    tl_access access;
    tl_server *server;
    tl_slots *slots; /* after server_scene_queue */
    job jobs[160];
    size_t n_jobs;
    tl_err ask_err;         /* of the next question */
    int64_t price, version; /* of a question now */
    unsigned dones;
    tl_fail done; /* the last one's result */
    tl_answer_end done_end;
    tl_quic_stream *streams[160];
    size_t n_streams;
} server_scene;

/* Shares "m" with everybody. */
void server_scene_init(server_scene *s);
/* Frees the streams, too. */
void server_scene_clear(server_scene *s);

/* The node has this role in a network, s->members. */
void server_scene_join(server_scene *s, tl_role ours);
/* Questions wait for one of so many slots from now on. */
void server_scene_queue(server_scene *s, unsigned slots);
/* PEER opens a stream. */
tl_quic_stream *server_scene_open(server_scene *s);
/* The same, and says REQUEST and the body; `whole`: and its end. */
tl_quic_stream *server_scene_ask(server_scene *s, const char *body, bool whole);
/* A stream whose question the backend has. */
tl_quic_stream *server_scene_running(server_scene *s, job **ret_job);
/* All jobs and streams are over: they make room for others. */
void server_scene_forget(server_scene *s);
void server_scene_pass(server_scene *s, tl_time time);

/* Both sides have ended their stream: it closes. */
void server_scene_over(tl_quic_stream *stream);
/* PEER asks with these fields in its request beside the plain ones, from "," on. */
tl_quic_stream *server_scene_ask_with(server_scene *s, const char *fields);
/* The request was answered with this error, and this is all. */
void server_scene_check_error(tl_quic_stream *stream, const char *code, const char *detail);
/* Given up with this code, with nobody left to hear of it. */
void server_scene_check_reset(const tl_quic_stream *stream, uint64_t code);

void job_head(job *j);
void job_body(job *j, tl_slice bytes);
/* So many bytes that the backend is held back. Nothing of them fits into the stream. */
void job_body_until_paused(job *j);
void job_end(job *j, tl_answer_end end);
void job_fail(job *j, tl_fail fail, const char *message);

#endif
