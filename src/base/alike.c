#include "base/alike.h"

/* Alphabets whose letters can pass for another's. */
typedef enum {
    NO_ALPHABET,
    LATIN,
    GREEK,
    CYRILLIC,
    ARMENIAN,
    GEORGIAN,
    CHEROKEE,
    COPTIC,
    COSTUME
} alphabet;

typedef struct {
    uint32_t first, last;
} range;

static const struct {
    range r;
    alphabet a;
} alphabets[] = {
    {{0x00C0, 0x024F}, LATIN},    {{0x0250, 0x02AF}, COSTUME},  {{0x0370, 0x03FF}, GREEK},
    {{0x0400, 0x052F}, CYRILLIC}, {{0x0530, 0x058F}, ARMENIAN}, {{0x10A0, 0x10FF}, GEORGIAN},
    {{0x13A0, 0x13FF}, CHEROKEE}, {{0x1C80, 0x1C8F}, CYRILLIC}, {{0x1C90, 0x1CBF}, GEORGIAN},
    {{0x1D00, 0x1DBF}, COSTUME},  {{0x1E00, 0x1EFF}, LATIN},    {{0x1F00, 0x1FFF}, GREEK},
    {{0x2100, 0x214F}, COSTUME},  {{0x2160, 0x2188}, COSTUME},  {{0x2460, 0x24FF}, COSTUME},
    {{0x2C60, 0x2C7F}, COSTUME},  {{0x2C80, 0x2CFF}, COPTIC},   {{0xA4D0, 0xA4FF}, COSTUME},
    {{0xA640, 0xA69F}, CYRILLIC}, {{0xA720, 0xA7FF}, COSTUME},  {{0xAB30, 0xAB6F}, COSTUME},
    {{0xAB70, 0xABBF}, CHEROKEE}, {{0xFF01, 0xFF5E}, COSTUME},  {{0x1D400, 0x1D7FF}, COSTUME},
};

/* Nothing is seen of them, or they sit on the character before. */
static const range unseen[] = {
    {0x00AD, 0x00AD}, {0x034F, 0x034F}, {0x061C, 0x061C}, {0x115F, 0x1160},   {0x17B4, 0x17B5},
    {0x180B, 0x180F}, {0x200B, 0x200F}, {0x202A, 0x202E}, {0x2060, 0x206F},   {0x3164, 0x3164},
    {0xFE00, 0xFE0F}, {0xFEFF, 0xFEFF}, {0xFFA0, 0xFFA0}, {0xE0000, 0xE01EF},
};
static const range marks[] = {
    {0x0300, 0x036F}, {0x0483, 0x0489}, {0x1AB0, 0x1AFF},
    {0x1DC0, 0x1DFF}, {0x20D0, 0x20FF}, {0xFE20, 0xFE2F},
};

/* U+00C0 to U+017F without their accents; `*` is no letter. */
static const char accented[] = "aaaaaaaceeeeiiiidnooooo*ouuuuyps"
                               "aaaaaaaceeeeiiiidnooooo*ouuuuypy"
                               "aaaaaaccccccccddddeeeeeeeeeegggg"
                               "gggghhhhiiiiiiiiiiiijjkkklllllll"
                               "lllnnnnnnnnnoooooooorrrrrrssssss"
                               "ssttttttuuuuuuuuuuuuwwyyyzzzzzzf";

/* What passes for a letter or digit of ASCII. In the order of the characters. */
static const struct {
    uint32_t c;
    char as;
} disguises[] = {
    {0x01C0, 'l'}, {0x0251, 'a'}, {0x0261, 'g'}, {0x0269, 'i'}, {0x026A, 'i'}, {0x028F, 'y'},
    {0x0391, 'a'}, {0x0392, 'b'}, {0x0395, 'e'}, {0x0396, 'z'}, {0x0397, 'h'}, {0x0399, 'i'},
    {0x039A, 'k'}, {0x039C, 'm'}, {0x039D, 'n'}, {0x039F, 'o'}, {0x03A1, 'p'}, {0x03A4, 't'},
    {0x03A5, 'y'}, {0x03A7, 'x'}, {0x03B1, 'a'}, {0x03B2, 'b'}, {0x03B3, 'y'}, {0x03B5, 'e'},
    {0x03B7, 'n'}, {0x03B9, 'i'}, {0x03BA, 'k'}, {0x03BD, 'v'}, {0x03BF, 'o'}, {0x03C1, 'p'},
    {0x03C3, 'o'}, {0x03C4, 't'}, {0x03C5, 'u'}, {0x03C7, 'x'}, {0x03C9, 'w'}, {0x03F2, 'c'},
    {0x03F3, 'j'}, {0x03F9, 'c'}, {0x0405, 's'}, {0x0406, 'i'}, {0x0408, 'j'}, {0x0410, 'a'},
    {0x0412, 'b'}, {0x0415, 'e'}, {0x0417, '3'}, {0x041A, 'k'}, {0x041C, 'm'}, {0x041D, 'h'},
    {0x041E, 'o'}, {0x0420, 'p'}, {0x0421, 'c'}, {0x0422, 't'}, {0x0423, 'y'}, {0x0425, 'x'},
    {0x042C, 'b'}, {0x0430, 'a'}, {0x0431, '6'}, {0x0432, 'b'}, {0x0433, 'r'}, {0x0435, 'e'},
    {0x0437, '3'}, {0x043A, 'k'}, {0x043C, 'm'}, {0x043D, 'h'}, {0x043E, 'o'}, {0x0440, 'p'},
    {0x0441, 'c'}, {0x0442, 't'}, {0x0443, 'y'}, {0x0445, 'x'}, {0x044C, 'b'}, {0x0451, 'e'},
    {0x0455, 's'}, {0x0456, 'i'}, {0x0457, 'i'}, {0x0458, 'j'}, {0x0474, 'v'}, {0x0475, 'v'},
    {0x04AE, 'y'}, {0x04AF, 'y'}, {0x04BB, 'h'}, {0x04C0, 'l'}, {0x04CF, 'l'}, {0x0501, 'd'},
    {0x051A, 'q'}, {0x051B, 'q'}, {0x051C, 'w'}, {0x051D, 'w'}, {0x0566, 'q'}, {0x0570, 'h'},
    {0x0575, 'j'}, {0x0578, 'n'}, {0x057D, 'u'}, {0x0581, 'g'}, {0x0585, 'o'}, {0x0661, 'l'},
    {0x06F1, 'l'}, {0x13A0, 'd'}, {0x13A1, 'r'}, {0x13A2, 't'}, {0x13A5, 'i'}, {0x13AA, 'a'},
    {0x13AB, 'j'}, {0x13AC, 'e'}, {0x13B3, 'w'}, {0x13B7, 'm'}, {0x13BB, 'h'}, {0x13C0, 'g'},
    {0x13C3, 'z'}, {0x13D9, 'v'}, {0x13DA, 's'}, {0x13DE, 'l'}, {0x13DF, 'c'}, {0x13E2, 'p'},
    {0x13E6, 'k'}, {0x13F4, 'b'}, {0x1D00, 'a'}, {0x1D04, 'c'}, {0x1D05, 'd'}, {0x1D07, 'e'},
    {0x1D0A, 'j'}, {0x1D0B, 'k'}, {0x1D0D, 'm'}, {0x1D0F, 'o'}, {0x1D18, 'p'}, {0x1D1B, 't'},
    {0x1D1C, 'u'}, {0x1D20, 'v'}, {0x1D21, 'w'}, {0x1D22, 'z'}, {0x2102, 'c'}, {0x210A, 'g'},
    {0x210B, 'h'}, {0x210C, 'h'}, {0x210D, 'h'}, {0x210E, 'h'}, {0x2110, 'i'}, {0x2111, 'i'},
    {0x2112, 'l'}, {0x2113, 'l'}, {0x2115, 'n'}, {0x2119, 'p'}, {0x211A, 'q'}, {0x211B, 'r'},
    {0x211C, 'r'}, {0x211D, 'r'}, {0x2124, 'z'}, {0x212A, 'k'}, {0x212C, 'b'}, {0x212D, 'c'},
    {0x212E, 'e'}, {0x212F, 'e'}, {0x2130, 'e'}, {0x2131, 'f'}, {0x2133, 'm'}, {0x2134, 'o'},
    {0x2160, 'i'}, {0x2164, 'v'}, {0x2169, 'x'}, {0x216C, 'l'}, {0x216D, 'c'}, {0x216E, 'd'},
    {0x216F, 'm'}, {0x2170, 'i'}, {0x2174, 'v'}, {0x2179, 'x'}, {0x217C, 'l'}, {0x217D, 'c'},
    {0x217E, 'd'}, {0x217F, 'm'}, {0x2212, '-'},
};
#define DISGUISES (sizeof disguises / sizeof *disguises)

static bool is_in(const range *r, size_t n, uint32_t c)
{
    for (size_t i = 0; i < n; i++)
        if (c >= r[i].first && c <= r[i].last)
            return true;
    return false;
}

static bool is_unseen(uint32_t c)
{
    return is_in(unseen, sizeof unseen / sizeof *unseen, c);
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

/* The first character; a byte that is no UTF-8 stands for itself. */
static uint32_t take(tl_slice *text)
{
    static const uint8_t lead[] = {0xFF, 0x7F, 0x1F, 0x0F, 0x07};
    size_t n = tl_utf8_next(*text);
    uint32_t c = text->p[0] & lead[n];
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

/* The character of ASCII for which this one passes, in lower case; 0: none. */
static char ascii_of(uint32_t c)
{
    if (c >= 0xFF01 && c <= 0xFF5E) /* full width */
        c -= 0xFEE0;
    else if (c >= 0x1D400 && c <= 0x1D6A3) /* letters of mathematics: 13 alphabets */
        c = "abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyz"[(c - 0x1D400) % 52];
    else if (c >= 0x1D7CE && c <= 0x1D7FF)
        c = '0' + (c - 0x1D7CE) % 10;
    else if (c >= 0x24B6 && c <= 0x24E9) /* in circles */
        c = 'a' + (c - 0x24B6) % 26;
    if (c == 0xA0 || (c >= 0x2000 && c <= 0x200A) || c == 0x202F || c == 0x205F || c == 0x3000)
        return ' ';
    if (c >= 0x2010 && c <= 0x2015)
        return '-';
    if (c >= 0xC0 && c < 0xC0 + sizeof accented - 1 && accented[c - 0xC0] != '*')
        return accented[c - 0xC0];
    if (c >= 0x80)
        return find_disguise(c);
    return (char)(c >= 'A' && c <= 'Z' ? c | 0x20 : c);
}

void tl_alike_key(tl_slice text, char ret[TL_ALIKE_KEY_MAX])
{
    size_t n = 0;
    if (text.n > TL_ALIKE_TEXT_MAX)
        text.n = TL_ALIKE_TEXT_MAX;
    while (text.n) {
        tl_slice from = text;
        uint32_t c = take(&text);
        if (is_unseen(c) || is_in(marks, sizeof marks / sizeof *marks, c))
            continue;
        char a = ascii_of(c);
        if (!a) { /* as it is */
            memcpy(ret + n, from.p, from.n - text.n);
            n += from.n - text.n;
        } else if (a == 'm' || a == 'w') {
            memset(ret + n, a == 'm' ? 'r' : 'v', 2);
            ret[n + 1] = a == 'm' ? 'n' : 'v';
            n += 2;
        } else {
            ret[n++] = a == '0' ? 'o' : a == '1' || a == 'i' || a == '|' || a == '!' ? 'l' : a;
        }
    }
    ret[n] = 0;
}

bool tl_alike_is_disguised(tl_slice text)
{
    alphabet seen = NO_ALPHABET;
    while (text.n) {
        uint32_t c = take(&text);
        alphabet a = alphabet_of(c);
        if (is_unseen(c) || (a && seen && a != seen))
            return true;
        seen = a ? a : seen;
    }
    return false;
}
