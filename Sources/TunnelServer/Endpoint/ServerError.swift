import TunnelCore

/// A reason why a server did not start.
public enum ServerError: Error, Sendable, CustomStringConvertible {
    /// The configuration cannot be used.
    case configuration(String)
    /// An address cannot be bound.
    case bind(ListenAddress, reason: String)
    /// A socket that was handed to the server cannot be used.
    case socket(Int32, reason: String)

    /// The reason in one line.
    public var description: String {
        switch self {
        case .configuration(let text): text
        case .bind(let address, let reason): "cannot listen on \(address): \(reason)"
        case .socket(let descriptor, let reason): "cannot listen on the socket handed over as \(descriptor): \(reason)"
        }
    }
}
