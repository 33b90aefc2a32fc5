import Platform

/// Whole lines to the standard streams, without a buffer in between: a script reads each fact as soon as it is one. The
/// log has ``LogWriter`` in between.
enum Output {
    /// A fact for scripts, to standard output.
    static func line(_ text: String) {
        write(text + "\n", to: STDOUT_FILENO)
    }

    /// A fact for scripts while the process serves: written apart from the thread that has it, which carries traffic.
    static func fact(_ text: String) {
        LogWriter.standardOutput.append(Array(text.utf8), isUrgent: true)
    }

    /// A line for people, to standard error, behind what the log has said so far. Who does not read it is not waited for
    /// longer than the log is.
    static func error(_ text: String) {
        LogWriter.standardError.append(Array(text.utf8), isUrgent: true)
        LogWriter.standardError.flush()
    }

    /// The same without any other thread.
    static func errorAtOnce(_ text: String) {
        write(text + "\n", to: STDERR_FILENO)
    }

    /// An answer for a program, to standard output, as it is.
    static func bytes(_ bytes: [UInt8]) {
        _ = bytes.withUnsafeBytes { write($0, to: STDOUT_FILENO) }
    }

    /// Writes all of it; a stream that is closed or full loses it, because logging must never stop traffic.
    private static func write(_ text: String, to descriptor: Int32) {
        var text = text
        _ = text.withUTF8 { write(UnsafeRawBufferPointer($0), to: descriptor) }
    }

    /// Writes all of it, or what the descriptor takes before it fails (errno says why).
    ///
    /// - Returns: how many bytes it took.
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
