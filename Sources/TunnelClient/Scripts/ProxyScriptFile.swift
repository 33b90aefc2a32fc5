import NIOPosix
import Platform

/// A proxy script in a file.
struct ProxyScriptFile: Sendable {
    let path: String
    let limit: Int

    /// The bytes of the file, read on a thread of a pool.
    ///
    /// - Throws: ``ProxyScriptFailure``.
    func bytes() async throws -> [UInt8] {
        try await NIOThreadPool.singleton.runIfActive { try read() }
    }

    private func read() throws(ProxyScriptFailure) -> [UInt8] {
        // A pipe or a device would block. It can be recognised once it is open.
        let descriptor = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC)
        guard descriptor >= 0 else { throw failure(errno) }
        defer { close(descriptor) }
        var facts = stat()
        guard fstat(descriptor, &facts) == 0 else { throw failure(errno) }
        guard facts.st_mode & S_IFMT == S_IFREG else {
            throw ProxyScriptFailure(reason: "this is not an ordinary file", remedy: "give the script's own path")
        }
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 65_536)
        while true {
            let count = chunk.withUnsafeMutableBytes { systemRead(descriptor, $0.baseAddress, $0.count) }
            if count < 0, errno == EINTR { continue }
            guard count >= 0 else { throw failure(errno) }
            if count == 0 { return bytes }
            bytes += chunk[..<count]
            guard bytes.count <= limit else { throw .tooLong(limit: limit) }
        }
    }

    private func failure(_ number: Int32) -> ProxyScriptFailure {
        ProxyScriptFailure(
            reason: "the file cannot be read: \(String(cString: strerror(number)))",
            remedy: "check the path and its permissions"
        )
    }
}

extension ProxyScriptFailure {
    static func tooLong(limit: Int) -> ProxyScriptFailure {
        ProxyScriptFailure(reason: "it is longer than \(limit) bytes", remedy: "check that this is a proxy script")
    }
}

/// Calls the system's `read`, which the method of that name hides.
private func systemRead(_ descriptor: Int32, _ start: UnsafeMutableRawPointer?, _ count: Int) -> Int {
    read(descriptor, start, count)
}
