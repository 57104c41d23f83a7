/* What an operator may write about Redis, and what is refused with the reason. */
#include "relayd/clusteroptions.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static tl_redis_server server(const char *url)
{
    tl_redis_server s;
    tl_why why = {""};
    if (tl_redis_server_parse(url, &s, &why))
        fail_msg("%s: %s", url, why.text);
    return s;
}

static void urls_of_every_form_are_read(void **state)
{
    (void)state;
    tl_redis_server s = server("redis://10.0.0.5");
    assert_string_equal(s.host, "10.0.0.5");
    assert_true(s.port == 6379 && !s.tls && s.db == 0 && !s.password[0] && !s.user[0]);
    s = server("rediss://:p%40ss%3Aword@redis.example.org:7000/3");
    assert_string_equal(s.host, "redis.example.org");
    assert_string_equal(s.password, "p@ss:word");
    assert_true(s.port == 7000 && s.tls && s.db == 3 && !s.user[0]);
    s = server("redis://teale:a:b@[::1]:1/");
    assert_string_equal(s.user, "teale");
    assert_string_equal(s.password, "a:b");
    assert_string_equal(s.host, "::1");
    assert_int_equal(s.port, 1);
    s = server("redis+unix:///run/redis.sock");
    assert_string_equal(s.host, "/run/redis.sock");
}

static void what_is_no_such_url_is_refused_and_not_repeated(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",
        "10.0.0.5:6379",
        "http://x",
        "redis://",
        "redis:///1",
        "redis://x/1000",
        "redis://x/a",
        "redis://x:99999",
        "redis://secret@x",
        "redis://:%zz@x",
        "redis://:%00@x",
        "redis+unix://run/x",
        "redis://:secret@",
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        tl_redis_server s;
        tl_why why = {""};
        if (tl_redis_server_parse(bad[i], &s, &why) != TL_ERR_INVALID)
            fail_msg("%s was taken", bad[i]);
        assert_null(strstr(why.text, "secret"));
        assert_non_null(strstr(why.text, "as in redis://"));
    }
}

static tl_err set(tl_relayd_cluster_options *o, tl_relayd_cluster_setting what, const char *text)
{
    tl_why why;
    return tl_relayd_cluster_set(o, what, text, &why);
}

static void bounds_of_the_cluster_are_kept(void **state)
{
    (void)state;
    tl_relayd_cluster_options o = tl_relayd_cluster_default();
    assert_int_equal(o.ttl_secs, 10);
    assert_int_equal(set(&o, TL_RELAYD_CLUSTER_TTL, "2"), TL_OK);
    assert_int_equal(set(&o, TL_RELAYD_CLUSTER_TTL, "300"), TL_OK);
    assert_int_equal(set(&o, TL_RELAYD_CLUSTER_TTL, "1"), TL_ERR_INVALID);
    assert_int_equal(set(&o, TL_RELAYD_CLUSTER_TTL, "301"), TL_ERR_INVALID);
    assert_int_equal(set(&o, TL_RELAYD_CLUSTER_TTL, "5s"), TL_ERR_INVALID);
    assert_int_equal(set(&o, TL_RELAYD_CLUSTER_RELAY_ID, "m1.example_org-2"), TL_OK);
    assert_int_equal(set(&o, TL_RELAYD_CLUSTER_RELAY_ID, "m 1"), TL_ERR_INVALID);
    assert_int_equal(set(&o, TL_RELAYD_CLUSTER_RELAY_ID, ""), TL_ERR_INVALID);
    for (int i = 0; i < TL_RELAYD_SENTINELS_MAX; i++)
        assert_int_equal(set(&o, TL_RELAYD_CLUSTER_SENTINEL, "s"), TL_OK);
    assert_int_equal(o.sentinel[0].port, 26379);
    assert_int_equal(set(&o, TL_RELAYD_CLUSTER_SENTINEL, "s"), TL_ERR_INVALID);
}

static void what_is_missing_is_named(void **state)
{
    (void)state;
    tl_why why = {""};
    tl_relayd_cluster_options o = tl_relayd_cluster_default();
    assert_int_equal(tl_relayd_cluster_finish(&o, &why), TL_OK);
    tl_relayd_cluster_options lone = tl_relayd_cluster_default();
    assert_int_equal(set(&lone, TL_RELAYD_CLUSTER_PASSWORD_FILE, "pw"), TL_OK);
    assert_int_equal(tl_relayd_cluster_finish(&lone, &why), TL_ERR_INVALID);
    assert_non_null(strstr(why.text, "redis-password-file is for a Redis server"));
    assert_int_equal(set(&lone, TL_RELAYD_CLUSTER_REDIS, "redis://server"), TL_OK);
    assert_int_equal(tl_relayd_cluster_finish(&lone, &why), TL_OK);
    tl_relayd_cluster_clear(&lone);
    assert_int_equal(set(&o, TL_RELAYD_CLUSTER_SENTINEL, "s"), TL_OK);
    assert_int_equal(tl_relayd_cluster_finish(&o, &why), TL_ERR_INVALID);
    assert_non_null(strstr(why.text, "redis-master is missing"));
    assert_int_equal(set(&o, TL_RELAYD_CLUSTER_MASTER, "main"), TL_OK);
    assert_int_equal(tl_relayd_cluster_finish(&o, &why), TL_ERR_INVALID);
    assert_non_null(strstr(why.text, "redis is missing"));
    assert_int_equal(set(&o, TL_RELAYD_CLUSTER_REDIS, "redis://sentinel"), TL_OK);
    assert_int_equal(tl_relayd_cluster_finish(&o, &why), TL_OK);
    assert_int_equal(set(&o, TL_RELAYD_CLUSTER_CA_FILE, "ca.pem"), TL_OK);
    assert_int_equal(tl_relayd_cluster_finish(&o, &why), TL_ERR_INVALID);
    assert_non_null(strstr(why.text, "rediss://"));
    tl_relayd_cluster_clear(&o);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(urls_of_every_form_are_read),
        cmocka_unit_test(what_is_no_such_url_is_refused_and_not_repeated),
        cmocka_unit_test(bounds_of_the_cluster_are_kept),
        cmocka_unit_test(what_is_missing_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
