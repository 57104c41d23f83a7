/* KRPC: what is read, written again, reads as the same. */
#include "wire/bencode.h"
#include "wire/krpc.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void check(bool holds)
{
    if (!holds)
        abort();
}

static void check_within(tl_slice s, const uint8_t *data, size_t n)
{
    check(!s.p || (s.p >= data && s.n <= n && s.p + s.n <= data + n));
}

static void walk(tl_slice nodes, tl_addr_family family)
{
    const uint8_t *id;
    tl_addr a;
    size_t left = nodes.n / (family == TL_ADDR_V4 ? TL_KRPC_NODE4 : TL_KRPC_NODE6);
    for (; tl_krpc_next_node(&nodes, family, &id, &a); left--)
        check(a.family == family);
    check(left == 0 && nodes.n == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    tl_krpc m, again;
    uint8_t bytes[TL_KRPC_MAX];
    size_t written;
    if (tl_krpc_parse(tl_slice_of(data, n), &m))
        return 0;
    const tl_slice slices[] = {m.tid,   m.client, m.salt,   m.token,
                               m.value, m.nodes,  m.nodes6, m.words};
    for (size_t i = 0; i < sizeof slices / sizeof *slices; i++)
        check_within(slices[i], data, n);
    check(m.tid.n >= 1 && m.tid.n <= TL_KRPC_TID_MAX && m.token.n <= TL_KRPC_TOKEN_MAX);
    walk(m.nodes, TL_ADDR_V4);
    walk(m.nodes6, TL_ADDR_V6);
    if (m.kind == TL_KRPC_QUERY && (m.method == TL_KRPC_OTHER || m.bad_arguments))
        return 0;
    if (tl_krpc_write(&m, TL_KRPC_MAX, bytes, &written))
        return 0;
    check(tl_krpc_is(tl_slice_of(bytes, written)));
    check(tl_krpc_parse(tl_slice_of(bytes, written), &again) == TL_OK);
    check(again.kind == m.kind && again.method == m.method && !again.bad_arguments);
    check(tl_slice_eq(again.tid, m.tid) && tl_slice_eq(again.value, m.value) &&
          tl_slice_eq(again.token, m.token) && tl_slice_eq(again.nodes, m.nodes));
    check(again.code == m.code && again.seq.value == m.seq.value);
    return 0;
}
