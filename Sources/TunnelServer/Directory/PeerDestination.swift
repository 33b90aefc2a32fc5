import ByteText
import Cluster
import Mux

/// What a server asks another one for, in the destination of OPEN (protocol page, section 11).
enum PeerDestination: Hashable, Sendable {
    /// A visitor's stream to a tunnel of a session.
    case tunnel(UInt16, session: [UInt8])
    /// Whether a session's client answers. The stream is accepted if it does.
    case life(session: [UInt8])
    /// A visitor's connection for a host name: TLS as it comes, or one request, whose head the sender has written anew.
    case names(String, isSecure: Bool)
    /// The clients of the server that is asked: the stream brings them as JSON.
    case clients
    /// The report that the sender has taken over a claim of the receiver. It has no answer.
    case taken(ClaimKey)
    /// The carrier of a client that wants to resume a session there: the payloads of CHALLENGE and RESUME. The stream has
    /// the bytes of the WebSocket that follow. It is accepted if the proof is right.
    case carrier(challenge: [UInt8], resume: [UInt8])

    /// `tunnel/NUMBER/SESSION`, `life/SESSION`, `https/NAME`, `http/NAME`, `taken/KEY` or `clients`, with the session's id in
    /// hexadecimal digits; or `carrier/`, and in base64 the length of the CHALLENGE, one byte, and both payloads.
    var text: String {
        switch self {
        case .tunnel(let number, let session): "tunnel/\(number)/\(Base16.encoded(session))"
        case .life(let session): "life/\(Base16.encoded(session))"
        case .names(let name, let isSecure): "\(isSecure ? "https" : "http")/\(name)"
        case .taken(let key): "taken/\(key)"
        case .clients: "clients"
        case .carrier(let challenge, let resume):
            // A longer CHALLENGE than those of this protocol is cut, and then refused.
            "carrier/\(Base64.encoded([UInt8(truncatingIfNeeded: challenge.count)] + challenge + resume))"
        }
    }

    /// Whether OPEN can carry it. Keys of long names cannot.
    var fits: Bool { text.utf8.count <= OpenRequest.longestDestination }

    /// - Returns: nil for another text.
    init?(_ text: String) {
        if text.hasPrefix("carrier/") {
            guard let bytes = Base64.decoded(String(text.dropFirst("carrier/".count)), .canonical),
                let length = bytes.first, bytes.count > Int(length)
            else { return nil }
            let challenge = Array(bytes.dropFirst().prefix(Int(length)))
            self = .carrier(challenge: challenge, resume: Array(bytes.dropFirst(1 + challenge.count)))
            return
        }
        if text == "clients" {
            self = .clients
            return
        }
        if text.hasPrefix("taken/") {
            guard let key = ClaimKey(text.dropFirst("taken/".count)) else { return nil }
            self = .taken(key)
            return
        }
        for (scheme, isSecure) in [("http/", false), ("https/", true)] where text.hasPrefix(scheme) {
            self = .names(String(text.dropFirst(scheme.count)), isSecure: isSecure)
            return
        }
        let parts = text.split(separator: "/", omittingEmptySubsequences: false)
        guard let last = parts.last, let session = Base16.decoded(last), session.count == 16 else { return nil }
        switch parts.first {
        case "tunnel":
            guard parts.count == 3, let number = UInt16(parts[1]) else { return nil }
            self = .tunnel(number, session: session)
        case "life":
            guard parts.count == 2 else { return nil }
            self = .life(session: session)
        default:
            return nil
        }
    }
}
