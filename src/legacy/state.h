/* state.h - what the sources of legacy/ share; nothing else includes it.
 *
 *   legacy.c    makes, drives and ends it; hands each message to the right file
 *   sessions.c  sessions at the relay: the table, and what waits to be sent
 *   asking.c    our questions
 *   serving.c   questions of others
 *   allow.c     how much peers may send
 *
 * Nothing is freed inside a call: what is over is marked so, and tl_legacy_run frees it. So calls of
 * sinks may end anything. */
#ifndef TL_LEGACY_STATE_H
#define TL_LEGACY_STATE_H

#include "ask/usage.h"
#include "base/ratelimit.h"
#include "base/table.h"
#include "legacy/answer.h"
#include "legacy/feed.h"
#include "legacy/legacy.h"
#include "legacy/message.h"

#include <utlist.h>

/* OPENING --relayReady--> OPEN
 * A session that a peer opened is OPEN from the start.
 * OPENING, OPEN --closed by either side, or the relay is gone--> ENDED --> freed */
typedef enum {
    TL_OLD_OPENING, /* the relay was asked for it */
    TL_OLD_OPEN,    /* messages may pass */
    TL_OLD_ENDED,   /* no message passes; freed by the next tl_legacy_run */
} tl_old_session_state;

typedef struct tl_old_session {
    tl_legacy *legacy;
    tl_path_id path;
    tl_node_id peer;
    tl_old_session_state state;
    bool ours;              /* we opened it */
    size_t questions, jobs; /* that are on it */
    bool holds_back;        /* a job's backend waits for it */
    tl_buf out;             /* messages that wait: u32 length, text */
    tl_time moved_at;       /* when `out` last grew from nothing, or a message left it */
    tl_time heard_at;       /* the peer's last message */
    tl_time used_at;        /* when the last question on it ended */
    tl_time beat_at;        /* when the next heartbeat is due, while a question of ours waits */
    tl_ratelimit greetings;
    tl_ratelimit answers; /* bytes that are read while a question of ours is on it */
    UT_hash_handle hh;
} tl_old_session;

/* WAITING --relayReady--> ASKED --inferenceChunk--> ANSWERING --inferenceComplete--> ENDING
 * WAITING, ASKED --inferenceComplete--> ENDING
 * ENDING --the sink has all--> OVER
 * any of them --failed or cancelled--> OVER --> freed */
typedef enum {
    TL_OLD_WAITING,   /* for the session; its message waits there */
    TL_OLD_ASKED,     /* the peer has it, or will have */
    TL_OLD_ANSWERING, /* a chunk came */
    TL_OLD_ENDING,    /* the answer is complete; the sink, paused, has not all of it */
    TL_OLD_OVER,      /* the sink had its last call, or cancelled */
} tl_old_question_state;

typedef struct tl_old_question {
    tl_exchange exchange; /* first: the handle */
    tl_legacy *legacy;
    tl_old_session *session; /* NULL: OVER, or it never had one */
    tl_old_question_state state;
    tl_exchange_sink sink;
    void *user;
    char id[TL_LEGACY_UUID];
    tl_node_id peer;
    bool streaming;
    bool has_head; /* the sink has it */
    bool paused, resumed;
    tl_buf held;             /* bytes for the sink, while it is paused */
    tl_legacy_answer answer; /* not streaming */
    tl_usage usage;          /* streaming */
    tl_answer_end end;       /* ENDING */
    tl_time asked_at;
    uint64_t empties; /* chunks without a word */
    tl_time deadline;
    tl_fail fail;    /* with `why`: how tl_legacy_run ends it */
    const char *why; /* a literal, or NULL */
    struct tl_old_question *prev, *next;
} tl_old_question;

/* RUNNING --the backend's end, its failure, or the session's--> OVER --> freed */
typedef struct tl_old_job {
    tl_legacy *legacy;
    tl_old_session *session; /* NULL: OVER */
    tl_exchange *exchange;   /* NULL: OVER, or the backend is done */
    tl_guest *guest;         /* NULL: its place is given back */
    size_t charged;          /* for its body */
    char id[TL_LEGACY_ID_MAX];
    tl_ask ask;
    tl_legacy_feed feed;
    tl_usage usage;
    bool paused;
    struct tl_old_job *prev, *next;
} tl_old_job;

/* How much a peer may send. */
typedef struct {
    tl_node_id peer;
    tl_time used_at;
    tl_ratelimit bytes, declines;
} tl_old_allowance;

struct tl_legacy {
    tl_legacy_config config;
    tl_legacy_times times;
    tl_legacy_world world;
    void *user;
    tl_old_session *sessions;
    tl_old_question *questions;
    tl_old_job *jobs;
    bool look;   /* tl_legacy_run has something to do */
    tl_time due; /* may be too early */
    size_t n_told;
    tl_node_id told[TL_LEGACY_TOLD_MAX];
    bool told_more;
    tl_old_allowance allowances[TL_LEGACY_ALLOWANCES]; /* of the peers that were heard last */
    size_t n_allowances;
    tl_ratelimit bytes, declines; /* of all strangers together */
    tl_legacy_counters counters;
};

static inline tl_time tl_legacy_now(const tl_legacy *l)
{
    return tl_env_now(&l->config.env);
}
static inline void tl_legacy_look(tl_legacy *l)
{
    l->look = true;
    tl_env_wake(&l->config.env);
}
static inline void tl_legacy_due(tl_legacy *l, tl_time at)
{
    l->due = tl_time_min(l->due, at);
}

/* --- sessions.c --- */
tl_old_session *tl_old_session_find(const tl_legacy *l, tl_path_id path);
/* NULL: out of memory, or TL_LEGACY_SESSIONS_MAX with a question on each. */
tl_old_session *tl_old_session_add(tl_legacy *l, tl_path_id path, const tl_node_id *peer,
                                   bool ours);
/* One that is not ENDED, whoever opened it: Macs take no second one. NULL: there is none. */
tl_old_session *tl_old_session_with(const tl_legacy *l, const tl_node_id *peer);
/* Ends it, and everything on it. `tell`: the relay does not know yet. */
void tl_old_session_end(tl_old_session *s, bool tell, const char *why);
/* The same, if no question is on it in either direction. */
void tl_old_session_release(tl_old_session *s);
/* Queues a message, and frees the buffer. Ends the session when memory is out, or was out when the
 * message was made (`e`). */
void tl_old_session_say(tl_old_session *s, tl_buf *message, tl_err e);
/* Sends what waits, as far as the relay takes it. */
void tl_old_session_flush(tl_old_session *s);
/* Much waits to be sent: the backend is held back. */
bool tl_old_session_is_full(const tl_old_session *s);
/* Frees those that are ENDED. */
void tl_old_sessions_reap(tl_legacy *l);
/* Does what is due, and returns when to call again. */
tl_time tl_old_session_on_timer(tl_old_session *s, tl_time now);
/* What this node tells of itself, for hello and heartbeat. Free with tl_old_self_clear. TL_ERR_NOMEM. */
typedef struct {
    json_t *hardware, *models;
    tl_legacy_self self;
} tl_old_self;
TL_CHECK tl_err tl_old_self_of(tl_legacy *l, tl_old_self *ret);
void tl_old_self_clear(tl_old_self *s);

/* --- allow.c --- */
void tl_old_allow_init(tl_legacy *l);
/* Takes a message of `n` bytes from what the peer may send. False: it is dropped unread. */
bool tl_old_may_say(tl_old_session *s, size_t n);
/* Is the peer told once more that it is declined? */
bool tl_old_may_be_told(tl_legacy *l, const tl_node_id *peer);

/* --- asking.c --- */
void tl_old_questions_ready(tl_old_session *s);
void tl_old_questions_ended(tl_old_session *s, const char *why);
/* The peer gave a sign of life. */
void tl_old_questions_alive(tl_old_session *s);
void tl_old_question_on_message(tl_old_session *s, const tl_legacy_message *m);
void tl_old_questions_run(tl_legacy *l);
tl_time tl_old_questions_on_timer(tl_legacy *l, tl_time now);
void tl_old_questions_free(tl_legacy *l);

/* --- serving.c --- */
void tl_old_jobs_ended(tl_old_session *s);
/* The session has room again: goes on with what was held back. */
void tl_old_jobs_go_on(tl_old_session *s);
void tl_old_job_begin(tl_old_session *s, const tl_legacy_message *m);
/* Frees those that are OVER. */
void tl_old_jobs_reap(tl_legacy *l);
void tl_old_jobs_free(tl_legacy *l);

#endif
