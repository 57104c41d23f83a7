/* The model server watched: found, up, down and back; its models, its key, its kind. */
#include "backend/backend.h"

#include "base/log.h"

#include "sharing.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static void a_server_is_up_with_its_models_once_it_answers(void **state)
{
    (void)state;
    share k;
    scripted s;
    model_server m = {.list = LIST_TWO};
    scripted_start(&s, 0, serve_models, &m);
    tl_backend_config config = share_config(s.url);
    share_init(&k, &config);
    assert_int_equal(tl_backend_state_of(k.backend), TL_BACKEND_TRYING);
    assert_int_equal(tl_backend_model_count(k.backend), 0);
    share_await(&k, TL_BACKEND_UP);
    assert_int_equal(k.changes, 1);
    assert_string_equal(tl_backend_url(k.backend), s.url);
    assert_string_equal(tl_backend_error(k.backend), "");
    assert_int_equal(tl_backend_model_count(k.backend), 2);
    assert_string_equal(tl_backend_model(k.backend, 0), "m1");
    assert_string_equal(tl_backend_model(k.backend, 1), "m2");
    assert_string_equal(tl_backend_model(k.backend, 2), "");
    int looks = m.looks;
    while (m.looks < looks + 3)
        share_run_for(&k, TL_MS);
    assert_int_equal(k.changes, 1); /* looking again changes nothing */
    assert_int_equal(s.connections, 1);
    share_clear(&k);
    scripted_stop(&s);
}

static void a_base_url_may_come_with_v1_and_slashes(void **state)
{
    (void)state;
    static const char *const endings[] = {"", "/", "/v1", "/v1/", "/v1//"};
    scripted s;
    model_server m = {.list = LIST_ONE};
    scripted_start(&s, 0, serve_models, &m);
    for (size_t i = 0; i < 2 * sizeof endings / sizeof endings[0]; i++) {
        char url[128];
        share k;
        /* and without http:// */
        snprintf(url, sizeof url, "%s%s", i % 2 ? s.url + 7 : s.url, endings[i / 2]);
        tl_backend_config config = share_config(url);
        share_init(&k, &config);
        share_await(&k, TL_BACKEND_UP);
        assert_string_equal(tl_backend_url(k.backend), s.url);
        share_clear(&k);
    }
    scripted_stop(&s);
}

static void urls_that_cannot_be_are_refused(void **state)
{
    (void)state;
    static const struct {
        const char *url;
        tl_err want;
    } cases[] = {
        {"http://127.0.0.1:11434", TL_OK},
        {"https://models.example.org/openai/v1", TL_OK},
        {"http://[::1]:8080", TL_OK},
        {"ftp://127.0.0.1:11434", TL_ERR_INVALID},
        {"http://user:key@127.0.0.1:11434", TL_ERR_INVALID},
        {"http://127.0.0.1:11434/?key=1", TL_ERR_INVALID},
        {"http://127.0.0.1:114340", TL_ERR_INVALID},
        {"http://127.0.0.1 :1", TL_ERR_INVALID},
        {"http://", TL_ERR_INVALID},
        {"/", TL_ERR_INVALID},
    };
    tl_loop *loop;
    assert_int_equal(tl_loop_new(&loop), TL_OK);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        tl_backend_config config = share_config(cases[i].url);
        tl_backend *b = NULL;
        tl_why why = {0};
        tl_err e = tl_backend_new(loop, &config, NULL, NULL, &b, &why);
        if (e != cases[i].want || (e != TL_OK) != (why.text[0] != 0))
            fail_msg("%s: %s %s", cases[i].url, tl_err_name(e), why.text);
        if (e == TL_OK)
            tl_backend_free(b);
    }
    tl_loop_free(loop);
}

static void models_that_change_are_noticed(void **state)
{
    (void)state;
    share k;
    scripted s;
    model_server m = {.list = LIST_ONE};
    scripted_start(&s, 0, serve_models, &m);
    tl_backend_config config = share_config(s.url);
    share_init(&k, &config);
    share_await(&k, TL_BACKEND_UP);
    m.list = LIST_TWO;
    for (int i = 0; i < 2000 && tl_backend_model_count(k.backend) < 2; i++)
        share_run_for(&k, TL_MS);
    assert_int_equal(tl_backend_model_count(k.backend), 2);
    assert_int_equal(k.changes, 2);
    share_clear(&k);
    scripted_stop(&s);
}

static void a_server_that_dies_is_down_and_up_again_when_it_is_back(void **state)
{
    (void)state;
    share k;
    scripted s;
    model_server m = {.list = LIST_ONE};
    scripted_start(&s, 0, serve_models, &m);
    tl_backend_config config = share_config(s.url);
    share_init(&k, &config);
    share_await(&k, TL_BACKEND_UP);
    uint16_t port = s.port;
    scripted_stop(&s);
    share_await(&k, TL_BACKEND_DOWN);
    assert_int_equal(k.changes, 2);
    assert_int_equal(tl_backend_model_count(k.backend), 0);
    assert_non_null(strstr(tl_backend_error(k.backend), "127.0.0.1"));
    scripted_start(&s, port, serve_models, &m);
    tl_time begun = tl_loop_clock(k.loop);
    share_await(&k, TL_BACKEND_UP);
    assert_true(tl_loop_clock(k.loop) - begun < 1500 * TL_MS); /* the first wait is a second */
    assert_string_equal(tl_backend_error(k.backend), "");
    share_clear(&k);
    scripted_stop(&s);
}

/* --- the key --- */

static char dir[] = "/tmp/teale-test-XXXXXX", key_path[64];

static void write_key(const char *text, size_t n, mode_t mode)
{
    FILE *f = fopen(key_path, "w");
    assert_non_null(f);
    assert_int_equal(fwrite(text, 1, n, f), n);
    fclose(f);
    assert_int_equal(chmod(key_path, mode), 0);
}

static void the_key_file_is_the_bearer_without_its_newline(void **state)
{
    (void)state;
    share k;
    scripted s;
    model_server m = {.list = LIST_ONE, .key = "sk-123", .answer = OK_HELLO};
    write_key("sk-123\r\n", 8, 0600);
    scripted_start(&s, 0, serve_models, &m);
    tl_backend_config config = share_config(s.url);
    snprintf(config.key_file, sizeof config.key_file, "%s", key_path);
    share_init(&k, &config);
    share_await(&k, TL_BACKEND_UP);
    told t = {0};
    share_ask(&k, &t, "{}");
    share_run(&k);
    assert_int_equal(t.ends, 1);
    assert_int_equal(m.refused_keys, 0);
    tl_buf_clear(&t.body);

    m.key = "sk-456"; /* the server's owner changes it, then we do */
    told refused = {0};
    share_ask(&k, &refused, "{}");
    share_run(&k);
    assert_int_equal(refused.fail, TL_FAIL_BACKEND_AUTH);
    share_await(&k, TL_BACKEND_REFUSED);
    assert_int_equal(tl_backend_trouble_of(k.backend), TL_BACKEND_KEY_REFUSED);
    assert_non_null(strstr(tl_backend_error(k.backend), "refuses the key"));
    assert_null(strstr(tl_backend_error(k.backend), "sk-123"));
    write_key("sk-456", 6, 0600);
    share_await(&k, TL_BACKEND_UP);
    share_clear(&k);
    scripted_stop(&s);
}

static int warnings;
static bool key_logged;

static void watch_log(void *user, tl_log_level level, const char *line)
{
    (void)user;
    warnings += level == TL_LOG_WARN;
    key_logged |= strstr(line, "sk-") != NULL;
}

static void key_files_are_judged_before_they_are_used(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        size_t n;
        mode_t mode;
        tl_err want;
        int warns;
    } cases[] = {
        {"sk-1\n", 5, 0600, TL_OK, 0},           {"sk-1\n", 5, 0640, TL_OK, 0},
        {"sk-1\n", 5, 0644, TL_OK, 1},           {"", 0, 0600, TL_ERR_INVALID, 0},
        {"\n\n", 2, 0600, TL_ERR_INVALID, 0},    {"sk-1\nsk-2\n", 10, 0600, TL_ERR_INVALID, 0},
        {"sk-1\0x", 6, 0600, TL_ERR_INVALID, 0}, {"sk-\xc3\xa4", 5, 0600, TL_ERR_INVALID, 0},
    };
    tl_loop *loop;
    assert_int_equal(tl_loop_new(&loop), TL_OK);
    tl_log_set_level(TL_LOG_DEBUG);
    tl_log_set_sink(watch_log, NULL);
    for (size_t i = 0; i <= sizeof cases / sizeof cases[0]; i++) {
        bool missing = i == sizeof cases / sizeof cases[0];
        if (missing)
            unlink(key_path);
        else
            write_key(cases[i].text, cases[i].n, cases[i].mode);
        warnings = 0;
        tl_backend_config config = share_config("http://127.0.0.1:1");
        snprintf(config.key_file, sizeof config.key_file, "%s", key_path);
        tl_backend *b = NULL;
        tl_why why = {0};
        tl_err e = tl_backend_new(loop, &config, NULL, NULL, &b, &why);
        if (e != (missing ? TL_ERR_IO : cases[i].want))
            fail_msg("case %zu: %s %s", i, tl_err_name(e), why.text);
        if (!missing)
            assert_int_equal(warnings, cases[i].warns);
        if (e == TL_OK)
            tl_backend_free(b);
        else
            assert_non_null(strstr(why.text, key_path));
        assert_null(strstr(why.text, "sk-"));
    }
    tl_log_set_sink(NULL, NULL);
    assert_false(key_logged);
    tl_loop_free(loop);
}

static void a_key_file_that_is_a_fifo_is_refused_and_not_waited_for(void **state)
{
    (void)state;
    tl_loop *loop;
    tl_backend *b = NULL;
    tl_why why = {0};
    assert_int_equal(tl_loop_new(&loop), TL_OK);
    unlink(key_path);
    assert_int_equal(mkfifo(key_path, 0600), 0);
    tl_backend_config config = share_config("http://127.0.0.1:1");
    snprintf(config.key_file, sizeof config.key_file, "%s", key_path);
    assert_int_equal(tl_backend_new(loop, &config, NULL, NULL, &b, &why), TL_ERR_IO);
    assert_non_null(strstr(why.text, "not a regular file"));
    unlink(key_path);
    tl_loop_free(loop);
}

/* --- kinds, and looking for one --- */

static void the_kind_is_found_by_what_only_it_answers(void **state)
{
    (void)state;
    static const struct {
        const char *path, *json, *kind;
    } cases[] = {
        {"/api/version", "{\"version\":\"0.5.7\"}", "Ollama"},
        {"/props", "{\"default_generation_settings\":{},\"total_slots\":1}", "llama-server"},
        {"/version", "{\"version\":\"0.6.6\"}", "vLLM"},
        {"/api/v0/models", "{\"object\":\"list\",\"data\":[]}", "LM Studio"},
        {"/version", "0.6.6", "OpenAI-compatible"},
        {NULL, NULL, "OpenAI-compatible"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        share k;
        scripted s;
        model_server m = {.list = LIST_ONE, .extra_path = cases[i].path, .extra = cases[i].json};
        scripted_start(&s, 0, serve_models, &m);
        tl_backend_config config = share_config(s.url);
        share_init(&k, &config);
        share_await(&k, TL_BACKEND_UP);
        assert_string_equal(tl_backend_kind(k.backend), cases[i].kind);
        share_clear(&k);
        scripted_stop(&s);
    }
}

static void without_a_url_the_first_port_with_a_model_list_is_taken(void **state)
{
    (void)state;
    share k;
    scripted closed, relay, first, second;
    model_server no_models = {0}, m1 = {.list = LIST_ONE}, m2 = {.list = LIST_TWO};
    scripted_start(&closed, 0, serve_models, &m1);
    scripted_stop(&closed);
    scripted_start(&relay, 0, serve_models, &no_models); /* listens, and is something else */
    scripted_start(&first, 0, serve_models, &m1);
    scripted_start(&second, 0, serve_models, &m2);
    tl_backend_config config = share_config("");
    uint16_t ports[] = {closed.port, relay.port, first.port, second.port};
    memcpy(config.search_ports, ports, sizeof ports);
    share_init(&k, &config);
    assert_int_equal(tl_backend_state_of(k.backend), TL_BACKEND_NONE);
    assert_string_equal(tl_backend_url(k.backend), "");
    share_await(&k, TL_BACKEND_UP);
    assert_string_equal(tl_backend_url(k.backend), first.url);
    assert_int_equal(second.connections, 0);

    scripted_stop(&first); /* another takes its place */
    share_await(&k, TL_BACKEND_DOWN);
    share_await(&k, TL_BACKEND_UP);
    assert_string_equal(tl_backend_url(k.backend), second.url);
    share_clear(&k);
    scripted_stop(&relay);
    scripted_stop(&second);
}

static void with_nothing_found_questions_fail_and_the_search_goes_on(void **state)
{
    (void)state;
    share k;
    scripted s;
    model_server m = {.list = LIST_ONE};
    scripted_start(&s, 0, serve_models, &m);
    scripted_stop(&s);
    tl_backend_config config = share_config("");
    config.search_ports[0] = s.port;
    share_init(&k, &config);
    told t = {0};
    share_ask(&k, &t, "{}");
    share_run(&k);
    assert_int_equal(t.fail, TL_FAIL_BACKEND_UNREACHABLE);
    share_run_for(&k, 20 * TL_MS);
    assert_int_equal(tl_backend_state_of(k.backend), TL_BACKEND_NONE);
    assert_non_null(strstr(tl_backend_error(k.backend), "no model server found"));
    assert_int_equal(tl_backend_trouble_of(k.backend), TL_BACKEND_NONE_FOUND);
    scripted_start(&s, s.port, serve_models, &m);
    share_await(&k, TL_BACKEND_UP);
    share_clear(&k);
    scripted_stop(&s);
}

/* --- with a process --- */

static void a_parrot_is_shared(void **state)
{
    (void)state;
    int out[2];
    char line[128] = "", url[128];
    assert_int_equal(pipe(out), 0);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        dup2(out[1], 1);
        close(out[0]);
        close(out[1]);
        execl(TL_PARROT, "parrot", "--kind", "llama-server", "--model", "p1", "--model",
              "echo-body", (char *)NULL);
        _exit(127);
    }
    close(out[1]);
    FILE *f = fdopen(out[0], "r");
    assert_non_null(fgets(line, sizeof line, f));
    assert_int_equal(sscanf(line, "ready %127s", url), 1);

    share k;
    tl_backend_config config = share_config(url);
    share_init(&k, &config);
    share_await(&k, TL_BACKEND_UP);
    assert_string_equal(tl_backend_kind(k.backend), "llama-server");
    told t = {0}, echo = {0};
    share_ask(&k, &t,
              "{\"model\":\"p1\",\"stream\":true,\"stream_options\":{\"include_usage\":true},"
              "\"messages\":[{\"role\":\"user\",\"content\":\"one two\"}]}");
    share_ask(&k, &echo, "{\"model\":\"echo-body\"}");
    share_run(&k);
    assert_string_equal(t.head.content_type, "text/event-stream");
    assert_non_null(strstr(told_text(&t), "\"content\":\" two\""));
    assert_non_null(strstr(told_text(&t), "data: [DONE]\n\n"));
    assert_int_equal(t.end.tokens_out, 2);
    assert_non_null(strstr(told_text(&echo), /* of {"model":"echo-body"} */
                           "d61507e9a3ac0d33f566e28e51b5c1da381f301841a5dd19be253d625a7e3553"));
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    fclose(f);
    share_await(&k, TL_BACKEND_DOWN);
    tl_buf_clear(&t.body);
    tl_buf_clear(&echo.body);
    share_clear(&k);
}

static int make_dir(void **state)
{
    (void)state;
    if (!mkdtemp(dir))
        return -1;
    snprintf(key_path, sizeof key_path, "%s/key", dir);
    return 0;
}

static int remove_dir(void **state)
{
    (void)state;
    unlink(key_path);
    return rmdir(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_server_is_up_with_its_models_once_it_answers),
        cmocka_unit_test(a_base_url_may_come_with_v1_and_slashes),
        cmocka_unit_test(urls_that_cannot_be_are_refused),
        cmocka_unit_test(models_that_change_are_noticed),
        cmocka_unit_test(a_server_that_dies_is_down_and_up_again_when_it_is_back),
        cmocka_unit_test(the_key_file_is_the_bearer_without_its_newline),
        cmocka_unit_test(key_files_are_judged_before_they_are_used),
        cmocka_unit_test(a_key_file_that_is_a_fifo_is_refused_and_not_waited_for),
        cmocka_unit_test(the_kind_is_found_by_what_only_it_answers),
        cmocka_unit_test(without_a_url_the_first_port_with_a_model_list_is_taken),
        cmocka_unit_test(with_nothing_found_questions_fail_and_the_search_goes_on),
        cmocka_unit_test(a_parrot_is_shared),
    };
    return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
