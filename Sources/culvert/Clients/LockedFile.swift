import Platform

/// A regular file that one command at a time changes.
struct LockedFile {
    /// What `stat` says of one version of a file.
    struct Version: Equatable {
        let device: dev_t
        let inode: ino_t
        let size: off_t
        let changed: Int
        let changedNanoseconds: Int

        fileprivate init(_ status: stat) {
            (device, inode, size) = (status.st_dev, status.st_ino, status.st_size)
            (changed, changedNanoseconds) = (status.st_mtim.tv_sec, status.st_mtim.tv_nsec)
        }
    }

    /// The version that was there when the lock was taken.
    let version: Version
    /// Held until the process ends. The lock ends with it.
    private let descriptor: Int32

    /// Locks a file, and waits while another command has it.
    ///
    /// - Throws: a failure if it is no regular file, or cannot be opened.
    init(_ path: String) throws(Failure) {
        while true {
            let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
            guard descriptor >= 0 else {
                let reason = String(cString: strerror(errno))
                throw Failure(.configuration, "\(path): \(reason); run this command as the file's owner, or as root")
            }
            var status = stat()
            guard fstat(descriptor, &status) == 0, status.st_mode & S_IFMT == S_IFREG else {
                close(descriptor)
                throw Failure(
                    .configuration,
                    "\(path) is not a regular file; name the server's configuration with --config"
                )
            }
            while flock(descriptor, LOCK_EX) != 0, errno == EINTR {}
            // Another command may have put a new file in its place meanwhile.
            if let now = Self.version(of: path), now.inode == status.st_ino, now.device == status.st_dev {
                self.descriptor = descriptor
                version = now
                return
            }
            close(descriptor)
        }
    }

    /// The version of a file now; nil if it is not there.
    static func version(of path: String) -> Version? {
        var status = stat()
        return stat(path, &status) == 0 ? Version(status) : nil
    }
}
