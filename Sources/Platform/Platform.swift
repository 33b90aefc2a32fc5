// Re-exports the system's C library. Files that need it import this module, and no other file names the three
// libraries.
#if canImport(Glibc)
@_exported import Glibc
#elseif canImport(Musl)
@_exported import Musl
#elseif canImport(Darwin)
@_exported import Darwin
#endif
