#include "cli/phraseask.h"

#include "cli/files.h"
#include "cli/hidden.h"

#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <unistd.h>

#define FILE_MAX  4096 /* 24 words with their numbers are 300 bytes */
#define LINE_SIZE 512  /* all words in one line, too */

static tl_err read_input(tl_buf *out, tl_why *why)
{
    for (;;) {
        uint8_t *room;
        if (tl_buf_reserve(out, FILE_MAX, &room))
            return tl_why_set(why, TL_ERR_NOMEM, "out of memory");
        ssize_t n = read(STDIN_FILENO, room, FILE_MAX);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return tl_why_file(why, "read", "standard input", errno);
        if (n == 0)
            return TL_OK;
        tl_buf_added(out, (size_t)n);
        if (out->len > FILE_MAX)
            return tl_why_set(why, TL_ERR_TOO_LARGE, "standard input is longer than 24 words are");
    }
}

/* --- from the terminal --- */

typedef struct {
    int fd;
    size_t n; /* words so far */
    char text[TL_PHRASE_TEXT];
} typed;

static void add(typed *t, unsigned number)
{
    size_t len = strlen(t->text);
    snprintf(t->text + len, sizeof t->text - len, "%s%s", t->n ? " " : "", tl_phrase_words[number]);
    t->n++;
}

/* Takes the words of one line, up to the first that is wrong. */
static void take_line(typed *t, char *line)
{
    const char *near[TL_PHRASE_NEAR];
    unsigned number;
    for (char *word; t->n < TL_PHRASE_WORDS && (word = strsep(&line, " \t,"));) {
        if (!*word)
            continue;
        if (!tl_phrase_find(tl_slice_str(word), &number)) {
            add(t, number);
            continue;
        }
        size_t n = tl_phrase_near(tl_slice_str(word), near);
        dprintf(t->fd, "That is none of the 2048 recovery words.%s", n ? " Is it" : "\n");
        for (size_t i = 0; i < n; i++)
            dprintf(t->fd, "%s \"%s\"%s", i ? " or" : "", near[i], i + 1 == n ? "?\n" : "");
        return;
    }
}

static tl_err from_terminal(uint8_t ret_entropy[TL_PHRASE_ENTROPY], tl_why *why)
{
    typed t = {.fd = -1};
    char line[LINE_SIZE], question[48];
    tl_err e = tl_hidden_open("the words", "--words-file FILE", &t.fd, why);
    if (e)
        return e;
    dprintf(t.fd, "The 24 recovery words, one a line or all in one. What you type is not shown.\n");
    while (!e && t.n < TL_PHRASE_WORDS) {
        snprintf(question, sizeof question, "Word %zu of %d", t.n + 1, TL_PHRASE_WORDS);
        e = tl_hidden_ask(t.fd, question, line, sizeof line, why);
        if (!e)
            take_line(&t, line);
    }
    if (!e)
        e = tl_phrase_parse(tl_slice_str(t.text), ret_entropy, why);
    close(t.fd);
    sodium_memzero(line, sizeof line);
    sodium_memzero(&t, sizeof t);
    return e;
}

tl_err tl_phraseask(const char *file, uint8_t ret_entropy[TL_PHRASE_ENTROPY], tl_why *why)
{
    tl_buf text = {0};
    if (!file && isatty(STDIN_FILENO))
        return from_terminal(ret_entropy, why);
    tl_err e = !file || !strcmp(file, "-") ? read_input(&text, why)
                                           : tl_file_read(file, FILE_MAX, &text, why);
    if (!e)
        e = tl_phrase_parse(tl_buf_slice(&text), ret_entropy, why);
    if (text.data)
        sodium_memzero(text.data, text.cap);
    tl_buf_clear(&text);
    return e;
}
