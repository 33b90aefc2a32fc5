import Platform
import Seal
import TunnelCore

/// Reads and extends a file of known servers.
struct KnownServersFile: Sendable {
    /// Bytes of the longest file. 1 MiB: some 10,000 servers, read in a few milliseconds at each dial.
    static let longestFile = 1_048_576
    /// The time for the lock that another process has. 100 ms: it is held for one line, and an event loop waits.
    static let lockTime: Duration = .milliseconds(100)
    private static let lockTries = 20

    let path: String

    /// Why the file cannot be used.
    struct Unusable: Error {
        let reason: String
    }

    /// What became of a key.
    enum Outcome: Equatable {
        /// The key is in the file now.
        case isThere
        /// The file has other keys of the server, and stays as it is.
        case hasOthers
    }

    /// The list in the file; an empty one if there is no file.
    func read() throws(Unusable) -> KnownServerList {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
        if descriptor < 0, errno == ENOENT { return KnownServerList() }
        guard descriptor >= 0 else { throw Self.failure("it cannot be read", errno) }
        defer { close(descriptor) }
        return KnownServerList(bytes: try content(descriptor))
    }

    /// Appends a line, unless the file has one of the server. The file and its folder are made if they are missing.
    func append(_ key: ServerPublicKey, of authority: String) throws(Unusable) -> Outcome {
        guard let line = KnownServerList.line(key, of: authority) else {
            throw Unusable(reason: "\(authority.escapedForDisplay()) is not HOST:PORT")
        }
        if let folder = PrivateFolder.parent(of: path), let reason = PrivateFolder.make(folder) {
            throw Unusable(reason: "its folder cannot be made: \(reason)")
        }
        let descriptor = open(path, O_RDWR | O_APPEND | O_CREAT | O_CLOEXEC | O_NONBLOCK, 0o600)
        guard descriptor >= 0 else { throw Self.failure("it cannot be written", errno) }
        defer { close(descriptor) }
        try lock(descriptor)
        let bytes = try content(descriptor)
        let others = KnownServerList(bytes: bytes).keys(of: authority)
        guard others.isEmpty else { return others.contains(key) ? .isThere : .hasOthers }
        // An editor may have left the last line without its end.
        let isComplete = bytes.last == nil || bytes.last == UInt8(ascii: "\n")
        let addition = Array("\(isComplete ? "" : "\n")\(line)\n".utf8)
        guard bytes.count + addition.count <= Self.longestFile else { throw Self.tooLong }
        let count = addition.withUnsafeBytes { write(descriptor, $0.baseAddress, $0.count) }
        guard count < addition.count else { return .isThere }
        let number = count < 0 ? errno : ENOSPC
        // The lock is held, so that nothing stands behind the part of a line.
        if count > 0 { ftruncate(descriptor, off_t(bytes.count)) }
        throw Self.failure("it cannot be written", number)
    }

    /// Takes the lock, which ends with the descriptor.
    private func lock(_ descriptor: Int32) throws(Unusable) {
        for _ in 0..<Self.lockTries {
            if flock(descriptor, LOCK_EX | LOCK_NB) == 0 { return }
            guard errno == EWOULDBLOCK || errno == EINTR else { throw Self.failure("it cannot be locked", errno) }
            usleep(UInt32(Self.lockTime / .microseconds(1)) / UInt32(Self.lockTries))
        }
        throw Unusable(reason: "another process has locked it")
    }

    /// All bytes of an open file.
    private func content(_ descriptor: Int32) throws(Unusable) -> [UInt8] {
        var status = stat()
        guard fstat(descriptor, &status) == 0 else { throw Self.failure("it cannot be read", errno) }
        // A pipe or a device would give bytes for ever.
        guard status.st_mode & S_IFMT == S_IFREG else { throw Unusable(reason: "it is not an ordinary file") }
        guard status.st_size <= Self.longestFile else { throw Self.tooLong }
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 65_536)
        while true {
            let count = chunk.withUnsafeMutableBytes { systemRead(descriptor, $0.baseAddress, $0.count) }
            if count < 0, errno == EINTR { continue }
            guard count >= 0 else { throw Self.failure("it cannot be read", errno) }
            guard count > 0 else { return bytes }
            bytes += chunk[..<count]
            guard bytes.count <= Self.longestFile else { throw Self.tooLong }
        }
    }

    private static let tooLong = Unusable(reason: "it is longer than \(longestFile) bytes")

    private static func failure(_ what: String, _ number: Int32) -> Unusable {
        Unusable(reason: "\(what): \(String(cString: strerror(number)))")
    }
}

/// Calls the system's `read`, which the method of that name hides.
private func systemRead(_ descriptor: Int32, _ start: UnsafeMutableRawPointer?, _ count: Int) -> Int {
    read(descriptor, start, count)
}
