/// An error of a socket.
public enum SocketError: Error, Sendable, Equatable, CustomStringConvertible {
    /// The peer has sent RST.
    case reset
    /// The peer has closed the connection, and this end writes.
    case broken
    /// No socket listens.
    case refused
    /// There was no progress within the timeout of the socket.
    case timedOut
    /// The stream ended too early.
    case ended(missing: Int)
    /// Another error.
    case system(call: String, errno: Int32)

    /// A description for errors.
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
