/* Who served this node: what its world hears of receipts that it signs. */
#include "pair.h"

static void what_this_node_has_signed_as_the_consumer_is_told_once(void **state)
{
    pair *p = *state;
    tl_receipt r;
    assert_true(trade(p, "q", 10, 20));
    assert_int_equal(p->a.served_n, 1);
    assert_int_equal(p->a.served, 30);
    assert_int_equal(p->b.served_n, 0); /* it did the work */
    json_t *h = report(&p->b, TL_REPORT_HISTORY);
    const json_t *e = json_array_get(json_object_get(h, "entries"), 0);
    assert_int_equal(tl_receipt_read(json_object_get(e, "receipt"), &r), TL_OK);
    json_decref(h);
    for (int i = 0; i < 5; i++)
        say_receipt(&p->b, &r); /* the same claim again */
    assert_int_equal(p->a.served_n, 1);
    restart(&p->a);
    connect_pair(p);
    say_receipt(&p->b, &r);
    assert_int_equal(p->a.served_n, 1);
    r = (tl_receipt){.consumer = p->a.self.id,
                     .provider = p->b.self.id,
                     .model = "m",
                     .tokens_in = 5,
                     .tokens_out = 5,
                     .amount = 10,
                     .at = p->wall};
    snprintf(r.request, sizeof r.request, "never-asked");
    assert_int_equal(tl_receipt_sign(&r, &p->b.self), TL_OK);
    say_receipt(&p->b, &r); /* it never asked that */
    assert_int_equal(p->a.served_n, 1);
    assert_true(trade(p, "q2", 1, 2)); /* its twin */
    assert_int_equal(p->a.served_n, 2);
    assert_int_equal(p->a.served, 33);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_PAIR(what_this_node_has_signed_as_the_consumer_is_told_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
