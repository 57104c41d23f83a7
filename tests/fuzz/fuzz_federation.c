/* What another relay of the cluster says, as bytes: whatever they are, the relay goes on, what it takes
 * for a message reads the same when it is written again, and in the end nothing is left. */
#include "relay/federation.h"
#include "relay/fedwire.h"
#include "relay/relay.h"

#include <stdio.h>
#include <stdlib.h>

#define REQUIRE(x) ((x) ? (void)0 : abort())

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void write_again(tl_slice bytes)
{
    tl_fed_message m, again;
    tl_buf out = {0};
    if (tl_fed_read(bytes, &m))
        return;
    REQUIRE(tl_fed_write(&out, &m) == TL_OK);
    REQUIRE(tl_fed_read(tl_buf_slice(&out), &again) == TL_OK);
    REQUIRE(again.kind == m.kind && again.epoch == m.epoch && tl_slice_eq(again.relay, m.relay));
    REQUIRE(tl_slice_eq(again.bytes, m.bytes) && tl_slice_eq(again.capabilities, m.capabilities));
    tl_buf_clear(&out);
}

static void drain(tl_relay *r)
{
    tl_fed_output out;
    while (tl_fed_next_output(r, &out))
        tl_relay_chunk_unref(out.chunk);
}

/* The input is a list of messages, each behind its length (u16). */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    tl_rand rand = tl_rand_seeded(1);
    tl_relay_config limits = tl_relay_config_default();
    tl_fed_config config = {.id = "own", .ttl = 10 * TL_SEC, .far = true};
    tl_relay *r;
    tl_time now = TL_SEC;
    if (tl_relay_new(&limits, &rand, &r))
        return 0;
    REQUIRE(tl_relay_federate(r, &config, now) == TL_OK);
    tl_fed_on_far(r, true, now);
    tl_fed_on_refreshed(r, now, now);
    while (size >= 2) {
        size_t n = (size_t)data[0] << 8 | data[1];
        n = n < size - 2 ? n : size - 2;
        tl_slice bytes = tl_slice_of(data + 2, n);
        write_again(bytes);
        tl_fed_on_message(r, bytes, n & 1, now);
        drain(r);
        now += TL_SEC;
        if (tl_relay_expiry(r) <= now)
            tl_relay_on_timer(r, now);
        drain(r);
        data += 2 + n;
        size -= 2 + n;
    }
    tl_relay_free(r);
    return 0;
}
