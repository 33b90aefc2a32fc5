import Logging
import Platform
import Synchronization
import Tunnel

/// The file of `--log-file`. It is opened again at SIGHUP, after a program such as logrotate has renamed it.
enum LogFile {
    private struct Open {
        let path: String
        let writer: LogWriter
    }

    private static let file = Mutex<Open?>(nil)

    /// Opens the file to append to it. A process has one.
    ///
    /// - Throws: a failure with the system's reason.
    static func open(_ path: String) throws(Failure) -> LogWriter {
        if let writer = file.withLock({ $0?.path == path ? $0?.writer : nil }) { return writer }
        let descriptor = descriptor(path)
        guard descriptor >= 0 else {
            let reason = String(cString: strerror(errno))
            throw Failure(
                .configuration,
                "--log-file \(path): it cannot be opened: \(reason); choose a file that this user may write"
            )
        }
        let writer = LogWriter(descriptor: descriptor)
        file.withLock { $0 = Open(path: path, writer: writer) }
        // The standard streams are flushed at the end too, and a report about them goes to this file.
        atexit { LogFile.flush() }
        return writer
    }

    /// Opens the file again. If that fails, the old one stays in use.
    static func reopen(_ logger: Logger) {
        guard let open = file.withLock({ $0 }) else { return }
        let descriptor = descriptor(open.path)
        guard descriptor >= 0 else {
            let reason = String(cString: strerror(errno))
            return logger.error(
                "the log's file cannot be opened again; the old one stays in use",
                metadata: ["file": "\(open.path)", "reason": "\(reason)"]
            )
        }
        open.writer.replace(by: descriptor)
    }

    private static func flush() {
        file.withLock { $0?.writer }?.flush()
    }

    /// The group may read it, as logs of other daemons.
    private static func descriptor(_ path: String) -> Int32 {
        Platform.open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0o640)
    }
}
