import Mux
import NIOCore

/// One process of one client. A restarted process has the same values.
struct PortOwner: Sendable, Hashable {
    let client: [UInt8]
    let instance: [UInt8]
}

/// A session that claims public ports. Other event loops may ask whether it answers, and end it.
protocol PortHolder: AnyObject, Sendable {
    /// The session's id in RESUME.
    var id: [UInt8] { get }
    /// The client's process that the session belongs to.
    var owner: PortOwner { get }
    /// The client's name for messages.
    var name: String { get }
    /// The time until which the session waits for another carrier; nil while it has one.
    var waitsUntil: Instant? { get }
    /// Asks the client for a sign of life.
    ///
    /// - Returns: false if none arrives within `timeout`.
    func isAlive(within timeout: TimeAmount) -> EventLoopFuture<Bool>
    /// Ends the session.
    ///
    /// - Returns: done once its ports are free.
    func end(_ reason: Refusal) -> EventLoopFuture<Void>
}
