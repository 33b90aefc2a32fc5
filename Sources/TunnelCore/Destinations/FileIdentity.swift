import Platform

/// The file to which a path leads through symbolic links: its device and its inode.
package struct FileIdentity: Hashable {
    private let device: UInt64
    private let inode: UInt64

    /// Asks the file system; nil if the path leads to nothing.
    package init?(path: String) {
        var facts = stat()
        guard stat(path, &facts) == 0 else { return nil }
        self.init(facts)
    }

    /// Asks the file system for a socket itself; nil if the path is not a socket, or is a symbolic link.
    package init?(socketAt path: String) {
        var facts = stat()
        guard lstat(path, &facts) == 0, facts.st_mode & S_IFMT == S_IFSOCK else { return nil }
        self.init(facts)
    }

    private init(_ facts: stat) {
        device = UInt64(truncatingIfNeeded: facts.st_dev)
        inode = UInt64(facts.st_ino)
    }
}

extension DestinationPolicy.Own {
    /// Whether a path leads to a socket of this process under another name, such as a symbolic link. Asks the file system,
    /// so it is to be called when the socket is connected to.
    package func isReached(by path: String) -> Bool {
        guard !paths.isEmpty, !paths.contains(path), let file = FileIdentity(path: path) else { return false }
        return paths.contains { FileIdentity(path: $0) == file }
    }
}
