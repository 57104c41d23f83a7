#include "tokens_scene.h"

tl_addr addr_of(const char *text)
{
    tl_addr a;
    assert_int_equal(tl_addr_parse(tl_slice_str(text), &a), TL_OK);
    return a;
}

tl_burst_way from(const char *remote)
{
    return (tl_burst_way){.remote = addr_of(remote), .local = addr_of("198.18.0.1:3478")};
}

void begin_with(scene *s, const tl_tokens_config *config, bool limited)
{
    *s = (scene){.rand = tl_rand_seeded(7), .now = TL_SEC};
    assert_int_equal(tl_crypto_init(), TL_OK);
    assert_int_equal(tl_tokens_new(config, &s->rand, s->now, &s->t), TL_OK);
    tl_tokens_member members[2];
    for (int i = 0; i < 2; i++) {
        assert_int_equal(tl_identity_new(&s->rand, &s->id[i]), TL_OK);
        s->limits[i] = tl_limit_make(64 << 10, 500 * TL_MS, s->now);
        members[i] = (tl_tokens_member){
            .node = &s->id[i].id, .stream = &s->users[i], .limit = limited ? &s->limits[i] : NULL};
    }
    assert_int_equal(tl_tokens_open(s->t, members, s->now, &s->pair), TL_OK);
}

const tl_tokens_config *one_socket(void)
{
    static tl_tokens_config config = {.socket_count = 1};
    config.sockets[0] = addr_of("198.18.0.1:3478");
    return &config;
}

void begin(scene *s)
{
    begin_with(s, one_socket(), false);
}

void end(scene *s)
{
    tl_tokens_close(s->t, &s->pair);
    tl_tokens_free(s->t);
}

uint64_t dropped(const scene *s, tl_tokens_drop why)
{
    return tl_tokens_counters_of(s->t)->dropped[why];
}

/* A packet of that side with `n` bytes of payload. */
tl_slice packet(const scene *s, int side, size_t n)
{
    static uint8_t bytes[TL_TOKEN_SIZE + 70000];
    memcpy(bytes, tl_tokens_token(s->pair.side[side]), TL_TOKEN_SIZE);
    return tl_slice_of(bytes, TL_TOKEN_SIZE + n);
}

tl_tokens_verdict by_udp(scene *s, const char *remote, tl_slice p, const char *ret_to[1])
{
    static char text[TL_ADDR_TEXT_MAX];
    tl_burst_way way = from(remote);
    const tl_burst_way *to;
    tl_tokens_side *side;
    tl_tokens_verdict v = tl_tokens_on_datagram(s->t, &way, p, s->now, &to, &side);
    if (v == TL_TOKENS_TO_UDP && ret_to) {
        tl_addr_write(text, &to->remote);
        *ret_to = text;
    }
    return v;
}

tl_tokens_verdict by_stream(scene *s, int user, tl_slice p)
{
    const tl_burst_way *to;
    tl_tokens_side *side;
    return tl_tokens_on_message(s->t, &s->users[user], p, s->now, &to, &side);
}
