import Dispatch
import Synchronization

/// Holds threads until the test lets them go.
public final class Gate: Sendable {
    private let semaphore = DispatchSemaphore(value: 0)
    private let opened = Atomic(false)

    /// Whether it has been opened.
    public var isOpen: Bool { opened.load(ordering: .relaxed) }

    /// A closed gate.
    public init() {}

    /// Waits until it opens, a minute at most.
    public func wait() {
        if semaphore.wait(timeout: .now() + 60) == .success { semaphore.signal() }
    }

    /// Lets everybody through.
    public func open() {
        opened.store(true, ordering: .relaxed)
        semaphore.signal()
    }
}
