#include "base/suggest.h"

#include <ctype.h>
#include <stdbool.h>
#include <string.h>

static int fold(char c)
{
    return c == '-' ? '_' : tolower((unsigned char)c);
}

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* Optimal string alignment distance; the last three rows are enough for swaps of neighbours. */
static size_t distance(const char *a, const char *b)
{
    size_t rows[3][TL_SUGGEST_WORD_MAX + 1];
    size_t n = strlen(b);
    for (size_t j = 0; j <= n; j++)
        rows[0][j] = j;
    for (size_t i = 1; a[i - 1]; i++) {
        size_t *row = rows[i % 3], *up = rows[(i + 2) % 3], *up2 = rows[(i + 1) % 3];
        row[0] = i;
        for (size_t j = 1; j <= n; j++) {
            bool same = fold(a[i - 1]) == fold(b[j - 1]);
            row[j] = least(least(up[j] + 1, row[j - 1] + 1), up[j - 1] + !same);
            if (i > 1 && j > 1 && fold(a[i - 1]) == fold(b[j - 2]) &&
                fold(a[i - 2]) == fold(b[j - 1]))
                row[j] = least(row[j], up2[j - 2] + 1);
        }
    }
    return rows[strlen(a) % 3][n];
}

tl_suggest tl_suggest_begin(const char *word)
{
    return (tl_suggest){.word = word, .distance = TL_SUGGEST_WORD_MAX + 1};
}

void tl_suggest_offer_as(tl_suggest *s, const char *alias, const char *name)
{
    size_t n = strlen(s->word), k = strlen(alias);
    size_t near = least((n + 2) / 3, 3);
    if (!n || n > TL_SUGGEST_WORD_MAX || k > TL_SUGGEST_WORD_MAX || n > k + near || k > n + near)
        return; /* the difference in length alone is more changes than "near" allows */
    size_t d = distance(s->word, alias);
    if (d <= near && d < s->distance) {
        s->distance = d;
        s->best = name;
    }
}

void tl_suggest_offer(tl_suggest *s, const char *name)
{
    tl_suggest_offer_as(s, name, name);
}
