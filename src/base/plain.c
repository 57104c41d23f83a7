#include "base/plain.h"

#include <string.h>

static uint32_t code_point(tl_slice c)
{
    static const uint8_t lead[] = {0, 0x7F, 0x1F, 0x0F, 0x07};
    uint32_t code = c.p[0] & lead[c.n];
    for (size_t i = 1; i < c.n; i++)
        code = code << 6 | (c.p[i] & 0x3F);
    return code;
}

static bool is_hidden(uint32_t c)
{
    static const struct {
        uint32_t first, last;
    } ranges[] = {
        {0x0000, 0x001F},   /* C0 */
        {0x007F, 0x009F},   /* DEL, C1 */
        {0x061C, 0x061C},   /* Arabic letter mark */
        {0x200E, 0x200F},   /* marks of direction */
        {0x2028, 0x202E},   /* separators; embeddings and overrides */
        {0x2066, 0x2069},   /* isolates */
        {0xFFF9, 0xFFFB},   /* annotations */
        {0xE0000, 0xE007F}, /* tags */
    };
    for (size_t i = 0; i < sizeof ranges / sizeof *ranges; i++)
        if (c >= ranges[i].first && c <= ranges[i].last)
            return true;
    return false;
}

tl_plain tl_plain_next(tl_slice text, size_t *ret_n)
{
    size_t n = tl_utf8_next(text);
    *ret_n = n ? n : 1;
    if (!n)
        return TL_PLAIN_BROKEN;
    return is_hidden(code_point(tl_slice_of(text.p, n))) ? TL_PLAIN_HIDDEN : TL_PLAIN_SHOWN;
}

bool tl_plain_is(tl_slice text)
{
    size_t n;
    for (; text.n; text = tl_slice_of(text.p + n, text.n - n))
        if (tl_plain_next(text, &n) != TL_PLAIN_SHOWN)
            return false;
    return true;
}

void tl_plain_quote(char ret[TL_PLAIN_QUOTED_MAX], const char *name)
{
    size_t all = strlen(name), n = 0, most = TL_PLAIN_QUOTED_MAX - 3, one;
    char *to = ret;
    *to = 0;
    for (tl_slice rest = tl_slice_of(name, all); rest.n;
         rest = tl_slice_of(rest.p + one, rest.n - one)) {
        (void)tl_plain_next(rest, &one);
        if (n + one > most)
            break;
        n += one;
    }
    if (!n)
        return;
    *to++ = '"';
    for (size_t i = 0; i < n; i++)
        *to++ = strchr("\"[]", name[i]) ? '\'' : name[i];
    *to++ = '"';
    *to = 0;
}
