import Mux
import NIOCore
import NIOPosix

/// A destination of streams: a service behind a tunnel.
package protocol Egress {
    /// Connects to the service. The channel is not read before it is asked for.
    ///
    /// - Parameter onBegin: gets a function that gives up: no further attempt is made then.
    func connect(onBegin: (@escaping () -> Void) -> Void) -> EventLoopFuture<any Channel>
}

extension Egress {
    /// Connects a stream to the service. If its pipe ends meanwhile, no further attempt is made.
    package func connect(for pipe: StreamPipe) -> EventLoopFuture<any Channel> {
        connect { pipe.connecting(cancel: $0) }
    }
}

/// Why a service could not be connected to.
package enum EgressFailure {
    /// The reason for the log.
    package static func reason(_ error: any Error) -> String {
        if let error = error as? NIOConnectionError {
            if let forbidden = error.connectionErrors.lazy.compactMap({ $0.error as? ServiceAddressGuard.Forbidden })
                .first
            {
                return "its name leads to \(forbidden.address), where no service is"
            }
            if let failure = error.nameFailure {
                return
                    "the name \(error.host) has no address (\(failure)): check its spelling, and this machine's name server"
            }
        }
        switch SocketFailure(error) {
        case .fileMissing?: return "there is no such socket"
        case .notPermitted?: return "this user may not connect to it"
        default: return "\(code(error))"
        }
    }

    /// The code for the server, which passes the failure on to the visitor's socket.
    package static func code(_ error: any Error) -> ResetCode {
        if let error = error as? NIOConnectionError {
            guard !error.connectionErrors.isEmpty else {
                return error.nameFailure == .busy ? .busy : .unreachable
            }
            // A machine without IPv6 reaches none of those addresses: the others say more.
            return error.connectionErrors.lazy.map { code($0.error) }.first { $0 != .unreachable } ?? .unreachable
        }
        if case .connectTimeout? = error as? ChannelError { return .timeout }
        switch SocketFailure(error) {
        case .refused?: return .refused
        case .timedOut?: return .timeout
        case .outOfDescriptors?, .outOfMemory?: return .busy
        default: return .unreachable
        }
    }
}
