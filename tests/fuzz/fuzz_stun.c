/* STUN datagrams, and what is written from what was read. */
#include "wire/stun.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void check(bool holds)
{
    if (!holds)
        abort();
}

/* Writes what `s` says again; it must read back as the same. */
static void write_again(const tl_stun *s)
{
    tl_stun_writer w;
    tl_stun t;
    tl_slice name = s->username;
    if (name.n > TL_STUN_USERNAME_MAX)
        name.n = TL_STUN_USERNAME_MAX;
    tl_stun_begin(&w, s->class, &s->id);
    if (s->mapped.family)
        tl_stun_put_xor_mapped(&w, &s->mapped);
    if (s->other.family)
        tl_stun_put_other(&w, &s->other);
    if (s->origin.family)
        tl_stun_put_origin(&w, &s->origin);
    if (name.p)
        tl_stun_put_username(&w, name);
    if (s->has_priority)
        tl_stun_put_priority(&w, s->priority);
    if (s->has_change)
        tl_stun_put_change(&w, s->change_ip, s->change_port);
    if (s->error)
        tl_stun_put_error(&w, s->error, "reason");
    tl_stun_put_unknown(&w, s->unknown, s->n_unknown);
    check(tl_stun_put_integrity(&w, name) == TL_OK);
    tl_stun_finish(&w);

    tl_slice written = tl_slice_of(w.bytes, w.n);
    check(tl_stun_read(written, &t) == TL_OK && tl_stun_verify(written, &t, name) == TL_OK);
    check(t.class == s->class && memcmp(&t.id, &s->id, sizeof t.id) == 0);
    check(tl_addr_eq(&t.mapped, &s->mapped) && tl_addr_eq(&t.other, &s->other) &&
          tl_addr_eq(&t.origin, &s->origin));
    check(t.has_priority == s->has_priority && t.priority == s->priority);
    check(t.has_change == s->has_change && t.change_ip == s->change_ip &&
          t.change_port == s->change_port);
    check(t.error == s->error && tl_slice_eq(t.username, name) && t.fingerprint);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    tl_slice datagram = tl_slice_of(data, n);
    tl_stun s;
    bool is = tl_stun_is(datagram);
    if (tl_stun_read(datagram, &s))
        return 0;
    check(is);
    check(s.n_unknown <= TL_STUN_UNKNOWN_MAX);
    check(s.error == 0 || (s.error >= 300 && s.error <= 699));
    check(s.username.n == 0 ||
          (s.username.p > data && s.username.n <= (size_t)(data + n - s.username.p)));
    if (tl_stun_verify(datagram, &s, TL_SLICE_LIT("key")) == TL_OK)
        check(s.mac_at != 0);
    write_again(&s);
    return 0;
}
