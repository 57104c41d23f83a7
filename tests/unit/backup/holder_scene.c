#include "holder_scene.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

tl_identity self, recovery;
tl_identity people[40];
tl_time now;
tl_holder *holder;
bool slow, disk_fails, no_memory;
tl_err pointer_error;
tl_unix wall_step, ran;
unsigned dropped, forgotten, heard_times, pointers;
struct file files[300];
size_t files_n;

static tl_time clock_now(void *user)
{
    (void)user;
    return now;
}

static tl_unix clock_wall(void *user)
{
    (void)user;
    return EPOCH + wall_step + (tl_unix)(now / TL_SEC);
}

static void no_wake(void *user)
{
    (void)user;
}

static tl_holder_who who(void *user, const tl_node_id *peer)
{
    (void)user;
    for (size_t i = 0; i < 4; i++)
        if (tl_node_id_eq(peer, &people[i].id))
            return TL_HOLDER_MEMBER;
    return TL_HOLDER_STRANGER;
}

struct file *hold_file_of(const tl_holder_key *key)
{
    for (size_t i = 0; i < files_n; i++)
        if (!memcmp(&files[i].key, key, sizeof *key))
            return &files[i];
    return NULL;
}

void hold_remove_file(struct file *f)
{
    tl_buf_clear(&f->content);
    *f = files[--files_n];
}

static void finish(tl_holder_job *j)
{
    struct file *f = hold_file_of(&j->key);
    if (j->content.len) { /* a put */
        if (!disk_fails && !f) {
            f = &files[files_n++];
            *f = (struct file){.key = j->key};
            assert_int_equal(tl_buf_append(&f->content, tl_buf_slice(&j->content)), TL_OK);
        }
        j->done(j, disk_fails ? TL_ERR_IO : TL_OK);
        return;
    }
    tl_err e = disk_fails ? TL_ERR_IO : f ? TL_OK : TL_ERR_NOT_FOUND;
    if (!e)
        e = tl_buf_append(&j->content, tl_buf_slice(&f->content));
    j->done(j, e);
}

/* Jobs end after the call that began them: `settle` ends them. */
static tl_holder_job *queue[300];
static size_t queue_n;

void hold_settle(void)
{
    while (queue_n && !slow) {
        tl_holder_job *j = queue[0];
        memmove(queue, queue + 1, --queue_n * sizeof *queue);
        finish(j);
    }
}

static tl_err disk_put(void *user, tl_holder_job *j, const tl_holder_entry *entry)
{
    (void)user, (void)entry;
    if (no_memory)
        return TL_ERR_NOMEM;
    queue[queue_n++] = j;
    return TL_OK;
}

static tl_err disk_get(void *user, tl_holder_job *j)
{
    (void)user;
    if (no_memory)
        return TL_ERR_NOMEM;
    queue[queue_n++] = j;
    return TL_OK;
}

static void disk_drop(void *user, const tl_holder_key *key)
{
    (void)user;
    dropped++;
    struct file *f = hold_file_of(key);
    if (f)
        hold_remove_file(f);
}

static void heard(void *user, const tl_node_id *owner, tl_unix at)
{
    (void)user;
    if (tl_node_id_eq(owner, &self.id))
        ran = at;
    else
        heard_times++;
}

static void forget(void *user, const tl_node_id *owner)
{
    (void)user, (void)owner;
    forgotten++;
}

static bool is_pointer(void *user, const tl_node_id *by, tl_slice item)
{
    (void)user;
    return tl_node_id_eq(by, &recovery.id) && item.p[0] == 'p';
}

static tl_err hold_pointer(void *user, const tl_node_id *owner, const tl_node_id *by, tl_slice item)
{
    (void)user, (void)owner, (void)by, (void)item;
    pointers += !pointer_error;
    return pointer_error;
}

static const tl_holder_world world = {who,   disk_put, disk_get,   disk_drop,
                                      heard, forget,   is_pointer, hold_pointer};

int hold_set_up(void **state)
{
    (void)state;
    tl_rand rand = tl_rand_seeded(1);
    assert_int_equal(tl_crypto_init(), TL_OK);
    assert_int_equal(tl_identity_new(&rand, &self), TL_OK);
    assert_int_equal(tl_identity_new(&rand, &recovery), TL_OK);
    for (size_t i = 0; i < sizeof people / sizeof *people; i++)
        assert_int_equal(tl_identity_new(&rand, &people[i]), TL_OK);
    return 0;
}

const tl_env hold_env = {clock_now, clock_wall, no_wake, NULL};

static int make_holder(void)
{
    tl_holder_config config = {
        .identity = &self, .world = &world, .env = hold_env, .quota = 64 * MIB};
    return tl_holder_new(&config, &holder);
}

void hold_again(void)
{
    tl_holder_free(holder);
    assert_int_equal(make_holder(), TL_OK);
}

int hold_begin(void **state)
{
    (void)state;
    now = TL_SEC;
    slow = disk_fails = no_memory = false;
    pointer_error = TL_OK;
    wall_step = ran = 0;
    dropped = forgotten = heard_times = pointers = 0;
    return make_holder();
}

int hold_end(void **state)
{
    (void)state;
    slow = false;
    hold_settle();
    tl_holder_free(holder);
    while (files_n)
        hold_remove_file(&files[0]);
    return 0;
}

tl_holder_counts hold_counts(void)
{
    tl_holder_counts c;
    tl_holder_counts_of(holder, &c);
    return c;
}

/* --- one request, and what came of it --- */

static void on_reply(tl_holder_op *op, const tl_talk *answer, tl_slice body)
{
    call *c = (call *)op;
    assert_false(c->answered);
    c->answered = true;
    c->answer = *answer;
    tl_buf_clear(&c->body);
    assert_int_equal(tl_buf_append(&c->body, body), TL_OK);
}

bool hold_start(call *c, const tl_identity *by, const tl_talk *m)
{
    *c = (call){.op.on_reply = on_reply};
    return tl_holder_begin(holder, &c->op, &by->id, m);
}

void hold_stop(call *c)
{
    tl_holder_end(&c->op);
    tl_buf_clear(&c->body);
}

/* Bytes that differ for each `mark`. */
tl_buf hold_content_of(size_t n, unsigned mark)
{
    tl_buf b = {0};
    uint8_t *room;
    assert_int_equal(tl_buf_reserve(&b, n, &room), TL_OK);
    memset(room, 0, n);
    memcpy(room, &mark, sizeof mark);
    tl_buf_added(&b, n);
    return b;
}

tl_fragment_id hold_id_of(size_t n, unsigned mark)
{
    tl_buf b = hold_content_of(n, mark);
    tl_fragment_id id;
    tl_fragment_id_of(tl_buf_slice(&b), &id);
    tl_buf_clear(&b);
    return id;
}

/* The type of the answer; of an error its code + 100. */
int hold_result(const call *c)
{
    assert_true(c->answered);
    return c->answer.type == TL_TALK_ERROR ? 100 + (int)c->answer.u.error.code
                                           : (int)c->answer.type;
}

int hold_put(const tl_identity *by, size_t n, unsigned mark)
{
    call c;
    tl_buf b = hold_content_of(n, mark);
    tl_talk m = {
        .type = TL_TALK_PUT,
        .u.put = {.fragment = hold_id_of(n, mark), .size = (uint32_t)n, .recovery = recovery.id}};
    if (hold_start(&c, by, &m))
        tl_holder_body(&c.op, tl_buf_slice(&b));
    hold_settle();
    int r = hold_result(&c);
    if (r == TL_TALK_RECEIPT) {
        const tl_fragment_receipt *receipt = &c.answer.u.receipt;
        assert_int_equal(tl_fragment_receipt_verify(receipt), TL_OK);
        assert_true(tl_node_id_eq(&receipt->owner, &by->id));
        assert_int_equal(receipt->expires_at - receipt->issued_at, TL_HOLDER_KEEPS);
    }
    hold_stop(&c);
    tl_buf_clear(&b);
    return r;
}

int hold_get(const tl_identity *by, size_t n, unsigned mark)
{
    call c;
    tl_fragment_id id = hold_id_of(n, mark);
    tl_talk m = {.type = TL_TALK_GET};
    memcpy(m.u.get, id.bytes, sizeof m.u.get);
    assert_false(hold_start(&c, by, &m));
    hold_settle();
    int r = hold_result(&c);
    if (r == TL_TALK_CONTENT) {
        tl_buf b = hold_content_of(n, mark);
        assert_true(tl_slice_eq(tl_buf_slice(&c.body), tl_buf_slice(&b)));
        tl_buf_clear(&b);
    }
    hold_stop(&c);
    return r;
}

int hold_ask(const tl_identity *by, tl_talk_type type, size_t n, unsigned mark)
{
    call c;
    tl_talk m = {.type = type, .u.prove = {.n = 1, .fragment = {hold_id_of(n, mark)}}};
    assert_false(hold_start(&c, by, &m));
    hold_settle();
    int r = hold_result(&c);
    if (r == TL_TALK_PROOF && !c.answer.u.proof.has[0])
        r = -1;
    hold_stop(&c);
    return r;
}

int hold_point(const tl_identity *by, const tl_node_id *of, char first)
{
    call c;
    tl_talk m = {.type = TL_TALK_POINTER, .u.pointer = {.recovery = *of, .n = 3}};
    m.u.pointer.item[0] = (uint8_t)first;
    assert_false(hold_start(&c, by, &m));
    int r = hold_result(&c);
    hold_stop(&c);
    return r;
}
