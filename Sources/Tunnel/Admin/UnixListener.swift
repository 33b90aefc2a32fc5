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
        let descriptor = try StreamSocket.open(AF_UNIX)
        do {
            remove(path)
            try SocketAddress(unixDomainSocketPath: path).withSockAddr { pointer, length in
                _ = try StreamSocket.check(bind(descriptor, pointer, socklen_t(length)), "bind")
            }
            _ = try StreamSocket.check(chmod(path, mode), "chmod")
            _ = try StreamSocket.check(listen(descriptor, backlog), "listen")
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
}
