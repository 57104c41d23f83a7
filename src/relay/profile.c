#include "relay/profile.h"

#include "wire/jsonscan.h"

#include <stdlib.h>

enum { LOADED, SWAPPABLE, PTNS, LISTS };
static const char *const list_names[LISTS] = {"loadedModels", "swappableModels", "ptnIDs"};

typedef struct {
    const tl_signal_register *r;
    const json_t *list[LISTS];          /* NULL: absent, or not a list */
    size_t kept[LISTS];                 /* how many items of each list are passed on */
    tl_buf text;                        /* the capabilities */
    size_t ptns_at, ptns_n;             /* where `text` has the value of ptnIDs; n 0: it has none */
    tl_buf shaped[TL_RELAY_PTN_SHAPES]; /* the same value for other readers; empty: as in `text` */
    tl_buf keys;
} maker;

static int list_of(tl_slice key)
{
    char name[20];
    size_t n;
    if (tl_jsonscan_string(key, name, sizeof name, &n))
        return LISTS;
    int l = 0;
    while (l < LISTS && strcmp(name, list_names[l]) != 0)
        l++;
    return l;
}

/* The name in this item for which others can ask; NULL: there is none. */
static const char *name_of(int list, const json_t *item)
{
    if (list == PTNS && json_is_object(item))
        item = json_object_get(item, "ptnID");
    const char *s = json_string_value(item);
    size_t n = s ? strlen(s) : 0;
    return n && n <= TL_RELAY_NAME_MAX && n == json_string_length(item) ? s : NULL;
}

/* --- the text --- */

/* True: nothing must be cut. */
static bool is_small(const maker *m)
{
    bool small = m->r->capabilities.n <= TL_RELAY_PROFILE_MAX;
    for (int l = 0; l < LISTS; l++)
        small = small && json_array_size(m->list[l]) <= TL_RELAY_LIST_NAMES_MAX;
    return small;
}

static tl_err copy_whole(maker *m)
{
    tl_jsonscan s;
    tl_json_member at;
    bool done = false;
    tl_err e = tl_buf_append(&m->text, m->r->capabilities);
    if (!e)
        e = tl_jsonscan_begin(&s, m->r->capabilities, 0);
    while (!e && !(e = tl_jsonscan_next(&s, &at, &done)) && !done) {
        if (list_of(at.key) != PTNS || !m->list[PTNS])
            continue;
        m->ptns_at = (size_t)(at.value.p - m->r->capabilities.p);
        m->ptns_n = at.value.n;
    }
    for (int l = 0; l < LISTS; l++)
        m->kept[l] = json_array_size(m->list[l]);
    return e;
}

/* Writes as many items of the list as `room` takes; *ret_kept tells how many. */
static tl_err write_list(const json_t *list, size_t room, tl_buf *out, size_t *ret_kept)
{
    size_t kept = 0, fits = 1;
    const json_t *item;
    tl_err e = tl_buf_append_str(out, "[");
    for (; !e && kept < TL_RELAY_LIST_NAMES_MAX && (item = json_array_get(list, kept)); kept++) {
        fits = out->len;
        if (kept)
            e = tl_buf_append_str(out, ",");
        if (!e)
            e = tl_json_write(out, item);
        if (!e && out->len + 1 > room)
            break;
        fits = out->len;
    }
    out->len = fits;
    *ret_kept = kept;
    return e ? e : tl_buf_append_str(out, "]");
}

static size_t cost_of(const tl_json_member *at, size_t value_n)
{
    return at->key.n + value_n + sizeof("\"\":,") - 1;
}

/* The room that is left for the lists when everything else that fits is written. */
static size_t room_for_lists(const maker *m)
{
    size_t used = 2;
    tl_jsonscan s;
    tl_json_member at;
    bool done = false;
    if (tl_jsonscan_begin(&s, m->r->capabilities, 0))
        return 0;
    while (!tl_jsonscan_next(&s, &at, &done) && !done) {
        int l = list_of(at.key);
        bool is_list = l < LISTS && m->list[l];
        size_t cost = cost_of(&at, is_list ? 2 : at.value.n);
        if (used + cost <= TL_RELAY_PROFILE_MAX)
            used += cost;
    }
    return TL_RELAY_PROFILE_MAX - used;
}

static tl_err put_member(maker *m, const tl_json_member *at, tl_slice value)
{
    tl_err e = tl_buf_append_str(&m->text, m->text.len > 1 ? ",\"" : "\"");
    if (!e)
        e = tl_buf_append(&m->text, at->key);
    if (!e)
        e = tl_buf_append_str(&m->text, "\":");
    return e ? e : tl_buf_append(&m->text, value);
}

/* Copies member by member and shortens the lists. A member for which there is no room is left
 * out. */
static tl_err copy_cut(maker *m)
{
    tl_buf cut[LISTS] = {{0}};
    tl_err e = TL_OK;
    size_t room = room_for_lists(m), used = 2;
    for (int l = 0; !e && l < LISTS; l++) {
        if (!m->list[l])
            continue;
        e = write_list(m->list[l], room + 2, &cut[l], &m->kept[l]);
        room -= e ? 0 : cut[l].len - 2;
    }
    tl_jsonscan s;
    tl_json_member at;
    bool done = false;
    if (!e)
        e = tl_buf_append_str(&m->text, "{");
    if (!e)
        e = tl_jsonscan_begin(&s, m->r->capabilities, 0);
    while (!e && !(e = tl_jsonscan_next(&s, &at, &done)) && !done) {
        int l = list_of(at.key);
        bool is_list = l < LISTS && m->list[l];
        tl_slice value = is_list ? tl_buf_slice(&cut[l]) : at.value;
        size_t cost = cost_of(&at, is_list ? 2 : value.n);
        if (used + cost > TL_RELAY_PROFILE_MAX) {
            if (is_list)
                m->kept[l] = 0;
            continue;
        }
        used += cost;
        e = put_member(m, &at, value);
        if (is_list && l == PTNS) {
            m->ptns_at = m->text.len - value.n;
            m->ptns_n = value.n;
        }
    }
    if (!e)
        e = tl_buf_append_str(&m->text, "}");
    for (int l = 0; l < LISTS; l++)
        tl_buf_clear(&cut[l]);
    return e;
}

/* --- networks, for each kind of reader --- */

static tl_err put_ptn(tl_buf *out, const char *id, const json_t *item, tl_relay_ptn_shape shape)
{
    tl_err e = tl_buf_append_str(out, out->len ? "," : "[");
    if (!e && shape == TL_RELAY_PTN_STRINGS)
        return tl_json_append_string(out, tl_slice_str(id));
    if (!e && json_is_object(item))
        return tl_json_write(out, item);
    if (!e)
        e = tl_buf_append_str(out, "{\"ptnID\":");
    if (!e)
        e = tl_json_append_string(out, tl_slice_str(id));
    return e ? e : tl_buf_append_str(out, ",\"ptnName\":\"\"}"); /* the shape with strings has no
                                                                    ptnName */
}

/* If an item has the other shape, writes the whole list anew. */
static tl_err shape_ptns(maker *m, tl_relay_ptn_shape shape)
{
    tl_buf *out = &m->shaped[shape];
    bool as_it_stands = true;
    tl_err e = TL_OK;
    for (size_t i = 0; !e && i < m->kept[PTNS]; i++) {
        const json_t *item = json_array_get(m->list[PTNS], i);
        const char *id = name_of(PTNS, item);
        if (!id)
            continue;
        if (json_is_object(item) != (shape == TL_RELAY_PTN_OBJECTS))
            as_it_stands = false;
        e = put_ptn(out, id, item, shape);
    }
    if (as_it_stands)
        tl_buf_clear(out);
    else if (!e)
        e = tl_buf_append_str(out, "]");
    return e;
}

static tl_relay_ptn_shape shape_read(const maker *m)
{
    for (size_t i = 0; i < m->kept[PTNS]; i++) {
        const json_t *item = json_array_get(m->list[PTNS], i);
        if (json_is_object(item) && name_of(PTNS, item))
            return TL_RELAY_PTN_OBJECTS;
    }
    return TL_RELAY_PTN_STRINGS;
}

/* --- the whole --- */

static tl_err make_keys(maker *m)
{
    static const char kinds[LISTS] = {TL_RELAY_KEY_MODEL, TL_RELAY_KEY_MODEL, TL_RELAY_KEY_PTN};
    tl_err e = TL_OK;
    for (int l = 0; l < LISTS; l++) {
        for (size_t i = 0; !e && i < m->kept[l]; i++) {
            const char *name = name_of(l, json_array_get(m->list[l], i));
            if (!name)
                continue;
            e = tl_buf_append(&m->keys, tl_slice_of(&kinds[l], 1));
            if (!e)
                e = tl_buf_append(&m->keys, tl_slice_of(name, strlen(name) + 1));
        }
    }
    return e ? e : tl_buf_append(&m->keys, TL_SLICE_LIT("\0"));
}

static tl_slice move(tl_buf *from, char **to)
{
    tl_slice s = tl_slice_of(*to, from->len);
    if (from->len)
        memcpy(*to, tl_buf_begin(from), from->len);
    *to += from->len;
    return s;
}

/* Puts what stays into one allocation. */
static tl_err pack(maker *m, tl_relay_profile *p)
{
    size_t name_n = strlen(m->r->display_name) + 1;
    p->size = name_n + m->text.len + m->keys.len;
    for (int i = 0; i < TL_RELAY_PTN_SHAPES; i++)
        p->size += m->shaped[i].len;
    p->memory = malloc(p->size);
    if (!p->memory)
        return TL_ERR_NOMEM;
    char *to = p->memory;
    p->display_name = memcpy(to, m->r->display_name, name_n);
    to += name_n;
    p->keys = (const char *)move(&m->keys, &to).p;
    tl_slice text = move(&m->text, &to);
    size_t before = m->ptns_n ? m->ptns_at : text.n;
    p->head = tl_slice_of(text.p, before);
    p->tail = tl_slice_of(text.p + before + m->ptns_n, text.n - before - m->ptns_n);
    for (int i = 0; i < TL_RELAY_PTN_SHAPES; i++)
        p->ptns[i] =
            m->shaped[i].len ? move(&m->shaped[i], &to) : tl_slice_of(text.p + before, m->ptns_n);
    return TL_OK;
}

static void read_hardware(const json_t *capabilities, tl_relay_profile *p)
{
    const json_t *hardware = json_object_get(capabilities, "hardware");
    const json_t *tier = json_object_get(hardware, "tier");
    if (json_is_integer(tier) && json_integer_value(tier) >= 1 && json_integer_value(tier) <= 255)
        p->tier = (uint8_t)json_integer_value(tier);
    p->ram_gb = (float)tl_json_number(hardware, "totalRAMGB", 0);
}

tl_err tl_relay_profile_make(const tl_signal_register *r, tl_relay_profile *ret_profile)
{
    maker m = {.r = r};
    tl_relay_profile p = {.models_kept = -1};
    for (int l = 0; l < LISTS; l++) {
        const json_t *v = json_object_get(r->capabilities_object, list_names[l]);
        m.list[l] = json_is_array(v) ? v : NULL;
    }
    tl_err e = is_small(&m) ? copy_whole(&m) : copy_cut(&m);
    for (int i = 0; !e && i < TL_RELAY_PTN_SHAPES; i++)
        e = shape_ptns(&m, (tl_relay_ptn_shape)i);
    if (!e)
        e = make_keys(&m);
    if (!e)
        e = pack(&m, &p);
    p.reads = shape_read(&m);
    read_hardware(r->capabilities_object, &p);
    size_t kept = m.kept[LOADED] + m.kept[SWAPPABLE];
    if (kept < json_array_size(m.list[LOADED]) + json_array_size(m.list[SWAPPABLE]))
        p.models_kept = (int)kept;
    tl_buf_clear(&m.text);
    tl_buf_clear(&m.keys);
    for (int i = 0; i < TL_RELAY_PTN_SHAPES; i++)
        tl_buf_clear(&m.shaped[i]);
    if (!e)
        *ret_profile = p;
    return e;
}

void tl_relay_profile_clear(tl_relay_profile *p)
{
    free(p->memory);
    *p = (tl_relay_profile){.models_kept = -1};
}
