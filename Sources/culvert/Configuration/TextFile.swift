import Foundation

/// Small files that a user names.
enum TextFile {
    /// Reads a file of text in UTF-8, without its byte order mark.
    ///
    /// - Parameters:
    ///   - what: what it is to the user, for the error.
    ///   - limit: bytes at most; more is some other file.
    static func read(_ path: String, what: String, limit: Int) throws(Failure) -> String {
        let bytes = try bytes(path, what: what, limit: limit)
        do throws(PlainText.Unreadable) {
            return try PlainText.decode(bytes)
        } catch {
            throw Failure(.badData, "the \(what) \(path) \(error)")
        }
    }

    /// Reads a file of whatever bytes.
    ///
    /// - Parameters: as for text.
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

    /// Whether there is no such file; a folder that may not be looked into is another matter.
    static func isMissing(_ path: String) -> Bool { access(path, F_OK) != 0 && errno == ENOENT }

    /// The system's own words for a failed file operation.
    private static func reason(_ error: any Error) -> String {
        let underlying = (error as NSError).userInfo[NSUnderlyingErrorKey] as? NSError
        guard let underlying, underlying.domain == NSPOSIXErrorDomain else {
            return "it is not a file that can be read"
        }
        return String(cString: strerror(Int32(underlying.code)))
    }
}
