import Foundation

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
        let bytes: Data
        do {
            let file = try FileHandle(forReadingFrom: URL(fileURLWithPath: path))
            bytes = try file.read(upToCount: limit + 1) ?? Data()
        } catch {
            throw Failure(.configuration, "the \(what) \(path) cannot be read: \(reason(error))")
        }
        guard bytes.count <= limit else {
            throw Failure(.badData, "the \(what) \(path) is longer than \(limit) bytes")
        }
        return Array(bytes)
    }

    /// Whether the file does not exist. A folder without permission to enter is a different error.
    static func isMissing(_ path: String) -> Bool { access(path, F_OK) != 0 && errno == ENOENT }

    /// The system's description of a failed file operation.
    private static func reason(_ error: any Error) -> String {
        let underlying = (error as NSError).userInfo[NSUnderlyingErrorKey] as? NSError
        guard let underlying, underlying.domain == NSPOSIXErrorDomain else {
            return "it is not a file that can be read"
        }
        return String(cString: strerror(Int32(underlying.code)))
    }
}
