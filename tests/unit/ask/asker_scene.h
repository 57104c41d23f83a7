/* asker_scene.h - an asker among peers that the test plays: in place of peer/peers.c it collects
 * the asker's wishes for streams and grants them by hand. */
#ifndef TESTS_UNIT_ASK_ASKER_SCENE_H
#define TESTS_UNIT_ASK_ASKER_SCENE_H

#include "ask/asker.h"
#include "fake_env.h"
#include "fake_stream.h"
#include "listener.h"

#define FIRST_BYTE (300 * TL_SEC)
#define SILENCE    (120 * TL_SEC)
#define QUESTION   "{\"model\":\"m\"}"

#define RESPONSE_OF(id, status)                                                                    \
    "{\"inferenceResponse\":{\"requestID\":\"" id "\",\"status\":" status                          \
    ",\"contentType\":\"text/plain\"}}"
#define RESPONSE(id) RESPONSE_OF(id, "200")
#define PROGRESS(id) "{\"inferenceProgress\":{\"requestID\":\"" id "\"}}"
#define COMPLETE(id)                                                                               \
    "{\"inferenceComplete\":{\"requestID\":\"" id "\",\"tokens_in\":3,\"tokens_out\":4}}"
#define ERROR(id, code, detail)                                                                    \
    "{\"inferenceError\":{\"requestID\":\"" id "\",\"errorMessage\":\"so it is\",\"code\":\"" code \
    "\"" detail "}}"

struct tl_peers {
    tl_peer_wish *wishes; /* not granted */
    tl_err wish_err;      /* of the next wish */
};

typedef struct {
    fake_env env;
    tl_peers peers;
    tl_asker *asker;
} asker_scene;

void asker_scene_init(asker_scene *s);
void asker_scene_clear(asker_scene *s);
/* The question "r1" with QUESTION as its body. */
void asker_scene_ask(asker_scene *s, listener *l);
void asker_scene_ask_with(asker_scene *s, listener *l, tl_slice body);
/* The oldest wish gets `stream`. */
void asker_scene_grant(asker_scene *s, tl_quic_stream *stream);
/* The oldest wish fails. */
void asker_scene_refuse(asker_scene *s, const char *why);
/* The time is so much later; the timer fires if it is set for then. */
void asker_scene_pass(asker_scene *s, tl_time time);
/* A question that has its stream. */
tl_quic_stream *asker_scene_asked(asker_scene *s, listener *l);
/* The same, with the answer's head told. */
tl_quic_stream *asker_scene_answering(asker_scene *s, listener *l);

#endif
