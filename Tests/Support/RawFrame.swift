/// A frame of RFC 6455 as bytes, without any check: what something on the path can write.
public struct RawFrame: Sendable {
    /// How the length is written.
    public enum Length: Sendable {
        /// In the shortest form, as RFC 6455 wants.
        case shortest
        /// In eight bytes, whatever it is.
        case longest
        /// In the shortest form, and wrong by this many bytes.
        case wrong(by: Int)
    }

    /// The first byte of a whole binary message.
    public static let binary: UInt8 = 0x82
    /// The first byte of Close.
    public static let close: UInt8 = 0x88
    /// The first byte of a ping.
    public static let ping: UInt8 = 0x89
    /// The first byte of a pong.
    public static let pong: UInt8 = 0x8A

    /// FIN, the reserved bits and the opcode.
    public var head = RawFrame.binary
    /// The payload, unmasked.
    public var payload: [UInt8]
    /// How the length is written.
    public var length = Length.shortest

    /// Creates a frame.
    public init(head: UInt8 = RawFrame.binary, payload: [UInt8], length: Length = .shortest) {
        (self.head, self.payload, self.length) = (head, payload, length)
    }

    /// The opcode.
    public var opcode: UInt8 { head & 0x0F }
    /// Whether the message ends with it.
    public var isFinal: Bool { head & 0x80 != 0 }
    /// Whether it is a control frame.
    public var isControl: Bool { head & 0x08 != 0 }

    /// The bytes on the wire.
    ///
    /// - Parameter mask: the masking key; nil for a frame that is not masked.
    public func wire(mask: [UInt8]?) -> [UInt8] {
        var bytes = [head]
        let bit: UInt8 = mask == nil ? 0 : 0x80
        var count = payload.count
        if case .wrong(let difference) = length { count = max(0, count + difference) }
        let isLong = if case .longest = length { true } else { false }
        if count < 126, !isLong {
            bytes.append(UInt8(count) | bit)
        } else if count < 65_536, !isLong {
            bytes += [126 | bit, UInt8(count >> 8), UInt8(count & 0xFF)]
        } else {
            bytes.append(127 | bit)
            bytes += (0..<8).reversed().map { UInt8(truncatingIfNeeded: count >> ($0 * 8)) }
        }
        guard let mask else { return bytes + payload }
        return bytes + mask + Self.masked(payload, mask)
    }

    /// A payload masked, or unmasked, by a key of four bytes.
    public static func masked(_ payload: [UInt8], _ mask: [UInt8]) -> [UInt8] {
        guard mask.contains(where: { $0 != 0 }) else { return payload }
        return [UInt8](unsafeUninitializedCapacity: payload.count) { buffer, count in
            for index in payload.indices { buffer[index] = payload[index] ^ mask[index & 3] }
            count = payload.count
        }
    }

    /// A message cut into frames of these lengths; the last frame has the rest.
    public static func fragments(_ message: [UInt8], _ lengths: [Int]) -> [RawFrame] {
        var rest = message[...]
        var frames: [RawFrame] = []
        for length in lengths {
            frames.append(RawFrame(head: frames.isEmpty ? 0x02 : 0x00, payload: Array(rest.prefix(length))))
            rest = rest.dropFirst(length)
        }
        frames.append(RawFrame(head: frames.isEmpty ? 0x82 : 0x80, payload: Array(rest)))
        return frames
    }
}

/// Reads the frames of one direction, unmasked.
public struct RawFrameReader {
    private var bytes: [UInt8] = []
    private var start = 0

    /// Creates a reader at the beginning of the frames.
    public init() {}

    /// Adds bytes of the connection.
    public mutating func append(_ more: [UInt8]) {
        if start > 65_536 {
            bytes.removeFirst(start)
            start = 0
        }
        bytes += more
    }

    /// The next complete frame.
    public mutating func next() -> RawFrame? {
        let count = bytes.count - start
        guard count >= 2 else { return nil }
        let second = bytes[start + 1]
        var (length, index) = (Int(second & 0x7F), start + 2)
        let extra = length == 126 ? 2 : length == 127 ? 8 : 0
        guard bytes.count >= index + extra else { return nil }
        if extra > 0 {
            length = bytes[index..<index + extra].reduce(0) { $0 << 8 | Int($1) }
            index += extra
        }
        let isMasked = second & 0x80 != 0
        guard bytes.count >= index + (isMasked ? 4 : 0) + length else { return nil }
        var mask: [UInt8] = [0, 0, 0, 0]
        if isMasked {
            mask = Array(bytes[index..<index + 4])
            index += 4
        }
        let frame = RawFrame(head: bytes[start], payload: RawFrame.masked(Array(bytes[index..<index + length]), mask))
        start = index + length
        return frame
    }
}
