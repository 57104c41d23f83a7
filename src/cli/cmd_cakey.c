/* cmd_cakey.c - `teale ptn export-ca-key` and `import-ca-key`: the key that a network is, in a file
 * that a passphrase seals. The node seals and opens it: the key itself never comes here. */
#include "base/base64.h"
#include "cli/commands.h"
#include "cli/files.h"
#include "cli/passphrase.h"
#include "cli/verb.h"
#include "ptn/keyfile.h"

#include <stdlib.h>
#include <unistd.h>

#define SHOW_TIME (10 * TL_SEC)
#define SEAL_TIME (60 * TL_SEC) /* a second and 256 MiB of memory, on a slow machine much more */

static int get_passphrase(const tl_args *args, bool twice, char ret[TL_PASSPHRASE_MAX + 1])
{
    tl_why why;
    tl_err e = tl_passphrase_get(tl_args_value(args, "passphrase-file"), twice, ret, &why);
    if (e)
        tl_out_error("%s", why.text);
    return e == TL_ERR_INVALID ? TL_EXIT_USAGE : e ? TL_EXIT_FAILED : TL_EXIT_OK;
}

/* Writes the sealed key, which the node gave as base64, into the new file. */
static int write_sealed(const char *file, const json_t *sealed)
{
    const char *text = tl_json_string(sealed, "sealed", "");
    size_t n = strlen(text);
    uint8_t *bytes = malloc(n ? n : 1);
    tl_why why;
    tl_err e = TL_ERR_NOMEM;
    if (bytes)
        e = tl_base64_parse(tl_slice_str(text), bytes, &n);
    if (e || !n)
        e = tl_why_set(&why, e ? e : TL_ERR_PROTO, "the daemon's answer is not understood");
    else
        e = tl_file_create(file, tl_slice_of(bytes, n), &why);
    if (e)
        tl_out_error("%s", why.text);
    free(bytes);
    return e ? TL_EXIT_FAILED : TL_EXIT_OK;
}

int tl_cmd_ptn_export(tl_cli *cli, const tl_args *args)
{
    char passphrase[TL_PASSPHRASE_MAX + 1] = "";
    const char *net = args->operand[0], *file = args->operand[1];
    json_t *sealed, *ptn;
    if (!access(file, F_OK)) {
        tl_out_error("%s exists already, and nothing is written over it: name a new file", file);
        return TL_EXIT_FAILED;
    }
    int code = tl_verb_do(cli, args, "ptn.show", json_pack("{s:s}", "net", net), SHOW_TIME, &ptn);
    if (!code && tl_json_bool(ptn, "ca_key", true)) /* else the node says why it refuses */
        code = get_passphrase(args, true, passphrase);
    json_decref(ptn);
    if (code)
        return code;
    code = tl_verb_do(cli, args, "ptn.export_ca",
                      json_pack("{s:s, s:s}", "net", net, "passphrase", passphrase), SEAL_TIME,
                      &sealed);
    tl_passphrase_clear(passphrase);
    if (!code)
        code = write_sealed(file, sealed);
    const char *id = tl_json_string(sealed, "ptn_id", "");
    if (!code && cli->json) {
        json_t *done = json_pack("{s:s, s:s}", "ptn_id", id, "file", file);
        tl_out_json(done);
        json_decref(done);
    } else if (!code) {
        printf("written to %s; without the passphrase nobody can open it, you neither\n", file);
    }
    json_decref(sealed);
    return code;
}

/* The file's bytes as base64; the caller frees. NULL: this has been said. */
static char *read_sealed(const char *file)
{
    tl_buf bytes = {0};
    tl_why why;
    char *text = NULL;
    tl_err e = tl_file_read(file, TL_KEYFILE_MAX, &bytes, &why);
    if (!e)
        text = malloc(tl_base64_size(bytes.len) + 1);
    if (!text) {
        tl_out_error("%s", e ? why.text : "out of memory");
    } else {
        tl_base64_write((uint8_t *)text, tl_buf_slice(&bytes));
        text[tl_base64_size(bytes.len)] = 0;
    }
    tl_buf_clear(&bytes);
    return text;
}

int tl_cmd_ptn_import(tl_cli *cli, const tl_args *args)
{
    char passphrase[TL_PASSPHRASE_MAX + 1];
    json_t *ptn;
    char *sealed = read_sealed(args->operand[0]);
    if (!sealed)
        return TL_EXIT_FAILED;
    int code = get_passphrase(args, false, passphrase);
    if (!code) {
        code = tl_verb_do(cli, args, "ptn.import_ca",
                          json_pack("{s:s, s:s}", "sealed", sealed, "passphrase", passphrase),
                          SEAL_TIME, &ptn);
        tl_passphrase_clear(passphrase);
        if (ptn && cli->json)
            tl_out_json(ptn);
        else if (ptn)
            printf("the CA key of \"%s\" is here now, and this node is its admin\n",
                   tl_json_string(ptn, "name", ""));
        json_decref(ptn);
    }
    free(sealed);
    return code;
}
