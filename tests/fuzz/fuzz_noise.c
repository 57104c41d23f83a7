/* Handshake messages from a stranger. The first byte chooses: message 1 or message 2, and the rest
 * as it is or as changes to a good message, so that also what lies behind the first tag is reached.
 */
#include "crypto/identity.h"
#include "crypto/noise.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

#define PROLOGUE TL_SLICE_LIT("teale/v1 fuzz")
#define MOST     2048

static struct {
    tl_identity a, b;
    tl_noise responder, initiator; /* waiting for message 1 and for message 2 */
    uint8_t msg1[512], msg2[512];
    size_t n1, n2;
} good;

static void must(tl_err e)
{
    if (e)
        abort();
}

static void prepare(void)
{
    tl_rand rand = tl_rand_seeded(1);
    uint8_t payload[512];
    size_t n;
    must(tl_crypto_init());
    must(tl_identity_new(&rand, &good.a));
    must(tl_identity_new(&rand, &good.b));
    tl_noise_init_initiator(&good.initiator, PROLOGUE, good.a.noise_key, good.a.noise_public,
                            good.b.noise_public);
    tl_noise_init_responder(&good.responder, PROLOGUE, good.b.noise_key, good.b.noise_public);
    must(tl_noise_write(&good.initiator, &rand, TL_SLICE_LIT("first"), good.msg1, sizeof good.msg1,
                        &good.n1));
    tl_noise answering = good.responder;
    must(tl_noise_read(&answering, tl_slice_of(good.msg1, good.n1), payload, &n));
    must(tl_noise_write(&answering, &rand, TL_SLICE_LIT("second"), good.msg2, sizeof good.msg2,
                        &good.n2));
}

/* XORs the input onto the good message; what is longer is appended. */
static size_t changed(const uint8_t *message, size_t n, tl_slice by, uint8_t ret[MOST])
{
    memcpy(ret, message, n);
    for (size_t i = 0; i < by.n && i < MOST; i++)
        ret[i] = i < n ? ret[i] ^ by.p[i] : by.p[i];
    return by.n < n ? n : by.n < MOST ? by.n : MOST;
}

static void feed(const tl_noise *waiting, tl_slice message, tl_slice right)
{
    tl_noise state, before;
    memcpy(&state, waiting, sizeof state);
    memcpy(&before, waiting, sizeof before);
    uint8_t *payload = malloc(message.n ? message.n : 1);
    size_t n = SIZE_MAX;
    if (!payload)
        abort();
    tl_err e = tl_noise_read(&state, message, payload, &n);
    if ((e == TL_OK) != tl_slice_eq(message, right))
        abort();
    if (e && (n != SIZE_MAX || memcmp(&state, &before, sizeof state) != 0))
        abort();
    free(payload);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static bool prepared;
    if (!prepared)
        prepare();
    prepared = true;
    if (n == 0)
        return 0;
    tl_slice in = tl_slice_of(data + 1, n - 1);
    tl_slice right =
        data[0] & 1 ? tl_slice_of(good.msg2, good.n2) : tl_slice_of(good.msg1, good.n1);
    uint8_t message[MOST];
    if (data[0] & 2)
        in = tl_slice_of(message, changed(right.p, right.n, in, message));
    feed(data[0] & 1 ? &good.initiator : &good.responder, in, right);
    return 0;
}
