#include "wire/control.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define EXAMPLES_MAX 64

typedef struct {
    char name[32];
    uint8_t bytes[TL_CONTROL_MAX];
    size_t n;
} example;

static example examples[EXAMPLES_MAX];
static size_t example_count;

/* tests/vectors/control.txt, which a Python program made that shares no code with ours. */
static int read_examples(void **state)
{
    (void)state;
    char line[2 * TL_CONTROL_MAX + 64], hex[2 * TL_CONTROL_MAX + 1];
    FILE *f = fopen(TL_TEST_DATA "/control.txt", "r");
    assert_non_null(f);
    while (fgets(line, sizeof line, f)) {
        example *e = &examples[example_count];
        if (line[0] == '#')
            continue;
        assert_true(example_count < EXAMPLES_MAX);
        assert_int_equal(sscanf(line, "%31s %2400s", e->name, hex), 2);
        e->n = strlen(hex) / 2;
        assert_int_equal(tl_hex_parse(tl_slice_str(hex), false, e->bytes, e->n), TL_OK);
        example_count++;
    }
    fclose(f);
    return 0;
}

static const example *find(tl_control_type type)
{
    for (size_t i = 0; i < example_count; i++)
        if (examples[i].bytes[1] == type)
            return &examples[i];
    fail();
    return NULL;
}

/* From a copy of exactly that size, so that the sanitizer sees a read beyond. */
static tl_err parse(const uint8_t *bytes, size_t n, tl_control *ret)
{
    uint8_t *copy = malloc(n ? n : 1);
    assert_non_null(copy);
    memcpy(copy, bytes, n);
    tl_err e = tl_control_parse(tl_slice_of(copy, n), ret);
    free(copy);
    return e;
}

static void every_example_of_the_other_program_reads_and_is_written_the_same(void **state)
{
    (void)state;
    unsigned seen = 0;
    for (size_t i = 0; i < example_count; i++) {
        tl_control c;
        uint8_t again[TL_CONTROL_MAX];
        assert_int_equal(parse(examples[i].bytes, examples[i].n, &c), TL_OK);
        assert_string_equal(tl_control_type_name(c.type), examples[i].name);
        assert_int_equal(tl_control_write(&c, again), examples[i].n);
        assert_memory_equal(again, examples[i].bytes, examples[i].n);
        assert_int_equal(tl_control_peek(tl_slice_of(again, 2)), c.type);
        seen |= 1u << c.type;
    }
    assert_int_equal(seen, (1u << TL_CONTROL_TYPES) - 2);
}

static void members_are_what_the_other_program_wrote(void **state)
{
    (void)state;
    tl_control c;
    char text[TL_ADDR_TEXT_MAX];
    const example *e = find(TL_CONTROL_RELAY_OFFER);
    assert_int_equal(parse(e->bytes, e->n, &c), TL_OK);
    assert_int_equal(c.expires_at, 1790000600);
    assert_int_equal(c.timestamp, 1790000000);
    assert_true(c.limit == UINT64_C(1) << 40);
    assert_string_equal(c.session, "0123456789abcdef0123456789ABCDE-");
    assert_int_equal(c.token[0], 0x9A);
    assert_int_equal(c.nonce[15], 15);
    tl_addr_write(text, &c.addr);
    assert_string_equal(text, "[2001:db8:1111:2222:3333:4444:5555:6666]:65535");
    assert_memory_not_equal(c.peer, c.to, sizeof c.to);
    assert_memory_not_equal(c.peer, c.relay, sizeof c.relay);

    e = find(TL_CONTROL_PUNCH_INTRO);
    assert_int_equal(parse(e->bytes, e->n, &c), TL_OK);
    assert_int_equal(c.nat, TL_CONTROL_NAT_SYMMETRIC);
    e = find(TL_CONTROL_RELAY_MIGRATE);
    assert_int_equal(parse(e->bytes, e->n, &c), TL_OK);
    tl_addr_write(text, &c.addr);
    assert_string_equal(text, "192.0.2.7:40000");
    assert_int_equal(c.sequence, 1);
}

static void a_datagram_cut_or_lengthened_anywhere_is_refused(void **state)
{
    (void)state;
    tl_control c;
    for (size_t i = 0; i < example_count; i++) {
        uint8_t longer[TL_CONTROL_MAX + 1];
        for (size_t n = 0; n < examples[i].n; n++)
            assert_int_equal(parse(examples[i].bytes, n, &c), TL_ERR_PROTO);
        memcpy(longer, examples[i].bytes, examples[i].n);
        longer[examples[i].n] = 0;
        assert_int_equal(parse(longer, examples[i].n + 1, &c), TL_ERR_PROTO);
    }
}

/* A changed byte is refused, or means something else; nothing has two spellings. */
static void an_altered_byte_never_reads_as_the_same(void **state)
{
    (void)state;
    for (size_t i = 0; i < example_count; i++) {
        uint8_t altered[TL_CONTROL_MAX], again[TL_CONTROL_MAX];
        memcpy(altered, examples[i].bytes, examples[i].n);
        for (size_t at = 0; at < examples[i].n; at++) {
            for (int with = 1; with < 256; with++) {
                tl_control c;
                altered[at] = (uint8_t)(examples[i].bytes[at] ^ with);
                if (parse(altered, examples[i].n, &c))
                    continue;
                assert_int_equal(tl_control_write(&c, again), examples[i].n);
                assert_memory_equal(again, altered, examples[i].n);
            }
            altered[at] = examples[i].bytes[at];
        }
    }
}

typedef struct {
    tl_err e;
    const char *hex;
} judged;

#define NONCE                "a56e6f6e6365c410000102030405060708090a0b0c0d0e0f"
#define SEQ                  "a873657175656e6365"
#define PATH                 "0c0782" NONCE SEQ
#define ZEROS                "0000000000000000000000000000000000000000000000000000000000000000"
#define NODE                 "a46e6f6465c420" ZEROS
#define SIG                  "a3736967c440" ZEROS ZEROS
#define ADDR(n)              "0c0c84a461646472a" n
#define AS_HEX(text_n, text) ADDR(text_n) text NODE NONCE SIG

static void each_fault_of_encoding_is_refused_beside_its_accepted_twin(void **state)
{
    (void)state;
    static const judged cases[] = {
        {TL_OK, PATH "05"},
        {TL_ERR_PROTO, PATH "cc05"}, /* not the shortest */
        {TL_OK, PATH "cc80"},
        {TL_ERR_PROTO, PATH "cd0080"},
        {TL_OK, PATH "cd0100"},
        {TL_ERR_PROTO, PATH "ce00000100"},
        {TL_ERR_PROTO, PATH "cf0000000000000100"},
        {TL_OK, PATH "cf0000000100000000"},
        {TL_ERR_PROTO, PATH "d005"}, /* signed */
        {TL_ERR_PROTO, PATH "ff"},
        {TL_ERR_PROTO, PATH "c0"},                        /* nil */
        {TL_ERR_PROTO, PATH "ca40a00000"},                /* float */
        {TL_ERR_PROTO, "0c07de0002" NONCE SEQ "05"},      /* map16 */
        {TL_ERR_PROTO, "0c0782" SEQ "05" NONCE},          /* the other order */
        {TL_ERR_PROTO, "0c0783" NONCE SEQ "05" SEQ "05"}, /* twice */
        {TL_ERR_PROTO, "0c0782" NONCE NONCE},
        {TL_ERR_PROTO, "0c0783" NONCE SEQ "05a17a00"}, /* an unknown key */
        {TL_ERR_PROTO, "0c0781" NONCE},                /* one is missing */
        {TL_ERR_PROTO,
         "0c0782d9056e6f6e6365c410000102030405060708090a0b0c0d0e0f" SEQ "05"}, /* str8 */
        {TL_ERR_PROTO,
         "0c0782a56e6f6e6365c50010000102030405060708090a0b0c0d0e0f" SEQ "05"},           /* bin16 */
        {TL_ERR_PROTO, "0c0782a56e6f6e6365b0000102030405060708090a0b0c0d0e0f" SEQ "05"}, /* text */
        {TL_ERR_PROTO, "0c0782a56e6f6e6365c40f000102030405060708090a0b0c0d0e" SEQ "05"}, /* 15 */
        {TL_ERR_PROTO, "0c0082" NONCE SEQ "05"}, /* no such types */
        {TL_ERR_PROTO, "0c0d82" NONCE SEQ "05"},
        {TL_ERR_PROTO, "0d0782" NONCE SEQ "05"},
        {TL_ERR_PROTO, "0c"},
        {TL_ERR_PROTO, ""},
        {TL_OK, AS_HEX("9", "312e322e332e343a35")},          /* 1.2.3.4:5 */
        {TL_ERR_PROTO, AS_HEX("9", "312e322e332e343a30")},   /* 1.2.3.4:0 */
        {TL_ERR_PROTO, AS_HEX("a", "312e322e332e343a3035")}, /* 1.2.3.4:05 */
        {TL_ERR_PROTO, AS_HEX("7", "312e322e332e34")},       /* 1.2.3.4 */
        {TL_OK, AS_HEX("7", "5b3a3a315d3a35")},              /* [::1]:5 */
        {TL_ERR_PROTO, AS_HEX("8", "5b303a3a315d3a35")},     /* [0::1]:5 */
        {TL_OK, AS_HEX("8", "5b613a3a315d3a35")},            /* [a::1]:5 */
        {TL_ERR_PROTO, AS_HEX("8", "5b413a3a315d3a35")},     /* [A::1]:5 */
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        uint8_t bytes[256];
        tl_control c;
        size_t n = strlen(cases[i].hex) / 2;
        assert_int_equal(tl_hex_parse(tl_slice_str(cases[i].hex), false, bytes, n), TL_OK);
        if (parse(bytes, n, &c) != cases[i].e)
            fail_msg("%s", cases[i].hex);
    }
}

static void an_address_is_neither_mapped_nor_of_a_zone(void **state)
{
    (void)state;
    static const struct {
        tl_err e;
        const char *text;
    } cases[] = {{TL_OK, "[2001:db8::1]:5"},      {TL_ERR_PROTO, "[::ffff:1.2.3.4]:5"},
                 {TL_ERR_PROTO, "[fe80::1%1]:5"}, {TL_ERR_PROTO, "localhost:5"},
                 {TL_ERR_PROTO, "1.2.3.4:65536"}, {TL_OK, "1.2.3.4:65535"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        uint8_t bytes[256] = {0x0C, 12, 0x84, 0xA4, 'a', 'd', 'd', 'r'};
        tl_control c;
        size_t n = 8, k = strlen(cases[i].text), rest = strlen(NODE NONCE SIG) / 2;
        bytes[n++] = (uint8_t)(0xA0 | k);
        memcpy(bytes + n, cases[i].text, k);
        n += k;
        assert_int_equal(tl_hex_parse(TL_SLICE_LIT(NODE NONCE SIG), false, bytes + n, rest), TL_OK);
        assert_int_equal(parse(bytes, n + rest, &c), cases[i].e);
    }
}

static void a_request_for_a_relay_is_long_and_its_pad_is_zeros(void **state)
{
    (void)state;
    tl_control c;
    uint8_t bytes[TL_CONTROL_MAX];
    const example *e = find(TL_CONTROL_RELAY_REQUEST);
    assert_true(e->n >= TL_CONTROL_REQUEST_MIN);
    assert_int_equal(parse(e->bytes, e->n, &c), TL_OK);
    assert_int_equal(c.pad_n, TL_CONTROL_PAD);
    memcpy(bytes, e->bytes, e->n);
    bytes[3 + 10 + 34 + 24 + 7 + 100] = 1;
    assert_int_equal(parse(bytes, e->n, &c), TL_ERR_PROTO);

    /* one byte of padding less, until it is too short */
    size_t shortest = 0;
    for (size_t pad = 600; pad >= 256; pad--) {
        size_t at = 3 + 10 + 34 + 6 + 18 + 4;
        memcpy(bytes, e->bytes, at);
        bytes[at] = 0xC5;
        bytes[at + 1] = (uint8_t)(pad >> 8);
        bytes[at + 2] = (uint8_t)pad;
        memset(bytes + at + 3, 0, pad);
        memcpy(bytes + at + 3 + pad, e->bytes + at + 3 + 600, e->n - (at + 3 + 600));
        if (parse(bytes, e->n - (600 - pad), &c) == TL_OK)
            shortest = e->n - (600 - pad);
    }
    assert_int_equal(shortest, TL_CONTROL_REQUEST_MIN);
}

static void no_answer_is_longer_than_what_asked_for_it(void **state)
{
    (void)state;
    tl_control c = {.addr = {.family = TL_ADDR_V6, .port = 65535}, .type = TL_CONTROL_ATTACHED};
    uint8_t bytes[TL_CONTROL_MAX];
    memset(c.addr.bytes, 0xAB, 16);
    memset(c.session, 'a', TL_CONTROL_SESSION_MAX);
    c.limit = c.sequence = UINT64_MAX;
    c.timestamp = c.expires_at = INT64_MAX;
    c.nat = TL_CONTROL_NAT_SYMMETRIC;
    assert_true(tl_control_write(&c, bytes) < find(TL_CONTROL_ATTACH)->n);
    c.type = TL_CONTROL_RELAY_OFFER; /* both sides get one */
    assert_true(2 * tl_control_write(&c, bytes) <= TL_CONTROL_REQUEST_MIN);
    c.type = TL_CONTROL_RELAY_PATH; /* sent at most three times */
    assert_true(3 * tl_control_write(&c, bytes) <= find(TL_CONTROL_RELAY_MIGRATE)->n);
    /* Two of them, and four checks of at most 92 bytes, with the headers of IPv4 and UDP. */
    c.addr = (tl_addr){.family = TL_ADDR_V4, .bytes = {255, 255, 255, 255}, .port = 65535};
    c.type = TL_CONTROL_PUNCH_READY;
    assert_true(2 * (tl_control_write(&c, bytes) + 28) + 4 * (92 + 28) <=
                TL_CONTROL_INTRO_MIN + 28);
    memset(c.addr.bytes, 0xAB, 16);
    c.addr.family = TL_ADDR_V6;
    c.pad_n = TL_CONTROL_INTRO_PAD;
    c.type = TL_CONTROL_PUNCH_INTRO;
    assert_true(tl_control_write(&c, bytes) < TL_CONTROL_MAX);
}

static void the_window_is_half_a_minute_to_either_side(void **state)
{
    (void)state;
    tl_control c = {.timestamp = 1000};
    assert_true(tl_control_is_fresh(&c, 970));
    assert_true(tl_control_is_fresh(&c, 1030));
    assert_false(tl_control_is_fresh(&c, 969));
    assert_false(tl_control_is_fresh(&c, 1031));
    c.timestamp = INT64_MAX;
    assert_false(tl_control_is_fresh(&c, 1000));
}

static void what_is_signed_is_the_map_without_the_signature(void **state)
{
    (void)state;
    tl_control c, other;
    uint8_t body[TL_CONTROL_MAX], same[TL_CONTROL_MAX];
    const example *e = find(TL_CONTROL_ATTACH);
    assert_int_equal(parse(e->bytes, e->n, &c), TL_OK);
    size_t n = tl_control_write_body(&c, body);
    assert_int_equal(n, e->n - 2 - (4 + 66));
    assert_int_equal(body[0], 0x85);
    other = c;
    memset(other.sig, 0, sizeof other.sig);
    assert_int_equal(tl_control_write_body(&other, same), n);
    assert_memory_equal(body, same, n);
}

static void a_datagram_over_the_bound_is_refused_unread(void **state)
{
    (void)state;
    uint8_t bytes[TL_CONTROL_MAX + 1] = {0x0C, 7};
    tl_control c = {.sequence = 77};
    assert_int_equal(parse(bytes, sizeof bytes, &c), TL_ERR_TOO_LARGE);
    assert_int_equal(parse(bytes, sizeof bytes - 1, &c), TL_ERR_PROTO);
    assert_int_equal(c.sequence, 77); /* untouched on failure */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_example_of_the_other_program_reads_and_is_written_the_same),
        cmocka_unit_test(members_are_what_the_other_program_wrote),
        cmocka_unit_test(a_datagram_cut_or_lengthened_anywhere_is_refused),
        cmocka_unit_test(an_altered_byte_never_reads_as_the_same),
        cmocka_unit_test(each_fault_of_encoding_is_refused_beside_its_accepted_twin),
        cmocka_unit_test(an_address_is_neither_mapped_nor_of_a_zone),
        cmocka_unit_test(a_request_for_a_relay_is_long_and_its_pad_is_zeros),
        cmocka_unit_test(no_answer_is_longer_than_what_asked_for_it),
        cmocka_unit_test(the_window_is_half_a_minute_to_either_side),
        cmocka_unit_test(what_is_signed_is_the_map_without_the_signature),
        cmocka_unit_test(a_datagram_over_the_bound_is_refused_unread),
    };
    return cmocka_run_group_tests(tests, read_examples, NULL);
}
