import NIOCore
import NIOPosix
import Platform

/// A listening socket in the file system whose mode and group hold before it accepts any connection. They are set between bind and
/// listen, while the socket accepts no connection yet. (NIO does both in one step, and a umask would be the whole process's.)
package enum UnixListener {
    package static let backlog: Int32 = 64

    package struct Failure: Error, CustomStringConvertible {
        package let description: String
        /// Whether the place is taken, and not otherwise unfit.
        package let isInUse: Bool

        package init(description: String, isInUse: Bool = false) {
            self.description = description
            self.isInUse = isInUse
        }
    }

    /// Removes a socket file that is left over: one that refuses connections, since no program listens there any more.
    ///
    /// - Returns: fails with ``Failure`` if a program answers, or if that cannot be told.
    package static func makeWay(at path: String, on loop: any EventLoop) -> EventLoopFuture<Void> {
        guard let file = FileIdentity(socketAt: path) else { return loop.makeSucceededVoidFuture() }
        return ClientBootstrap(group: loop).connect(unixDomainSocketPath: path)
            .flatMapThrowing { channel in
                channel.close(promise: nil)
                throw Failure(description: "another program answers there", isInUse: true)
            }
            .flatMapErrorThrowing { error in
                if let failure = error as? Failure { throw failure }
                guard case .refused? = SocketFailure(error) else {
                    let reason = error.userDescription
                    let text = "a socket is there already, and whether a program has it cannot be told: \(reason)"
                    throw Failure(description: text, isInUse: true)
                }
                remove(path, if: file)
            }
    }

    /// Why a folder cannot have sockets of clients; nil if it can. In a folder that others may change, they could put other
    /// files in the sockets' places.
    package static func problem(ofFolder folder: String) -> String? {
        var facts = stat()
        guard stat(folder, &facts) == 0, facts.st_mode & S_IFMT == S_IFDIR else {
            return "there is no folder \(folder); make it with mkdir, for the server's user alone"
        }
        let isOwn = facts.st_uid == 0 || facts.st_uid == geteuid()
        let isShared = facts.st_mode & 0o022 != 0 && facts.st_mode & S_ISVTX == 0
        guard !isOwn || isShared else { return nil }
        return
            "other users can change the folder \(folder); it must belong to the server's user or root: chown it, or "
            + "chmod go-w it"
    }

    /// Binds and listens, after ``makeWay(at:on:)``.
    ///
    /// - Throws: `IOError`, or ``Failure`` if the group cannot be given.
    package static func open(
        _ path: String,
        _ access: UnixSocketAccess = .ownersOnly,
        backlog: Int32 = backlog
    ) throws -> NIOBSDSocket.Handle {
        let descriptor = try StreamSocket.open(AF_UNIX)
        do {
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

    /// Removes the socket at a path if it is this one.
    package static func remove(_ path: String, if file: FileIdentity?) {
        guard let file, FileIdentity(socketAt: path) == file else { return }
        unlink(path)
    }
}
