/* scan.h - finds the QR code in a picture, such as a photo of a screen or a camera's. The finding is the
 * library zbar's, which is loaded when it is first needed: it brings a windowing library that nothing
 * else here wants. Decodes no file format, and writes nothing. Any thread may call it. */
#ifndef TL_QR_SCAN_H
#define TL_QR_SCAN_H

#include "base/slice.h"

/* A picture in shades of grey, row after row; the caller frees `pixels`. */
typedef struct {
    size_t width, height;
    uint8_t *pixels;
} tl_grey;

/* Appends the text of the picture's QR code. Of several, one that begins with `prefix` is taken
 * first. TL_ERR_NOT_FOUND: no QR code is found. TL_ERR_UNREACHABLE: zbar is not installed; `why`
 * names the package. TL_ERR_NOMEM. */
TL_CHECK tl_err tl_qr_find(const tl_grey *picture, const char *prefix, tl_buf *out, tl_why *why);

#endif
