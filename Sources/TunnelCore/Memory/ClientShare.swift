import Synchronization

/// What one client has, over all its sessions.
package final class ClientShare: Sendable {
    /// Bytes, as the budget counts them.
    package let memory = Atomic(0)
    /// Sockets of visitors, and of destinations that it has named.
    package let connections = Atomic(0)

    package init() {}
}
