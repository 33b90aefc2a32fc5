import Platform

/// Makes folders that only their user can enter.
package enum PrivateFolder {
    /// Makes a folder, and those above it that are missing, with mode 0700. Existing folders stay as they are.
    ///
    /// - Returns: nil if the folder is there now, otherwise the system's reason.
    package static func make(_ path: String) -> String? {
        var missing: [String] = []
        var next = path
        while !isFolder(next) {
            missing.append(next)
            guard let parent = parent(of: next), parent != next else { break }
            next = parent
        }
        for folder in missing.reversed() where mkdir(folder, 0o700) != 0 {
            let number = errno
            // Another process may have made it meanwhile.
            guard number == EEXIST, isFolder(folder) else {
                return String(cString: strerror(number == EEXIST ? ENOTDIR : number))
            }
        }
        return nil
    }

    /// The folder of a file or folder; nil for the root.
    package static func parent(of path: String) -> String? {
        let trimmed = path.utf8.reversed().drop { $0 == UInt8(ascii: "/") }
        guard !trimmed.isEmpty else { return nil }
        guard let slash = path.utf8.prefix(trimmed.count).lastIndex(of: UInt8(ascii: "/")) else { return "." }
        let parent = path.utf8[..<slash]
        return parent.isEmpty ? "/" : String(Substring(parent))
    }

    private static func isFolder(_ path: String) -> Bool {
        var status = stat()
        return stat(path, &status) == 0 && status.st_mode & S_IFMT == S_IFDIR
    }
}
