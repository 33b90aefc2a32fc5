#ifndef CULVERT_CZLIB_SHIM_H
#define CULVERT_CZLIB_SHIM_H

#include <zlib.h>

// zlib's two initialisers are macros that pass the header's version and the size of z_stream; Swift sees no macros with
// arguments, so they get names of their own. Both make raw deflate streams (RFC 1951), which is what RFC 7692 carries.

static inline int culvert_deflate_init(z_stream *stream, int level, int window_bits, int memory_level) {
    return deflateInit2(stream, level, Z_DEFLATED, -window_bits, memory_level, Z_DEFAULT_STRATEGY);
}

static inline int culvert_inflate_init(z_stream *stream, int window_bits) {
    return inflateInit2(stream, -window_bits);
}

#endif
