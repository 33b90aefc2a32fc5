import NIOCore
import Platform

/// Sockets that are made without NIO, which does in one step what needs another step in between.
package enum StreamSocket {
    /// A stream socket that neither waits nor is inherited by a child.
    ///
    /// - Throws: `IOError`.
    package static func open(_ family: Int32) throws -> NIOBSDSocket.Handle {
        #if canImport(Glibc)
        let type = Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue | SOCK_NONBLOCK.rawValue)
        return try check(socket(family, type, 0), "socket")
        #elseif canImport(Musl)
        return try check(socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), "socket")
        #else
        let descriptor = try check(socket(family, SOCK_STREAM, 0), "socket")
        _ = fcntl(descriptor, F_SETFL, O_NONBLOCK)
        _ = fcntl(descriptor, F_SETFD, FD_CLOEXEC)
        return descriptor
        #endif
    }

    /// The result of a system call, unless that has failed.
    package static func check(_ result: Int32, _ call: String) throws -> Int32 {
        guard result >= 0 else { throw IOError(errnoCode: errno, reason: call) }
        return result
    }
}
