#include "crypto/aead.h"
#include "crypto/blake2s.h"
#include "nat/checks.h"

#include <ctype.h>
#include <sodium.h>

/* HKDF-Expand (RFC 5869) of one block: info is a label, the sender and the receiver. */
static void expand(const uint8_t prk[TL_HKDF_SIZE], const tl_node_id *from, const tl_node_id *to,
                   uint8_t ret_key[TL_CHECK_KEY])
{
    static const char label[] = "teale check";
    uint8_t info[sizeof label - 1 + 2 * sizeof from->key + 1];
    memcpy(info, label, sizeof label - 1);
    memcpy(info + sizeof label - 1, from->key, sizeof from->key);
    memcpy(info + sizeof label - 1 + sizeof from->key, to->key, sizeof to->key);
    info[sizeof info - 1] = 1;
    tl_hkdf_extract(tl_slice_of(prk, TL_HKDF_SIZE), tl_slice_of(info, sizeof info), ret_key);
}

tl_err tl_check_keys(const tl_identity *self, const tl_node_id *peer, const char *session,
                     uint8_t ret_send[TL_CHECK_KEY], uint8_t ret_receive[TL_CHECK_KEY])
{
    _Static_assert(TL_CHECK_KEY == TL_HKDF_SIZE, "one block of HKDF-Expand");
    uint8_t public[32], shared[32], prk[TL_HKDF_SIZE];
    /* Between a node and itself both keys would be one, and a reflected check would be genuine. */
    if (tl_node_id_eq(&self->id, peer))
        return TL_ERR_AUTH;
    tl_err e = tl_node_id_noise_public(peer, public);
    if (e)
        return e;
    if (crypto_scalarmult_curve25519(shared, self->noise_key, public) != 0 ||
        sodium_is_zero(shared, sizeof shared)) {
        e = TL_ERR_AUTH;
        goto out;
    }
    tl_hkdf_extract(tl_slice_str(session), tl_slice_of(shared, sizeof shared), prk);
    expand(prk, &self->id, peer, ret_send);
    expand(prk, peer, &self->id, ret_receive);
    sodium_memzero(prk, sizeof prk);
out:
    sodium_memzero(shared, sizeof shared);
    return e;
}

void tl_check_username(const char *session, char ret_name[TL_CHECK_USERNAME + 1])
{
    size_t n = 0;
    for (const char *p = session; *p && n < TL_CHECK_USERNAME; p++)
        if (isxdigit((unsigned char)*p))
            ret_name[n++] = (char)tolower((unsigned char)*p);
    ret_name[n] = '\0';
    if (n == TL_CHECK_USERNAME)
        return;
    tl_blake2s hash;
    uint8_t digest[TL_BLAKE2S_SIZE];
    tl_blake2s_init(&hash);
    tl_blake2s_update(&hash, tl_slice_str(session));
    tl_blake2s_final(&hash, digest);
    tl_hex_write(ret_name, digest, TL_CHECK_USERNAME / 2);
}
