/// The reason why a client's run ended for good.
public enum ClientError: Error, Sendable, CustomStringConvertible {
    /// The server or the proxy refused the client: token, port, proxy credentials.
    case refused(String)
    /// The peer does not speak our protocol.
    case notOurs(String)
    /// No server was reached within the permitted tries.
    case unreachable(String)
    /// The configuration cannot work.
    case configuration(String)

    /// One line for a person.
    public var description: String {
        switch self {
        case .refused(let text), .notOurs(let text), .unreachable(let text), .configuration(let text): text
        }
    }
}
