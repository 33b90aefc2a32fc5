import NIOCore

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#elseif canImport(Darwin)
import Darwin
#endif

/// A socket in the file system that its owner alone can connect to, from its first moment on: the mode is set between
/// bind and listen, while nobody can connect yet. (NIO does both in one step, and a umask would be the whole process's.)
enum UnixListener {
    static let backlog: Int32 = 64
    private static let mode: mode_t = 0o600

    struct Failure: Error, CustomStringConvertible {
        let description: String
    }

    /// Binds and listens; a socket file that is left over is replaced. Whoever calls this has seen that nobody answers
    /// there.
    ///
    /// - Throws: `IOError`.
    static func open(_ path: String) throws -> NIOBSDSocket.Handle {
        #if canImport(Darwin)
        let descriptor = try check(socket(AF_UNIX, SOCK_STREAM, 0), "socket")
        #else
        let type = Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue | SOCK_NONBLOCK.rawValue)
        let descriptor = try check(socket(AF_UNIX, type, 0), "socket")
        #endif
        do {
            remove(path)
            try SocketAddress(unixDomainSocketPath: path).withSockAddr { pointer, length in
                _ = try check(bind(descriptor, pointer, socklen_t(length)), "bind")
            }
            _ = try check(chmod(path, mode), "chmod")
            _ = try check(listen(descriptor, backlog), "listen")
        } catch {
            close(descriptor)
            throw error
        }
        return descriptor
    }

    /// Removes the file, where it is a socket.
    static func remove(_ path: String) {
        var facts = stat()
        guard lstat(path, &facts) == 0, facts.st_mode & S_IFMT == S_IFSOCK else { return }
        unlink(path)
    }

    private static func check(_ result: Int32, _ call: String) throws -> Int32 {
        guard result >= 0 else { throw IOError(errnoCode: errno, reason: call) }
        return result
    }
}
