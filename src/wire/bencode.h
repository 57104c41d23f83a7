/* bencode.h - bencoding (BEP 3): a reader that walks borrowed bytes in place, and a writer into a
 * buffer of the caller. Pure codec: no heap, clock or socket.
 *
 *   i-42e             number, a signed one of 64 bits
 *   4:spam            text: the length, then so many bytes of any value
 *   l VALUE ... e     list
 *   d TEXT VALUE ... e    dictionary
 *
 * A value has one encoding: numbers and lengths have no leading zero, there is no -0, and the keys
 * of a dictionary are in the order of their bytes, each once. Programs in the DHT send dictionaries
 * out of order now and then, so TL_BEN_ANY_ORDER reads those, too. A key that comes twice is always
 * an error: two readers would take two different values. */
#ifndef TL_WIRE_BENCODE_H
#define TL_WIRE_BENCODE_H

#include "base/slice.h"

/* A value within 16 others is refused: reading costs stack for each. KRPC needs 4. */
#define TL_BEN_DEPTH_MAX    16
/* An unordered dictionary with more keys is refused: each is compared with all before it. */
#define TL_BEN_UNSORTED_MAX 32

typedef enum { TL_BEN_NUMBER, TL_BEN_TEXT, TL_BEN_LIST, TL_BEN_DICT } tl_ben_kind;
typedef enum { TL_BEN_CANONICAL, TL_BEN_ANY_ORDER } tl_ben_order;

/* Borrows from what was read. */
typedef struct {
    tl_ben_kind kind;
    int64_t number;  /* of a NUMBER */
    tl_slice text;   /* of a TEXT: its bytes */
    tl_slice raw;    /* the whole encoding */
    tl_slice inside; /* of a LIST or DICT: the encodings of what is in it */
} tl_ben;

/* Reads one value, which must be all of `bytes`, with everything in it. TL_ERR_SHORT: it goes on
 * behind `bytes`. TL_ERR_TOO_LARGE: too deep, or a number beyond 64 bits. TL_ERR_PROTO. */
TL_CHECK tl_err tl_ben_parse(tl_slice bytes, tl_ben_order order, tl_ben *ret_value);
/* True for exactly one value in its one encoding. */
bool tl_ben_is_canonical(tl_slice bytes);

/* Takes the next value of a list from `inside`, a copy of that of a value that was read. False:
 * there is no more. */
bool tl_ben_next(tl_slice *inside, tl_ben *ret_value);
/* Takes the next pair of a dictionary. */
bool tl_ben_next_pair(tl_slice *inside, tl_slice *ret_key, tl_ben *ret_value);
/* Looks a key up. False: `dict` has no such key, or is no dictionary. */
bool tl_ben_find(const tl_ben *dict, const char *key, tl_ben *ret_value);
/* The same for a value of that kind. False also for a value of another kind. */
bool tl_ben_find_kind(const tl_ben *dict, const char *key, tl_ben_kind kind, tl_ben *ret_value);

/* Writes into `p`, at most `max` bytes. What does not fit sets `full`, and nothing is written from
 * then on, so it is enough to look at the end. The caller keeps the order of keys. */
typedef struct {
    uint8_t *p;
    size_t n, max;
    bool full;
} tl_ben_writer;

void tl_ben_put_raw(tl_ben_writer *w, tl_slice bytes);
void tl_ben_put_number(tl_ben_writer *w, int64_t number);
void tl_ben_put_text(tl_ben_writer *w, tl_slice text);
/* 'd' or 'l' begins a dictionary or list, 'e' ends it. */
void tl_ben_put_mark(tl_ben_writer *w, char mark);
/* A key of a dictionary, and a value behind it. */
void tl_ben_put_key(tl_ben_writer *w, const char *key);
void tl_ben_put_pair_text(tl_ben_writer *w, const char *key, tl_slice text);
void tl_ben_put_pair_number(tl_ben_writer *w, const char *key, int64_t number);

#endif
