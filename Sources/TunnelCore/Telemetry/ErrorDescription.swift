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
        // Ours have been written for people; those of libraries have not.
        let module = String(reflecting: type(of: self)).prefix { $0 != "." }
        if ["Tunnel", "Mux", "HTTP1", "WebSocket", "ProxyConnect", "culvert"].contains(module),
            let error = self as? any CustomStringConvertible
        {
            return error.description
        }
        return "something unexpected went wrong"
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
