#include "ask/slots.h"

#include "ask/usage.h"

#include <assert.h>
#include <stdlib.h>
#include <utlist.h>

/* A maximum counts to so many times the price that stands; a price is at most TL_PRICE_MAX, 2^53. */
#define BID_MAX 16

/*  WAITING --a slot--> RUNNING --the answer's end, its failure--> freed
 *  WAITING --too long, closed, the model server cannot be asked--> FAILED
 *  RUNNING --closed--> FAILED --tl_slots_run tells the sink--> freed
 *  any of them --cancelled--> freed
 *
 * `job` is there in WAITING and RUNNING, `answer` in RUNNING alone. */
typedef enum {
    WAITING, /* in the queue */
    RUNNING, /* the model server has it */
    FAILED,  /* the sink does not know yet */
} question_state;

typedef struct question {
    tl_exchange exchange; /* first: the handle */
    tl_slots *slots;
    tl_exchange_sink sink;
    void *user;
    question_state state;
    tl_job *job;
    tl_exchange *answer; /* the model server's */
    tl_ask ask;          /* its body is in `body`, or the caller's until tl_slots_ask returns */
    tl_buf body;
    uint64_t asked; /* the body's length */
    tl_usage usage;
    bool has_head, good; /* the answer's head came, and says that it is one */
    bool charged_prompt;
    uint64_t charged;       /* generated tokens */
    bool paused;            /* by the sink */
    tl_time since;          /* when it was asked */
    tl_time began, first;   /* when the model server got it; its answer's first byte */
    tl_failure failure;     /* FAILED; its message is a literal */
    struct question **list; /* where it stands: waiting, running or failed */
    struct question *prev, *next;
} question;

struct tl_slots {
    tl_env env;
    tl_slots_config config;
    tl_ask_fn ask;
    void *ask_user;
    tl_sched *sched;
    question *waiting, *running, *failed; /* the oldest first */
    const char *closed;                   /* why; NULL = open */
    tl_slots_facts facts;
};

static tl_time now_of(const tl_slots *s)
{
    return tl_env_now(&s->env);
}

/* --- a question's states --- */

static question **list_of(tl_slots *s, question_state state)
{
    return state == WAITING ? &s->waiting : state == RUNNING ? &s->running : &s->failed;
}

static void set_state(question *q, question_state to)
{
    static const unsigned from[] = {
        [RUNNING] = 1u << WAITING, [FAILED] = 1u << WAITING | 1u << RUNNING};
    question **list = list_of(q->slots, to);
    assert(from[to] & 1u << q->state);
    assert((to == RUNNING) == (q->answer != NULL) && (to == FAILED) == (q->job == NULL));
    DL_DELETE(*q->list, q);
    DL_APPEND(*list, q);
    q->list = list;
    q->state = to;
}

static void free_question(question *q)
{
    assert(!q->job && !q->answer);
    DL_DELETE(*q->list, q);
    tl_buf_clear(&q->body);
    free(q);
}

static tl_sched_class class_of(const question *q)
{
    return q->ask.has_network ? TL_SCHED_PRIVATE : TL_SCHED_PUBLIC;
}

/* What its answer has brought so far. */
static tl_answer_end delivered(const question *q)
{
    tl_answer_end d = tl_usage_delivered(&q->usage, q->asked);
    bool counted = d.tokens_in != tl_usage_prompt_of(q->asked);
    if (!counted && d.tokens_in > TL_SLOTS_PROMPT_MAX)
        d.tokens_in = TL_SLOTS_PROMPT_MAX;
    return d;
}

/* Its answer is over, as far as it came: charges what was delivered, and gives the slot back. */
static void settle(question *q)
{
    tl_slots *s = q->slots;
    if (q->state == RUNNING && q->good) {
        tl_answer_end end = delivered(q);
        tl_sched_settle(q->job, end.tokens_in, end.tokens_out);
        s->facts.prompt[class_of(q)] += end.tokens_in;
        s->facts.generated[class_of(q)] += end.tokens_out;
    }
    tl_sched_done(q->job, now_of(s));
    q->job = NULL;
    tl_env_wake(&s->env); /* a slot may be free */
}

/* Not from inside the call that is the cause: tl_slots_run tells the sink. */
static void fail_soon(question *q, tl_fail fail, const char *why, unsigned retry_after)
{
    tl_exchange *answer = q->answer;
    settle(q);
    q->answer = NULL;
    q->failure = (tl_failure){fail, why, retry_after};
    set_state(q, FAILED);
    tl_buf_clear(&q->body);
    if (answer)
        tl_exchange_cancel(answer);
    tl_env_wake(&q->slots->env);
}

/* --- the model server's answer --- */

/* The prompt has been read when the first byte is here, so it is charged then, as far as it is known;
 * generated tokens as they come. */
static void charge(question *q)
{
    tl_answer_end now = delivered(q);
    uint64_t prompt = q->charged_prompt ? 0 : now.tokens_in;
    uint64_t generated = now.tokens_out > q->charged ? now.tokens_out - q->charged : 0;
    q->charged_prompt = true;
    q->charged += generated;
    q->slots->facts.streamed += generated;
    if (prompt || generated)
        tl_sched_charge(q->job, prompt, generated);
}

static void on_head(void *user, const tl_answer_head *head)
{
    question *q = user;
    assert(q->state == RUNNING);
    tl_usage_init(&q->usage, head->content_type);
    q->has_head = true;
    q->first = now_of(q->slots);
    q->good = head->status < 300;
    q->sink.on_head(q->user, head);
}

static void on_body(void *user, tl_slice bytes)
{
    question *q = user;
    assert(q->state == RUNNING && !q->paused);
    tl_usage_observe(&q->usage, bytes);
    if (q->good)
        charge(q);
    q->sink.on_body(q->user, bytes);
}

/* The sink's last call follows. */
static void leave(question *q, tl_exchange_sink *ret_sink, void **ret_user)
{
    assert(q->state == RUNNING);
    *ret_sink = q->sink;
    *ret_user = q->user;
    settle(q);
    q->answer = NULL;
    free_question(q);
}

static void on_end(void *user, const tl_answer_end *end)
{
    tl_exchange_sink sink;
    leave(user, &sink, &user);
    sink.on_end(user, end);
}

static void on_fail(void *user, const tl_failure *failure)
{
    tl_exchange_sink sink;
    leave(user, &sink, &user);
    sink.on_fail(user, failure);
}

static void on_progress(void *user, const tl_progress *progress)
{
    question *q = user;
    if (q->sink.on_progress)
        q->sink.on_progress(q->user, progress);
}

static const tl_exchange_sink answer_sink = {on_head, on_body, on_end, on_fail, on_progress};

/* --- a slot --- */

static void count_wait(const question *q)
{
    tl_slots_facts *f = &q->slots->facts;
    tl_time waited = now_of(q->slots) - q->since;
    f->began[class_of(q)]++;
    f->waited[class_of(q)] += waited;
    f->waited_max = tl_time_max(f->waited_max, waited);
}

static void start(question *q)
{
    tl_slots *s = q->slots;
    if (q->body.len)
        q->ask.body = tl_buf_slice(&q->body);
    tl_err e = s->ask(s->ask_user, &q->ask, &answer_sink, q, &q->answer);
    q->ask.body = tl_slice_of(NULL, 0);
    tl_buf_clear(&q->body);
    if (e) {
        q->answer = NULL;
        if (e == TL_ERR_NOT_FOUND)
            fail_soon(q, TL_FAIL_MODEL_NOT_LOADED, "this node does not serve the model now", 0);
        else
            fail_soon(q, TL_FAIL_UNAVAILABLE,
                      e == TL_ERR_NOMEM ? "this node is out of memory"
                                        : "this node does not share its model server now",
                      0);
        return;
    }
    set_state(q, RUNNING);
    q->began = now_of(s);
    count_wait(q);
    if (q->paused)
        tl_exchange_set_paused(q->answer, true);
}

static void give_slots(tl_slots *s)
{
    tl_time now = now_of(s);
    tl_job *job;
    while ((job = tl_sched_next(s->sched, now)))
        start(tl_job_user(job));
}

/* --- the handle --- */

static void cancel(tl_exchange *x)
{
    question *q = (question *)x;
    /* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): what was freed left its list */
    tl_exchange *answer = q->answer;
    q->slots->facts.gave_up += q->state != FAILED;
    /* Who hangs up before the first byte has had the prompt read all the same. */
    if (q->state == RUNNING && !q->has_head)
        q->good = true;
    if (q->job)
        settle(q);
    q->answer = NULL;
    free_question(q);
    if (answer)
        tl_exchange_cancel(answer);
}

static void set_paused(tl_exchange *x, bool on)
{
    question *q = (question *)x;
    q->paused = on;
    if (q->answer)
        tl_exchange_set_paused(q->answer, on);
}

static tl_progress progress(const tl_exchange *x)
{
    const question *q = (const question *)x;
    if (q->state != WAITING)
        return (tl_progress){0};
    unsigned place = tl_job_place(q->job);
    return (tl_progress){place, tl_sched_wait_seconds(q->slots->sched, class_of(q), place)};
}

/* --- a new question --- */

static tl_job_wish wish_of(question *q)
{
    const tl_ask *a = &q->ask;
    int64_t price = a->price.given ? a->price.value : 0;
    int64_t bid = a->max_price.given ? a->max_price.value : price;
    if (bid / BID_MAX >= price) /* a maximum is a word: it costs nothing to say a higher one */
        bid = price * BID_MAX;
    return (tl_job_wish){
        .class = class_of(q), .network = a->network, .member = a->requester, .bid = bid, .user = q};
}

static unsigned seconds_behind(const tl_slots *s, tl_sched_class class)
{
    return tl_sched_wait_seconds(s->sched, class, tl_sched_waiting(s->sched, class) + 1);
}

/* Puts it into the queue, or says why it cannot wait there. */
static tl_err join(question *q)
{
    tl_slots *s = q->slots;
    tl_job_wish wish = wish_of(q);
    if (s->closed) {
        q->failure = (tl_failure){TL_FAIL_UNAVAILABLE, s->closed, 0};
        return TL_OK;
    }
    tl_err e = tl_sched_add(s->sched, &wish, q->since, &q->job);
    tl_job *last = e == TL_ERR_BUSY ? tl_sched_yields(s->sched, &wish) : NULL;
    if (last) {
        s->facts.turned_away++;
        fail_soon(tl_job_user(last), TL_FAIL_QUEUE_FULL,
                  "this node's queue is full, and others have fewer questions in it",
                  seconds_behind(s, wish.class));
        e = tl_sched_add(s->sched, &wish, q->since, &q->job);
    }
    if (e != TL_ERR_BUSY)
        return e;
    s->facts.turned_away++;
    q->failure = (tl_failure){TL_FAIL_QUEUE_FULL, "this node's queue is full",
                              seconds_behind(s, wish.class)};
    return TL_OK;
}

tl_err tl_slots_ask(void *slots, const tl_ask *ask, const tl_exchange_sink *sink, void *user,
                    tl_exchange **ret_exchange)
{
    tl_slots *s = slots;
    question *q = calloc(1, sizeof *q);
    if (!q)
        return TL_ERR_NOMEM;
    *q = (question){.exchange = {cancel, set_paused, progress},
                    .slots = s,
                    .sink = *sink,
                    .user = user,
                    .ask = *ask,
                    .asked = ask->body.n,
                    .since = now_of(s)};
    tl_err e = join(q);
    if (e) {
        free(q);
        return e;
    }
    q->state = q->job ? WAITING : FAILED;
    q->list = list_of(s, q->state);
    DL_APPEND(*q->list, q);
    give_slots(s);
    if (q->state == FAILED) {
        tl_env_wake(&s->env);
    } else if (q->state == WAITING && (e = tl_buf_append(&q->body, ask->body))) {
        settle(q);
        free_question(q);
        return e;
    }
    q->ask.body = tl_slice_of(NULL, 0);
    *ret_exchange = &q->exchange;
    return TL_OK;
}

/* --- the whole --- */

static tl_sched_config sched_config(const tl_slots_config *c)
{
    return (tl_sched_config){c->slots, c->queue_max};
}

tl_err tl_slots_new(const tl_env *env, const tl_slots_config *config, tl_ask_fn ask, void *ask_user,
                    tl_slots **ret_slots)
{
    tl_slots *s = calloc(1, sizeof *s);
    if (!s)
        return TL_ERR_NOMEM;
    *s = (tl_slots){.env = *env, .config = *config, .ask = ask, .ask_user = ask_user};
    tl_sched_config sched = sched_config(config);
    tl_err e = tl_sched_new(&sched, &s->sched);
    if (e) {
        free(s);
        return e;
    }
    *ret_slots = s;
    return TL_OK;
}

void tl_slots_set_config(tl_slots *s, const tl_slots_config *config)
{
    tl_sched_config sched = sched_config(config);
    assert(config->slots >= 1 && config->slots <= TL_SLOTS_MAX);
    s->config = *config;
    tl_sched_set_config(s->sched, &sched);
    tl_env_wake(&s->env);
}

void tl_slots_close(tl_slots *s, const char *why, bool running)
{
    s->closed = why;
    while (s->waiting)
        /* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): what was freed left its list */
        fail_soon(s->waiting, TL_FAIL_UNAVAILABLE, why, 0);
    while (running && s->running)
        fail_soon(s->running, TL_FAIL_UNAVAILABLE, why, 0);
}

void tl_slots_open(tl_slots *s)
{
    s->closed = NULL;
}

const char *tl_slots_closed(const tl_slots *s)
{
    return s->closed;
}

static void tell_failure(question *q)
{
    tl_exchange_sink sink = q->sink;
    tl_failure failure = q->failure;
    void *user = q->user;
    free_question(q);
    sink.on_fail(user, &failure);
}

void tl_slots_run(tl_slots *s)
{
    size_t n = 0;
    question *q;
    give_slots(s);
    DL_FOREACH (s->failed, q)
        n++;
    /* A sink may ask anew, and fail anew: that is for the next run. */
    for (; n && s->failed; n--)
        /* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): what was freed left its list */
        tell_failure(s->failed);
}

void tl_slots_on_timer(tl_slots *s)
{
    tl_time now = now_of(s);
    while (now >= tl_slots_expiry(s)) {
        question *q = s->waiting;
        unsigned after = progress(&q->exchange).wait_seconds;
        s->facts.late++;
        fail_soon(q, TL_FAIL_QUEUE_FULL,
                  "the question waited in this node's queue for longer than the node lets it",
                  after);
    }
}

tl_time tl_slots_expiry(const tl_slots *s)
{
    if (!s->waiting || s->config.wait_max > TL_NEVER - s->waiting->since)
        return TL_NEVER;
    return s->waiting->since + s->config.wait_max;
}

void tl_slots_free(tl_slots *s)
{
    if (!s)
        return;
    for (question_state state = WAITING; state <= FAILED; state++)
        while (*list_of(s, state))
            /* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): what was freed left its list */
            cancel(&(*list_of(s, state))->exchange);
    tl_sched_free(s->sched);
    free(s);
}

void tl_slots_facts_of(const tl_slots *s, tl_slots_facts *ret_facts)
{
    tl_slots_facts f = s->facts;
    f.slots = s->config.slots;
    f.running = tl_sched_running(s->sched);
    for (tl_sched_class c = 0; c < TL_SCHED_CLASSES; c++) {
        f.queued[c] = tl_sched_waiting(s->sched, c);
        bool at_once = f.running < f.slots && !f.queued[c];
        f.wait_seconds[c] = at_once ? 0 : tl_sched_wait_seconds(s->sched, c, f.queued[c] + 1);
    }
    *ret_facts = f;
}

/* False: no more is wanted. */
static bool tell(question *list, bool (*each)(void *user, const tl_slots_question *q), void *user)
{
    question *q;
    DL_FOREACH (list, q) {
        /* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): what was freed left its list */
        tl_slots_question told = {.ask = &q->ask,
                                  .running = q->state == RUNNING,
                                  .answering = q->has_head,
                                  .asked = q->since,
                                  .began = q->began,
                                  .first = q->first,
                                  .generated = q->charged,
                                  .progress = progress(&q->exchange)};
        if (!each(user, &told))
            return false;
    }
    return true;
}

void tl_slots_each(const tl_slots *s, bool (*each)(void *user, const tl_slots_question *q),
                   void *user)
{
    (void)(tell(s->running, each, user) && tell(s->waiting, each, user));
}

uint64_t tl_slots_served(const tl_slots *s, tl_sched_class class)
{
    return tl_sched_served(s->sched, class);
}
