#include "config/config_show.h"

#include "config/config_rules.h"
#include "config/config_table.h"

bool tl_setting_names_file(const tl_setting_def *def)
{
    return def->rule == tl_rule_file;
}

static json_t *choices_json(const tl_setting_def *def)
{
    const char *const *choice = def->info.choices;
    if (!choice || def->kind != TL_KIND_TEXT)
        return json_null();
    json_t *list = json_array();
    for (; list && *choice; choice++)
        list = tl_json_append(list, json_string(*choice));
    return list;
}

static json_t *bound_json(const tl_setting_def *def, int64_t bound)
{
    bool has = def->kind == TL_KIND_NUMBER || def->kind == TL_KIND_BIG || def->kind == TL_KIND_LIST;
    return has ? json_integer(bound) : json_null();
}

/* NULL: out of memory. */
static json_t *explain(const tl_settings *saved, const tl_settings *in_force,
                       const tl_settings *fallback, const tl_setting_def *def, const char *option)
{
    json_t *value = NULL, *now = NULL, *shown = NULL, *normal = NULL;
    if (tl_setting_value(saved, def, &value) || tl_setting_value(in_force, def, &now) ||
        tl_setting_shown(saved, def, &shown) || tl_setting_value(fallback, def, &normal)) {
        json_decref(value);
        json_decref(now);
        json_decref(shown);
        return NULL;
    }
    bool restart = !option && !json_equal(value, now);
    const char *text = def->login ? json_string_value(value) : NULL;
    bool login = text && strchr(text, '@');
    json_decref(value);
    json_decref(now);
    return json_pack("{s:s, s:s, s:s, s:o, s:o, s:b, s:b, s:o, s:o, s:o, s:s?, s:b, s:b}", "key",
                     def->info.key, "type", def->info.type, "help", def->info.meaning, "value",
                     shown, "default", normal, "restart", restart, "live", def->info.live, "min",
                     bound_json(def, def->min), "max", bound_json(def, def->max), "choices",
                     choices_json(def), "option", option, "login", login, "names_file",
                     tl_setting_names_file(def));
}

json_t *tl_settings_explain(const tl_settings *saved, const tl_settings *in_force,
                            tl_setting_option option_of, void *user)
{
    tl_settings fallback = tl_settings_default();
    json_t *list = json_array();
    const tl_setting_def *def;
    for (size_t i = 0; list && (def = tl_setting_def_at(i)); i++)
        list = tl_json_append(list, explain(saved, in_force, &fallback, def,
                                            option_of ? option_of(user, def->info.key) : NULL));
    return json_pack("{s:o}", "settings", list);
}
