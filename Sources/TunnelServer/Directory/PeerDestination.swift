import ByteText

/// What a server asks another one for, in the destination of OPEN: a stream to a tunnel, or a sign of life.
enum PeerDestination: Hashable, Sendable {
    /// A visitor's stream to a tunnel of a session.
    case tunnel(UInt16, session: [UInt8])
    /// Whether a session's client answers. The stream is accepted if it does.
    case life(session: [UInt8])

    /// `tunnel/NUMBER/SESSION` or `life/SESSION`, with the session's id in hexadecimal digits.
    var text: String {
        switch self {
        case .tunnel(let number, let session): "tunnel/\(number)/\(Base16.encoded(session))"
        case .life(let session): "life/\(Base16.encoded(session))"
        }
    }

    /// - Returns: nil for another text.
    init?(_ text: String) {
        let parts = text.split(separator: "/", omittingEmptySubsequences: false)
        guard let last = parts.last, let session = Base16.decoded(last), session.count == 16 else { return nil }
        switch parts.first {
        case "tunnel":
            guard parts.count == 3, let number = UInt16(parts[1]) else { return nil }
            self = .tunnel(number, session: session)
        case "life":
            guard parts.count == 2 else { return nil }
            self = .life(session: session)
        default:
            return nil
        }
    }
}
