import NIOCore
import Platform

/// A listening socket in the file system whose mode and group hold before it accepts any connection. They are set between bind and
/// listen, while the socket accepts no connection yet. (NIO does both in one step, and a umask would be the whole process's.)
package enum UnixListener {
    package static let backlog: Int32 = 64
    package struct Failure: Error, CustomStringConvertible {
        package let description: String

        package init(description: String) {
            self.description = description
        }
    }

    /// Binds and listens; a socket file that is left over is replaced. The caller has checked that no program answers
    /// there.
    ///
    /// - Throws: `IOError`.
    package static func open(
        _ path: String,
        _ access: UnixSocketAccess = .ownersOnly,
        backlog: Int32 = backlog
    ) throws -> NIOBSDSocket.Handle {
        let descriptor = try StreamSocket.open(AF_UNIX)
        do {
            remove(path)
            // The file has no more than this from its first moment on (Linux takes the mode from the socket).
            if access.mode != nil || access.group != nil { _ = fchmod(descriptor, 0o600) }
            try SocketAddress(unixDomainSocketPath: path).withSockAddr { pointer, length in
                _ = try StreamSocket.check(bind(descriptor, pointer, socklen_t(length)), "bind")
            }
            // The group comes first, so that the old one never has what the mode grants.
            if let group = access.group {
                guard lchown(path, uid_t.max, gid_t(group)) == 0 else {
                    let reason = String(cString: strerror(errno))
                    throw Failure(
                        description: "it cannot be given to that group (\(reason)); the user must be in the group"
                    )
                }
            }
            if let mode = access.mode ?? (access.group == nil ? nil : 0o660) {
                _ = try StreamSocket.check(chmod(path, mode_t(mode)), "chmod")
            }
            _ = try StreamSocket.check(listen(descriptor, backlog), "listen")
        } catch {
            close(descriptor)
            throw error
        }
        return descriptor
    }

    /// Removes the file if it is a socket.
    package static func remove(_ path: String) {
        var facts = stat()
        guard lstat(path, &facts) == 0, facts.st_mode & S_IFMT == S_IFSOCK else { return }
        unlink(path)
    }
}
