/// What something on the path does at one message of one direction of a carrier.
public struct PathAttack: Sendable, CustomStringConvertible {
    /// The end that gets the message.
    public enum Direction: Sendable, CaseIterable {
        case toServer
        case toClient
    }

    /// A place in a message.
    public enum Place: Sendable, CaseIterable {
        case first
        case middle
        case last
    }

    /// What happens to the message.
    public enum Act: Sendable, Hashable {
        case flip(Place)
        case drop
        case `repeat`
        case swapWithNext
        case cutLastByte
        case appendByte
        case insertRandom(Int)
        /// The first message of this direction again, or the one just before.
        case insertOld(isFirst: Bool)
        /// A message of this direction of an earlier carrier.
        case insertFromEarlierCarrier
        /// A message of the other direction.
        case reflect
        /// A frame of the session that is not sealed.
        case insertPlain([UInt8])
        /// Another message in its place.
        case replace([UInt8])
        /// The message does not arrive, and its sender gets this one as the answer.
        case answer([UInt8])
        case joinWithNext
        /// The message in frames with another first byte.
        case head(UInt8)
        case length(by: Int)
        case longestLength
        case otherMasking
        case close
        case pings(Int)
        case fragments([Int])
        case cutConnection
    }

    /// Acts that RFC 6455 permits, so that the carrier goes on.
    public static let legal: [Act] = [
        .fragments([1]), .fragments([0, 5]), .fragments([3, 3, 3, 3]), .fragments([Int](repeating: 1, count: 31)),
        .pings(1),
    ]

    /// Acts that end the carrier.
    public static let illegal: [Act] =
        Place.allCases.map { .flip($0) } + [
            .drop, .repeat, .swapWithNext, .cutLastByte, .appendByte, .insertRandom(0), .insertRandom(40),
            .insertOld(isFirst: true), .insertOld(isFirst: false), .insertFromEarlierCarrier, .reflect, .joinWithNext,
            .head(0x83), .head(0x8B), .head(0xC2), .head(0xA2), .head(0x81), .head(0x80), .length(by: 5),
            .length(by: -3),
            .longestLength, .otherMasking, .close, .pings(21), .fragments([Int](repeating: 0, count: 32).map { $0 }),
            .cutConnection,
        ] + plain.map { .insertPlain($0) }

    /// Frames that an end which believes them would act upon.
    public static let plain: [[UInt8]] = [
        // DATA, RESET and END of the first stream of each end, GOAWAY, REFUSED, WELCOME, UNBOUND of tunnel 0.
        [0x22, 0, 0, 0, 0, 0, 0, 2] + Array("forged".utf8),
        [0x24, 0, 0, 0, 0, 0, 0, 2, 1, 0, 4, 0, 0, 0, 1, 2, 0, 8, 0, 0, 0, 0, 0, 0, 0, 0],
        [0x23, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0],
        [0x33, 0, 0, 0, 0, 0, 0, 0, 1, 0, 4, 0, 0, 0, 6, 2, 0, 0],
        [0x06, 0, 0, 0, 0, 0, 0, 0, 1, 0, 4, 0, 0, 0, 4, 2, 0, 0],
        [0x03, 0, 0, 0, 0, 0, 0, 0, 1, 0, 16] + [UInt8](repeating: 1, count: 16),
        [0x12, 0, 0, 0, 0, 0, 0, 0, 1, 0, 4, 0, 0, 0, 6, 2, 0, 0, 4, 0, 2, 0, 0],
    ]

    /// The direction of the message.
    public let direction: Direction
    /// The number of the message of its direction on the carrier, from 0; later ones if that one has passed.
    public let position: Int
    /// What happens to it.
    public let act: Act

    /// Creates an attack.
    public init(direction: Direction, position: Int, act: Act) {
        (self.direction, self.position, self.act) = (direction, position, act)
    }

    /// Whether RFC 6455 permits it.
    public var isLegal: Bool { Self.legal.contains(act) }

    /// The act, the message and its direction.
    public var description: String {
        "\(act) at message \(position) \(direction == .toServer ? "to the server" : "to the client")"
    }
}
