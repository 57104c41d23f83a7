#include "base/alike.h"
#include "base/alike_table.h"

/* Alphabets whose letters can pass for another's. COSTUME: forms of letters that nobody needs for a name, and scripts whose
 * capitals are those of Latin (Lisu) or nearly so. */
typedef enum {
    NO_ALPHABET,
    LATIN,
    GREEK,
    CYRILLIC,
    ARMENIAN,
    GEORGIAN,
    CHEROKEE,
    COPTIC,
    SYLLABICS,
    FULL_WIDTH, /* East Asian names have its digits and brackets */
    COSTUME
} alphabet;

static const struct {
    tl_alike_range r;
    alphabet a;
} alphabets[] = {
    {{0x00C0, 0x024F}, LATIN},      {{0x0250, 0x02AF}, COSTUME},   {{0x0370, 0x03FF}, GREEK},
    {{0x0400, 0x052F}, CYRILLIC},   {{0x0530, 0x058F}, ARMENIAN},  {{0x10A0, 0x10FF}, GEORGIAN},
    {{0x1100, 0x11FF}, COSTUME},    {{0x13A0, 0x13FF}, CHEROKEE},  {{0x1400, 0x167F}, SYLLABICS},
    {{0x18B0, 0x18FF}, SYLLABICS},  {{0x1C80, 0x1C8F}, CYRILLIC},  {{0x1C90, 0x1CBF}, GEORGIAN},
    {{0x1D00, 0x1DBF}, COSTUME},    {{0x1E00, 0x1EFF}, LATIN},     {{0x1F00, 0x1FFF}, GREEK},
    {{0x2100, 0x214F}, COSTUME},    {{0x2160, 0x2188}, COSTUME},   {{0x2460, 0x24FF}, COSTUME},
    {{0x2C60, 0x2C7F}, COSTUME},    {{0x2C80, 0x2CFF}, COPTIC},    {{0xA4D0, 0xA4FF}, COSTUME},
    {{0xA640, 0xA69F}, CYRILLIC},   {{0xA720, 0xA7FF}, COSTUME},   {{0xA960, 0xA97F}, COSTUME},
    {{0xAB30, 0xAB6F}, COSTUME},    {{0xAB70, 0xABBF}, CHEROKEE},  {{0xD7B0, 0xD7FF}, COSTUME},
    {{0xFF01, 0xFF5E}, FULL_WIDTH}, {{0x10280, 0x1044F}, COSTUME}, {{0x104B0, 0x104FF}, COSTUME},
    {{0x118A0, 0x118FF}, COSTUME},  {{0x16F00, 0x16F9F}, COSTUME}, {{0x1D400, 0x1D7FF}, COSTUME},
    {{0x1F110, 0x1F189}, COSTUME},
};

/* What passes for a letter or digit of ASCII in common typefaces, and is none by the Unicode Character Database. In the order
 * of the characters. */
static const struct {
    uint32_t c;
    char as;
} disguises[] = {
    {0x00C6, 'a'}, {0x00D0, 'd'}, {0x00DE, 'p'}, {0x00E6, 'a'}, {0x00F0, 'd'}, {0x00FE, 'p'},
    {0x0138, 'k'}, {0x014A, 'n'}, {0x014B, 'n'}, {0x0152, 'o'}, {0x0153, 'o'}, {0x0196, 'l'},
    {0x01C0, 'l'}, {0x0251, 'a'}, {0x0269, 'i'}, {0x0391, 'a'}, {0x0392, 'b'}, {0x0395, 'e'},
    {0x0396, 'z'}, {0x0397, 'h'}, {0x0399, 'i'}, {0x039A, 'k'}, {0x039C, 'm'}, {0x039D, 'n'},
    {0x039F, 'o'}, {0x03A1, 'p'}, {0x03A4, 't'}, {0x03A5, 'y'}, {0x03A7, 'x'}, {0x03B1, 'a'},
    {0x03B2, 'b'}, {0x03B3, 'y'}, {0x03B5, 'e'}, {0x03B7, 'n'}, {0x03B9, 'i'}, {0x03BA, 'k'},
    {0x03BD, 'v'}, {0x03BF, 'o'}, {0x03C1, 'p'}, {0x03C3, 'o'}, {0x03C4, 't'}, {0x03C5, 'u'},
    {0x03C7, 'x'}, {0x03C9, 'w'}, {0x03F2, 'c'}, {0x03F3, 'j'}, {0x03F9, 'c'}, {0x0405, 's'},
    {0x0406, 'i'}, {0x0408, 'j'}, {0x0410, 'a'}, {0x0412, 'b'}, {0x0415, 'e'}, {0x0417, '3'},
    {0x041A, 'k'}, {0x041C, 'm'}, {0x041D, 'h'}, {0x041E, 'o'}, {0x0420, 'p'}, {0x0421, 'c'},
    {0x0422, 't'}, {0x0423, 'y'}, {0x0425, 'x'}, {0x042C, 'b'}, {0x0430, 'a'}, {0x0431, '6'},
    {0x0432, 'b'}, {0x0433, 'r'}, {0x0435, 'e'}, {0x0437, '3'}, {0x043A, 'k'}, {0x043C, 'm'},
    {0x043D, 'h'}, {0x043E, 'o'}, {0x0440, 'p'}, {0x0441, 'c'}, {0x0442, 't'}, {0x0443, 'y'},
    {0x0445, 'x'}, {0x044C, 'b'}, {0x0451, 'e'}, {0x0455, 's'}, {0x0456, 'i'}, {0x0457, 'i'},
    {0x0458, 'j'}, {0x0474, 'v'}, {0x0475, 'v'}, {0x04AE, 'y'}, {0x04AF, 'y'}, {0x04BB, 'h'},
    {0x04C0, 'l'}, {0x04CF, 'l'}, {0x0501, 'd'}, {0x051A, 'q'}, {0x051B, 'q'}, {0x051C, 'w'},
    {0x051D, 'w'}, {0x0566, 'q'}, {0x0570, 'h'}, {0x0575, 'j'}, {0x0578, 'n'}, {0x057D, 'u'},
    {0x0581, 'g'}, {0x0585, 'o'}, {0x0661, 'l'}, {0x06F1, 'l'}, {0x13A0, 'd'}, {0x13A1, 'r'},
    {0x13A2, 't'}, {0x13A5, 'i'}, {0x13AA, 'a'}, {0x13AB, 'j'}, {0x13AC, 'e'}, {0x13B3, 'w'},
    {0x13B7, 'm'}, {0x13BB, 'h'}, {0x13C0, 'g'}, {0x13C3, 'z'}, {0x13D9, 'v'}, {0x13DA, 's'},
    {0x13DE, 'l'}, {0x13DF, 'c'}, {0x13E2, 'p'}, {0x13E6, 'k'}, {0x13F4, 'b'}, {0x142F, 'v'},
    {0x144C, 'u'}, {0x1455, 'c'}, {0x146D, 'p'}, {0x1472, 'b'}, {0x148D, 'j'}, {0x14AA, 'l'},
    {0x1541, 'x'}, {0x157C, 'h'}, {0x1587, 'r'}, {0x15C5, 'a'}, {0x15DE, 'd'}, {0x15EA, 'd'},
    {0x15F0, 'm'}, {0x15F7, 'b'}, {0x166D, 'x'}, {0x212E, 'e'}, {0x2212, '-'}, {0x2C8E, 'h'},
    {0x2C92, 'i'}, {0x2C94, 'k'}, {0x2C98, 'm'}, {0x2C9A, 'n'}, {0x2C9E, 'o'}, {0x2C9F, 'o'},
    {0x2CA2, 'p'}, {0x2CA3, 'p'}, {0x2CA4, 'c'}, {0x2CA5, 'c'}, {0x2CA6, 't'}, {0x2CA8, 'y'},
    {0x2CAC, 'x'}, {0xA4D0, 'b'}, {0xA4D1, 'p'}, {0xA4D3, 'd'}, {0xA4D4, 't'}, {0xA4D6, 'g'},
    {0xA4D7, 'k'}, {0xA4D9, 'j'}, {0xA4DA, 'c'}, {0xA4DC, 'z'}, {0xA4DD, 'f'}, {0xA4DF, 'm'},
    {0xA4E0, 'n'}, {0xA4E1, 'l'}, {0xA4E2, 's'}, {0xA4E3, 'r'}, {0xA4E6, 'v'}, {0xA4E7, 'h'},
    {0xA4EA, 'w'}, {0xA4EB, 'x'}, {0xA4EC, 'y'}, {0xA4EE, 'a'}, {0xA4F0, 'e'}, {0xA4F2, 'i'},
    {0xA4F3, 'o'}, {0xA4F4, 'u'},
};
#define DISGUISES (sizeof disguises / sizeof *disguises)

static bool is_in(const tl_alike_range *r, size_t n, uint32_t c)
{
    size_t from = 0, to = n;
    while (from < to) {
        size_t middle = (from + to) / 2;
        if (c >= r[middle].first && c <= r[middle].last)
            return true;
        if (r[middle].last < c)
            from = middle + 1;
        else
            to = middle;
    }
    return false;
}

static bool is_unseen(uint32_t c)
{
    return is_in(tl_alike_unseen, tl_alike_unseen_n, c);
}

static bool is_mark(uint32_t c)
{
    return is_in(tl_alike_marks, tl_alike_marks_n, c);
}

static alphabet alphabet_of(uint32_t c)
{
    if ((c | 0x20) >= 'a' && (c | 0x20) <= 'z')
        return LATIN;
    for (size_t i = 0; c >= 0xC0 && i < sizeof alphabets / sizeof *alphabets; i++)
        if (c >= alphabets[i].r.first && c <= alphabets[i].r.last)
            return alphabets[i].a;
    return NO_ALPHABET;
}

#define NO_UTF8 0x110000 /* and a byte: no character */

/* The first character; a byte that is no UTF-8 stands for itself. */
static uint32_t take(tl_slice *text)
{
    static const uint8_t lead[] = {0, 0x7F, 0x1F, 0x0F, 0x07};
    size_t n = tl_utf8_next(*text);
    uint32_t c = n ? text->p[0] & lead[n] : NO_UTF8 | text->p[0];
    for (size_t i = 1; i < n; i++)
        c = c << 6 | (text->p[i] & 0x3F);
    n += !n;
    *text = tl_slice_of(text->p + n, text->n - n);
    return c;
}

static char find_disguise(uint32_t c)
{
    size_t from = 0, to = DISGUISES;
    while (from < to) {
        size_t middle = (from + to) / 2;
        if (disguises[middle].c == c)
            return disguises[middle].as;
        if (disguises[middle].c < c)
            from = middle + 1;
        else
            to = middle;
    }
    return 0;
}

/* Empty: it is as it is. */
static tl_slice find_fold(uint32_t c)
{
    size_t from = 0, to = tl_alike_folds_n;
    while (from < to) {
        size_t middle = (from + to) / 2;
        const tl_alike_fold *f = &tl_alike_folds[middle];
        if (f->c == c)
            return tl_slice_of(f->as, strnlen((const char *)f->as, sizeof f->as));
        if (f->c < c)
            from = middle + 1;
        else
            to = middle;
    }
    return tl_slice_of(NULL, 0);
}

/* The character of ASCII for which this one passes, in lower case; 0: none. */
static char ascii_of(uint32_t c)
{
    if (c >= 0x2010 && c <= 0x2015)
        return '-';
    if (c >= 0x80)
        return find_disguise(c);
    return (char)(c >= 'A' && c <= 'Z' ? c | 0x20 : c);
}

static bool is_blank(uint32_t c)
{
    tl_slice fold = find_fold(c);
    return c == ' ' || (fold.n == 1 && *fold.p == ' ');
}

typedef struct {
    char *to;
    size_t n;
    bool blank; /* one came, and what follows it did not */
} key;

static void put(key *k, const void *bytes, size_t n)
{
    if (k->blank && k->n)
        k->to[k->n++] = ' ';
    k->blank = false;
    memcpy(k->to + k->n, bytes, n);
    k->n += n;
}

/* Blanks at the ends, and all but one between, are not seen in a table. */
static void put_ascii(key *k, char a)
{
    if (a == ' ')
        k->blank = true;
    else if (a == 'm')
        put(k, "rn", 2);
    else if (a == 'w')
        put(k, "vv", 2);
    else if (a == '0')
        put(k, "o", 1);
    else if (a == '1' || a == 'i' || a == '|' || a == '!')
        put(k, "l", 1);
    else
        put(k, &a, 1);
}

/* A disguise counts before letter case: capitals have others than small letters. No character folds more than twice:
 * to its base, and to the base's small letter. */
static void put_character(key *k, uint32_t c, tl_slice as_it_is, int folds)
{
    char a = ascii_of(c);
    tl_slice fold = a || !folds ? tl_slice_of(NULL, 0) : find_fold(c);
    if (a)
        put_ascii(k, a);
    else if (!fold.n)
        put(k, as_it_is.p, as_it_is.n);
    while (fold.n) {
        tl_slice from = fold;
        c = take(&fold);
        put_character(k, c, tl_slice_of(from.p, from.n - fold.n), folds - 1);
    }
}

void tl_alike_key(tl_slice text, char ret[TL_ALIKE_KEY_MAX])
{
    key k = {.to = ret};
    if (text.n > TL_ALIKE_TEXT_MAX)
        text.n = TL_ALIKE_TEXT_MAX;
    while (text.n) {
        tl_slice from = text;
        uint32_t c = take(&text);
        if (!is_unseen(c) && !is_mark(c))
            put_character(&k, c, tl_slice_of(from.p, from.n - text.n), 2);
    }
    ret[k.n] = 0;
}

bool tl_alike_is_disguised(tl_slice text)
{
    alphabet seen = NO_ALPHABET;
    bool is_empty = !text.n, has_shown = false;
    while (text.n) {
        uint32_t c = take(&text);
        alphabet a = alphabet_of(c);
        if (is_unseen(c) || a == COSTUME || (a && seen && a != seen))
            return true;
        seen = a ? a : seen;
        has_shown |= !is_blank(c) && !is_mark(c);
    }
    return !is_empty && !has_shown;
}
