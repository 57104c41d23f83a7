#include "backup_scene.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define TRIP (20 * TL_MS)
#define DISK (2 * TL_MS)
#define DIAL (2 * TL_SEC) /* until a node that is away counts as not reached */

static tl_time clock_now(void *user)
{
    return ((scene *)user)->now;
}

static tl_unix clock_wall(void *user)
{
    return SCENE_EPOCH + (tl_unix)(((scene *)user)->now / TL_SEC);
}

static void no_wake(void *user)
{
    (void)user; /* the scene looks at all timers at each step */
}

static tl_env env_of(scene *s)
{
    return (tl_env){clock_now, clock_wall, no_wake, s};
}

static scene_event *event_after(scene *s, tl_time wait, void (*run)(scene_event *e))
{
    scene_event *e = calloc(1, sizeof *e), **at = &s->events;
    assert_non_null(e);
    e->scene = s;
    e->at = s->now + wait;
    e->run = run;
    while (*at && (*at)->at <= e->at)
        at = &(*at)->next;
    e->next = *at;
    *at = e;
    return e;
}

/* --- disks --- */

static scene_file **file_of(scene_node *n, const tl_holder_key *key)
{
    scene_file **f = &n->files;
    while (*f && (!tl_node_id_eq(&(*f)->entry.key.owner, &key->owner) ||
                  !tl_fragment_id_eq(&(*f)->entry.key.id, &key->id)))
        f = &(*f)->next;
    return f;
}

static void drop_file(scene_file **f)
{
    scene_file *old = *f;
    *f = old->next;
    tl_buf_clear(&old->content);
    free(old);
}

static void run_put(scene_event *e)
{
    scene_file **at = file_of(e->node, &e->entry.key);
    if (*at)
        drop_file(at);
    if (!e->node->forgets && !e->node->disk_fails) {
        scene_file *f = calloc(1, sizeof *f);
        f->entry = e->entry;
        assert_int_equal(tl_buf_append(&f->content, tl_buf_slice(&e->job->content)), TL_OK);
        f->next = e->node->files;
        e->node->files = f;
    }
    e->job->done(e->job, e->node->disk_fails ? TL_ERR_IO : TL_OK);
}

static void run_get(scene_event *e)
{
    scene_file *f = *file_of(e->node, &e->job->key);
    tl_err error =
        f ? tl_buf_append(&e->job->content, tl_buf_slice(&f->content)) : TL_ERR_NOT_FOUND;
    e->job->done(e->job, e->node->disk_fails ? TL_ERR_IO : error);
}

static tl_err disk_put(void *user, tl_holder_job *j, const tl_holder_entry *entry)
{
    scene_node *n = user;
    scene_event *e = event_after(n->scene, DISK, run_put);
    e->node = n;
    e->job = j;
    e->entry = *entry;
    return TL_OK;
}

static tl_err disk_get(void *user, tl_holder_job *j)
{
    scene_node *n = user;
    scene_event *e = event_after(n->scene, DISK, run_get);
    e->node = n;
    e->job = j;
    return TL_OK;
}

static void disk_drop(void *user, const tl_holder_key *key)
{
    scene_file **at = file_of(user, key);
    if (*at)
        drop_file(at);
}

/* --- a holder's world --- */

static tl_holder_who who(void *user, const tl_node_id *peer)
{
    const scene_node *n = user;
    return tl_node_id_eq(peer, &n->scene->owner.id) && !n->stranger ? TL_HOLDER_MEMBER
                                                                    : TL_HOLDER_STRANGER;
}

static void heard(void *user, const tl_node_id *owner, tl_unix at)
{
    (void)user, (void)owner, (void)at;
}

static void forget(void *user, const tl_node_id *owner)
{
    (void)user, (void)owner;
}

static bool is_pointer(void *user, const tl_node_id *recovery, tl_slice item)
{
    const scene_node *n = user;
    return tl_node_id_eq(recovery, &n->scene->recovery.id) && item.n && item.p[0] == 'p';
}

static tl_err hold_pointer(void *user, const tl_node_id *owner, const tl_node_id *recovery,
                           tl_slice item)
{
    (void)owner, (void)recovery, (void)item;
    scene_node *n = user;
    n->pointers += !n->pointer_error;
    return n->pointer_error;
}

static const tl_holder_world holder_world = {who,   disk_put, disk_get,   disk_drop,
                                             heard, forget,   is_pointer, hold_pointer};

/* --- requests --- */

static void run_answer(scene_event *e)
{
    if (!e->call)
        return;
    if (e->error)
        e->call->on_answer(e->call, e->error, NULL, tl_slice_of(NULL, 0),
                           e->m.type == TL_TALK_ERROR ? e->m.u.error.message
                                                      : "it was not reached");
    else
        e->call->on_answer(e->call, TL_OK, &e->m, tl_buf_slice(&e->body), "");
}

static tl_err error_of(tl_talk_code c)
{
    switch (c) {
    case TL_TALK_NOT_FOUND: return TL_ERR_NOT_FOUND;
    case TL_TALK_FORBIDDEN: return TL_ERR_FORBIDDEN;
    case TL_TALK_FULL: return TL_ERR_BUSY;
    case TL_TALK_INVALID: return TL_ERR_PROTO;
    case TL_TALK_UNAVAILABLE: return TL_ERR_AGAIN;
    }
    return TL_ERR_PROTO;
}

/* The answer goes the same way back; a liar changes it. */
static void on_reply(tl_holder_op *op, const tl_talk *answer, tl_slice body)
{
    scene_event *e = (scene_event *)((char *)op - offsetof(scene_event, op));
    scene_node *n = e->node;
    scene_event *back = event_after(e->scene, TRIP, run_answer);
    back->call = e->call;
    back->m = *answer;
    back->error = answer->type == TL_TALK_ERROR ? error_of(answer->u.error.code) : TL_OK;
    assert_int_equal(tl_buf_append(&back->body, body), TL_OK);
    if (answer->type == TL_TALK_CONTENT && n->alters)
        tl_buf_begin(&back->body)[tl_rand_below(&n->scene->rand, body.n)] ^= 1;
    if (answer->type == TL_TALK_CONTENT && n->withholds)
        back->error = TL_ERR_NOT_FOUND;
    if (answer->type == TL_TALK_RECEIPT && n->forges)
        back->m.u.receipt.signature.bytes[5] ^= 1;
    e->call = NULL;
    e->op_open = false;
    tl_holder_end(op);
}

static void run_request(scene_event *e)
{
    scene_node *n = e->node;
    n->asked++;
    if (n->mute || !e->call)
        return;
    /* The request lives until its answer: this event is freed by the scene, so another one has it. */
    scene_event *mine = event_after(e->scene, 365 * 24 * 3600 * TL_SEC, run_answer);
    mine->node = n;
    mine->call = e->call;
    mine->op.on_reply = on_reply;
    mine->op_open = true;
    if (tl_holder_begin(n->holder, &mine->op, &e->from, &e->m))
        tl_holder_body(&mine->op, tl_buf_slice(&e->body));
}

typedef struct {
    scene *scene;
    const tl_identity *as;
} asker;

static scene_node *node_of(scene *s, const tl_node_id *id)
{
    for (size_t i = 0; i < s->nodes; i++)
        if (tl_node_id_eq(&s->node[i].identity.id, id))
            return &s->node[i];
    return NULL;
}

static tl_err ask_as(scene *s, const tl_node_id *from, tl_fragment_call *c, const tl_node_id *peer,
                     const tl_talk *m, tl_slice body)
{
    scene_node *n = node_of(s, peer);
    bool there = n && !n->away;
    scene_event *e = event_after(s, there ? TRIP : DIAL, there ? run_request : run_answer);
    e->node = n;
    e->call = c;
    e->from = *from;
    e->m = *m;
    e->error = there ? TL_OK : TL_ERR_UNREACHABLE;
    return tl_buf_append(&e->body, body);
}

static tl_err ask_as_owner(void *user, tl_fragment_call *c, const tl_node_id *peer,
                           const tl_talk *m, tl_slice body)
{
    scene *s = user;
    return ask_as(s, &s->owner.id, c, peer, m, body);
}

static tl_err ask_as_recovery(void *user, tl_fragment_call *c, const tl_node_id *peer,
                              const tl_talk *m, tl_slice body)
{
    scene *s = user;
    return ask_as(s, &s->recovery.id, c, peer, m, body);
}

static void cancel(void *user, tl_fragment_call *c)
{
    for (scene_event *e = ((scene *)user)->events; e; e = e->next)
        if (e->call == c)
            e->call = NULL;
}

static const tl_exchanges_calls as_owner = {ask_as_owner, cancel};
static const tl_exchanges_calls as_recovery = {ask_as_recovery, cancel};

/* --- the owner's world --- */

static size_t candidates(void *user, bool strangers, tl_node_id *ret, size_t max)
{
    scene *s = user;
    size_t n = 0;
    for (int round = 0; round < 2; round++)
        for (size_t i = 0; i < s->nodes && n < max; i++)
            if (!s->node[i].away && s->node[i].stranger == (round == 1) &&
                (strangers || !s->node[i].stranger))
                ret[n++] = s->node[i].identity.id;
    return n;
}

static void on_map(void *user, const tl_backup_map *map)
{
    scene *s = user;
    s->map = *map;
    s->maps++;
    if (s->points)
        assert_int_equal(tl_backup_set_pointer(s->backup, TL_SLICE_LIT("pointer")), TL_OK);
}

static void on_held(void *user, const tl_node_id *holder, unsigned fragments, tl_unix at)
{
    scene *s = user;
    (void)at;
    size_t i = (size_t)(node_of(s, holder) - s->node);
    s->held[i] = fragments;
    s->told_held[i] = true;
}

static void save(void *user, const tl_backup_kept *kept, const tl_slice *blob)
{
    scene *s = user;
    s->saves++;
    s->kept = *kept;
    if (!blob)
        return;
    tl_buf_clear(&s->blob);
    assert_int_equal(tl_buf_append(&s->blob, *blob), TL_OK);
}

static void make_backup(scene *s)
{
    static const tl_backup_world world = {candidates, on_map, on_held, save};
    tl_backup_config config = {.identity = &s->owner,
                               .rand = &s->rand,
                               .world = &world,
                               .user = s,
                               .exchanges = &s->exchanges,
                               .env = env_of(s)};
    assert_int_equal(tl_backup_new(&config, &s->backup), TL_OK);
}

void scene_init(scene *s, uint64_t seed, size_t nodes)
{
    assert_int_equal(tl_crypto_init(), TL_OK);
    *s = (scene){.now = TL_SEC,
                 .rand = tl_rand_seeded(seed),
                 .nodes = nodes,
                 .exchanges = {&as_owner, s},
                 .for_recovery = {&as_recovery, s},
                 .points = true,
                 .quota = 64u << 20};
    assert_int_equal(tl_identity_new(&s->rand, &s->owner), TL_OK);
    assert_int_equal(tl_identity_new(&s->rand, &s->recovery), TL_OK);
    for (size_t i = 0; i < nodes; i++) {
        scene_node *n = &s->node[i];
        n->scene = s;
        assert_int_equal(tl_identity_new(&s->rand, &n->identity), TL_OK);
        tl_holder_config config = {.identity = &n->identity,
                                   .world = &holder_world,
                                   .user = n,
                                   .env = env_of(s),
                                   .quota = s->quota};
        assert_int_equal(tl_holder_new(&config, &n->holder), TL_OK);
    }
    make_backup(s);
}

static void free_event(scene_event *e)
{
    if (e->op_open)
        tl_holder_end(&e->op);
    tl_buf_clear(&e->body);
    free(e);
}

/* What waits for a disk or an answer comes now. */
static void settle(scene *s)
{
    while (s->events && s->events->at < s->now + 24 * 3600 * TL_SEC) {
        scene_event *e = s->events;
        s->events = e->next;
        e->run(e);
        free_event(e);
    }
}

void scene_clear(scene *s)
{
    tl_backup_free(s->backup);
    settle(s);
    while (s->events) {
        scene_event *e = s->events;
        s->events = e->next;
        free_event(e);
    }
    for (size_t i = 0; i < s->nodes; i++) {
        tl_holder_free(s->node[i].holder);
        while (s->node[i].files)
            drop_file(&s->node[i].files);
    }
    tl_buf_clear(&s->blob);
}

void scene_restart(scene *s)
{
    tl_backup_free(s->backup);
    make_backup(s);
    assert_int_equal(tl_backup_load(s->backup, &s->kept, tl_buf_slice(&s->blob)), TL_OK);
    if (s->points && s->maps)
        assert_int_equal(tl_backup_set_pointer(s->backup, TL_SLICE_LIT("pointer")), TL_OK);
}

/* One step, to the next thing that happens, or to `until`. */
static void step(scene *s, tl_fetch *f, tl_time until)
{
    tl_time at = tl_time_min(until, tl_backup_expiry(s->backup));
    for (size_t i = 0; i < s->nodes; i++)
        at = tl_time_min(at, tl_holder_expiry(s->node[i].holder));
    if (f)
        at = tl_time_min(at, tl_fetch_expiry(f));
    if (s->events)
        at = tl_time_min(at, s->events->at);
    s->now = tl_time_max(s->now, at);
    while (s->events && s->events->at <= s->now) {
        scene_event *e = s->events;
        s->events = e->next;
        e->run(e);
        free_event(e);
    }
    tl_backup_on_timer(s->backup);
    for (size_t i = 0; i < s->nodes; i++)
        tl_holder_on_timer(s->node[i].holder);
}

void scene_run_for(scene *s, tl_time t)
{
    tl_time until = s->now + t;
    while (s->now < until)
        step(s, NULL, until);
}

void scene_set(scene *s, size_t n, uint8_t of_n, uint8_t k)
{
    tl_buf blob = {0};
    uint8_t *room;
    assert_int_equal(tl_buf_reserve(&blob, n, &room), TL_OK);
    tl_rand_bytes(&s->rand, room, n);
    tl_buf_added(&blob, n);
    tl_backup_spec spec = {
        .blob = tl_buf_slice(&blob), .recovery = s->recovery.id, .n = of_n, .k = k};
    assert_int_equal(tl_backup_set(s->backup, &spec), TL_OK);
    tl_buf_clear(&blob);
}

tl_backup_status scene_status(const scene *s)
{
    tl_backup_status st;
    tl_backup_status_of(s->backup, &st);
    return st;
}

scene_node *scene_holder_of(scene *s, unsigned i)
{
    return node_of(s, &scene_status(s).kept.place[i].holder);
}

/* --- restores --- */

static void on_progress(void *user, const tl_fetch_progress *p)
{
    scene_restore *r = user;
    assert_true(p->got <= p->needed);
    r->progress++;
}

static void on_done(void *user, tl_err e, tl_slice blob, const char *why)
{
    scene_restore *r = user;
    assert_false(r->done);
    r->done = true;
    r->error = e;
    assert_int_equal(tl_buf_append(&r->blob, blob), TL_OK);
    snprintf(r->why, sizeof r->why, "%s", why);
}

void scene_restore_now(scene *s, scene_restore *r, tl_time within)
{
    static const tl_fetch_events events = {on_progress, on_done};
    tl_env env = env_of(s);
    tl_time began = s->now;
    *r = (scene_restore){0};
    assert_int_equal(tl_fetch_new(&s->map, &s->for_recovery, &env, within, &events, r, &r->fetch),
                     TL_OK);
    while (!r->done) {
        tl_fetch_on_timer(r->fetch);
        if (!r->done)
            step(s, r->fetch, s->now + TL_SEC);
    }
    r->took = s->now - began;
    tl_fetch_free(r->fetch);
}
