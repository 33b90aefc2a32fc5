import NIOCore
import NIOPosix
import NIOSSL
import Platform

extension Error {
    /// The error in words for a person: never a type's name, a list in brackets or a path of the build.
    public var userDescription: String {
        switch self {
        case let error as IOError: return String(cString: strerror(error.errnoCode)).lowercased()
        case let error as ChannelError: return error.words
        case let error as NIOConnectionError:
            return error.connectionErrors.first?.error.userDescription
                ?? (error.nameFailure ?? .notFound).sentence(about: error.host)
        case is SocketAddressError: return "the address cannot be used"
        case is CancellationError: return "it was cancelled"
        case let error as CertificateProblem: return error.sentence(of: "the other end")
        default: break
        }
        if let failure = TLSFailure(self) { return failure.userDescription }
        // Descriptions in this package are written for people; those of libraries are not.
        // `Any` has the type itself, also if this error is an existential in another one.
        let error: Any = self
        let module = String(reflecting: type(of: error)).prefix { $0 != "." }
        if Self.describedModules.contains(String(module)), let words = self as? any CustomStringConvertible {
            return words.description
        }
        return "something unexpected went wrong"
    }

    private static var describedModules: Set<String> {
        [
            "ACME", "HTTP1", "Mux", "ProxyConnect", "TunnelAdmin", "TunnelClient", "TunnelCore", "TunnelServer",
            "WebSocket", "culvert",
        ]
    }
}

extension ChannelError {
    fileprivate var words: String {
        switch self {
        case .connectTimeout: "no answer in time"
        case .eof, .ioOnClosedChannel, .alreadyClosed, .inputClosed, .outputClosed: "the connection is closed"
        default: "the connection failed"
        }
    }
}
