import Mux
import NIOCore
import TunnelCore

/// The end of a session at the time when its client's access expires.
final class SessionExpiry {
    /// The longest wait between two looks at the wall clock, which may be set meanwhile. One day.
    private static let longestWait: Int64 = 86_400

    private let loop: any EventLoop
    private let clock: ServerClock
    private let onExpired: (Refusal) -> Void
    private var timer: Scheduled<Void>?

    /// - Parameter onExpired: called on the event loop once the access has expired.
    init(on loop: any EventLoop, clock: ServerClock, onExpired: @escaping (Refusal) -> Void) {
        self.loop = loop
        self.clock = clock
        self.onExpired = onExpired
    }

    /// Waits for the expiry in `rights`, in place of an earlier one.
    func watch(_ rights: ClientRights) {
        cancel()
        guard let expires = rights.expires else { return }
        let left = min(max(0, expires - clock.unixSeconds()), Self.longestWait)
        timer = loop.assumeIsolated().scheduleTask(in: .seconds(left)) {
            guard let refusal = rights.refusal(now: self.clock.unixSeconds()) else { return self.watch(rights) }
            self.onExpired(refusal)
        }
    }

    func cancel() {
        timer?.cancel()
        timer = nil
    }
}
