import NIOCore

/// A service in the program itself: a closure that gets each visitor's stream as a channel.
///
/// The channel behaves like an accepted TCP connection, half-close included. A reset from either side arrives as the end
/// of the channel. The visitor's stream and the channel are joined by a pair of local sockets.
public final class InProcessService: Sendable, Hashable {
    /// The name in logs, in the status and in the client's events, for instance `my-app`.
    public let name: String
    let initializer: @Sendable (any Channel) -> EventLoopFuture<Void>

    /// A service.
    ///
    /// - Parameter initializer: adds the service's handlers to the channel of a visitor, as for NIO's `ServerBootstrap`; it
    ///   runs on the channel's event loop. If the future fails, the visitor is reset.
    public init(name: String, _ initializer: @escaping @Sendable (any Channel) -> EventLoopFuture<Void>) {
        self.name = name
        self.initializer = initializer
    }

    /// Whether both are the same object.
    public static func == (left: InProcessService, right: InProcessService) -> Bool { left === right }

    /// Hashes the object's identity.
    public func hash(into hasher: inout Hasher) {
        hasher.combine(ObjectIdentifier(self))
    }
}
