#include "cli/lineedit.h"

#include "cli/chat_attach.h"
#include "cli/out.h"

#include <errno.h>
#include <histedit.h>
#include <langinfo.h>
#include <limits.h>
#include <locale.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>
#include <wchar.h>

/* PASTE_ON asks the terminal to mark the beginning and the end of pasted text (xterm, "Bracketed
 * Paste Mode"). */
#define PASTE_ON    "\033[?2004h"
#define PASTE_OFF   "\033[?2004l"
#define PASTE_END   L"\033[201~"
#define PASTE_END_N 6
#define CHUNK       1024 /* pasted characters that go into the line at a time */

struct tl_lineedit {
    EditLine *el;
    History *history;
    char prompt[64];
    int interrupts; /* signalfd: SIGINT is blocked while a line is read, so that none is missed */
    bool interrupted;
    json_t *(*offers)(void *user, const char *text, size_t *ret_from);
    void *offers_user;
};

static char *prompt_of(EditLine *el)
{
    tl_lineedit *l = NULL;
    el_get(el, EL_CLIENTDATA, &l);
    return l->prompt;
}

/* One character of stdin. -1: Ctrl-C, or stdin failed. 0: stdin ended. */
static int get_character(EditLine *el, wchar_t *ret_c)
{
    tl_lineedit *l = NULL;
    mbstate_t state = {0};
    el_get(el, EL_CLIENTDATA, &l);
    for (;;) {
        struct pollfd in[] = {{.fd = STDIN_FILENO, .events = POLLIN},
                              {.fd = l->interrupts, .events = POLLIN}};
        struct signalfd_siginfo info;
        char byte;
        if (poll(in, 2, -1) < 0) {
            if (errno == EINTR) /* libedit has handled the signal: a resize, a stop */
                continue;
            return -1;
        }
        if (in[1].revents && read(l->interrupts, &info, sizeof info) == (ssize_t)sizeof info) {
            l->interrupted = true;
            return -1;
        }
        if (!in[0].revents)
            continue;
        ssize_t n = read(STDIN_FILENO, &byte, 1);
        if (n < 0 && (errno == EINTR || errno == EAGAIN))
            continue;
        if (n <= 0)
            return (int)n;
        size_t used = mbrtowc(ret_c, &byte, 1, &state);
        if (used == (size_t)-1)
            state = (mbstate_t){0}; /* leaves out a byte that belongs to no character */
        else if (used != (size_t)-2)
            return 1;
    }
}

static size_t line_length(EditLine *el)
{
    const LineInfoW *line = el_wline(el);
    return (size_t)(line->lastchar - line->buffer);
}

static unsigned char on_line_break(EditLine *el, wint_t c)
{
    (void)c;
    return line_length(el) < TL_LINEEDIT_MAX && el_winsertstr(el, L"\n") == 0 ? CC_REFRESH
                                                                              : CC_ERROR;
}

typedef struct {
    EditLine *el;
    wchar_t text[CHUNK + 1]; /* that is not in the line yet */
    size_t n;
    wchar_t last; /* the character before the next one */
    bool full;    /* all that follows is left out, so that no word begins where it did not */
} paste;

/* Puts the collected characters into the line. */
static void insert(paste *p)
{
    p->text[p->n] = 0;
    p->full |=
        p->n && (line_length(p->el) + p->n > TL_LINEEDIT_MAX || el_winsertstr(p->el, p->text));
    p->n = 0;
}

static void put(paste *p, wchar_t c)
{
    if (p->n == CHUNK)
        insert(p);
    if (!p->full)
        p->text[p->n++] = c;
    p->last = c;
}

/* Both in one piece: half of it would name a file. */
static void put_doubled(paste *p, wchar_t c)
{
    if (p->n + 2 > CHUNK)
        insert(p);
    put(p, c);
    put(p, c);
}

static wchar_t before_cursor(EditLine *el)
{
    const LineInfoW *line = el_wline(el);
    return line->cursor > line->buffer ? line->cursor[-1] : 0;
}

/* Reads pasted text: everything up to PASTE_END, without obeying the keys in it. Line breaks at its
 * end are left out, so that the person decides when to send it. */
static unsigned char on_paste(EditLine *el, wint_t first)
{
    paste p = {.el = el, .last = before_cursor(el)};
    wchar_t c;
    size_t breaks = 0, matched = 0;
    bool after_cr = false; /* CR LF is one line break */
    (void)first;
    while (el_wgetc(el, &c) == 1) {
        if (c == PASTE_END[matched]) {
            if (++matched == PASTE_END_N)
                break;
            continue;
        }
        matched = c == PASTE_END[0] ? 1 : 0; /* another escape sequence is not text */
        if (matched)
            continue;
        if (c == '\r' || c == '\n') {
            breaks += c == '\r' || !after_cr;
            after_cr = c == '\r';
            continue;
        }
        after_cr = false;
        for (; breaks; breaks--)
            put(&p, L'\n');
        if (c == L'@' && p.last < 0x80 && tl_attach_begins_word((char)p.last))
            put_doubled(&p, c);
        else if (c == '\t' || (c >= ' ' && c != 0x7f))
            put(&p, c == '\t' ? ' ' : c);
    }
    insert(&p);
    if (!p.full)
        return CC_REFRESH;
    puts("\nThe line is full: the rest of what was pasted is left out.");
    return CC_REDISPLAY;
}

/* The text before the cursor, in UTF-8; the caller frees it. NULL: no memory, or no text of this locale. */
static char *text_before(EditLine *el)
{
    const LineInfoW *line = el_wline(el);
    size_t n = (size_t)(line->cursor - line->buffer);
    wchar_t *wide = calloc(n + 1, sizeof *wide);
    char *text = wide ? malloc(n * MB_LEN_MAX + 1) : NULL;
    if (text) {
        memcpy(wide, line->buffer, n * sizeof *wide);
        if (wcstombs(text, wide, n * MB_LEN_MAX + 1) == (size_t)-1) {
            free(text);
            text = NULL;
        }
    }
    free(wide);
    return text;
}

/* Puts `text` in place of `typed`, which stands before the cursor. */
static void put_in_place(EditLine *el, const char *typed, const char *text)
{
    wchar_t *wide = calloc(strlen(text) + 1, sizeof *wide);
    size_t old = mbstowcs(NULL, typed, 0),
           n = wide ? mbstowcs(wide, text, strlen(text) + 1) : (size_t)-1;
    if (n != (size_t)-1 && old != (size_t)-1) {
        if (old)
            el_deletestr(el, (int)old);
        (void)el_winsertstr(el, wide);
    }
    free(wide);
}

/* The bytes with which all offers begin, in whole characters. */
static size_t common_bytes(const json_t *offers)
{
    const char *first = json_string_value(json_array_get(offers, 0));
    size_t n = strlen(first), i;
    const json_t *one;
    json_array_foreach (offers, i, one) {
        size_t k = 0;
        while (k < n && json_string_value(one)[k] == first[k])
            k++;
        n = k;
    }
    while (n && !tl_utf8_is(tl_slice_of(first, n)))
        n--;
    return n;
}

static void list_offers(const json_t *offers)
{
    const json_t *one;
    size_t i;
    putchar('\n');
    json_array_foreach (offers, i, one) {
        fputs(i ? "  " : "", stdout);
        tl_out_plain(json_string_value(one));
    }
    putchar('\n');
    fflush(stdout);
}

static unsigned char on_tab(EditLine *el, wint_t c)
{
    tl_lineedit *l = NULL;
    size_t from = 0;
    unsigned char result = CC_ERROR;
    (void)c;
    el_get(el, EL_CLIENTDATA, &l);
    char *text = l->offers ? text_before(el) : NULL;
    json_t *offers = text ? l->offers(l->offers_user, text, &from) : NULL;
    if (text && json_array_size(offers)) {
        const char *first = json_string_value(json_array_get(offers, 0));
        char *common = strndup(first, common_bytes(offers));
        if (common && (json_array_size(offers) == 1 || strlen(common) > strlen(text + from))) {
            put_in_place(el, text + from, common);
            result = CC_REFRESH;
        } else if (common) {
            list_offers(offers);
            result = CC_REDISPLAY;
        }
        free(common);
    }
    json_decref(offers);
    free(text);
    return result;
}

void tl_lineedit_set_prompt(tl_lineedit *l, const char *prompt)
{
    snprintf(l->prompt, sizeof l->prompt, "%s", prompt);
}

void tl_lineedit_set_offers(tl_lineedit *l,
                            json_t *(*offers)(void *user, const char *text, size_t *ret_from),
                            void *user)
{
    l->offers = offers;
    l->offers_user = user;
}

static bool set_up(tl_lineedit *l)
{
    HistEvent ev;
    EditLine *el = l->el;
    return !el_set(el, EL_CLIENTDATA, l) && !el_set(el, EL_PROMPT, prompt_of) &&
           !el_set(el, EL_EDITOR, "emacs") && !el_set(el, EL_SIGNAL, 1) &&
           !el_set(el, EL_GETCFN, get_character) && !el_set(el, EL_HIST, history, l->history) &&
           history(l->history, &ev, H_SETSIZE, TL_LINEEDIT_HISTORY) >= 0 &&
           history(l->history, &ev, H_SETUNIQUE, 1) >= 0 &&
           !el_wset(el, EL_ADDFN, L"teale-paste", L"Insert pasted text", on_paste) &&
           !el_wset(el, EL_ADDFN, L"teale-break", L"Begin a new line", on_line_break) &&
           !el_wset(el, EL_ADDFN, L"teale-complete", L"Complete the word", on_tab) &&
           !el_set(el, EL_BIND, "^I", "teale-complete", NULL) &&
           !el_set(el, EL_BIND, "^R", "em-inc-search-prev", NULL) &&
           !el_set(el, EL_BIND, "\\e[200~", "teale-paste", NULL) &&
           !el_set(el, EL_BIND, "\\e\\r", "teale-break", NULL) &&
           !el_set(el, EL_BIND, "\\e\\n", "teale-break", NULL);
}

tl_err tl_lineedit_new(const char *prompt, tl_lineedit **ret_edit)
{
    tl_lineedit *l = calloc(1, sizeof *l);
    if (!l)
        return TL_ERR_NOMEM;
    if (!setlocale(LC_CTYPE, "") || strcmp(nl_langinfo(CODESET), "UTF-8") != 0)
        (void)setlocale(LC_CTYPE, "C.UTF-8");
    tl_lineedit_set_prompt(l, prompt);
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    l->interrupts = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    l->history = history_init();
    l->el = l->history ? el_init("teale", stdin, stdout, stderr) : NULL;
    if (l->interrupts < 0 || !l->el || !set_up(l)) {
        tl_lineedit_free(l);
        return TL_ERR_NOMEM;
    }
    *ret_edit = l;
    return TL_OK;
}

void tl_lineedit_free(tl_lineedit *l)
{
    if (!l)
        return;
    if (l->el)
        el_end(l->el);
    if (l->history)
        history_end(l->history);
    if (l->interrupts >= 0)
        close(l->interrupts);
    free(l);
}

tl_lineedit_result tl_lineedit_read(tl_lineedit *l, tl_slice *ret_text)
{
    int n = 0;
    HistEvent ev;
    sigset_t set, before;
    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigprocmask(SIG_BLOCK, &set, &before);
    l->interrupted = false;
    el_set(l->el, EL_PREP_TERM,
           1); /* before the prompt is shown, so that no key comes in the former mode */
    fputs(PASTE_ON, stdout);
    fflush(stdout);
    const char *text = el_gets(l->el, &n);
    fputs(l->interrupted ? PASTE_OFF "^C\n" : PASTE_OFF, stdout);
    fflush(stdout);
    el_set(l->el, EL_PREP_TERM, 0);
    sigprocmask(SIG_SETMASK, &before, NULL);
    if (l->interrupted)
        return TL_LINEEDIT_INTERRUPTED;
    if (!text || n <= 0)
        return TL_LINEEDIT_END;
    tl_slice line = tl_slice_of(text, (size_t)n);
    if (line.p[line.n - 1] == '\n')
        line.n--;
    if (!tl_utf8_is(line))
        line.n = 0;
    if (line.n)
        (void)history(l->history, &ev, H_ENTER, text);
    *ret_text = line;
    return TL_LINEEDIT_TEXT;
}
