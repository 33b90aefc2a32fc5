/// What a visitor wants from the backend: its first sixteen bytes.
struct WorkloadRequest: Equatable {
    /// What is done with the rest of the connection.
    enum Kind: UInt8 {
        /// Every byte comes back.
        case echo = 101
        /// The backend sends the pattern for a time.
        case download = 100
        /// The visitor sends the pattern, and is told how many bytes arrived, all of them right: see ``UploadReceipt``.
        case upload = 117
        /// The backend says how many connections it echoes, in eight bytes.
        case census = 99
    }

    /// How long it is on the wire.
    static let length = 16
    private static let magic: UInt8 = 0xC7

    let kind: Kind
    /// Which of the streams: where in the pattern it begins.
    var stream = 0
    /// For how long a download is sent.
    var milliseconds = 0
    /// What a download is held to; 0 for nothing.
    var kilobytesPerSecond = 0

    /// On the wire.
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
    /// Nil for what is no order.
    init?(_ bytes: [UInt8]) {
        guard bytes.count == Self.length, bytes[0] == Self.magic, let kind = Kind(rawValue: bytes[1]) else {
            return nil
        }
        func number(_ place: Int) -> Int { (0..<4).reduce(0) { $0 | Int(bytes[place + $1]) << (8 * $1) } }
        self.init(kind: kind, stream: number(4), milliseconds: number(8), kilobytesPerSecond: number(12))
    }
}
