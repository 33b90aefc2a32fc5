import Mux
import TunnelCore

/// The refusals of public ports, in words for the client's user.
enum PortRefusal {
    static func limit(ofTunnels limit: Int) -> Refusal {
        Refusal(.limit, "this client may have \(limit) tunnels")
    }

    static func limit(ofPorts limit: Int) -> Refusal {
        Refusal(.limit, "this client may have \(limit) ports in all its sessions")
    }

    static var share: Refusal {
        Refusal(.busy, "this client has its share of the server's ports", retryAfter: 30)
    }

    /// The refusal of a place that no group can share; nil without a group, and for other places.
    static func ofGroup(_ request: BindRequest) -> Refusal? {
        guard request.group != nil, request.name == nil else { return nil }
        if request.kind == .tcp, !request.isForPath, request.port > 0 { return nil }
        return Refusal(.portNotAllowed, "a group shares a TCP port that the client names, or a host name")
    }

    static var noFreePort: Refusal { Refusal(.bindFailed, "no free port found") }

    static func own(_ path: String) -> Refusal {
        Refusal(.portInUse, "\(path) is a socket of culvert server itself")
    }

    static func heldByOtherSession(_ place: PublicPlace, of name: String) -> Refusal {
        Refusal(.portInUse, "\(place) is held by another session of \(name)")
    }

    static func heldByOtherProcess(_ place: PublicPlace, of name: String) -> Refusal {
        Refusal(.portInUse, "\(place) is held by another running process of \(name)")
    }

    static func held(_ place: PublicPlace, by name: String, since seconds: Int) -> Refusal {
        Refusal(.portInUse, "\(place) is held by \(name) since \(seconds) s")
    }

    static func kept(_ place: PublicPlace, for name: String, secondsLeft: Int) -> Refusal {
        let text = "\(place) is kept for \(name), which was cut off, for another \(secondsLeft) s"
        return Refusal(.portInUse, text)
    }

    /// The refusal of a port that the system does not bind.
    ///
    /// - Parameter user: the name of the program that has the port, if it is in use.
    static func failed(_ place: PublicPlace, _ error: any Error, user: @autoclosure () -> String) -> Refusal {
        if case .path(let path) = place { return failed(path, error) }
        guard let failure = error as? TCPIngress.Failure else {
            return Refusal(.bindFailed, "the server cannot bind \(place)")
        }
        let socket = "\(place) of \(failure.address)"
        return switch SocketFailure(failure.error) {
        case .addressInUse?: Refusal(.portInUse, "\(socket) is in use by \(user())")
        case .notPermitted?: Refusal(.bindFailed, "the server may not bind \(socket)")
        case .addressMissing?: Refusal(.bindFailed, "the server does not have the address \(failure.address)")
        case .familyMissing?: Refusal(.bindFailed, "the server does not have addresses like \(failure.address)")
        default: Refusal(.bindFailed, "the server cannot bind \(socket)")
        }
    }
    /// The refusal of a Unix socket that the system does not bind.
    private static func failed(_ path: String, _ error: any Error) -> Refusal {
        if let failure = error as? UnixListener.Failure {
            return Refusal(failure.isInUse ? .portInUse : .bindFailed, "\(path): \(failure.description)")
        }
        return switch SocketFailure(error) {
        case .addressInUse?: Refusal(.portInUse, "\(path) exists and is not a socket; choose another path")
        case .notPermitted?: Refusal(.bindFailed, "the server may not write to the folder of \(path)")
        default: Refusal(.bindFailed, "the server cannot bind \(path)")
        }
    }
}
