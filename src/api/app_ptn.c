/* Private networks for pages and programs: /v1/app/ptn. What a command of `teale ptn` does, by the
 * same verbs of the node. */
#include "api/app_body.h"
#include "base/number.h"
#include "crypto/idjson.h"
#include "ptn/invite.h"

void tl_api_on_ptns(tl_api *api, tl_httpd_req *r)
{
    static const tl_app_field fields[] = {
        {"name", .form = TL_APP_TEXT, .needed = true, .most = TL_PTN_NAME_MAX},
        {"again", .form = TL_APP_BOOL},
        {NULL}};
    if (tl_app_method_is(r, "POST"))
        tl_app_do(api, r, "ptn.create", tl_app_body(api, r, fields));
    else
        tl_app_do(api, r, "ptn.list", json_object());
}

void tl_api_on_ptn(tl_api *api, tl_httpd_req *r)
{
    char sure[8];
    if (!tl_app_method_is(r, "DELETE")) {
        tl_app_do(api, r, "ptn.show", tl_app_net(api, r));
        return;
    }
    /* as --delete: the network's CA key goes, too */
    bool all = !tl_api_query_field(r, "delete", sure, sizeof sure) && strcmp(sure, "true") == 0;
    json_t *args = tl_app_net(api, r);
    if (args && all && json_object_set_new(args, "delete", json_true())) {
        tl_api_json(api, r, 500, NULL);
        json_decref(args);
        return;
    }
    tl_app_do(api, r, "ptn.leave", args);
}

void tl_api_on_ptn_name(tl_api *api, tl_httpd_req *r)
{
    static const tl_app_field fields[] = {
        {"name", .form = TL_APP_TEXT, .needed = true, .most = TL_PTN_NAME_MAX}, {NULL}};
    tl_app_do(api, r, "ptn.rename", tl_app_net_body(api, r, fields));
}

void tl_api_on_ptn_join(tl_api *api, tl_httpd_req *r)
{
    static const tl_app_field fields[] = {
        {"invite", .form = TL_APP_TEXT, .needed = true, .most = TL_INVITE_MAX},
        {"as", .form = TL_APP_TEXT, .most = TL_PTN_NAME_MAX},
        {NULL}};
    json_t *args = tl_app_body(api, r, fields);
    if (args)
        tl_api_do_within(api, r, "ptn.join", args, api->config.join_wait);
    json_decref(args);
}

/* What the invite says; nobody is asked. */
static json_t *preview_json(const tl_api *api, const tl_invite *v)
{
    const tl_membership *m = tl_networks_by_id(tl_node_networks(api->node), &v->network);
    bool member = m && !m->left && m->certificate;
    char as[TL_PTN_NAME_MAX + 1];
    tl_network_name_make(v->name, as);
    return json_pack("{s:o, s:s, s:s, s:s, s:o, s:s?, s:o, s:o, s:b, s:s?, s:s?}", "ptn_id",
                     tl_node_id_json(&v->network), "name", v->name, "as", as, "role",
                     tl_role_name(v->role), "inviter", tl_node_id_json(&v->inviter), "relay",
                     *v->relay ? v->relay : NULL, "expires_at", tl_json_time(v->expires_at),
                     "valid_s", v->valid_seconds ? json_integer(v->valid_seconds) : json_null(),
                     "bound", v->bound, "member_as", member ? m->name : NULL, "member_role",
                     member ? tl_role_name(m->cert.role) : NULL);
}

void tl_api_on_ptn_preview(tl_api *api, tl_httpd_req *r)
{
    static const tl_app_field fields[] = {
        {"invite", .form = TL_APP_TEXT, .needed = true, .most = TL_INVITE_MAX}, {NULL}};
    tl_invite v;
    json_t *args = tl_app_body(api, r, fields);
    if (!args)
        return;
    tl_ptn_verdict verdict = tl_invite_read(tl_slice_str(tl_json_string(args, "invite", "")), &v);
    if (!verdict)
        verdict = tl_invite_at(&v, tl_node_id_of(api->node), tl_loop_unix());
    json_decref(args);
    switch (verdict) {
    case TL_PTN_OK: tl_api_json(api, r, 200, preview_json(api, &v)); break;
    case TL_PTN_SIGNATURE:
        tl_api_error(api, r, 403, "invite_altered", "invite",
                     "its signature is wrong: a character was changed, or it is forged; copy it "
                     "again, or ask for a new one");
        break;
    case TL_PTN_EXPIRED:
        tl_api_error(api, r, 403, "invite_expired", "invite",
                     "this invite has expired: ask for a new one");
        break;
    case TL_PTN_FOREIGN:
        tl_api_error(api, r, 403, "invite_other_node", "invite",
                     "this invite is for another node: ask for one of your own");
        break;
    case TL_PTN_NO_MEMORY: tl_api_json(api, r, 500, NULL); break;
    default:
        tl_api_error(api, r, 400, "invite_malformed", "invite",
                     "this is no invite, or a part of it is missing: it begins with %s and is one "
                     "word",
                     TL_INVITE_PREFIX);
    }
}

/* POST, also where the key is there already: GET is for every user of this machine (gate.c). */
void tl_api_on_ptn_key(tl_api *api, tl_httpd_req *r)
{
    static const tl_app_field fields[] = {{"new", .form = TL_APP_BOOL}, {NULL}};
    tl_app_do(api, r, "ptn.key", tl_app_net_body(api, r, fields));
}

void tl_api_on_ptn_members(tl_api *api, tl_httpd_req *r)
{
    tl_app_do(api, r, "ptn.members", tl_app_net(api, r));
}

void tl_api_on_ptn_invites(tl_api *api, tl_httpd_req *r)
{
    static const tl_app_field fields[] = {
        {"role", .form = TL_APP_TEXT, .most = 16},
        {"expires_s", .form = TL_APP_NUMBER, .least = 1, .most = TL_INVITE_LIFE_MAX},
        {"valid_s", .form = TL_APP_NUMBER, .least = 0, .most = TL_NUMBER_EXACT_MAX},
        {"for", .form = TL_APP_PEER},
        {NULL}};
    tl_role role;
    if (!tl_app_method_is(r, "POST")) {
        tl_app_do(api, r, "ptn.invites", tl_app_net(api, r));
        return;
    }
    json_t *args = tl_app_net_body(api, r, fields);
    const char *wish = tl_json_string(args, "role", "consumer");
    if (args && !tl_role_parse(wish, &role)) {
        tl_api_error(api, r, 400, "invalid_value", "role",
                     "'role' must be consumer, provider or admin");
        json_decref(args);
        return;
    }
    if (args && json_object_set_new(args, "role", json_string(tl_role_name(role)))) {
        tl_api_json(api, r, 500, NULL);
        json_decref(args);
        return;
    }
    tl_app_do(api, r, "ptn.invite", args);
}

void tl_api_on_ptn_invite(tl_api *api, tl_httpd_req *r)
{
    char nonce[2 * TL_INVITE_NONCE + 1];
    uint8_t bytes[TL_INVITE_NONCE];
    if (tl_api_path_star(r, 1, nonce, sizeof nonce) ||
        tl_hex_parse(tl_slice_str(nonce), false, bytes, sizeof bytes)) {
        tl_api_error(api, r, 404, "not_found", NULL,
                     "there is no such invite: its nonce has 32 lower-case hex digits");
        return;
    }
    json_t *args = tl_app_net(api, r);
    if (args && json_object_set_new(args, "nonce", json_string(nonce))) {
        tl_api_json(api, r, 500, NULL);
        json_decref(args);
        return;
    }
    tl_app_do(api, r, "ptn.withdraw", args);
}

static const tl_app_field a_node[] = {{"node_id", .form = TL_APP_PEER, .needed = true}, {NULL}};

void tl_api_on_ptn_revocations(tl_api *api, tl_httpd_req *r)
{
    static const tl_app_field fields[] = {{"node_id", .form = TL_APP_PEER, .needed = true},
                                          {"keep_members", .form = TL_APP_BOOL},
                                          {"dry_run", .form = TL_APP_BOOL},
                                          {NULL}};
    tl_app_do(api, r, "ptn.revoke", tl_app_net_body(api, r, fields));
}

void tl_api_on_ptn_admins(tl_api *api, tl_httpd_req *r)
{
    tl_app_do(api, r, "ptn.promote", tl_app_net_body(api, r, a_node));
}

void tl_api_on_ptn_renewals(tl_api *api, tl_httpd_req *r)
{
    static const tl_app_field fields[] = {
        {"node_id", .form = TL_APP_PEER},
        {"valid_s", .form = TL_APP_NUMBER, .least = 0, .most = TL_NUMBER_EXACT_MAX},
        {NULL}};
    tl_app_do(api, r, "ptn.renew", tl_app_net_body(api, r, fields));
}

void tl_api_on_ptn_price(tl_api *api, tl_httpd_req *r)
{
    static const tl_app_field fields[] = {{"price_micro", .form = TL_APP_NUMBER, .needed = true,
                                           .least = 0, .most = TL_NUMBER_EXACT_MAX},
                                          {NULL}};
    json_t *args =
        tl_app_method_is(r, "PUT") ? tl_app_net_body(api, r, fields) : tl_app_net(api, r);
    tl_app_do(api, r, "ptn.price", args);
}
