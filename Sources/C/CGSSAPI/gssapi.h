#pragma once

// The part of the GSSAPI's C bindings (RFC 2744) that a client of a proxy needs. The library is found at run time, so
// that nobody needs its headers to build, nor itself to run without Kerberos.

#include <stddef.h>
#include <stdint.h>

typedef struct {
    size_t length;
    void *value;
} culvert_gss_buffer;

typedef struct {
    uint32_t length;
    void *elements;
} culvert_gss_oid;

typedef uint32_t (*culvert_gss_import_name)(
    uint32_t *minor, culvert_gss_buffer *text, culvert_gss_oid *type, void **name);

typedef uint32_t (*culvert_gss_init_sec_context)(
    uint32_t *minor, void *credential, void **context, void *name, culvert_gss_oid *mechanism, uint32_t flags,
    uint32_t seconds, void *bindings, culvert_gss_buffer *input, culvert_gss_oid **actual, culvert_gss_buffer *output,
    uint32_t *actual_flags, uint32_t *actual_seconds);

typedef uint32_t (*culvert_gss_display_status)(
    uint32_t *minor, uint32_t status, int kind, culvert_gss_oid *mechanism, uint32_t *more, culvert_gss_buffer *text);

typedef uint32_t (*culvert_gss_delete_sec_context)(uint32_t *minor, void **context, culvert_gss_buffer *output);

typedef uint32_t (*culvert_gss_release_name)(uint32_t *minor, void **name);

typedef uint32_t (*culvert_gss_release_buffer)(uint32_t *minor, culvert_gss_buffer *buffer);
