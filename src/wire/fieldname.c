#include "wire/fieldname.h"

#include "wire/jsonscan.h"

/* The letter at the front, in lower case, and its length. Beside A to Z two letters have lower-case
 * twins in ASCII: the long s (U+017F) and the Kelvin sign (U+212A). */
static size_t fold(tl_slice s, char *ret_letter)
{
    static const uint8_t long_s[] = {0xC5, 0xBF}, kelvin[] = {0xE2, 0x84, 0xAA};
    if (s.n >= sizeof long_s && memcmp(s.p, long_s, sizeof long_s) == 0) {
        *ret_letter = 's';
        return sizeof long_s;
    }
    if (s.n >= sizeof kelvin && memcmp(s.p, kelvin, sizeof kelvin) == 0) {
        *ret_letter = 'k';
        return sizeof kelvin;
    }
    *ret_letter = (char)(s.p[0] >= 'A' && s.p[0] <= 'Z' ? s.p[0] | 0x20 : s.p[0]);
    return 1;
}

tl_field tl_field_is(tl_slice text, const char *name)
{
    if (tl_slice_eq(text, tl_slice_str(name)))
        return TL_FIELD_SAME;
    for (; text.n && *name; name++) {
        char letter;
        size_t n = fold(text, &letter);
        if (letter != *name)
            return TL_FIELD_OTHER;
        text = tl_slice_of(text.p + n, text.n - n);
    }
    return text.n || *name ? TL_FIELD_OTHER : TL_FIELD_ALIKE;
}

tl_field tl_field_is_key(tl_slice key, const char *name)
{
    char text[32]; /* each letter of a name is at most three bytes */
    size_t n;
    tl_err e = tl_jsonscan_string(key, text, sizeof text, &n);
    if (e)
        return e == TL_ERR_TOO_LARGE ? TL_FIELD_OTHER : TL_FIELD_ALIKE;
    return tl_field_is(tl_slice_of(text, n), name);
}
