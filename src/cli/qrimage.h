/* qrimage.h - reads the QR code in a picture (PNG or JPEG), such as a photo of a screen (qr/scan.h).
 * Never writes anything. */
#ifndef TL_CLI_QRIMAGE_H
#define TL_CLI_QRIMAGE_H

#include "qr/scan.h"

/* A small file can hold a giant picture. These bound the memory that a picture takes: a byte a pixel,
 * and for a progressive JPEG three. Phones make photos of 12 to 50 megapixels. */
#define TL_QRIMAGE_FILE_MAX   (64u << 20)
#define TL_QRIMAGE_PIXELS_MAX (64u << 20)
#define TL_QRIMAGE_SIDE_MAX   30000 /* pixels */

/* Decodes a PNG or JPEG file's bytes. TL_ERR_PROTO: neither, or broken. TL_ERR_TOO_LARGE: beyond
 * the bounds above; nothing large was allocated. TL_ERR_NOMEM. */
TL_CHECK tl_err tl_qrimage_decode(tl_slice file, tl_grey *ret_picture, tl_why *why);

/* The text of the QR code in a file, by its name. Errors as above, those of tl_qr_find, and those of
 * tl_file_read. */
TL_CHECK tl_err tl_qrimage_read(const char *path, const char *prefix, tl_buf *out, tl_why *why);

#endif
