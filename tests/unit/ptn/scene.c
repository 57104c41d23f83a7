#include "scene.h"

tl_identity authority, root, admin, member, outsider, other_authority;

int scene_set_up(void **state)
{
    (void)state;
    tl_identity *const all[] = {&authority, &root, &admin, &member, &outsider, &other_authority};
    assert_int_equal(tl_crypto_init(), TL_OK);
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        uint8_t seed[32];
        memset(seed, (int)i + 1, sizeof seed);
        assert_int_equal(tl_identity_from_seed(seed, all[i]), TL_OK);
    }
    return 0;
}

tl_cert wish_of(const tl_identity *node, tl_role role, const tl_identity *issuer)
{
    return (tl_cert){.network = authority.id,
                     .node = node->id,
                     .issuer = issuer->id,
                     .role = role,
                     .issued_at = NOW,
                     .expires_at = TL_PTN_NO_END};
}

json_t *by_authority(const tl_identity *node, tl_role role)
{
    json_t *cert;
    tl_cert wish = wish_of(node, role, &root);
    assert_int_equal(tl_cert_make(&wish, &authority, NULL, &cert), TL_OK);
    return cert;
}

json_t *admin_certificate(void)
{
    return by_authority(&admin, TL_ROLE_ADMIN);
}

json_t *by_admin(const tl_identity *node, tl_role role)
{
    json_t *cert, *chain = admin_certificate();
    tl_cert wish = wish_of(node, role, &admin);
    assert_int_equal(tl_cert_make(&wish, &admin, chain, &cert), TL_OK);
    json_decref(chain);
    return cert;
}

json_t *list_of(int64_t sequence, const tl_identity *key, size_t n, const tl_identity *const *nodes)
{
    tl_revocation entries[8];
    assert_true(n <= 8);
    for (size_t i = 0; i < n; i++)
        entries[i] = (tl_revocation){nodes[i]->id, NOW};
    tl_revocations list = {.network = authority.id,
                           .issuer = key == &authority ? root.id : key->id,
                           .sequence = sequence,
                           .issued_at = NOW,
                           .n = n,
                           .entries = entries};
    json_t *value, *chain = admin_certificate();
    assert_int_equal(tl_revocations_make(&list, key, chain, &value), TL_OK);
    json_decref(chain);
    return value;
}

json_t *parsed(const char *text)
{
    json_t *value;
    tl_why why;
    if (tl_json_parse(tl_slice_str(text), 16, &value, &why))
        fail_msg("%s", why.text);
    return value;
}

/* --- changes --- */

typedef struct {
    json_t *whole;
    bool (*accepts)(const json_t *value);
    size_t tried;
} changing;

static void try_it(changing *c)
{
    c->tried++;
    if (c->accepts(c->whole)) {
        char *text = json_dumps(c->whole, JSON_COMPACT);
        fail_msg("accepted: %s", text);
    }
}

static void change(changing *c, json_t *value);

static void change_string(changing *c, json_t *value)
{
    size_t n = json_string_length(value);
    char *kept = strdup(json_string_value(value)), *text = strdup(kept);
    for (size_t i = 0; i < n; i++) {
        text[i] = kept[i] == '0' ? '1' : '0';
        json_string_set(value, text);
        try_it(c);
        text[i] = kept[i];
    }
    json_string_set(value, "");
    try_it(c);
    json_string_set(value, kept);
    free(kept);
    free(text);
}

static void change_integer(changing *c, json_t *value)
{
    json_int_t kept = json_integer_value(value);
    const json_int_t others[] = {kept + 1, kept - 1, 0, -1, -kept, INT64_MAX};
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        json_integer_set(value, others[i]);
        if (others[i] != kept)
            try_it(c);
    }
    json_integer_set(value, kept);
}

/* Each member away, as null, as another type; and one more. */
static void change_object(changing *c, json_t *object)
{
    size_t n = json_object_size(object);
    const char **keys = calloc(n, sizeof *keys);
    const char *key;
    json_t *value;
    size_t i = 0;
    json_object_foreach (object, key, value)
        keys[i++] = strdup(key);
    for (i = 0; i < n; i++) {
        value = json_incref(json_object_get(object, keys[i]));
        json_object_del(object, keys[i]);
        try_it(c);
        json_t *const others[] = {json_null(),   json_true(),      json_real(1000.0), json_array(),
                                  json_object(), json_string("x"), json_integer(7)};
        for (size_t k = 0; k < sizeof others / sizeof *others; k++) {
            json_object_set_new(object, keys[i], others[k]);
            try_it(c);
        }
        json_object_set_new(object, keys[i], value);
    }
    json_object_set_new(object, "extra", json_integer(1));
    try_it(c);
    json_object_del(object, "extra");
    for (i = 0; i < n; i++) {
        change(c, json_object_get(object, keys[i]));
        free((void *)(uintptr_t)keys[i]);
    }
    free(keys);
}

static void change(changing *c, json_t *value)
{
    size_t i;
    json_t *one;
    if (json_is_string(value))
        change_string(c, value);
    else if (json_is_integer(value))
        change_integer(c, value);
    else if (json_is_object(value))
        change_object(c, value);
    else
        json_array_foreach (value, i, one)
            change(c, one);
}

void no_change_is_accepted(const json_t *value, bool (*accepts)(const json_t *value))
{
    changing c = {.whole = json_deep_copy(value), .accepts = accepts};
    assert_true(accepts(c.whole)); /* the twin */
    change(&c, c.whole);
    assert_true(accepts(c.whole));
    assert_true(c.tried > 100);
    json_decref(c.whole);
}
