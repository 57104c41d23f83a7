#include "wire/multipart.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#define TYPE "multipart/form-data; boundary=----b1"
#define D    "------b1"
#define HEAD "\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n"

/* What curl and the OpenAI client write. */
static const char whole[] =
    D "\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\nwhisper-1\r\n" D
      "\r\ncontent-disposition:form-data;name=file; filename=\"C:\\x.wav\"\r\n"
      "Content-Type: audio/wav\r\n\r\nRI\r\n\r\n-----b1\n\0--\r\n" D "\r\n"
      "Content-Disposition: form-data; name=\"empty\"; filename*=UTF-8''%c3%a4\r\n\r\n\r\n" D
      "--\r\n";

/* Walks to the end: the number of parts, or -1. */
static int count(const char *type, tl_slice body)
{
    tl_multipart m;
    tl_multipart_part part;
    bool done = false;
    int n = 0;
    if (tl_multipart_begin(&m, type, body))
        return -1;
    while (!tl_multipart_next(&m, &part, &done)) {
        if (done)
            return n;
        assert_true(part.value.p >= body.p && part.value.p + part.value.n <= body.p + body.n);
        n++;
    }
    return -1;
}

static void a_form_is_read_part_by_part(void **state)
{
    (void)state;
    const struct {
        const char *name;
        tl_slice value;
        bool is_file;
    } rows[] = {
        {"model", TL_SLICE_LIT("whisper-1"), false},
        {"file", TL_SLICE_LIT("RI\r\n\r\n-----b1\n\0--"), true},
        {"empty", TL_SLICE_LIT(""), true},
    };
    tl_multipart m;
    tl_multipart_part part;
    bool done = false;
    assert_int_equal(tl_multipart_begin(&m, TYPE, tl_slice_of(whole, sizeof whole - 1)), TL_OK);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        assert_int_equal(tl_multipart_next(&m, &part, &done), TL_OK);
        assert_false(done);
        assert_true(tl_slice_eq(part.name, tl_slice_str(rows[i].name)));
        assert_true(tl_slice_eq(part.value, rows[i].value));
        assert_int_equal(part.is_file, rows[i].is_file);
    }
    assert_int_equal(tl_multipart_next(&m, &part, &done), TL_OK);
    assert_true(done);
}

static void a_form_that_is_cut_anywhere_is_none(void **state)
{
    (void)state;
    for (size_t n = 0; n < sizeof whole - 1; n++) {
        bool no_line_end = n == sizeof whole - 3; /* the last CRLF is not needed */
        assert_int_equal(count(TYPE, tl_slice_of(whole, n)), no_line_end ? 3 : -1);
    }
    assert_int_equal(count(TYPE, tl_slice_of(whole, sizeof whole - 1)), 3);
}

static void the_boundary_is_found_in_the_type(void **state)
{
    (void)state;
    static const char body[] = "--x" HEAD "1\r\n--x--";
    static const struct {
        const char *type;
        int parts;
    } rows[] = {
        {"multipart/form-data; boundary=x", 1},
        {"Multipart/Form-Data;charset=utf-8 ;BOUNDARY=\"x\"", 1},
        {"multipart/form-data;boundary=\"x\"; y=z", 1},
        {"multipart/form-data", -1},
        {"multipart/form-data; boundary=", -1},
        {"multipart/form-data; boundary=\"\"", -1},
        {"multipart/form-data; boundary=\"x", -1},
        {"multipart/form-data; boundary=\"x\\", -1},
        {"multipart/form-data; boundary=x; boundary=x", -1},
        {"multipart/form-data; boundary=x; nonsense", -1},
        {"multipart/form-data; boundary=x; boundar=y", 1},
        {"multipart/form-data; boundary=x; boundary*=utf-8''y", -1}, /* RFC 2231 */
        {"multipart/form-data; boundary=x; boundary*0=y", -1},
        {"multipart/form-data; Boundary*0*=y; boundary=x", -1},
        {"multipart/form-data; boundary=y", -1},
        {"multipart/form-dataa; boundary=x", -1},
        {"multipart/mixed; boundary=x", -1},
        {"application/json", -1},
        {"", -1},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        assert_int_equal(count(rows[i].type, tl_slice_str(body)), rows[i].parts);
}

static void a_type_is_written_with_its_boundary_alone(void **state)
{
    (void)state;
    static const struct {
        const char *type, *written; /* NULL: refused */
    } rows[] = {
        {"Multipart/Form-Data;x=y ;BOUNDARY=\"--x\"; z=1", "multipart/form-data; boundary=--x"},
        {"multipart/form-data; boundary=\"a:b\"", "multipart/form-data; boundary=\"a:b\""},
        {"multipart/form-data; boundary=x; x=\"\\\";boundary=y\"",
         "multipart/form-data; boundary=x"},
        {"multipart/form-data; boundary=x; boundary*=y", NULL},
        {"multipart/form-data", NULL},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char type[64] = "untouched";
        tl_err e = tl_multipart_type(rows[i].type, type, sizeof type);
        assert_int_equal(e, rows[i].written ? TL_OK : TL_ERR_PROTO);
        assert_string_equal(type, rows[i].written ? rows[i].written : "untouched");
    }
    char tight[sizeof "multipart/form-data; boundary=x"];
    assert_int_equal(tl_multipart_type("multipart/form-data; boundary=x", tight, sizeof tight),
                     TL_OK);
    assert_int_equal(tl_multipart_type("multipart/form-data; boundary=xy", tight, sizeof tight),
                     TL_ERR_TOO_LARGE);
    assert_int_equal(tl_multipart_type("multipart/form-data; boundary=:", tight, sizeof tight),
                     TL_ERR_TOO_LARGE);
}

static void a_boundary_is_at_most_seventy_bytes(void **state)
{
    (void)state;
    for (size_t n = 70; n <= 71; n++) {
        char b[80] = {0}, type[200], body[400];
        memset(b, 'b', n);
        snprintf(type, sizeof type, "multipart/form-data; boundary=%s", b);
        snprintf(body, sizeof body, "--%s" HEAD "1\r\n--%s--", b, b);
        assert_int_equal(count(type, tl_slice_str(body)), n == 70 ? 1 : -1);
    }
}

/* Each differs in one thing from the first, which is read. */
static void what_two_readers_could_read_in_two_ways_is_refused(void **state)
{
    (void)state;
    static const char *const bodies[] = {
        D HEAD "1\r\n" D "--\r\n",
        "\r\n" D HEAD "1\r\n" D "--\r\n",    /* a preamble */
        D HEAD "1\r\n" D "--\r\nmore",       /* an epilogue */
        D HEAD "1\n" D "--\r\n",             /* a bare LF */
        D HEAD "1\r\n" D "x\r\n" D "--\r\n", /* a longer delimiter */
        D HEAD "1\r\n" D " --\r\n",          /* blanks behind it */
        D HEAD "" D "--\r\n",                /* no line end before it */
        D "\nContent-Disposition: form-data; name=\"a\"\r\n\r\n1\r\n" D "--\r\n",
        D "\r\nContent-Disposition: form-data; name=\"a\"\n\r\n1\r\n" D "--\r\n",
        D "\r\nContent-Disposition: form-data; name=\"a\"\r\n more: x\r\n\r\n1\r\n" D "--\r\n",
        D "\r\nContent-Disposition: form-data; name=\"a\"\r\nContent-Disposition: form-data; "
          "name=\"b\"\r\n\r\n1\r\n" D "--\r\n",
        D "\r\nContent-Disposition: form-data; name=\"a\"; name=\"b\"\r\n\r\n1\r\n" D "--\r\n",
        D "\r\nContent-Disposition: form-data; name*=UTF-8''b; name=\"a\"\r\n\r\n1\r\n" D "--\r\n",
        D "\r\nContent-Disposition: form-data; name=\"a\"; name*0=\"b\"\r\n\r\n1\r\n" D "--\r\n",
        D "\r\nContent-Disposition: form-data; name=\"a\"; NAME*0*=\"b\"\r\n\r\n1\r\n" D "--\r\n",
        D "\r\nContent-Disposition: form-data; name=\"a\"; filename*0=\"b\"\r\n\r\n1\r\n" D
          "--\r\n",
        D "\r\nContent-Disposition: form-data; name=\"a\\b\"\r\n\r\n1\r\n" D "--\r\n",
        D "\r\nContent-Disposition: form-data; name=\"\xff\"\r\n\r\n1\r\n" D "--\r\n",
        D "\r\nContent-Disposition: form-data\r\n\r\n1\r\n" D "--\r\n",
        D "\r\nContent-Disposition: attachment; name=\"a\"\r\n\r\n1\r\n" D "--\r\n",
        D "\r\nContent-Disposition: form-data; name=\"a\"\r\n"
          "Content-Transfer-Encoding: base64\r\n\r\n1\r\n" D "--\r\n",
        D "\r\nContent-Type: text/plain\r\n\r\n1\r\n" D "--\r\n",
        D "\r\n\r\n1\r\n" D "--\r\n",
    };
    for (size_t i = 0; i < sizeof bodies / sizeof *bodies; i++)
        assert_int_equal(count(TYPE, tl_slice_str(bodies[i])), i == 0 ? 1 : -1);
}

static void headers_of_a_part_have_a_bound(void **state)
{
    (void)state;
    for (int over = 0; over < 2; over++) {
        char body[6000], fill[TL_MULTIPART_HEAD_MAX] = {0};
        size_t head = sizeof "Content-Disposition: form-data; name=\"a\"\r\nX: \r\n\r\n" - 1;
        memset(fill, 'x', TL_MULTIPART_HEAD_MAX - head + (size_t)over);
        snprintf(body, sizeof body,
                 D "\r\nContent-Disposition: form-data; name=\"a\"\r\nX: %s\r\n\r\n1\r\n" D "--",
                 fill);
        assert_int_equal(count(TYPE, tl_slice_str(body)), over ? -1 : 1);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_form_is_read_part_by_part),
        cmocka_unit_test(a_form_that_is_cut_anywhere_is_none),
        cmocka_unit_test(the_boundary_is_found_in_the_type),
        cmocka_unit_test(a_type_is_written_with_its_boundary_alone),
        cmocka_unit_test(a_boundary_is_at_most_seventy_bytes),
        cmocka_unit_test(what_two_readers_could_read_in_two_ways_is_refused),
        cmocka_unit_test(headers_of_a_part_have_a_bound),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
