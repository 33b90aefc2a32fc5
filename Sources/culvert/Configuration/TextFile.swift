import Platform

/// Reads small files that a user names.
enum TextFile {
    /// Reads a file of text in UTF-8, without its byte order mark.
    ///
    /// - Parameters:
    ///   - what: the kind of the file, for the error.
    ///   - limit: the limit in bytes.
    static func read(_ path: String, what: String, limit: Int) throws(Failure) -> String {
        let bytes = try bytes(path, what: what, limit: limit)
        do throws(PlainText.Unreadable) {
            return try PlainText.decode(bytes)
        } catch {
            throw Failure(.badData, "the \(what) \(path) \(error)")
        }
    }

    /// Reads a file of any bytes, with the parameters of ``read(_:what:limit:)``.
    static func bytes(_ path: String, what: String, limit: Int) throws(Failure) -> [UInt8] {
        let bytes: [UInt8]
        do throws(Unreadable) {
            bytes = try contents(path, limit + 1)
        } catch {
            throw Failure(.configuration, "the \(what) \(path) cannot be read: \(error.reason)")
        }
        guard bytes.count <= limit else {
            throw Failure(.badData, "the \(what) \(path) is longer than \(limit) bytes")
        }
        return bytes
    }

    /// Whether the file does not exist. A folder without permission to enter is a different error.
    static func isMissing(_ path: String) -> Bool { access(path, F_OK) != 0 && errno == ENOENT }

    private struct Unreadable: Error {
        let reason: String
    }

    /// The first bytes of a file, at most `limit`.
    private static func contents(_ path: String, _ limit: Int) throws(Unreadable) -> [UInt8] {
        // The system takes a path up to its first zero byte, which would be another file.
        guard !path.utf8.contains(0) else { throw Unreadable(reason: "there is a zero byte in its path") }
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw Unreadable(reason: String(cString: strerror(errno))) }
        defer { close(descriptor) }
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 65_536)
        while bytes.count < limit {
            let room = min(chunk.count, limit - bytes.count)
            let count = chunk.withUnsafeMutableBytes { Platform.read(descriptor, $0.baseAddress, room) }
            if count < 0, errno == EINTR { continue }
            guard count >= 0 else { throw Unreadable(reason: String(cString: strerror(errno))) }
            guard count > 0 else { break }
            bytes += chunk[..<count]
        }
        return bytes
    }
}
