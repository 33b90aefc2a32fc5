import Platform

/// Makes files that only their user reads, complete or not at all. No existing file is changed.
enum PrivateFile {
    /// Makes a file with one line, mode 0600.
    ///
    /// - Parameters:
    ///   - what: the kind of file, for errors.
    ///   - remedy: what to do if it cannot be made.
    /// - Returns: false if there is a file of that name. If two processes make one at once, one of them gets false.
    /// - Throws: a failure with the system's reason.
    static func make(_ path: String, line: String, what: String, remedy: String) throws(Failure) -> Bool {
        // The file is complete before it gets its name, so that a crash leaves no partial file.
        // Its name is random: a container that crashed has left one, and its next process has the same number.
        let draft = "\(path).\(String(UInt64.random(in: .min ... .max), radix: 36))"
        let descriptor = open(draft, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw failure(path, what, remedy) }
        defer { unlink(draft) }
        let bytes = Array((line + "\n").utf8)
        let isWritten =
            bytes.withUnsafeBytes { Output.write($0, to: descriptor) } == bytes.count && fsync(descriptor) == 0
        let problem = failure(path, what, remedy)
        close(descriptor)
        guard isWritten else { throw problem }
        if link(draft, path) == 0 { return true }
        guard errno == EEXIST else { throw failure(path, what, remedy) }
        return false
    }

    /// The failure to make a file, with the reason of the last system call.
    static func failure(_ path: String, _ what: String, _ remedy: String) -> Failure {
        let reason = String(cString: strerror(errno))
        return Failure(.configuration, "the \(what) \(path) cannot be made: \(reason); \(remedy)")
    }
}
