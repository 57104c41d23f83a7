/* bench_list - a node reads the list of a relay with many nodes: the longest turn of its loop, and all of
 * them together; of nodes that it never saw, and again. Prints one line a round. Memory only.
 *
 *   bench_list [NODES] */
#include "peer/peer_table.h"
#include "peer/relay_link.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define PAGE TL_RELAY_PAGE

typedef struct {
    tl_peer_table table;
    tl_identity *nodes;
    size_t n, page; /* page: the one that is asked for */
    tl_buf room;
    size_t room_n, listed, done;
} world;

/* Processor time: other programs do not count. */
static double clock_us(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

static void must(bool ok)
{
    if (!ok)
        abort();
}

static tl_err begin(void *wire, size_t n, uint8_t **ret_room)
{
    world *w = wire;
    tl_buf_clear(&w->room);
    w->room_n = n;
    return tl_buf_reserve(&w->room, n, ret_room);
}

static void commit(void *wire)
{
    (void)wire;
}

static void on_registered(void *user)
{
    (void)user;
}

/* As the node does. */
static void on_peer(void *user, const tl_relay_peer *peer)
{
    world *w = user;
    tl_peer *p = tl_peer_table_get(&w->table, &peer->id);
    must(p);
    tl_peer_is_listed_as(&w->table, p, peer->in_clear);
    p->listed = true;
    (void)tl_peer_describe(p, peer->name, peer->capabilities);
    w->listed++;
}

static void on_discovered(void *user, const char *model, bool ok)
{
    (void)model;
    must(ok);
    ((world *)user)->done++;
}

/* The page as teale-relay writes it. */
static void write_page(const world *w, tl_buf *out)
{
    size_t first = w->page * PAGE, end = first + PAGE < w->n ? first + PAGE : w->n;
    tl_buf_clear(out);
    must(!tl_buf_append_str(out, "{\"discoverResponse\":{\"peers\":["));
    for (size_t i = first; i < end; i++) {
        char id[TL_NODE_ID_HEX + 1], wg[65];
        tl_node_id_write(id, &w->nodes[i].id);
        tl_hex_write(wg, w->nodes[i].noise_public, 32);
        must(!tl_buf_printf(
            out,
            "%s{\"nodeID\":\"%s\",\"publicKey\":\"%s\",\"wgPublicKey\":\"%s\",\"displayName\":"
            "\"node %zu\","
            "\"capabilities\":{\"hardware\":{\"chipFamily\":\"intelCPU\",\"chipName\":\"a chip\","
            "\"totalRAMGB\":16.0,\"gpuCoreCount\":0,\"memoryBandwidthGBs\":0.0,\"tier\":2,"
            "\"platform\":"
            "\"linux\"},\"loadedModels\":[\"llama3:8b\",\"qwen3:8b\"],\"maxModelSizeGB\":12.0,"
            "\"isAvailable\":true,\"ptnIDs\":[],\"maxConcurrentRequests\":4},\"lastSeen\":1.0,"
            "\"natType\":\"unknown\",\"endpoints\":[]}",
            i > first ? "," : "", id, id, wg, i));
    }
    must(!tl_buf_printf(out, end < w->n ? "],\"cursor\":\"%zu\"}}" : "]}}", end));
}

/* One whole discovery. */
static void discover(world *w, tl_relay_link *link, const char *what)
{
    tl_buf text = {0};
    double longest = 0, parse = 0, sum = 0;
    size_t turns = 0, done = w->done, pages = (w->n + PAGE - 1) / PAGE;
    pages = pages < TL_RELAY_PAGES_MAX ? pages : TL_RELAY_PAGES_MAX;
    w->listed = 0;
    must(!tl_relay_link_discover(link, "", TL_SEC));
    for (w->page = 0; w->page < pages; w->page++) {
        write_page(w, &text);
        for (bool first = true;; first = false) {
            double at = clock_us();
            if (first)
                tl_relay_link_on_text(link, tl_buf_begin(&text), text.len, TL_SEC);
            else
                tl_relay_link_on_timer(link, TL_SEC);
            double took = clock_us() - at;
            sum += took;
            turns++;
            if (first)
                parse = took > parse ? took : parse;
            else
                longest = took > longest ? took : longest;
            if (tl_relay_link_expiry(link) > TL_SEC)
                break;
        }
    }
    must(w->done == done + 1);
    printf("%s: %zu nodes, longest turn %.0f us, with the text of a page %.0f us, %zu turns, %.1f "
           "ms in all\n",
           what, w->listed, longest, parse, turns, sum / 1e3);
    tl_buf_clear(&text);
}

int main(int argc, char **argv)
{
    static world w;
    static const tl_relay_link_events events = {
        .on_registered = on_registered, .on_peer = on_peer, .on_discovered = on_discovered};
    static const tl_relay_wire wire = {.begin = begin, .commit = commit};
    long n = argc > 1 ? strtol(argv[1], NULL, 10) : 10000;
    tl_rand rng = tl_rand_seeded(1);
    tl_identity own;
    tl_relay_link *link;
    char hex[TL_NODE_ID_HEX + 1], text[512];
    if (n < 1 || n > 1000000)
        return 2;
    must(!tl_crypto_init());
    w.n = (size_t)n;
    w.nodes = calloc(w.n, sizeof *w.nodes);
    must(w.nodes && !tl_identity_new(&rng, &own));
    for (size_t i = 0; i < w.n; i++)
        must(!tl_identity_new(&rng, &w.nodes[i]));
    must(!tl_relay_link_new(&own, &rng, "me", &events, &w, &link));
    tl_relay_link_on_open(link, "relay.example", &wire, &w, 0);
    int len =
        snprintf(text, sizeof text, "{\"challenge\":{\"nonce\":\"%064d\",\"features\":[]}}", 0);
    tl_relay_link_on_text(link, (uint8_t *)text, (size_t)len, 0);
    tl_node_id_write(hex, &own.id);
    len = snprintf(text, sizeof text,
                   "{\"registerAck\":{\"nodeID\":\"%s\",\"registeredAt\":1.5,\"ttlSeconds\":300}}",
                   hex);
    tl_relay_link_on_text(link, (uint8_t *)text, (size_t)len, 0);
    must(tl_relay_link_is_registered(link));
    discover(&w, link, "new");
    discover(&w, link, "again");
    discover(&w, link, "again");
    tl_relay_link_free(link);
    tl_peer_table_clear(&w.table);
    tl_buf_clear(&w.room);
    free(w.nodes);
    return 0;
}
