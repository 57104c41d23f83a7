#include "peer/naming.h"

#include "base/alike.h"
#include "base/plain.h"
#include "base/suggest.h"

#include <assert.h>
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#define SHOWN_MATCHES 4  /* that a message names */
#define SHOWN_NAME    32 /* bytes; a longer name is left out of a message */
#define ID_LIKE       8  /* so many characters that pass for hex digits look like an ID */

const char *tl_named_by_name(tl_named_by by)
{
    static const char *const names[] = {"id", "alias", "digits", "name"};
    return names[by];
}

/* --- the table --- */

void tl_naming_clear(tl_naming *t)
{
    tl_naming_entry *e, *next;
    HASH_ITER (hh, t->entries, e, next) {
        /* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): what was freed left the table */
        HASH_DEL(t->entries, e);
        free(e);
    }
    *t = (tl_naming){0};
}

static tl_naming_entry *entry_of(const tl_naming *t, const tl_node_id *id)
{
    tl_naming_entry *e;
    HASH_FIND(hh, t->entries, id, sizeof *id, e);
    return e;
}

const tl_naming_entry *tl_naming_kept(const tl_naming *t, const tl_node_id *id)
{
    return entry_of(t, id);
}

/* NULL: out of memory. */
static tl_naming_entry *get(tl_naming *t, const tl_node_id *id)
{
    tl_naming_entry *e = entry_of(t, id);
    if (e || !(e = calloc(1, sizeof *e)))
        return e;
    e->id = *id;
    if (TL_TABLE_ADD(hh, t->entries, id, sizeof e->id, e))
        return e;
    free(e);
    return NULL;
}

static void forget_empty(tl_naming *t, tl_naming_entry *e)
{
    if (*e->alias || *e->heard)
        return;
    HASH_DEL(t->entries, e);
    free(e);
}

const char *tl_naming_alias(const tl_naming *t, const tl_node_id *id)
{
    const tl_naming_entry *e = entry_of(t, id);
    return e && *e->alias ? e->alias : NULL;
}

void tl_naming_hear(tl_naming *t, const tl_node_id *id, const char *name)
{
    tl_naming_entry *e = entry_of(t, id);
    if (!*name || ((!e || !*e->heard) && t->heard >= TL_NAMING_HEARD_MAX) || !(e = get(t, id)))
        return;
    t->heard += !*e->heard;
    snprintf(e->heard, sizeof e->heard, "%s", name);
}

/* --- aliases --- */

static bool are_hex(const char *text)
{
    return *text && !text[strspn(text, "0123456789abcdefABCDEF")];
}

/* Bytes of ASCII that an alias has besides letters and digits, and all of other alphabets. */
static bool is_alias_byte(unsigned char c)
{
    return c >= 0x80 || isalnum(c) || strchr("._-+", c);
}

static bool has_blank(const char *text)
{
    static const char *const blanks[] = {"\u00A0", "\u1680", "\u2000", "\u2001", "\u2002", "\u2003",
                                         "\u2004", "\u2005", "\u2006", "\u2007", "\u2008", "\u2009",
                                         "\u200A", "\u202F", "\u205F", "\u3000"};
    for (size_t i = 0; i < sizeof blanks / sizeof *blanks; i++)
        if (strstr(text, blanks[i]))
            return true;
    return false;
}

bool tl_alias_is(const char *alias, tl_why *why)
{
    size_t n = strlen(alias), i = 0;
    const char *wrong = NULL;
    while (i < n && is_alias_byte((unsigned char)alias[i]))
        i++;
    if (!n || n > TL_ALIAS_MAX)
        wrong = "an alias has 1 to 64 bytes";
    else if (!tl_plain_is(tl_slice_str(alias)))
        wrong = "the alias has characters that cannot be shown";
    else if (i < n || *alias == '-' || has_blank(alias))
        wrong = "an alias has letters, digits and . _ - + alone, and does not begin with -";
    else if (are_hex(alias) && n >= TL_NAMING_DIGITS_MIN)
        wrong = "an alias of hex digits alone would be read as an ID; add another letter";
    else if (tl_alike_is_disguised(tl_slice_str(alias)))
        wrong = "the alias mixes alphabets whose letters look alike, or has an invisible character";
    if (wrong)
        (void)!tl_why_set(why, TL_ERR_INVALID, "%s", wrong);
    return !wrong;
}

/* The alias that looks like the key; NULL: none. */
static const tl_naming_entry *alias_like(const tl_naming *t, const char *key)
{
    char other[TL_ALIKE_KEY_MAX];
    for (const tl_naming_entry *e = t->entries; e; e = e->hh.next) {
        tl_alike_key(tl_slice_str(e->alias), other);
        if (*e->alias && !strcmp(other, key))
            return e;
    }
    return NULL;
}

tl_err tl_naming_set(tl_naming *t, const tl_node_id *id, const char *alias, tl_why *why)
{
    char key[TL_ALIKE_KEY_MAX], hex[TL_NODE_ID_HEX + 1];
    if (!tl_alias_is(alias, why))
        return TL_ERR_INVALID;
    tl_alike_key(tl_slice_str(alias), key);
    tl_naming_entry *e = entry_of(t, id);
    const tl_naming_entry *other = alias_like(t, key);
    if (other && other != e) {
        tl_node_id_write(hex, &other->id);
        return tl_why_set(why, TL_ERR_EXISTS,
                          "%.16s has the alias %s already%s: remove that first (teale peers alias "
                          "--remove %s), or take another word",
                          hex, other->alias,
                          strcasecmp(other->alias, alias) ? ", which looks so" : "", other->alias);
    }
    if ((!e || !*e->alias) && t->aliases >= TL_ALIASES_MAX)
        return tl_why_set(why, TL_ERR_BUSY, "there are %d aliases already, which is the most",
                          TL_ALIASES_MAX);
    if (!(e = get(t, id)))
        return TL_ERR_NOMEM;
    t->aliases += !*e->alias;
    snprintf(e->alias, sizeof e->alias, "%s", alias);
    return TL_OK;
}

void tl_naming_unset(tl_naming *t, const tl_node_id *id)
{
    tl_naming_entry *e = entry_of(t, id);
    if (!e || !*e->alias)
        return;
    assert(t->aliases);
    t->aliases--;
    *e->alias = 0;
    forget_empty(t, e);
}

/* --- who is meant --- */

typedef struct {
    const tl_naming *naming;
    const tl_naming_known *at[TL_NAMING_MATCHES_MAX];
    size_t n; /* of `at` */
    const tl_naming_known *own;
    bool many; /* there are more */
} matches;

/* Announced nodes are as many as somebody likes to forge: few digits never mean one, so they cost others nothing. */
static bool counts_for(const tl_naming_known *k, size_t digits)
{
    return !k->announced || digits >= TL_NAMING_DIGITS_SAFE;
}

/* This node itself is meant where no other is. */
static void add(matches *m, const tl_naming_known *k)
{
    if (k->own)
        m->own = k;
    else if (m->n < TL_NAMING_MATCHES_MAX)
        m->at[m->n++] = k;
    else
        m->many = true;
}

static void describe(const matches *m, char *ret, size_t cap)
{
    size_t used = 0;
    for (size_t i = 0; i < m->n && i < SHOWN_MATCHES; i++) {
        char hex[TL_NODE_ID_HEX + 1];
        const char *name = m->at[i]->name, *alias = tl_naming_alias(m->naming, &m->at[i]->id);
        bool shown = *name && strlen(name) <= SHOWN_NAME && tl_plain_is(tl_slice_str(name));
        tl_node_id_write(hex, &m->at[i]->id);
        int n = snprintf(ret + used, cap - used, "%s%.16s%s%s%s%s%s", i ? ", " : "", hex,
                         shown || alias ? " (" : "", shown ? name : "",
                         alias ? (shown ? ", alias " : "alias ") : "", alias ? alias : "",
                         shown || alias ? ")" : "");
        used += n > 0 && (size_t)n < cap - used ? (size_t)n : cap - used - 1;
    }
    if (m->n > SHOWN_MATCHES)
        snprintf(ret + used, cap - used, ", ...");
}

static tl_err ambiguous(const matches *m, const char *what, const char *text, tl_why *why)
{
    char list[SHOWN_MATCHES * (16 + SHOWN_NAME + TL_ALIAS_MAX + 16)];
    describe(m, list, sizeof list);
    return tl_why_set(why, TL_ERR_EXISTS, "%s%zu nodes %s %.64s: %s. %s",
                      m->many ? "more than " : "", m->n, what, text, list,
                      are_hex(text)
                          ? "Give more digits"
                          : "Name one by its ID, or by an alias: teale peers alias ID NAME");
}

/* Lower-case digits of the ID of a known node. */
static bool begins_with(const tl_naming_known *k, const char *digits, size_t n)
{
    char hex[TL_NODE_ID_HEX + 1];
    tl_node_id_write(hex, &k->id);
    return !memcmp(hex, digits, n);
}

static tl_err by_whole_id(const char *digits, const char *text, tl_node_id *ret, tl_why *why)
{
    tl_node_id id;
    if (tl_node_id_parse(tl_slice_str(digits), &id))
        return tl_why_set(why, TL_ERR_INVALID, "%.80s is no node's key: a digit is mistyped", text);
    *ret = id;
    return TL_OK;
}

/* Its owner chose the ID: is it that of a node with which this one has to do? */
static bool is_safe(const matches *m, const tl_naming_known *k, const char *digits)
{
    return k->own || k->familiar || strlen(digits) >= TL_NAMING_DIGITS_SAFE ||
           tl_naming_alias(m->naming, &k->id);
}

static tl_err too_few(const matches *m, const char *digits, tl_why *why)
{
    char one[16 + SHOWN_NAME + TL_ALIAS_MAX + 16];
    describe(m, one, sizeof one);
    return tl_why_set(why, TL_ERR_NOT_FOUND,
                      "%s is a stranger: anybody can make an ID that begins with %s. Give at least "
                      "%d digits of it",
                      one, digits, TL_NAMING_DIGITS_SAFE);
}

static tl_err by_digits(const matches *none, const tl_naming_known *known, size_t n,
                        const char *digits, tl_node_id *ret, tl_why *why)
{
    matches m = *none, unused = *none;
    bool is_name = false;
    size_t len = strlen(digits);
    for (size_t i = 0; i < n; i++) {
        if (begins_with(&known[i], digits, len))
            add(counts_for(&known[i], len) ? &m : &unused, &known[i]);
        is_name |= !strcasecmp(known[i].name, digits);
    }
    if (m.n > 1)
        return ambiguous(&m, "have IDs that begin with", digits, why);
    const tl_naming_known *meant = m.n ? m.at[0] : m.own;
    if (!meant && unused.n)
        return too_few(&unused, digits, why);
    if (!meant)
        return tl_why_set(
            why, TL_ERR_NOT_FOUND,
            "no known node has an ID that begins with %s%s; another node needs all 64 "
            "digits of its ID",
            digits,
            is_name ? ", and a display name of hex digits names nobody: the node that "
                      "calls itself so needs an alias"
                    : "");
    if (!is_safe(&m, meant, digits))
        return too_few(&m, digits, why);
    *ret = meant->id;
    return TL_OK;
}

static const char digit_keys[] = "ol23456789abcdef"; /* what tl_alike_key makes of each hex digit */

/* Hex digits, or what passes for them. */
static bool could_be_digits(const char *key)
{
    return !key[strspn(key, digit_keys)];
}

/* Are these the keys of the first digits of the ID? All names are held against all IDs: it has to be quick. */
static bool are_digits_of(const char *key, size_t n, const tl_node_id *id)
{
    for (size_t i = 0; i < n; i++)
        if (key[i] != digit_keys[i % 2 ? id->key[i / 2] & 15 : id->key[i / 2] >> 4])
            return false;
    return true;
}

/* Does the name look like the first digits of the ID of another node that is known, or of any ID? */
static bool looks_like_an_id(const char *key, const tl_naming_known *known, size_t n,
                             const tl_naming_known *bearer)
{
    size_t len = strlen(key);
    if (len < TL_NAMING_DIGITS_MIN || !could_be_digits(key))
        return false;
    for (size_t i = 0; i < n && len < ID_LIKE; i++)
        if (&known[i] != bearer && counts_for(&known[i], len) &&
            are_digits_of(key, len, &known[i].id))
            return true;
    return len >= ID_LIKE;
}

bool tl_naming_may_name(const char *name)
{
    size_t n = strlen(name);
    return n && n <= TL_ALIKE_TEXT_MAX && tl_plain_is(tl_slice_str(name)) &&
           !tl_alike_is_disguised(tl_slice_str(name)) &&
           !(are_hex(name) && n >= TL_NAMING_DIGITS_MIN);
}

static const char *suggestion(const tl_naming *t, const tl_naming_known *known, size_t n,
                              const char *text)
{
    tl_suggest s = tl_suggest_begin(text);
    for (const tl_naming_entry *e = t->entries; e; e = e->hh.next)
        if (*e->alias)
            tl_suggest_offer(&s, e->alias);
    for (size_t i = 0; i < n; i++)
        if (tl_naming_may_name(known[i].name))
            tl_suggest_offer(&s, known[i].name);
    return s.best;
}

static tl_err no_such_name(const tl_naming *t, const tl_naming_known *known, size_t n,
                           const char *text, tl_why *why)
{
    const char *meant = suggestion(t, known, n, text);
    return tl_why_set(
        why, TL_ERR_NOT_FOUND,
        "no known node is called \"%.64s\"%s%s%s; another node needs all 64 digits of its ID", text,
        meant ? " (did you mean " : "", meant ? meant : "", meant ? "?)" : "");
}

static tl_err by_name(const matches *none, const tl_naming_known *known, size_t n, const char *text,
                      tl_node_id *ret, tl_why *why)
{
    matches m = *none;
    char key[TL_ALIKE_KEY_MAX], other[TL_ALIKE_KEY_MAX];
    const tl_naming_known *meant = NULL;
    tl_alike_key(tl_slice_str(text), key);
    for (size_t i = 0; i < n; i++) {
        const char *alias = tl_naming_alias(none->naming, &known[i].id);
        bool is = !strcasecmp(known[i].name, text), like_alias = false;
        if (alias)
            tl_alike_key(tl_slice_str(alias), other);
        like_alias = alias && !strcmp(other, key);
        tl_alike_key(tl_slice_str(known[i].name), other);
        if (!is && !like_alias && strcmp(other, key) != 0)
            continue;
        add(&m, &known[i]);
        if (is && (!known[i].own || !meant))
            meant = &known[i];
    }
    if (!meant)
        return no_such_name(none->naming, known, n, text, why);
    if (m.n > 1)
        return ambiguous(&m, "are called, or look, like", text, why);
    if (!tl_naming_may_name(text) || looks_like_an_id(key, known, n, meant))
        return tl_why_set(
            why, TL_ERR_NOT_FOUND,
            "a display name that is made to look like something else names nobody: name "
            "the node by its ID, or give it an alias: teale peers alias ID NAME");
    *ret = meant->id;
    return TL_OK;
}

tl_err tl_naming_find(const tl_naming *t, const tl_naming_known *known, size_t n, const char *text,
                      tl_node_id *ret, tl_named_by *ret_by, tl_why *why)
{
    size_t len = strlen(text);
    char digits[TL_NODE_ID_HEX + 1] = "";
    const matches none = {.naming = t};
    if (!len || len > TL_ALIKE_TEXT_MAX || !tl_plain_is(tl_slice_str(text)))
        return tl_why_set(
            why, TL_ERR_INVALID,
            "a peer is named by its ID, the first digits of it, an alias, or its display "
            "name");
    for (const tl_naming_entry *e = t->entries; e; e = e->hh.next)
        if (*e->alias && !strcasecmp(e->alias, text)) {
            *ret = e->id;
            *ret_by = TL_NAMED_BY_ALIAS;
            return TL_OK;
        }
    *ret_by = TL_NAMED_BY_NAME;
    if (!are_hex(text) || len < TL_NAMING_DIGITS_MIN)
        return by_name(&none, known, n, text, ret, why);
    if (len > TL_NODE_ID_HEX)
        return tl_why_set(why, TL_ERR_INVALID, "a node ID has 64 hex digits, and this has %zu",
                          len);
    for (size_t i = 0; i < len; i++)
        digits[i] = (char)tolower((unsigned char)text[i]);
    *ret_by = len == TL_NODE_ID_HEX ? TL_NAMED_BY_ID : TL_NAMED_BY_DIGITS;
    return len == TL_NODE_ID_HEX ? by_whole_id(digits, text, ret, why)
                                 : by_digits(&none, known, n, digits, ret, why);
}

/* --- all of them at once --- */

typedef struct {
    uint64_t key; /* a hash of what a name looks like */
    size_t of;    /* of `known` */
    bool is_name; /* else its alias */
} look;

static int by_key(const void *a, const void *b)
{
    const look *x = a, *y = b;
    return x->key < y->key ? -1 : x->key > y->key;
}

static void add_look(look *looks, size_t *n, const char *name, size_t of, bool is_name)
{
    char key[TL_ALIKE_KEY_MAX];
    if (!name || !*name)
        return;
    tl_alike_key(tl_slice_str(name), key);
    looks[(*n)++] = (look){tl_table_hash64(key, strlen(key)), of, is_name};
}

static bool names_it(const tl_naming_known *known, size_t n, size_t i)
{
    char key[TL_ALIKE_KEY_MAX];
    if (!tl_naming_may_name(known[i].name))
        return false;
    tl_alike_key(tl_slice_str(known[i].name), key);
    return !looks_like_an_id(key, known, n, &known[i]);
}

tl_err tl_naming_mark(const tl_naming *t, const tl_naming_known *known, size_t n, bool *ret_named)
{
    look *looks = calloc(2 * n + 1, sizeof *looks);
    size_t count = 0;
    if (!looks)
        return TL_ERR_NOMEM;
    for (size_t i = 0; i < n; i++) {
        ret_named[i] = !known[i].own && names_it(known, n, i);
        if (!known[i].own) {
            add_look(looks, &count, known[i].name, i, true);
            add_look(looks, &count, tl_naming_alias(t, &known[i].id), i, false);
        }
    }
    qsort(looks, count, sizeof *looks, by_key);
    for (size_t from = 0, to; from < count; from = to) { /* those that look the same */
        bool several = false;
        for (to = from; to < count && looks[to].key == looks[from].key; to++)
            several |= looks[to].of != looks[from].of;
        for (size_t i = from; several && i < to; i++)
            ret_named[looks[i].of] &= !looks[i].is_name;
    }
    free(looks);
    return TL_OK;
}
