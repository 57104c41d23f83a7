/* qrimage.h - reads the QR code in a picture (PNG or JPEG), such as a photo of a screen. Decoding is
 * the library zbar's, which is loaded when it is first needed: it brings a windowing library that no
 * other command wants. Never writes anything. */
#ifndef TL_CLI_QRIMAGE_H
#define TL_CLI_QRIMAGE_H

#include "base/slice.h"

/* A small file can hold a giant picture. These bound the memory that a picture takes: a byte a pixel,
 * and for a progressive JPEG three. Phones make photos of 12 to 50 megapixels. */
#define TL_QRIMAGE_FILE_MAX   (64u << 20)
#define TL_QRIMAGE_PIXELS_MAX (64u << 20)
#define TL_QRIMAGE_SIDE_MAX   30000 /* pixels */

/* A picture in shades of grey, row after row; the caller frees `pixels`. */
typedef struct {
    size_t width, height;
    uint8_t *pixels;
} tl_grey;

/* Decodes a PNG or JPEG file's bytes. TL_ERR_PROTO: neither, or broken. TL_ERR_TOO_LARGE: beyond
 * the bounds above; nothing large was allocated. TL_ERR_NOMEM. */
TL_CHECK tl_err tl_qrimage_decode(tl_slice file, tl_grey *ret_picture, tl_why *why);

/* Appends the text of the picture's QR code. Of several, one that begins with `prefix` is taken
 * first. TL_ERR_NOT_FOUND: no QR code is found. TL_ERR_UNREACHABLE: zbar is not installed; `why`
 * names the package. TL_ERR_NOMEM. */
TL_CHECK tl_err tl_qrimage_find(const tl_grey *picture, const char *prefix, tl_buf *out,
                                tl_why *why);

/* Both, for a file by its name. Errors as above, and those of tl_file_read. */
TL_CHECK tl_err tl_qrimage_read(const char *path, const char *prefix, tl_buf *out, tl_why *why);

#endif
