#include "relayd/options.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

static tl_relayd_options options;
static tl_why why;
static char path[] = "/tmp/teale-test-XXXXXX";

/* The words are split at blanks; "@" stands for the file of this test. */
static tl_err parse(const char *line)
{
    static char words[1000];
    char *argv[64] = {(char *)(uintptr_t) "teale-relay"};
    int argc = 1;
    snprintf(words, sizeof words, "%s", line);
    for (char *save, *w = strtok_r(words, " ", &save); w; w = strtok_r(NULL, " ", &save))
        argv[argc++] = strcmp(w, "@") == 0 ? path : w;
    why.text[0] = 0;
    tl_relayd_options_clear(&options);
    return tl_relayd_options_parse(argc, argv, &options, &why);
}

static void file(const char *text)
{
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
}

static int setup(void **state)
{
    (void)state;
    memset(&options, 0, sizeof options);
    strcpy(path + strlen(path) - 6, "XXXXXX");
    int fd = mkstemp(path);
    return fd < 0 ? -1 : close(fd);
}

static int teardown(void **state)
{
    (void)state;
    tl_relayd_options_clear(&options);
    return unlink(path);
}

static void without_options_it_listens_on_loopback_8080(void **state)
{
    (void)state;
    assert_int_equal(parse(""), TL_OK);
    assert_int_equal(options.listen_count, 1);
    assert_string_equal(options.listen[0].host, "127.0.0.1");
    assert_int_equal(options.listen[0].port, 8080);
    assert_false(options.listen[0].tls);
    assert_int_equal(options.relay.message_max, 4 << 20);
    assert_false(options.relay.legacy_clients);
}

static void a_bare_address_is_tls_exactly_when_there_is_a_certificate(void **state)
{
    (void)state;
    assert_int_equal(
        parse("--listen [::1]:1 --listen ws://h:2 --listen wss://h:3 --tls-cert c --tls-key k"),
        TL_OK);
    assert_string_equal(options.listen[0].host, "::1");
    assert_true(options.listen[0].tls);
    assert_false(options.listen[1].tls);
    assert_true(options.listen[2].tls);
    assert_int_equal(parse("--listen [::1]:1 --listen ws://h:2"), TL_OK);
    assert_false(options.listen[0].tls);
    assert_int_equal(parse("--listen wss://h:3"), TL_ERR_INVALID);
}

static void help_and_version_win_over_mistakes_behind_them(void **state)
{
    (void)state;
    assert_int_equal(parse("--help --nonsense"), TL_OK);
    assert_int_equal(options.action, TL_RELAYD_HELP);
    assert_int_equal(parse("--version"), TL_OK);
    assert_int_equal(options.action, TL_RELAYD_VERSION);
}

static void each_mistake_is_refused_and_its_twin_is_not(void **state)
{
    (void)state;
    static const struct {
        const char *wrong, *words, *right;
    } cases[] = {
        {"--max-message 65535", "65536", "--max-message 65536"},
        {"--max-message 67108865", "67108864", "--max-message 67108864"},
        {"--max-message -1", "bytes", "--max-message 70000"},
        {"--max-message 99999999999999999999999", "bytes", "--max-message 70000"},
        {"--max-message 128K1", "bytes", "--max-message 128K"},
        {"--max-message 65M", "67108864", "--max-message 64M"},
        {"--trusted-proxy proxy", "is not an address or a network", "--trusted-proxy 10.0.0.5"},
        {"--trusted-proxy 10.0.0.1/8", "or 10.0.0.0/8", "--trusted-proxy 10.0.0.0/8"},
        {"--trusted-proxy ::/0", "everybody", "--trusted-proxy ::1 --trusted-proxy fd00::/8"},
        {"--proxy-protocol", "give trusted-proxy", "--proxy-protocol --trusted-proxy ::1"},
        {"--max-memory 63M", "67108864", "--max-memory 64M"},
        {"--max-memory 2000G", "bytes", "--max-memory 1000G"},
        {"--max-memory M", "bytes", "--max-memory 67108864"},
        {"--max-memory 1T", "bytes", "--max-memory 1G"},
        {"--max-memory 18446744073709551615K", "bytes", "--max-memory 1G"},
        {"--listen 1.2.3.4:65536", "HOST:PORT", "--listen 1.2.3.4:65535"},
        {"--listen ::1:80", "HOST:PORT", "--listen [::1]:80"},
        {"--listen", "needs a value", "--listen 1.2.3.4:0"},
        {"--legacy-clients=yes", "--legacy-clients", "--legacy-clients"},
        {"--tls-cert c", "tls-key is missing", "--tls-cert c --tls-key k"},
        {"--tls-key k", "tls-cert is missing", "--tls-cert c --tls-key k"},
        {"--log-level all", "debug", "--log-level debug"},
        {"--udp relay.example", "IP address", "--udp 192.0.2.1"},
        {"--udp ::1", "IP address", "--udp [::1]"},
        {"--udp 192.0.2.1:65536", "ADDRESS", "--udp 192.0.2.1:65535"},
        {"--udp 224.0.0.1", "not the address of one machine", "--udp 223.0.0.1"},
        {"--udp 255.255.255.255", "not the address of one machine", "--udp 10.0.0.255"},
        {"--udp [ff02::1]", "not the address of one machine", "--udp [fd02::1]"},
        {"--udp 0.0.0.0", "udp-announce", "--udp 0.0.0.0 --udp-announce h"},
        {"--udp [::]", "udp-announce", "--udp [::] --name h"},
        {"--udp 0.0.0.0 --udp 192.0.2.1 --name h", "wildcard",
         "--udp 0.0.0.0 --udp [2001:db8::1] --name h"},
        {"--udp 192.0.2.1 --udp 0.0.0.0 --name h", "wildcard", "--udp 192.0.2.1 --name h"},
        {"--udp 192.0.2.1:1 --udp 192.0.2.1:2", "another IP",
         "--udp 192.0.2.1:1 --udp 192.0.2.2:2"},
        {"--udp 192.0.2.1:1 --udp [::ffff:192.0.2.1]:2", "another IP",
         "--udp 192.0.2.1:1 --udp [::ffff:192.0.2.2]:2"},
        {"--udp 192.0.2.1:65535 --udp 192.0.2.2:65535", "the port after 65535",
         "--udp 192.0.2.1:65534 --udp 192.0.2.2:65534"},
        {"--udp 192.0.2.1 --udp 192.0.2.2 --udp 192.0.2.3", "more than two IPv4",
         "--udp 192.0.2.1 --udp 192.0.2.2 --udp [2001:db8::1] --udp [2001:db8::2]"},
        {"--udp-announce h", "no udp to announce", "--udp 192.0.2.1 --udp-announce h"},
        {"--udp 192.0.2.1 --udp-announce h:0", "HOST[:PORT]", "--udp 192.0.2.1 --udp-announce h:1"},
        {"--udp 192.0.2.1 --udp-announce 0.0.0.0", "HOST[:PORT]",
         "--udp 192.0.2.1 --udp-announce 1.0.0.1"},
        {"--udp 192.0.2.1 --udp-announce http://h", "HOST[:PORT]",
         "--udp 192.0.2.1 --udp-announce [2001:db8::1]:1"},
        {"relay", "unexpected", ""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_int_equal(parse(cases[i].wrong), TL_ERR_INVALID);
        if (!strstr(why.text, cases[i].words))
            fail_msg("%s: said: %s", cases[i].wrong, why.text);
        if (parse(cases[i].right))
            fail_msg("%s: said: %s", cases[i].right, why.text);
    }
}

static void udp_addresses_are_read_with_the_port_of_stun_when_it_is_left_out(void **state)
{
    (void)state;
    char text[TL_ADDR_TEXT_MAX];
    assert_int_equal(parse("--udp 192.0.2.1 --udp [2001:db8::1]:9 --udp-announce h:7"), TL_OK);
    assert_int_equal(options.udp_count, 2);
    tl_addr_write(text, &options.udp[0]);
    assert_string_equal(text, "192.0.2.1:3478");
    tl_addr_write(text, &options.udp[1]);
    assert_string_equal(text, "[2001:db8::1]:9");
    assert_string_equal(options.udp_announce, "h:7");
    assert_int_equal(parse(""), TL_OK);
    assert_int_equal(options.udp_count, 0);
}

static void lists_are_bounded(void **state)
{
    (void)state;
    char line[1000] = "";
    for (int i = 0; i < TL_RELAYD_LISTEN_MAX; i++)
        strcat(line, "--listen h:1 ");
    assert_int_equal(parse(line), TL_OK);
    strcat(line, "--listen h:1 ");
    assert_int_equal(parse(line), TL_ERR_INVALID);
    line[0] = 0;
    for (int i = 0; i < TL_RELAY_NAMES_MAX; i++)
        sprintf(line + strlen(line), "--name h%d ", i);
    assert_int_equal(parse(line), TL_OK);
    strcat(line, "--name one-more ");
    assert_int_equal(parse(line), TL_ERR_INVALID);
}

static void the_file_sets_what_the_command_line_left_open(void **state)
{
    (void)state;
    file("# comment\n\nlisten = [\"1.1.1.1:1\", \"ws://[::1]:2\"] # both\n  max_message=70000\r\n"
         "max_memory = \"96M\"\n"
         "log_level = \"debug\"\nlegacy_clients = false\nname = \"a\"");
    assert_int_equal(parse("--config @"), TL_OK);
    assert_int_equal(options.listen_count, 2);
    assert_string_equal(options.listen[1].host, "::1");
    assert_int_equal(options.relay.message_max, 70000);
    assert_int_equal(options.relay.memory_max, 96 << 20);
    assert_int_equal(options.log_level, TL_LOG_DEBUG);
    assert_int_equal(options.relay.name_count, 1);
    assert_int_equal(parse("--listen 2.2.2.2:2 --config @ --name b --name c --log-level warn"),
                     TL_OK);
    assert_int_equal(options.listen_count, 1);
    assert_string_equal(options.listen[0].host, "2.2.2.2");
    assert_int_equal(options.relay.name_count, 2);
    assert_int_equal(options.log_level, TL_LOG_WARN);
}

static void a_mistake_in_the_file_is_told_with_its_line(void **state)
{
    (void)state;
    static const char *const wrong[] = {
        "listen = 1.1.1.1:1",
        "listen = {\"a\":1}",
        "listen = \"1.1.1.1:1\" x",
        "listen",
        "= 1",
        "[relay]",
        "nonsense = 1",
        "legacy_clients = \"true\"",
        "max_message = 7e4",
        "max_message = true",
        "max_memory = \"63M\"",
        "name = 5",
        "listen = [5]",
        "listen = \"a:1",
        "config = \"other\"",
        "udp = \"localhost:1\"",
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        char text[200], expected[80];
        snprintf(text, sizeof text, "name = \"fine\"\n\n%s\n", wrong[i]);
        snprintf(expected, sizeof expected, "%s:3: ", path);
        file(text);
        assert_int_equal(parse("--config @"), TL_ERR_INVALID);
        if (strncmp(why.text, expected, strlen(expected)) != 0)
            fail_msg("%s: said: %s", wrong[i], why.text);
    }
}

static void a_token_is_one_line_of_visible_characters(void **state)
{
    (void)state;
    char token[TL_RELAYD_TOKEN_MAX];
    file("s3cret\r\nsecond line\n");
    assert_int_equal(tl_relayd_token_read(path, token, &why), TL_OK);
    assert_string_equal(token, "s3cret");
    char longest[TL_RELAYD_TOKEN_MAX + 1];
    memset(longest, 'x', sizeof longest);
    longest[TL_RELAYD_TOKEN_MAX - 1] = 0;
    file(longest);
    assert_int_equal(tl_relayd_token_read(path, token, &why), TL_OK);
    longest[TL_RELAYD_TOKEN_MAX - 1] = 'x';
    longest[TL_RELAYD_TOKEN_MAX] = 0;
    file(longest);
    assert_int_equal(tl_relayd_token_read(path, token, &why), TL_ERR_INVALID);
    static const char *const wrong[] = {"", "\n", "two words\n", "\ttab\n", "caf\xc3\xa9\n"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        file(wrong[i]);
        assert_int_equal(tl_relayd_token_read(path, token, &why), TL_ERR_INVALID);
    }
    assert_int_equal(tl_relayd_token_read("/nonexistent/token", token, &why), TL_ERR_IO);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(without_options_it_listens_on_loopback_8080),
        T(a_bare_address_is_tls_exactly_when_there_is_a_certificate),
        T(help_and_version_win_over_mistakes_behind_them),
        T(each_mistake_is_refused_and_its_twin_is_not),
        T(udp_addresses_are_read_with_the_port_of_stun_when_it_is_left_out),
        T(lists_are_bounded),
        T(the_file_sets_what_the_command_line_left_open),
        T(a_mistake_in_the_file_is_told_with_its_line),
        T(a_token_is_one_line_of_visible_characters),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
