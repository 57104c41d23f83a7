/* legacy_scene.h - legacy/ whose relay, peers and model server the test plays: what it sends is written
 * down message by message, and every question that reaches the model server is answered by hand. */
#ifndef TESTS_UNIT_LEGACY_SCENE_H
#define TESTS_UNIT_LEGACY_SCENE_H

#include "../ask/fake_env.h"
#include "../ask/listener.h"
#include "legacy/legacy.h"
#include "legacy/message.h"

#define ID_A "00112233-4455-6677-8899-aabbccddeeff" /* of tl_ask.id below */

typedef struct {
    tl_path_id path;
    tl_legacy_message message; /* its body is kept */
} said_message;

typedef struct {
    tl_exchange exchange; /* first: the handle */
    tl_exchange_sink sink;
    void *user;
    tl_ask ask; /* its body is gone: */
    char body[512];
    bool over, cancelled, paused;
} legacy_job;

typedef struct {
    fake_env env;
    tl_access access;
    tl_places places;
    tl_legacy *legacy;
    tl_path_id next_path;
    tl_err open_err, ask_err;
    int64_t price; /* of a question */
    bool full;     /* the relay takes nothing */
    said_message said[600];
    size_t n_said;
    tl_path_id closed[600];
    size_t n_closed;
    legacy_job jobs[400];
    size_t n_jobs;
    unsigned dones;
    tl_fail done;
} legacy_scene;

/* Speaks the old protocol, and shares "m" with everybody; 16 places. */
void legacy_scene_init(legacy_scene *s);
void legacy_scene_clear(legacy_scene *s);

tl_node_id legacy_peer(unsigned who);
/* Asks peer `who`, with the ID whose first digit is `id`. */
void legacy_ask(legacy_scene *s, listener *l, unsigned who, char id, bool streaming,
                const char *body);
/* A session that peer `who` opened. */
tl_path_id legacy_accept(legacy_scene *s, unsigned who);
/* The peer says this. */
void legacy_hear(legacy_scene *s, tl_path_id path, const char *text);
/* The peer asks for "m" with this request ID. */
void legacy_hear_request(legacy_scene *s, tl_path_id path, const char *id);
void legacy_pass(legacy_scene *s, tl_time time);
void legacy_run(legacy_scene *s);
bool legacy_is_closed(const legacy_scene *s, tl_path_id path);
/* How many messages of this type were sent. */
unsigned legacy_said(const legacy_scene *s, tl_legacy_type type);
const said_message *legacy_last(const legacy_scene *s);

void legacy_job_head(legacy_job *j, const char *content_type);
void legacy_job_status(legacy_job *j, int status, const char *content_type);
void legacy_job_body(legacy_job *j, const char *text);
void legacy_job_end(legacy_job *j);
void legacy_job_fail(legacy_job *j, tl_fail f, const char *words);

#endif
