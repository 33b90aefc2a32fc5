import Mux
import Seal
import TunnelCore

/// A failed authentication: the carrier is connected, and no session began or continued on it.
enum SessionFailure: Sendable {
    /// The server refused the client.
    case refused(Refusal)
    /// The server broke the protocol, or did not prove that it knows the token.
    case violation(MuxError)
    /// The server has another key than it should.
    case wrongKey(ServerPublicKey)
    /// The carrier was lost.
    case lost(CarrierLoss)
    /// An error of this process.
    case local(String)

    /// Reads an error of the handshake.
    init(_ error: any Error) {
        switch error {
        case let refusal as Refusal: self = .refused(refusal)
        case let error as MuxError: self = .violation(error)
        case let loss as CarrierLoss: self = .lost(loss)
        case let wrong as ClientCarrierHandshake.WrongKey: self = .wrongKey(wrong.key)
        default: self = .local(error.userDescription)
        }
    }

    /// The error for a person.
    func error(on route: DialRoute) -> DialError {
        switch self {
        case .refused(let refusal):
            return Self.error(refusal, on: route)
        case .violation(let error) where error.kind == .proof:
            let remedy = "compare --token-file with the server's; nothing was sent that could be used elsewhere"
            return route.error(.session, error.detail, remedy, .refused)
        case .violation(let error) where error.kind == .encryption:
            let remedy = "let it make a key (`key_file`), or give --encryption off at this end if the path is trusted"
            return route.error(.session, error.detail, remedy, .refusedAtFirst)
        case .violation(let error) where error.kind == .altered:
            return route.error(.session, error.detail, "", .retry)
        case .wrongKey(let key):
            return Self.error(key, on: route)
        case .violation(let error) where error.kind == .version:
            return route.error(.session, error.detail, "", .notOurs)
        case .violation(let error):
            return route.error(.session, "the server does not speak our protocol (\(error))", "check the URL", .notOurs)
        case .lost(let loss):
            return route.error(.session, loss.description, "", loss.isProtocolViolation ? .notOursAtFirst : .retry)
        case .local(let reason):
            return route.error(.session, reason, "", .retry)
        }
    }

    private static func error(_ key: ServerPublicKey, on route: DialRoute) -> DialError {
        let keys = route.context.serverKeys
        let fingerprints = keys.expected(of: route.knownAs)?.map(\.fingerprint) ?? []
        let expected =
            fingerprints.isEmpty ? "another, which its line does not show" : fingerprints.joined(separator: " or ")
        let (answer, remedy) =
            keys.isPinned
            ? (
                "the server's key is not the one of --server-key: it has the fingerprint \(key.fingerprint), and not "
                    + expected,
                "something on the way may play the server; compare with `culvert key` there, which prints \(key) if the "
                    + "key is right"
            )
            : (
                "THE SERVER'S KEY HAS CHANGED: it has the fingerprint \(key.fingerprint), and was \(expected)",
                "something on the way may play the server; if `culvert key` there prints \(key), remove the lines of "
                    + "\(route.knownAs) from \(route.configuration.knownServers?.path ?? "known_servers")"
            )
        var result = route.error(.session, answer, remedy, .refused)
        result.isKeyChange = true
        return result
    }

    private static func error(_ refusal: Refusal, on route: DialRoute) -> DialError {
        let disposition: DialError.Disposition
        var remedy = ""
        switch refusal.code {
        case .credentials:
            disposition = .refused
            remedy =
                route.configuration.token == nil
                ? "this server wants a token: give --token-file" : "compare --token-file with the server's"
        case .encryption:
            disposition = .refused
            remedy = "give --encryption auto or required"
        case .version, .protocolViolation: disposition = .notOurs
        default: disposition = .retry
        }
        var result = route.error(.session, "the server refused: \(refusal)", remedy, disposition)
        result.retryAfter = refusal.retryAfter.map { Int(clamping: $0) }
        result.isFinal = true
        result.refusal = refusal.code
        return result
    }
}

extension DialRoute {
    /// The server that has answered has another session of this client.
    var serverInUse: DialError {
        var result = error(.session, "the server that answered has another session of this client", "", .retry)
        result.isServerInUse = true
        return result
    }
}
