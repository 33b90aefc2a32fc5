/// What a socket met.
public enum SocketError: Error, Sendable, Equatable, CustomStringConvertible {
    /// The peer has sent RST.
    case reset
    /// The peer has closed, and is written to.
    case broken
    /// Nobody listens.
    case refused
    /// Nothing moved for as long as this socket waits.
    case timedOut
    /// The stream ended before what was to come.
    case ended(missing: Int)
    /// Anything else.
    case system(call: String, errno: Int32)

    /// In words.
    public var description: String {
        switch self {
        case .reset: "connection reset"
        case .broken: "broken pipe"
        case .refused: "connection refused"
        case .timedOut: "timed out"
        case .ended(let missing): "the stream ended \(missing) bytes too early"
        case .system(let call, let errno): "\(call): errno \(errno)"
        }
    }
}
