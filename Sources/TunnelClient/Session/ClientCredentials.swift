import Mux
import Synchronization

/// The credentials of a client, which may change while it runs. A session keeps those with which it began.
final class ClientCredentials: Sendable {
    private let stored: Mutex<Credentials>

    init(_ token: Token?) {
        stored = Mutex((token ?? .none).credentials())
    }

    /// The credentials for the next session.
    var present: Credentials { stored.withLock { $0 } }

    /// Uses another token from now on.
    ///
    /// - Returns: whether it differs from the one before.
    func update(_ token: Token?) -> Bool {
        let credentials = (token ?? .none).credentials()
        return stored.withLock { stored in
            defer { stored = credentials }
            return stored.id != credentials.id
        }
    }
}
