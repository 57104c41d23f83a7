/* toml_tree.c - the tree of toml.h: its memory, and what may be added to which table. */
#include "config/toml_state.h"

#include "base/log.h"

#include <assert.h>
#include <stdlib.h>

/* Nodes and strings are cut from blocks, which are freed together. */
#define BLOCK_MIN 16384 /* holds the tree of a usual file */

struct tl_toml_block {
    struct tl_toml_block *next;
    size_t used, size;
    _Alignas(max_align_t) uint8_t bytes[];
};

static tl_err cut(tl_toml_reader *r, size_t n, void **ret)
{
    const size_t align = _Alignof(max_align_t);
    n = (n + align - 1) / align * align;
    struct tl_toml_block *b = r->doc.blocks;
    if (!b || b->size - b->used < n) {
        size_t size = n > BLOCK_MIN ? n : BLOCK_MIN;
        b = calloc(1, sizeof *b + size);
        if (!b) {
            tl_why_set(r->why, TL_ERR_NOMEM, "%s: out of memory", r->name);
            return TL_ERR_NOMEM;
        }
        b->size = size;
        b->next = r->doc.blocks;
        r->doc.blocks = b;
    }
    *ret = b->bytes + b->used;
    b->used += n;
    return TL_OK;
}

void tl_toml_clear(tl_toml_doc *doc)
{
    for (struct tl_toml_block *b = doc->blocks, *next; b; b = next) {
        next = b->next;
        free(b);
    }
    *doc = (tl_toml_doc){0};
}

tl_err tl_toml_copy(tl_toml_reader *r, tl_slice bytes, tl_slice *ret_copy)
{
    void *p;
    tl_err e = cut(r, bytes.n + 1, &p); /* one more: a copy of nothing has an address too */
    if (e)
        return e;
    if (bytes.n)
        memcpy(p, bytes.p, bytes.n);
    *ret_copy = tl_slice_of(p, bytes.n);
    return TL_OK;
}

tl_err tl_toml_node(tl_toml_reader *r, tl_toml_type type, size_t at, tl_toml **ret_node)
{
    void *p;
    if (r->doc.nodes == TL_TOML_NODES_MAX) {
        tl_toml_fail(r, at, TL_ERR_TOO_LARGE, "more than %d names and values", TL_TOML_NODES_MAX);
        return TL_ERR_TOO_LARGE;
    }
    tl_err e = cut(r, sizeof **ret_node, &p);
    if (e)
        return e;
    r->doc.nodes++;
    tl_toml *node = p;
    *node = (tl_toml){.type = type, .line = tl_toml_line(r, at), .start = at, .end = at};
    *ret_node = node;
    return TL_OK;
}

void tl_toml_add(tl_toml *parent, tl_toml *node)
{
    assert(!node->parent && !node->next);
    node->parent = parent;
    if (parent->last)
        parent->last->next = node;
    else
        parent->first = node;
    parent->last = node;
    parent->n++;
}

tl_toml *tl_toml_member(const tl_toml *table, tl_slice key)
{
    assert(table->type == TL_TOML_TABLE);
    for (tl_toml *m = table->first; m; m = m->next)
        if (tl_slice_eq(m->key, key))
            return m;
    return NULL;
}

static tl_err add_table(tl_toml_reader *r, tl_toml *parent, tl_slice key, tl_toml_how how,
                        size_t at, tl_toml **ret_table)
{
    tl_toml *t;
    tl_err e = tl_toml_node(r, TL_TOML_TABLE, at, &t);
    if (e)
        return e;
    t->key = key;
    t->how = how;
    t->scope = r->scope;
    tl_toml_add(parent, t);
    *ret_table = t;
    return TL_OK;
}

static tl_safe written(const tl_toml_reader *r, const tl_toml_name *name)
{
    return tl_log_safe(tl_slice_of(r->text.p + name->start, name->end - name->start));
}

static tl_err is_taken(tl_toml_reader *r, const tl_toml_name *name, const tl_toml *by)
{
    return tl_toml_fail(r, name->start, TL_ERR_EXISTS, "%s is already set at line %u",
                        written(r, name).text, by->line);
}

/* --- name = value --- */

/* May a name with dots go through this table? TOML allows it only where no other table's settings
 * stand between. */
static bool is_open(const tl_toml_reader *r, const tl_toml *t)
{
    return t->type == TL_TOML_TABLE &&
           (t->how == TL_TOML_BY_PATH || (t->how == TL_TOML_BY_DOTS && t->scope == r->scope));
}

tl_err tl_toml_open_dotted(tl_toml_reader *r, tl_toml *table, const tl_toml_name *name,
                           tl_toml **ret_table)
{
    for (size_t i = 0; i + 1 < name->n; i++) {
        tl_toml *t = tl_toml_member(table, name->part[i]);
        if (!t) {
            tl_err e = add_table(r, table, name->part[i], TL_TOML_BY_DOTS, name->start, &t);
            if (e)
                return e;
        } else if (!is_open(r, t)) {
            tl_safe part = tl_log_safe(name->part[i]);
            return tl_toml_fail(r, name->start, TL_ERR_EXISTS,
                                "%s cannot be added: %s is complete since line %u; write it there",
                                written(r, name).text, part.text, t->line);
        }
        t->how = TL_TOML_BY_DOTS;
        t->scope = r->scope;
        table = t;
    }
    const tl_toml *taken = tl_toml_member(table, name->part[name->n - 1]);
    if (taken)
        return is_taken(r, name, taken);
    *ret_table = table;
    return TL_OK;
}

/* --- [name] and [[name]] --- */

/* The table below which the last part of a header's name goes. */
static tl_err walk_header(tl_toml_reader *r, const tl_toml_name *name, tl_toml **ret_table)
{
    tl_toml *table = r->doc.root;
    for (size_t i = 0; i + 1 < name->n; i++) {
        tl_toml *t = tl_toml_member(table, name->part[i]);
        tl_err e = TL_OK;
        if (!t)
            e = add_table(r, table, name->part[i], TL_TOML_BY_PATH, name->start, &t);
        else if (t->type == TL_TOML_ARRAY && t->how == TL_TOML_BY_HEADER)
            t = t->last;
        if (e)
            return e;
        if (t->type != TL_TOML_TABLE || t->how == TL_TOML_BY_VALUE)
            return is_taken(r, name, t);
        table = t;
    }
    *ret_table = table;
    return TL_OK;
}

/* [name], where the name is there already. */
static tl_err open_again(tl_toml_reader *r, const tl_toml_name *name, tl_toml *t)
{
    tl_safe safe = written(r, name);
    if (t->type == TL_TOML_TABLE && t->how == TL_TOML_BY_PATH) {
        t->how = TL_TOML_BY_HEADER;
        return TL_OK;
    }
    if (t->type == TL_TOML_TABLE && t->how == TL_TOML_BY_HEADER)
        return tl_toml_fail(r, name->start, TL_ERR_EXISTS,
                            "section [%s] is already at line %u; write all its settings there",
                            safe.text, t->line);
    if (t->type == TL_TOML_TABLE)
        return tl_toml_fail(r, name->start, TL_ERR_EXISTS,
                            "settings of %s already stand at line %u; write them below [%s] too",
                            safe.text, t->line, safe.text);
    return is_taken(r, name, t);
}

static tl_err open_list(tl_toml_reader *r, tl_toml *parent, const tl_toml_name *name,
                        tl_toml **ret_list)
{
    tl_slice key = name->part[name->n - 1];
    tl_toml *list = tl_toml_member(parent, key);
    if (list) {
        if (list->type != TL_TOML_ARRAY || list->how != TL_TOML_BY_HEADER)
            return is_taken(r, name, list);
        *ret_list = list;
        return TL_OK;
    }
    tl_err e = tl_toml_node(r, TL_TOML_ARRAY, name->start, &list);
    if (e)
        return e;
    list->key = key;
    list->how = TL_TOML_BY_HEADER;
    tl_toml_add(parent, list);
    *ret_list = list;
    return TL_OK;
}

tl_err tl_toml_open_header(tl_toml_reader *r, const tl_toml_name *name, bool list, size_t start,
                           size_t end, tl_toml **ret_table)
{
    tl_toml *parent = r->doc.root, *t = NULL;
    tl_slice key = name->part[name->n - 1];
    r->scope = ++r->scopes;
    tl_err e = walk_header(r, name, &parent);
    if (!e && list) {
        e = open_list(r, parent, name, &parent);
        key = tl_slice_of(NULL, 0);
    } else if (!e) {
        t = tl_toml_member(parent, key);
        if (t)
            e = open_again(r, name, t);
    }
    if (!e && !t)
        e = add_table(r, parent, key, TL_TOML_BY_HEADER, name->start, &t);
    if (e)
        return e;
    t->line = tl_toml_line(r, name->start);
    t->start = start;
    t->end = end;
    *ret_table = t;
    return TL_OK;
}
