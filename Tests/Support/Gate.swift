import Dispatch
import Synchronization

/// Holds threads until the test opens the gate.
public final class Gate: Sendable {
    private let semaphore = DispatchSemaphore(value: 0)
    private let opened = Atomic(false)

    /// Whether the gate is open.
    public var isOpen: Bool { opened.load(ordering: .relaxed) }

    /// Creates a closed gate.
    public init() {}

    /// Waits until the gate opens; at most five minutes, since a test may not run for a minute while all of them start.
    public func wait() {
        if semaphore.wait(timeout: .now() + 300) == .success { semaphore.signal() }
    }

    /// Opens the gate for all threads.
    public func open() {
        opened.store(true, ordering: .relaxed)
        semaphore.signal()
    }
}
