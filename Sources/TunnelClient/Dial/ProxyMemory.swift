import ProxyConnect
import Synchronization

/// Remembers for one run how each proxy has treated the credentials.
final class ProxyMemory: Sendable {
    private struct Known {
        var trusted: Set<ProxyURL> = []
        var ahead: Set<ProxyURL> = []
        var warned: Set<ProxyURL> = []
    }

    private let known = Mutex(Known())

    /// Records that the proxy took the credentials, perhaps by a scheme that can be sent ahead.
    func remember(_ proxy: ProxyURL, sendsAhead: Bool) {
        known.withLock { known in
            known.trusted.insert(proxy)
            if sendsAhead { known.ahead.insert(proxy) }
        }
    }

    /// Whether the credentials may be sent ahead.
    func worked(_ proxy: ProxyURL) -> Bool {
        known.withLock { $0.ahead.contains(proxy) }
    }

    /// Forgets that the proxy took the credentials.
    ///
    /// - Returns: whether it had taken them.
    func forget(_ proxy: ProxyURL) -> Bool {
        known.withLock { known in
            known.ahead.remove(proxy)
            return known.trusted.remove(proxy) != nil
        }
    }

    /// True once for each proxy.
    func warns(about proxy: ProxyURL) -> Bool {
        known.withLock { $0.warned.insert(proxy).inserted }
    }
}
