import NIOCore
import Synchronization

/// The descriptors that the process has open, as far as they are sockets of tunnels: counted as they come and go, so that
/// no visitor costs a look at the system's table. One for the process, since its servers and clients share that table.
package final class DescriptorCount: Sendable {
    package static let shared = DescriptorCount()

    private let tracked = Atomic(0)
    /// Descriptors of other kinds, when they were counted last.
    private let others = Atomic(0)

    package init() {}

    /// Descriptors in use.
    package var inUse: Int { others.load(ordering: .relaxed) + tracked.load(ordering: .relaxed) }

    /// Counts a socket until it is closed.
    package func track(_ channel: any Channel) {
        tracked.add(1, ordering: .relaxed)
        channel.closeFuture.whenComplete { _ in self.tracked.subtract(1, ordering: .relaxed) }
    }

    /// Counts the descriptors of other kinds: listening sockets, event loops, files. Reads the process's table.
    package func countOthers() {
        guard let open = ProcessUsage.descriptorCount else { return }
        others.store(max(0, open - tracked.load(ordering: .relaxed)), ordering: .relaxed)
    }
}
