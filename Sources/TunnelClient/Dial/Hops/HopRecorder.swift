import Mux
import Synchronization
import TunnelCore

/// Times the hops of one dial, and reports each one that is passed.
final class HopRecorder: Sendable {
    private let observer: HopObserver?
    private let last = Mutex(Instant.now)

    /// - Parameter observer: nil if nothing is to be reported.
    init(_ observer: HopObserver?) {
        self.observer = observer
    }

    /// Whether reports are wanted, so that facts are worth their making.
    var isWanted: Bool { observer != nil }

    /// A connection begins.
    func begin() {
        last.withLock { $0 = .now }
    }

    /// A hop is passed.
    func passed(_ content: @autoclosure () -> HopFact.Content) {
        guard let observer else { return }
        let now = Instant.now
        let time = last.withLock { last in
            defer { last = now }
            return now.since(last)
        }
        observer(HopFact(content(), time: time))
    }
}
