/* code.h - draws a text as a QR code: for a terminal, or as a PNG picture. Writes no file and no
 * terminal itself. */
#ifndef TL_QR_CODE_H
#define TL_QR_CODE_H

#include "base/slice.h"

#define TL_QR_TEXT_MAX                                                                             \
    2900                   /* bytes: what the largest code of the lowest correction holds is 2953 */
#define TL_QR_QUIET    4   /* modules of white on every side (ISO/IEC 18004) */
#define TL_QR_SIDE_MAX 177 /* modules of the largest code */

typedef struct {
    size_t side;                                   /* modules */
    uint8_t dark[TL_QR_SIDE_MAX * TL_QR_SIDE_MAX]; /* row after row, 1: dark */
} tl_qr;

/* TL_ERR_TOO_LARGE: the text has more than TL_QR_TEXT_MAX bytes, or none. TL_ERR_NOMEM. */
TL_CHECK tl_err tl_qr_make(const char *text, tl_qr *ret_qr);

/* How many columns of a terminal the drawing takes. */
size_t tl_qr_columns(const tl_qr *qr);
/* Appends lines of UTF-8 half blocks, two modules a character. `colour`: black on white by escape
 * sequences, whatever the terminal's own colours are. Without it the light modules are drawn, so
 * that the code is right on a dark terminal and inverted on a light one; both can be scanned. */
TL_CHECK tl_err tl_qr_draw(const tl_qr *qr, bool colour, tl_buf *out);
/* Appends a PNG file, `scale` pixels a module (1 to 32). TL_ERR_NOMEM. */
TL_CHECK tl_err tl_qr_png(const tl_qr *qr, size_t scale, tl_buf *out);

#endif
