import Synchronization

/// What one client has, over all its sessions.
package final class ClientShare: Sendable {
    /// Bytes, as the budget counts them.
    package let memory = Atomic(0)
    /// Visitors' sockets.
    package let visitors = Atomic(0)

    package init() {}
}
