/* ptncheck: says of each line of its input, `KIND TIME TEXT`, what our programs think of that signed
 * object of a private network at that time (kinds: certificate, list, price, invite; receipt and
 * settlement, which have no time): a line with the verdict's words, or of a valid one with what was
 * read. Asks no network and no store. */
#include "base/json.h"
#include "market/receipt.h"
#include "ptn/invite.h"
#include "ptn/ptn.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define DEPTH 16

static void print_id(const char *what, const tl_node_id *id)
{
    char hex[TL_NODE_ID_HEX + 1];
    tl_node_id_write(hex, id);
    printf(" %s=%s", what, hex);
}

static void print_end(tl_unix at)
{
    if (at == TL_PTN_NO_END)
        printf(" expires=never");
    else
        printf(" expires=%" PRId64, at);
}

static tl_ptn_verdict say_certificate(const json_t *value, tl_unix now)
{
    tl_cert cert;
    tl_ptn_verdict v = tl_cert_read(value, &cert);
    if (!v)
        v = tl_cert_at(&cert, now);
    if (v)
        return v;
    printf("valid role=%s issued=%" PRId64 " delegated=%d", tl_role_name(cert.role), cert.issued_at,
           cert.delegated);
    print_end(cert.expires_at);
    print_id("network", &cert.network);
    print_id("node", &cert.node);
    print_id("issuer", &cert.issuer);
    return v;
}

static tl_ptn_verdict say_list(const json_t *value, tl_unix now)
{
    tl_revocations list;
    tl_ptn *network;
    bool stale;
    tl_ptn_verdict v = tl_revocations_read(value, &list);
    if (v)
        return v;
    if (tl_ptn_new(&list.network, &network))
        abort();
    v = tl_ptn_take_revocations(network, value, now, &stale);
    if (!v) {
        printf("valid sequence=%" PRId64 " issued=%" PRId64, list.sequence, list.issued_at);
        print_id("network", &list.network);
        for (size_t i = 0; i < list.n; i++)
            print_id("revoked", &list.entries[i].node);
    }
    tl_ptn_free(network);
    tl_revocations_clear(&list);
    return v;
}

static tl_ptn_verdict say_price(const json_t *value, tl_unix now)
{
    tl_ptn_price price;
    tl_ptn *network;
    tl_ptn_verdict v = tl_ptn_price_read(value, &price);
    if (v)
        return v;
    if (tl_ptn_new(&price.head.network, &network))
        abort();
    v = tl_ptn_take_price(network, value, now);
    if (!v)
        printf("valid version=%" PRId64 " micro=%" PRId64, price.head.version,
               price.micro_per_ktoken);
    tl_ptn_free(network);
    return v;
}

static tl_ptn_verdict say_invite(tl_slice text, tl_unix now)
{
    tl_invite invite;
    tl_ptn_verdict v = tl_invite_read(text, &invite);
    if (!v)
        v = tl_invite_at(&invite, &invite.node, now);
    if (v)
        return v;
    char nonce[2 * TL_INVITE_NONCE + 1];
    tl_hex_write(nonce, invite.nonce, sizeof invite.nonce);
    printf("valid role=%s name=%s relay=%s nonce=%s lifetime=%" PRId64 " bound=%d",
           tl_role_name(invite.role), invite.name, invite.relay, nonce, invite.valid_seconds,
           invite.bound);
    print_end(invite.expires_at);
    print_id("network", &invite.network);
    print_id("inviter", &invite.inviter);
    return v;
}

static tl_ptn_verdict say_receipt(const json_t *value)
{
    tl_receipt r;
    if (tl_receipt_read(value, &r))
        return TL_PTN_MALFORMED;
    if (tl_receipt_verify(&r))
        return TL_PTN_SIGNATURE;
    printf("valid request=%s model=%s in=%" PRId64 " out=%" PRId64 " amount=%" PRId64 " at=%" PRId64
           " signed=%d%d",
           r.request, r.model, r.tokens_in, r.tokens_out, r.amount, r.at, r.by_consumer,
           r.by_provider);
    return TL_PTN_OK;
}

static tl_ptn_verdict say_settlement(const json_t *value)
{
    tl_settlement s;
    if (tl_settlement_read(value, &s))
        return TL_PTN_MALFORMED;
    if (tl_settlement_verify(&s))
        return TL_PTN_SIGNATURE;
    printf("valid amount=%" PRId64 " at=%" PRId64 " signed=%d%d", s.amount, s.at, s.by_creditor,
           s.by_debtor);
    return TL_PTN_OK;
}

static tl_ptn_verdict say(const char *kind, tl_unix now, tl_slice text)
{
    json_t *value;
    tl_ptn_verdict v = TL_PTN_MALFORMED;
    if (strcmp(kind, "invite") == 0)
        return say_invite(text, now);
    if (tl_json_parse(text, DEPTH, &value, NULL))
        return v;
    if (strcmp(kind, "certificate") == 0)
        v = say_certificate(value, now);
    else if (strcmp(kind, "list") == 0)
        v = say_list(value, now);
    else if (strcmp(kind, "price") == 0)
        v = say_price(value, now);
    else if (strcmp(kind, "receipt") == 0)
        v = say_receipt(value);
    else if (strcmp(kind, "settlement") == 0)
        v = say_settlement(value);
    json_decref(value);
    return v;
}

int main(void)
{
    char *line = NULL;
    size_t room = 0;
    if (tl_crypto_init())
        return 1;
    for (ssize_t n; (n = getline(&line, &room, stdin)) > 0;) {
        char kind[16];
        long long now;
        int head = 0;
        if (sscanf(line, "%15s %lld %n", kind, &now, &head) != 2 || !head || line[n - 1] != '\n') {
            fprintf(stderr, "ptncheck: no KIND TIME TEXT: %s", line);
            return 2;
        }
        tl_ptn_verdict v = say(kind, now, tl_slice_of(line + head, (size_t)(n - 1 - head)));
        if (v)
            fputs(tl_ptn_verdict_words(v), stdout);
        putchar('\n');
    }
    free(line);
    return 0;
}
