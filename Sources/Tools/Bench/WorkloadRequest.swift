/// A visitor's request to the backend, in its first 16 bytes.
struct WorkloadRequest: Equatable {
    /// The use of the rest of the connection.
    enum Kind: UInt8 {
        /// The backend echoes every byte.
        case echo = 101
        /// The backend sends the pattern for a time.
        case download = 100
        /// The visitor sends the pattern, and the backend answers with the number of bytes, or 0 after an error.
        case upload = 117
        /// The visitor sends the pattern, and the backend answers after a time with the number of bytes that have arrived,
        /// or 0 after an error.
        case timedUpload = 116
        /// The backend sends the number of connections that it echoes.
        case connectionCount = 99
    }

    /// The length on the wire in bytes.
    static let length = 16
    private static let magic: UInt8 = 0xC7

    let kind: Kind
    /// The number of the stream, which is its start in the pattern.
    var stream = 0
    /// The duration of a download or a timed upload.
    var milliseconds = 0
    /// The rate of a download; 0 for no limit.
    var kilobytesPerSecond = 0

    /// The encoded request.
    var bytes: [UInt8] {
        var bytes: [UInt8] = [Self.magic, kind.rawValue, 0, 0]
        for number in [stream, milliseconds, kilobytesPerSecond] {
            let word = UInt32(truncatingIfNeeded: number)
            bytes += (0..<4).map { UInt8(truncatingIfNeeded: word >> (8 * UInt32($0))) }
        }
        return bytes
    }
}

extension WorkloadRequest {
    /// Decodes a request; nil if the bytes are not one.
    init?(_ bytes: [UInt8]) {
        guard bytes.count == Self.length, bytes[0] == Self.magic, let kind = Kind(rawValue: bytes[1]) else {
            return nil
        }
        func number(_ place: Int) -> Int { (0..<4).reduce(0) { $0 | Int(bytes[place + $1]) << (8 * $1) } }
        self.init(kind: kind, stream: number(4), milliseconds: number(8), kilobytesPerSecond: number(12))
    }
}
