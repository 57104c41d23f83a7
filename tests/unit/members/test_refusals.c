/* Which refusal comes first: what each kind of node hears when it is told to do something that an admin,
 * a member or nobody may. */
#include "members_scene.h"

#include "base/log.h"

enum {
    CA,
    ADMIN,
    PROVIDER,
    CONSUMER,
    REVOKED,
    EXPIRED,
    LEFT,
    JOINING,
    ACTORS,
    OTHER = ACTORS,
    NODES
};

static const char *const actors[ACTORS] = {"the CA key's holder",
                                           "an admin",
                                           "a provider",
                                           "a consumer",
                                           "revoked",
                                           "expired",
                                           "left",
                                           "joining"};

static void begin_scene(void)
{
    scene_begin(NODES);
    found_lab();
    for (int i = ADMIN; i < NODES; i++) {
        char *invite = invite_by(nodes[CA],
                                 i == ADMIN      ? TL_ROLE_ADMIN
                                 : i == PROVIDER ? TL_ROLE_PROVIDER
                                                 : TL_ROLE_CONSUMER,
                                 i == EXPIRED ? 90 : 0);
        nodes[CA]->down = i == JOINING;
        ask op;
        if (i == JOINING) {
            tl_members_join(nodes[i]->members, begin(&op), invite, "");
            settle();
            tl_members_unwait(nodes[i]->members, &op.op);
        } else {
            assert_int_equal(join(nodes[i], invite), TL_REFUSAL_NONE);
            connect_nodes(nodes[CA], nodes[i]);
            connect_nodes(nodes[ADMIN], nodes[i == ADMIN ? CA : i]);
        }
        nodes[CA]->down = false;
        free(invite);
    }
    cut_all(nodes[EXPIRED]);
    nodes[EXPIRED]->down = nodes[JOINING]->down = true;
    run_for(100 * TL_SEC);
    ask op;
    (void)revoke(nodes[CA], nodes[REVOKED], TL_REFUSAL_NONE);
    tl_members_leave(nodes[LEFT]->members, begin(&op), lab(nodes[LEFT]), false);
    settle();
    static const tl_membership_state states[ACTORS] = {
        [REVOKED] = TL_MEMBERSHIP_REVOKED, [EXPIRED] = TL_MEMBERSHIP_EXPIRED,
        [LEFT] = TL_MEMBERSHIP_LEFT,       [JOINING] = TL_MEMBERSHIP_JOINING,
        [CA] = TL_MEMBERSHIP_VALID,        [ADMIN] = TL_MEMBERSHIP_VALID,
        [PROVIDER] = TL_MEMBERSHIP_VALID,  [CONSUMER] = TL_MEMBERSHIP_VALID};
    for (int i = 0; i < ACTORS; i++)
        assert_int_equal(state_of(nodes[i]), states[i]);
}

/* --- what is done --- */

static tl_buf text;

static void invite(node *a, tl_members_op *op, tl_role role)
{
    static tl_invite i;
    i = (tl_invite){.role = role, .expires_at = wall() + 60};
    tl_members_invite(a->members, op, lab(a), &i, &text);
}

static void invite_consumer(node *a, tl_members_op *op)
{
    invite(a, op, TL_ROLE_CONSUMER);
}

static void invite_admin(node *a, tl_members_op *op)
{
    invite(a, op, TL_ROLE_ADMIN);
}

static void withdraw_unknown(node *a, tl_members_op *op)
{
    static const uint8_t nonce[TL_INVITE_NONCE] = {1};
    tl_members_withdraw(a->members, op, lab(a), nonce);
}

static void revoke_other(node *a, tl_members_op *op)
{
    tl_members_revoke(a->members, op, lab(a), &nodes[OTHER]->identity.id, false);
}

static void revoke_itself(node *a, tl_members_op *op)
{
    tl_members_revoke(a->members, op, lab(a), &a->identity.id, false);
}

static const tl_node_id unknown = {{9}};

static void promote_other(node *a, tl_members_op *op)
{
    tl_members_promote(a->members, op, lab(a), &nodes[OTHER]->identity.id);
}

static void promote_unknown(node *a, tl_members_op *op)
{
    tl_members_promote(a->members, op, lab(a), &unknown);
}

static void renew_other(node *a, tl_members_op *op)
{
    tl_members_renew(a->members, op, lab(a), &nodes[OTHER]->identity.id, -1);
}

static void renew_unknown(node *a, tl_members_op *op)
{
    tl_members_renew(a->members, op, lab(a), &unknown, -1);
}

static void renew_itself(node *a, tl_members_op *op)
{
    tl_members_renew(a->members, op, lab(a), &a->identity.id, -1);
}

static void renew_itself_for_a_time(node *a, tl_members_op *op)
{
    tl_members_renew(a->members, op, lab(a), &a->identity.id, 1000);
}

static void set_price(node *a, tl_members_op *op)
{
    tl_members_price(a->members, op, lab(a), 7);
}

static void set_wrong_price(node *a, tl_members_op *op)
{
    tl_members_price(a->members, op, lab(a), -1);
}

static void leave(node *a, tl_members_op *op)
{
    tl_members_leave(a->members, op, lab(a), false);
}

static void rename_it(node *a, tl_members_op *op)
{
    tl_members_rename(a->members, op, lab(a), "den");
}

static void create_of_that_name(node *a, tl_members_op *op)
{
    tl_members_create(a->members, op, "lab", false);
}

#define OK_ TL_REFUSAL_NONE
#define NA_ TL_REFUSAL_NOT_ADMIN
#define CA_ TL_REFUSAL_NOT_CA
#define RE_ TL_REFUSAL_REVOKED
#define DE_ TL_REFUSAL_DENIED
#define NF_ TL_REFUSAL_NOT_FOUND
#define IN_ TL_REFUSAL_INVALID
#define BU_ TL_REFUSAL_BUSY
#define EX_ TL_REFUSAL_EXISTS

/* clang-format off */
static const struct {
    const char *name;
    void (*act)(node *a, tl_members_op *op);
    tl_refusal want[ACTORS];
} rows[] = {
    /*                                              CA   admin prov. cons. rev. exp. left joining */
    {"invite a consumer", invite_consumer,         {OK_, OK_, NA_, NA_, RE_, DE_, NF_, NA_}},
    {"invite an admin", invite_admin,              {OK_, CA_, CA_, CA_, CA_, CA_, NF_, CA_}},
    {"withdraw no invite", withdraw_unknown,       {NF_, NF_, NA_, NA_, RE_, DE_, NF_, NA_}},
    {"revoke", revoke_other,                       {OK_, OK_, NA_, NA_, RE_, DE_, NF_, NA_}},
    {"revoke itself", revoke_itself,               {IN_, IN_, NA_, NA_, RE_, DE_, NF_, NA_}},
    {"promote", promote_other,                     {OK_, CA_, CA_, CA_, CA_, CA_, NF_, CA_}},
    {"promote nobody", promote_unknown,            {NF_, CA_, CA_, CA_, CA_, CA_, NF_, CA_}},
    {"renew", renew_other,                         {OK_, OK_, NA_, NA_, RE_, DE_, NF_, NA_}},
    {"renew nobody", renew_unknown,                {NF_, NF_, NA_, NA_, RE_, DE_, NF_, NA_}},
    {"renew itself", renew_itself,                 {OK_, OK_, OK_, OK_, RE_, DE_, NF_, DE_}},
    {"renew itself for", renew_itself_for_a_time,  {OK_, CA_, NA_, NA_, RE_, DE_, NF_, DE_}},
    {"price", set_price,                           {OK_, OK_, NA_, NA_, RE_, DE_, NF_, NA_}},
    {"wrong price", set_wrong_price,               {IN_, IN_, NA_, NA_, RE_, DE_, NF_, NA_}},
    {"leave", leave,                               {IN_, OK_, OK_, OK_, OK_, OK_, NF_, OK_}},
    {"rename", rename_it,                          {OK_, OK_, OK_, OK_, OK_, OK_, NF_, BU_}},
    {"create", create_of_that_name,                {EX_, EX_, EX_, EX_, EX_, EX_, OK_, EX_}},
};
/* clang-format on */

static void each_verb_refuses_each_kind_of_node_for_the_first_reason_that_holds(void **state)
{
    (void)state;
    for (size_t r = 0; r < sizeof rows / sizeof *rows; r++)
        for (int i = 0; i < ACTORS; i++) {
            ask op;
            begin_scene();
            rows[r].act(nodes[i], begin(&op));
            settle();
            run_for(5 * TL_SEC);
            if (!op.done || op.op.refusal != rows[r].want[i])
                fail_msg("%s, %s: %s, not %s", rows[r].name, actors[i],
                         op.done ? tl_refusal_code(op.op.refusal) : "no answer",
                         tl_refusal_code(rows[r].want[i]));
            tl_buf_clear(&text);
            scene_end();
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_verb_refuses_each_kind_of_node_for_the_first_reason_that_holds),
    };
    tl_log_set_level(TL_LOG_ERROR);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
