#include "dht/record.h"

#include "wire/bencode.h"
#include "wire/wsurl.h"

#include <assert.h>

#define VERSION  1
#define DICT_MAX (TL_DHT_RECORD_MAX - 4) /* behind its length and a colon */

tl_dht_id tl_dht_record_target(const tl_node_id *id)
{
    return tl_dht_target_of_key(id->key, TL_DHT_RECORD_SALT);
}

/* --- written --- */

static void put_introducers(tl_ben_writer *w, const tl_dht_record *r)
{
    uint8_t one[TL_KRPC_KEY_SIZE + TL_KRPC_COMPACT_MAX];
    tl_ben_put_key(w, "i");
    tl_ben_put_mark(w, 'l');
    for (size_t i = 0; i < r->n_introducers; i++) {
        const tl_dht_record_introducer *in = &r->introducers[i];
        memcpy(one, in->id, TL_KRPC_KEY_SIZE);
        size_t n = tl_krpc_addr_write(&in->addr, one + TL_KRPC_KEY_SIZE);
        tl_ben_put_text(w, tl_slice_of(one, TL_KRPC_KEY_SIZE + n));
    }
    tl_ben_put_mark(w, 'e');
}

static void put_addresses(tl_ben_writer *w, const tl_dht_record *r)
{
    uint8_t one[TL_KRPC_COMPACT_MAX];
    tl_ben_put_key(w, "p");
    tl_ben_put_mark(w, 'l');
    for (size_t i = 0; i < r->n_addresses; i++)
        tl_ben_put_text(w, tl_slice_of(one, tl_krpc_addr_write(&r->addresses[i], one)));
    tl_ben_put_mark(w, 'e');
}

/* Writes the first `n_relays`. */
static void put_record(tl_ben_writer *w, const tl_dht_record *r, size_t n_relays)
{
    tl_ben_put_mark(w, 'd');
    put_introducers(w, r);
    tl_ben_put_pair_text(w, "n", tl_slice_str(tl_control_nat_name(r->nat)));
    put_addresses(w, r);
    tl_ben_put_key(w, "r");
    tl_ben_put_mark(w, 'l');
    for (size_t i = 0; i < n_relays; i++)
        tl_ben_put_text(w, tl_slice_str(r->relays[i]));
    tl_ben_put_mark(w, 'e');
    tl_ben_put_pair_number(w, "v", VERSION);
    tl_ben_put_mark(w, 'e');
}

size_t tl_dht_record_write(const tl_dht_record *r, uint8_t ret_value[TL_DHT_RECORD_MAX])
{
    uint8_t dict[DICT_MAX];
    tl_ben_writer w = {.full = true}, text = {.p = ret_value, .max = TL_DHT_RECORD_MAX};
    assert(r->n_addresses <= TL_DHT_RECORD_ADDRESSES_MAX &&
           r->n_introducers <= TL_DHT_RECORD_INTRODUCERS_MAX &&
           r->n_relays <= TL_DHT_RECORD_RELAYS_MAX);
    for (size_t n = r->n_relays + 1; w.full && n-- > 0;) {
        w = (tl_ben_writer){.p = dict, .max = sizeof dict};
        put_record(&w, r, n);
    }
    tl_ben_put_text(&text, tl_slice_of(dict, w.n));
    assert(!w.full && !text.full); /* 8 introducers and 8 addresses are 594 bytes */
    return text.n;
}

/* --- read --- */

static bool read_addr(tl_slice bytes, tl_addr *ret)
{
    tl_addr a;
    if (tl_krpc_addr_parse(bytes, &a) || a.port == 0)
        return false;
    tl_addr normal = tl_addr_normal(a);
    if (!tl_addr_eq(&a, &normal))
        return false;
    *ret = a;
    return true;
}

static bool read_introducer(tl_slice bytes, tl_dht_record *r)
{
    tl_dht_record_introducer *in = &r->introducers[r->n_introducers];
    if (r->n_introducers == TL_DHT_RECORD_INTRODUCERS_MAX || bytes.n < TL_KRPC_KEY_SIZE ||
        !read_addr(tl_slice_of(bytes.p + TL_KRPC_KEY_SIZE, bytes.n - TL_KRPC_KEY_SIZE), &in->addr))
        return false;
    memcpy(in->id, bytes.p, TL_KRPC_KEY_SIZE);
    r->n_introducers++;
    return true;
}

static bool read_address(tl_slice bytes, tl_dht_record *r)
{
    if (r->n_addresses == TL_DHT_RECORD_ADDRESSES_MAX ||
        !read_addr(bytes, &r->addresses[r->n_addresses]))
        return false;
    r->n_addresses++;
    return true;
}

static bool read_relay(tl_slice text, tl_dht_record *r)
{
    tl_wsurl url;
    char *relay = r->relays[r->n_relays];
    if (r->n_relays == TL_DHT_RECORD_RELAYS_MAX || text.n > TL_DHT_RECORD_URL_MAX ||
        (text.n && memchr(text.p, 0, text.n)))
        return false;
    memcpy(relay, text.p, text.n);
    relay[text.n] = 0;
    if (tl_wsurl_parse(relay, &url, NULL))
        return false;
    r->n_relays++;
    return true;
}

/* Every element of the list under `key` is a text that `read` takes. */
static bool read_list(const tl_ben *dict, const char *key, bool (*read)(tl_slice, tl_dht_record *),
                      tl_dht_record *r)
{
    tl_ben list, one;
    if (!tl_ben_find_kind(dict, key, TL_BEN_LIST, &list))
        return false;
    tl_slice inside = list.inside;
    while (tl_ben_next(&inside, &one))
        if (one.kind != TL_BEN_TEXT || !read(one.text, r))
            return false;
    return true;
}

static bool read_nat(const tl_ben *dict, tl_control_nat *ret)
{
    tl_ben v;
    if (!tl_ben_find_kind(dict, "n", TL_BEN_TEXT, &v))
        return false;
    for (int nat = 0; nat < TL_CONTROL_NATS; nat++)
        if (tl_slice_eq(v.text, tl_slice_str(tl_control_nat_name((tl_control_nat)nat)))) {
            *ret = (tl_control_nat)nat;
            return true;
        }
    return false;
}

tl_err tl_dht_record_parse(tl_slice value, tl_dht_record *ret_record)
{
    tl_ben text, dict, version;
    tl_dht_record r = {0};
    if (value.n > TL_DHT_RECORD_MAX || tl_ben_parse(value, TL_BEN_CANONICAL, &text) ||
        text.kind != TL_BEN_TEXT || tl_ben_parse(text.text, TL_BEN_CANONICAL, &dict) ||
        !tl_ben_find_kind(&dict, "v", TL_BEN_NUMBER, &version))
        return TL_ERR_PROTO;
    if (version.number != VERSION)
        return TL_ERR_INVALID;
    if (!read_list(&dict, "i", read_introducer, &r) || !read_nat(&dict, &r.nat) ||
        !read_list(&dict, "p", read_address, &r) || !read_list(&dict, "r", read_relay, &r))
        return TL_ERR_PROTO;
    *ret_record = r;
    return TL_OK;
}
