/* Records of nodes in the DHT: what is read, written again, reads as the same. */
#include "dht/record.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void check(bool holds)
{
    if (!holds)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    tl_dht_record r, again;
    uint8_t value[TL_DHT_RECORD_MAX], twice[TL_DHT_RECORD_MAX];
    if (tl_dht_record_parse(tl_slice_of(data, n), &r))
        return 0;
    check(n <= TL_DHT_RECORD_MAX);
    size_t written = tl_dht_record_write(&r, value);
    check(written <= n);
    check(tl_dht_record_parse(tl_slice_of(value, written), &again) == TL_OK);
    check(again.n_addresses == r.n_addresses && again.n_introducers == r.n_introducers &&
          again.n_relays == r.n_relays && again.nat == r.nat);
    check(tl_dht_record_write(&again, twice) == written && memcmp(value, twice, written) == 0);
    return 0;
}
