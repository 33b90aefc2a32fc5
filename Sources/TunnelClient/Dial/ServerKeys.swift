import Logging
import Mux
import Seal
import Synchronization
import TunnelCore

/// The keys that a client accepts from servers: those that it is given, or those that it knows from earlier sessions.
final class ServerKeys: Sendable {
    private let pins: [ServerPublicKey]
    private let known: KnownServers?
    /// Keys of servers that have proved themselves in this run, by the URL's host and port. A file may be missing.
    private let seen = Mutex<[String: ServerPublicKey]>([:])

    /// - Parameters:
    ///   - pins: keys of which each is right; empty if the client remembers keys.
    ///   - known: the file of remembered keys.
    init(pins: [ServerPublicKey], known: KnownServers?) {
        (self.pins, self.known) = (pins, known)
    }

    /// Whether the configuration names the keys. Otherwise they are remembered.
    var isPinned: Bool { !pins.isEmpty }

    /// The keys of a server; nil if any will do.
    ///
    /// A server whose line cannot be read has no right key: it is no first contact.
    func expected(of authority: String) -> [ServerPublicKey]? {
        guard pins.isEmpty else { return pins }
        let remembered = known?.keys(of: authority) ?? []
        guard remembered.isEmpty else { return remembered }
        if known?.isDamaged(authority) ?? false { return [] }
        return seen.withLock { $0[authority] }.map { [$0] }
    }

    /// Remembers the key of a server that has proved that it holds it.
    ///
    /// - Parameter logger: gets a warning if no file takes it.
    /// - Returns: false if another process has remembered another key meanwhile.
    func learn(_ key: ServerPublicKey, of authority: String, logger: Logger) -> Bool {
        guard pins.isEmpty else { return true }
        let isRight = known?.remember(key, of: authority) ?? true
        let isNew = isRight && seen.withLock { $0.updateValue(key, forKey: authority) } == nil
        let problem = known == nil && isNew ? Self.noFile : known?.takeProblem()
        if let problem {
            logger.warning("the file of known servers has a problem", metadata: ["problem": "\(problem)"])
        }
        return isRight
    }

    private static let noFile =
        "there is none, so the server's key is remembered for this run only; set HOME or XDG_STATE_HOME, or name the key"
}
