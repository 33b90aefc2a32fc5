import Platform

/// Writes whole lines to the standard streams without a buffer, so that a script reads each fact at once. The log goes
/// through ``LogWriter``.
enum Output {
    /// Writes a fact for scripts to standard output.
    static func line(_ text: String) {
        write(text + "\n", to: STDOUT_FILENO)
    }

    /// Writes a fact for scripts from an event loop, which must not wait: another thread writes it.
    static func fact(_ text: String) {
        LogWriter.standardOutput.append(Array(text.utf8), isUrgent: true)
    }

    /// Writes a line for people to standard error, after the lines of the log so far. The wait is bounded as that of
    /// the log is.
    static func error(_ text: String) {
        LogWriter.standardError.append(Array(text.utf8), isUrgent: true)
        LogWriter.standardError.flush()
    }

    /// Whether standard error is a terminal.
    static var isErrorTerminal: Bool { isatty(STDERR_FILENO) == 1 }

    /// Replaces the last line of a terminal at standard error.
    static func progress(_ text: String) {
        write("\r\u{1B}[K\(text)", to: STDERR_FILENO)
    }

    /// Writes a line to standard error without another thread.
    static func errorAtOnce(_ text: String) {
        write(text + "\n", to: STDERR_FILENO)
    }

    /// Writes bytes to standard output unchanged.
    static func bytes(_ bytes: [UInt8]) {
        _ = bytes.withUnsafeBytes { write($0, to: STDOUT_FILENO) }
    }

    /// Writes a text. A closed stream loses it.
    private static func write(_ text: String, to descriptor: Int32) {
        var text = text
        _ = text.withUTF8 { write(UnsafeRawBufferPointer($0), to: descriptor) }
    }

    /// Writes all bytes, or those that the descriptor takes before it fails with errno.
    ///
    /// - Returns: the number of bytes that it took.
    static func write(_ bytes: UnsafeRawBufferPointer, to descriptor: Int32) -> Int {
        var rest = bytes
        while let start = rest.baseAddress, rest.count > 0 {
            #if canImport(Glibc)
            let count = Glibc.write(descriptor, start, rest.count)
            #elseif canImport(Musl)
            let count = Musl.write(descriptor, start, rest.count)
            #else
            let count = Darwin.write(descriptor, start, rest.count)
            #endif
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { break }
            rest = UnsafeRawBufferPointer(rebasing: rest.dropFirst(count))
        }
        return bytes.count - rest.count
    }
}
