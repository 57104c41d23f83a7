/* bench_ptn [SECONDS]: what private networks cost a node, on one core: certificates that are new and
 * that are known, beside the bare signature check of libsodium in the same run, and decisions of the
 * scheduler. Prints one `name: value unit` a line. */
#include "ask/slots.h"
#include "base/json.h"
#include "crypto/canonical.h"
#include "crypto/sign.h"
#include "market/sched.h"
#include "ptn/networks.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <sodium.h>

#define WALL      INT64_C(1800000000)
#define ROUNDS    31
#define DIFFERENT 256 /* certificates in turn, so that none is fresh in a cache of the processor */

static double seconds = 1;
static tl_identity authority, admin;
static tl_buf texts[2][DIFFERENT]; /* signed by the authority; by the admin */
static tl_node_id nodes[DIFFERENT];

static void must(bool so, const char *what)
{
    if (!so) {
        fprintf(stderr, "bench_ptn: %s\n", what);
        exit(1);
    }
}

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

typedef struct {
    const char *name;
    void (*work)(size_t i);
    double took[ROUNDS]; /* seconds of processor time of one call */
} candidate;

static int by_time(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* They take turns, so that what else the machine does slows all alike. The medians are left in the
 * middle of `took`. */
static void compare(candidate *c, size_t n)
{
    for (size_t round = 0; round < ROUNDS; round++) {
        for (size_t k = 0; k < n; k++) {
            size_t calls = 0;
            double begun = now(), took = 0;
            for (; took < seconds / ROUNDS; took = now() - begun) {
                for (size_t i = 0; i < 16; i++)
                    c[k].work(calls++ % DIFFERENT);
            }
            c[k].took[round] = took / (double)calls;
        }
    }
    for (size_t k = 0; k < n; k++)
        qsort(c[k].took, ROUNDS, sizeof *c[k].took, by_time);
}

static double median_of(const candidate *c)
{
    return c->took[ROUNDS / 2];
}

/* --- certificates --- */

static json_t *certificate(const tl_node_id *node, tl_role role, const tl_identity *issuer,
                           const tl_identity *key, const json_t *chain)
{
    json_t *cert;
    const tl_cert wish = {.network = authority.id,
                          .node = *node,
                          .issuer = issuer->id,
                          .role = role,
                          .issued_at = WALL,
                          .expires_at = WALL + 3600};
    must(!tl_cert_make(&wish, key, chain, &cert), "a certificate");
    return cert;
}

static void make_certificates(void)
{
    tl_rand rand = tl_rand_seeded(7);
    tl_identity node;
    must(!tl_identity_new(&rand, &authority) && !tl_identity_new(&rand, &admin), "keys");
    json_t *chain = certificate(&admin.id, TL_ROLE_ADMIN, &admin, &authority, NULL);
    for (size_t i = 0; i < DIFFERENT; i++) {
        must(!tl_identity_new(&rand, &node), "a key");
        nodes[i] = node.id;
        for (int by_admin = 0; by_admin < 2; by_admin++) {
            json_t *cert = certificate(&node.id, TL_ROLE_CONSUMER, &admin,
                                       by_admin ? &admin : &authority, by_admin ? chain : NULL);
            must(!tl_json_write(&texts[by_admin][i], cert), "memory");
            json_decref(cert);
        }
    }
    json_decref(chain);
}

static tl_slice signed_bytes[DIFFERENT];
static tl_signature signatures[DIFFERENT];

/* The very bytes and signatures of the certificates. */
static void make_bare(void)
{
    for (size_t i = 0; i < DIFFERENT; i++) {
        json_t *cert;
        tl_buf body = {0};
        must(!tl_json_parse(tl_buf_slice(&texts[0][i]), 8, &cert, NULL), "JSON");
        must(!tl_canonical_write(&body, json_object_get(cert, "payload")), "canonical form");
        const char *hex = tl_json_string(cert, "signature", "");
        must(!tl_signature_parse(tl_slice_str(hex), &signatures[i]), "a signature");
        signed_bytes[i] = tl_buf_slice(&body); /* kept to the end */
        json_decref(cert);
    }
}

static void bare(size_t i)
{
    must(crypto_sign_verify_detached(signatures[i].bytes, signed_bytes[i].p, signed_bytes[i].n,
                                     authority.id.key) == 0,
         "a signature is wrong");
}

static tl_networks *book;
static tl_ptn *network; /* the one in it */

/* From the text that came over the control stream to the verdict. */
static void fresh(tl_slice text, const tl_node_id *node)
{
    json_t *value;
    tl_cert cert;
    must(!tl_json_parse(text, 16, &value, NULL), "JSON");
    must(tl_cert_read(value, &cert) == TL_PTN_OK &&
             tl_ptn_judge(network, &cert, node, WALL) == TL_PTN_OK,
         "a certificate is refused");
    json_decref(value);
}

static void fresh_of_authority(size_t i)
{
    fresh(tl_buf_slice(&texts[0][i]), &nodes[i]);
}

static void fresh_of_admin(size_t i)
{
    fresh(tl_buf_slice(&texts[1][i]), &nodes[i]);
}

/* A peer says hello again with the certificate that is in the book. */
static void shown_again(size_t i)
{
    json_t *value;
    bool checked;
    must(!tl_json_parse(tl_buf_slice(&texts[1][i]), 16, &value, NULL), "JSON");
    must(tl_networks_take_certificate(book, &nodes[i], value, WALL, &checked) == TL_PTN_OK &&
             !checked,
         "a known certificate is checked again");
    json_decref(value);
}

/* What every door asks for each question. */
static void may_ask(size_t i)
{
    must(tl_networks_may_ask(book, &authority.id, &nodes[i], WALL) == TL_MAY_OK, "refused");
}

/* As many others are revoked as a list may hold. */
static void revoke_others(void)
{
    static tl_revocation entries[TL_REVOCATIONS_MAX];
    tl_rand rand = tl_rand_seeded(8);
    tl_revocations list = {.network = authority.id,
                           .issuer = admin.id,
                           .sequence = 1,
                           .issued_at = WALL,
                           .n = TL_REVOCATIONS_MAX,
                           .entries = entries};
    for (size_t i = 0; i < TL_REVOCATIONS_MAX; i++) {
        tl_identity node;
        must(!tl_identity_new(&rand, &node), "a key");
        entries[i] = (tl_revocation){node.id, WALL};
    }
    json_t *value;
    bool stale;
    must(!tl_revocations_make(&list, &authority, NULL, &value), "a list");
    must(tl_ptn_take_revocations(network, value, WALL, &stale) == TL_PTN_OK, "the list is refused");
    json_decref(value);
}

/* This node is a provider; the peers that are DIFFERENT have shown their certificates. */
static void make_book(void)
{
    tl_rand rand = tl_rand_seeded(9);
    tl_identity self;
    tl_membership *ours;
    must(!tl_identity_new(&rand, &self) && !tl_networks_new(&self.id, &book) &&
             !tl_networks_add(book, &authority.id, "lab", &ours),
         "memory");
    json_t *own = certificate(&self.id, TL_ROLE_PROVIDER, &admin, &authority, NULL);
    must(tl_networks_set_certificate(book, ours, own) == TL_PTN_OK, "our own certificate");
    json_decref(own);
    network = ours->ptn;
    revoke_others();
    for (size_t i = 0; i < DIFFERENT; i++) {
        json_t *value;
        must(!tl_json_parse(tl_buf_slice(&texts[1][i]), 16, &value, NULL), "JSON");
        must(tl_networks_take_certificate(book, &nodes[i], value, WALL, NULL) == TL_PTN_OK,
             "a certificate is refused");
        json_decref(value);
    }
}

static void bench_certificates(void)
{
    make_certificates();
    make_bare();
    make_book();
    candidate all[] = {{.name = "libsodium's check of one signature", .work = bare},
                       {.name = "certificate of the authority, new", .work = fresh_of_authority},
                       {.name = "certificate of an admin, new", .work = fresh_of_admin},
                       {.name = "certificate, shown again", .work = shown_again},
                       {.name = "may a known peer ask", .work = may_ask}};
    compare(all, sizeof all / sizeof *all);
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        printf("%s: %.3f us\n", all[i].name, median_of(&all[i]) * 1e6);
}

/* --- the scheduler --- */

#define QUEUE 64 /* that wait, of each class: the default of share_queue_max */

static tl_sched *sched;
static tl_job_wish wishes[DIFFERENT];
static tl_job *running[4];

static void add(size_t i)
{
    tl_job *job;
    must(!tl_sched_add(sched, &wishes[i % DIFFERENT], 0, &job), "the queue is full");
}

/* One question ends, the next is chosen, and one of its kind comes. */
static void decide(size_t i)
{
    static tl_time t;
    tl_job **slot = &running[i % 4];
    size_t kind = (size_t)((const tl_job_wish *)tl_job_user(*slot) - wishes);
    tl_sched_charge(*slot, 100, 50 + i % 100);
    tl_sched_done(*slot, t += TL_MS);
    *slot = tl_sched_next(sched, t);
    must(*slot, "nobody was chosen");
    add(kind);
}

/* Both classes wait, QUEUE of each; private questions are of so many networks and members. */
static double decisions(unsigned networks, unsigned members)
{
    const tl_sched_config config = {.slots = 4, .queue_max = QUEUE + 4};
    must(!tl_sched_new(&config, &sched), "memory");
    for (size_t i = 0; i < DIFFERENT; i++) {
        bool private = i % 2;
        wishes[i] = (tl_job_wish){.class = private ? TL_SCHED_PRIVATE : TL_SCHED_PUBLIC,
                                  .network = nodes[i / 2 % networks],
                                  .member = nodes[i / 2 / networks % members],
                                  .bid = (int64_t)(i * 7919 % 100),
                                  .user = &wishes[i]};
    }
    for (size_t i = 0; i < 2 * QUEUE; i++)
        add(i);
    for (size_t i = 0; i < 4; i++) {
        running[i] = tl_sched_next(sched, 0);
        must(running[i], "nobody was chosen");
        add((size_t)((const tl_job_wish *)tl_job_user(running[i]) - wishes));
    }
    candidate one = {.work = decide};
    compare(&one, 1);
    for (size_t i = 0; i < 4; i++)
        tl_sched_done(running[i], 0);
    tl_sched_set_config(sched, &(tl_sched_config){.slots = 1, .queue_max = QUEUE});
    for (tl_job *job; (job = tl_sched_next(sched, 0));)
        tl_sched_done(job, 0);
    tl_sched_free(sched);
    return median_of(&one);
}

static void bench_scheduler(void)
{
    static const unsigned shapes[][2] = {{1, 4}, {8, 8}, {64, 1}};
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++)
        printf("decisions, %u networks of %u members: %.2f M/s\n", shapes[i][0], shapes[i][1],
               1e-6 / decisions(shapes[i][0], shapes[i][1]));
}

/* --- a question at an idle provider, through the queue and past it --- */

static const char answer[] =
    "data: {\"choices\":[{\"delta\":{\"content\":\"a\"}}]}\n\n"
    "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":5,\"completion_tokens\":1}}\n\n";
static tl_slots *slots;
static tl_exchange_sink served_sink;
static void *served_user;

static tl_time bench_now(void *user)
{
    (void)user;
    return TL_SEC;
}

static tl_unix bench_wall(void *user)
{
    (void)user;
    return WALL;
}

static void bench_wake(void *user)
{
    (void)user;
}

/* A model server that does nothing: what is measured stands before it. */
static tl_err serve(void *user, const tl_ask *ask, const tl_exchange_sink *sink, void *sink_user,
                    tl_exchange **ret_exchange)
{
    static tl_exchange handle;
    (void)user;
    (void)ask;
    served_sink = *sink;
    served_user = sink_user;
    *ret_exchange = &handle;
    return TL_OK;
}

static void heard_head(void *user, const tl_answer_head *head)
{
    (void)user;
    (void)head;
}

static void heard_body(void *user, tl_slice bytes)
{
    (void)user;
    (void)bytes;
}

static void heard_end(void *user, const tl_answer_end *end)
{
    (void)end;
    *(bool *)user = true;
}

static void heard_failure(void *user, const tl_failure *failure)
{
    (void)failure;
    *(bool *)user = false;
}

static void one_question(size_t i, tl_ask_fn ask_fn, void *user)
{
    static const tl_exchange_sink sink = {heard_head, heard_body, heard_end, heard_failure, NULL};
    static char body[2048];
    tl_answer_head head = {.status = 200, .content_type = "text/event-stream"};
    tl_answer_end end = {5, 1, 0};
    tl_ask ask = {.model = "m",
                  .path = "/v1/chat/completions",
                  .content_type = "application/json",
                  .streaming = true,
                  .from_peer = true,
                  .requester = nodes[i],
                  .has_network = i % 2,
                  .network = nodes[i % 8],
                  .body = tl_slice_of(body, sizeof body)};
    tl_exchange *x;
    bool answered = false;
    must(!ask_fn(user, &ask, &sink, &answered, &x), "memory");
    served_sink.on_head(served_user, &head);
    served_sink.on_body(served_user, tl_slice_of(answer, sizeof answer - 1));
    served_sink.on_end(served_user, &end);
    must(answered, "no answer");
}

static void through_the_queue(size_t i)
{
    one_question(i, tl_slots_ask, slots);
    tl_slots_run(slots);
}

static void past_the_queue(size_t i)
{
    one_question(i, serve, NULL);
}

static void bench_slots(void)
{
    const tl_env env = {bench_now, bench_wall, bench_wake, NULL};
    const tl_slots_config config = {4, 64, 300 * TL_SEC};
    candidate both[] = {{.work = through_the_queue}, {.work = past_the_queue}};
    must(!tl_slots_new(&env, &config, serve, NULL, &slots), "memory");
    compare(both, 2);
    printf("the queue adds to a question at an idle provider: %.2f us\n",
           1e6 * (median_of(&both[0]) - median_of(&both[1])));
    tl_slots_free(slots);
}

int main(int argc, char **argv)
{
    if (argc > 1)
        seconds = atof(argv[1]);
    if (argc > 2 || !(seconds > 0)) {
        fprintf(stderr, "usage: bench_ptn [SECONDS]\n");
        return 2;
    }
    must(!tl_crypto_init(), "libsodium");
    bench_certificates();
    bench_scheduler();
    bench_slots();
    tl_networks_free(book);
    return 0;
}
