/* talk.h - what two nodes say of fragments (docs/protocol.md "Fragments"): messages to text and back.
 * Pure codec; decides nothing.
 *
 * Each request has a stream of its own, and one answer.
 *
 *   fragmentPut {fragment, size, recovery}, then `size` body bytes   fragmentReceipt {a receipt}
 *   fragmentGet {fragment}                                           fragmentContent {size}, then bytes
 *   fragmentProve {nonce, fragments}                                 fragmentProof {proofs}
 *   fragmentDelete {fragments}                                       fragmentDone {}
 *   fragmentPointer {recovery, item}                                 fragmentDone {}
 *   any of them                                                      fragmentError {code, message} */
#ifndef TL_BACKUP_TALK_H
#define TL_BACKUP_TALK_H

#include "backup/fragment.h"
#include "wire/cluster.h"

#define TL_TALK_NONCE      32
#define TL_TALK_PROOF_SIZE 32
#define TL_POINTER_MAX     1400 /* a DHT item of 1000 bytes, its key, salt and signature */
#define TL_TALK_WORDS_MAX  256

typedef enum {
    TL_TALK_PUT,
    TL_TALK_RECEIPT,
    TL_TALK_GET,
    TL_TALK_CONTENT,
    TL_TALK_PROVE,
    TL_TALK_PROOF,
    TL_TALK_DELETE,
    TL_TALK_POINTER,
    TL_TALK_DONE,
    TL_TALK_ERROR,
} tl_talk_type;

typedef enum {
    TL_TALK_NOT_FOUND,   /* the holder does not have it, or not for who asks */
    TL_TALK_FORBIDDEN,   /* the holder keeps nothing for who asks */
    TL_TALK_FULL,        /* there is no room for it: the quota, or that of the owner */
    TL_TALK_INVALID,     /* the request does not fit itself: bytes of another address */
    TL_TALK_UNAVAILABLE, /* the disk fails, or too much is asked at once */
} tl_talk_code;

typedef struct {
    tl_talk_type type;
    union {
        struct {
            tl_fragment_id fragment;
            uint32_t size;
            tl_node_id recovery;
        } put;
        tl_fragment_receipt receipt;
        uint8_t get[TL_FRAGMENT_TAG];
        uint32_t content; /* bytes that follow */
        struct {
            uint8_t nonce[TL_TALK_NONCE];
            size_t n;
            tl_fragment_id fragment[TL_FRAGMENTS_MAX];
        } prove; /* PROVE; and DELETE, which has no nonce */
        struct {
            size_t n;
            bool has[TL_FRAGMENTS_MAX]; /* false: the fragment is not there */
            uint8_t proof[TL_FRAGMENTS_MAX][TL_TALK_PROOF_SIZE];
        } proof;
        struct {
            tl_node_id recovery;
            size_t n;
            uint8_t item[TL_POINTER_MAX];
        } pointer;
        struct {
            tl_talk_code code;
            char message[TL_TALK_WORDS_MAX];
        } error;
    } u;
} tl_talk;

/* What proves that its maker has the fragment now: BLAKE2b-256 of it, with the nonce and the holder's ID
 * as key. Nobody can compute it before the nonce is there, and no holder can hand on another's. */
void tl_talk_proof_of(const uint8_t nonce[TL_TALK_NONCE], const tl_node_id *holder,
                      tl_slice fragment, uint8_t ret_proof[TL_TALK_PROOF_SIZE]);

/* Is this the name of a request: does a stream that begins with it belong here? */
bool tl_talk_is_request(const char *name);
/* A message whose outer object is read already (wire/cluster.h, TL_CLUSTER_OTHER). Copies; unknown fields
 * pass unread. TL_ERR_PROTO: it is none of these, or a field is missing, of another type or out of its
 * bounds. */
TL_CHECK tl_err tl_talk_read(const char *name, json_t *payload, tl_talk *ret_talk);
/* The same of a whole text. TL_ERR_NOMEM, too. */
TL_CHECK tl_err tl_talk_parse(tl_slice text, tl_talk *ret_talk);
/* Appends the JSON text. TL_ERR_NOMEM, `out` as before. */
TL_CHECK tl_err tl_talk_write(tl_buf *out, const tl_talk *m);
/* As the wire has it, "not_found"; static storage. */
const char *tl_talk_code_name(tl_talk_code c);

#endif
