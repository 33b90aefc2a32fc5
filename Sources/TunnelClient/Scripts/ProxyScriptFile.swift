import NIOPosix
import Platform
import TunnelAdmin
import TunnelCore

/// A proxy script in a file.
struct ProxyScriptFile: Sendable {
    let path: String
    let limit: Int

    /// All of it, read on a thread where nobody waits for anything else.
    ///
    /// - Throws: ``ProxyScriptFailure``.
    func bytes() async throws -> [UInt8] {
        try await NIOThreadPool.singleton.runIfActive { try read() }
    }

    private func read() throws(ProxyScriptFailure) -> [UInt8] {
        // A pipe or a device would make us wait; those are told apart only once they are open.
        let descriptor = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC)
        guard descriptor >= 0 else { throw failure(errno) }
        defer { close(descriptor) }
        var facts = stat()
        guard fstat(descriptor, &facts) == 0 else { throw failure(errno) }
        guard facts.st_mode & S_IFMT == S_IFREG else {
            throw ProxyScriptFailure(reason: "this is no ordinary file", remedy: "give the script's own path")
        }
        var bytes: [UInt8] = []
        var piece = [UInt8](repeating: 0, count: 65_536)
        while true {
            let count = piece.withUnsafeMutableBytes { systemRead(descriptor, $0.baseAddress, $0.count) }
            if count < 0, errno == EINTR { continue }
            guard count >= 0 else { throw failure(errno) }
            if count == 0 { return bytes }
            bytes += piece[..<count]
            guard bytes.count <= limit else { throw .tooLong(limit: limit) }
        }
    }

    private func failure(_ number: Int32) -> ProxyScriptFailure {
        ProxyScriptFailure(
            reason: "the file cannot be read: \(String(cString: strerror(number)))",
            remedy: "check the path and who may read it"
        )
    }
}

extension ProxyScriptFailure {
    static func tooLong(limit: Int) -> ProxyScriptFailure {
        ProxyScriptFailure(reason: "it is longer than \(limit) bytes", remedy: "check that this is a proxy script")
    }
}

/// The system's `read`, which the method of that name hides.
private func systemRead(_ descriptor: Int32, _ start: UnsafeMutableRawPointer?, _ count: Int) -> Int {
    read(descriptor, start, count)
}
